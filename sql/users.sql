-- users.db: who may log in. Readable by lookup alone.
CREATE TABLE users (
    address TEXT PRIMARY KEY,   -- local@domain; the login, and the mailbox
    hash TEXT NOT NULL,         -- crypt(3)
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
