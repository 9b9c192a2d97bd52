-- Aliases, vacations, what is remembered of destinations, hold rules, delay notices.
ALTER TABLE parcels ADD COLUMN delayed_at TEXT;
ALTER TABLE parcels ADD COLUMN bounce TEXT NOT NULL DEFAULT '';
ALTER TABLE operator_changes ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE operator_changes ADD COLUMN affected INTEGER NOT NULL DEFAULT 0;
-- What has ended, by age, for the purge.
DROP INDEX parcels_age;
CREATE INDEX parcels_ended ON parcels(coalesce(delivery_at, created_at)) WHERE state NOT IN ('queued', 'deferred', 'held');
-- What waits longer, by domain: costs nothing for mail that leaves at once.
CREATE INDEX parcels_waiting ON parcels(domain, retry_at) WHERE state IN ('deferred', 'held');
CREATE INDEX parcels_held ON parcels(created_at) WHERE state = 'held';
CREATE INDEX mails_vacation ON mails(account, received_at) WHERE role = 'vacation';

-- Where names lead, beside the users: one row a target. Expanded when mail comes in.
CREATE TABLE aliases (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL COLLATE NOCASE, -- local@domain; @domain: whoever else in this domain
    target TEXT NOT NULL,       -- an address; @domain: the same local part there; /FILE of addresses; |NAME of a transport
    owner TEXT NOT NULL DEFAULT '', -- of a list: who hears of failures in place of the sender
    created_at TEXT NOT NULL,
    UNIQUE (address, target)
);

-- Who is away: answers go out by RFC 3834, once a correspondent in so many days.
CREATE TABLE vacations (
    address TEXT PRIMARY KEY COLLATE NOCASE,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    starts_at TEXT,             -- NULL: now
    ends_at TEXT,               -- NULL: until it is taken away
    days INTEGER NOT NULL DEFAULT 7,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;

-- How other servers do, as far as it is worth remembering.
CREATE TABLE destinations (
    destination TEXT PRIMARY KEY COLLATE NOCASE, -- a domain; '' is the local transport
    failures INTEGER NOT NULL DEFAULT 0, -- attempts in a row that found no server
    retry_at TEXT,              -- not tried before; NULL: whenever there is mail
    reason TEXT NOT NULL DEFAULT '',
    tls TEXT NOT NULL DEFAULT '' CHECK (tls IN ('', 'offered', 'verified')), -- what it has shown
    tls_at TEXT,                -- when it showed that last
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX destinations_age ON destinations(updated_at);

-- Mail that an operator wants held when it comes.
CREATE TABLE hold_rules (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('sender', 'recipient', 'domain', 'account', 'ip')),
    pattern TEXT NOT NULL COLLATE NOCASE, -- the whole value; domain: of a recipient; ip: an address or network
    reason TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    UNIQUE (kind, pattern)
);
