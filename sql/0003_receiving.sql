-- What is known of strangers; greylisting; where accounts were logged in to.
ALTER TABLE mails ADD COLUMN reverse TEXT NOT NULL DEFAULT '';
ALTER TABLE mails ADD COLUMN listed_in TEXT NOT NULL DEFAULT '';
ALTER TABLE mails ADD COLUMN dnsbl_score INTEGER;

-- Strangers' first tries (RFC 6647): taken when they come again.
CREATE TABLE greylist (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL,      -- of the client: /24, or /48 of IPv6
    sender TEXT NOT NULL COLLATE NOCASE, -- '' for <>
    recipient TEXT NOT NULL COLLATE NOCASE,
    tries INTEGER NOT NULL DEFAULT 1,
    passed_at TEXT,             -- when it came again late enough; NULL: not yet
    expires_at TEXT NOT NULL,   -- forgotten then
    created_at TEXT NOT NULL,   -- the first try: the delay counts from here
    updated_at TEXT NOT NULL,
    UNIQUE (network, sender, recipient)
);
CREATE INDEX greylist_age ON greylist(expires_at);

-- Where an account was logged in to: one row an account and contact. A name that nobody has gets rows too.
CREATE TABLE logins (
    account TEXT NOT NULL,
    contact TEXT NOT NULL,      -- as contacts.remote_ip
    failures INTEGER NOT NULL DEFAULT 0, -- since the last success, or a pause of account_lock_seconds
    failed_at TEXT,             -- the last; NULL: none since the last success
    succeeded_at TEXT,          -- the last; from there a locked account is open
    updated_at TEXT NOT NULL,
    PRIMARY KEY (account, contact)
) WITHOUT ROWID;
CREATE INDEX logins_age ON logins(updated_at);

-- FUTURERELEASE.

-- when it is released, and its time begins; NULL: at once
ALTER TABLE mails ADD COLUMN hold_until TEXT;
