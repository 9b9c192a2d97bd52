-- users.db: who may log in. Readable by lookup alone.
CREATE TABLE users (
    address TEXT PRIMARY KEY,   -- local@domain; the login, and the mailbox
    hash TEXT NOT NULL,         -- crypt(3)
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    scram TEXT                  -- SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (RFC 5803); NULL: passwd makes it
) WITHOUT ROWID;
-- What the salts of users who are not there are made of: each name always gets the same.
CREATE TABLE login_secret (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    secret TEXT NOT NULL
);
INSERT INTO login_secret VALUES (1, hex(randomblob(32)));
