-- Logins by SCRAM-SHA-256: the verifier of each user, made when his password is set the next time.
ALTER TABLE users ADD COLUMN scram TEXT;
CREATE TABLE login_secret (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    secret TEXT NOT NULL
);
INSERT INTO login_secret VALUES (1, hex(randomblob(32)));
