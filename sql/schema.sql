-- Parcelpost's tables. The only place with DDL; migrations are sql/NNNN_what.sql, applied by PRAGMA user_version.
-- Times are UTC text 'YYYY-MM-DD HH:MM:SS': string order is time order.

-- Who has connected, and how they behaved. IPv6 contacts are a /64.
CREATE TABLE contacts (
    id INTEGER PRIMARY KEY,
    remote_ip TEXT NOT NULL UNIQUE,
    hits INTEGER NOT NULL DEFAULT 0,
    locks INTEGER NOT NULL DEFAULT 0,
    violations INTEGER NOT NULL DEFAULT 0,
    expires_at TEXT,            -- end of the lockout, NULL when there is none
    locked_at TEXT,             -- when it began; stays until unlock_command has run
    accepted_at TEXT,           -- last accepted message: the mercies for honest senders look here
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE INDEX contacts_locked ON contacts(expires_at) WHERE expires_at IS NOT NULL;

-- Evidence for every point.
CREATE TABLE violations (
    id INTEGER PRIMARY KEY,
    contact_id INTEGER NOT NULL REFERENCES contacts(id),
    created_at TEXT NOT NULL,
    port INTEGER NOT NULL,
    verb TEXT NOT NULL,
    rule TEXT NOT NULL,
    reply TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',
    mail_id TEXT NOT NULL DEFAULT '',
    counted INTEGER NOT NULL DEFAULT 1  -- 0: recorded, forgiven by one of the mercies
);
CREATE INDEX violations_contact ON violations(contact_id, created_at);
CREATE INDEX violations_age ON violations(created_at);

-- One row a message.
CREATE TABLE mails (
    mail_id TEXT PRIMARY KEY,
    contact_id INTEGER,
    place TEXT NOT NULL,        -- 'journal SEGMENT OFFSET', 'file', 'gone'
    received_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    role TEXT NOT NULL,
    local_port INTEGER NOT NULL,
    remote_ip TEXT NOT NULL,
    remote_name TEXT NOT NULL,
    ehlo TEXT NOT NULL,
    from_url TEXT NOT NULL,
    protocol TEXT NOT NULL,
    tls TEXT NOT NULL,
    account TEXT NOT NULL,
    verdicts TEXT NOT NULL,     -- DKIM, SPF, DMARC as in Authentication-Results
    message_id TEXT NOT NULL,
    auto_generated INTEGER NOT NULL DEFAULT 0,
    hold_until TEXT,            -- when it is released (FUTURERELEASE), and its time begins; NULL: at once
    reverse TEXT NOT NULL DEFAULT '', -- confirmed, unconfirmed, unverified, missing, unanswered; '': not looked up
    listed_in TEXT NOT NULL DEFAULT '', -- DNS block lists that name the client
    dnsbl_score INTEGER         -- the sum of the weights of DNS lists; NULL: none was asked
) WITHOUT ROWID;
CREATE INDEX mails_age ON mails(received_at);
CREATE INDEX mails_here ON mails(place) WHERE place <> 'gone';
-- What its sender asked to be released later.
CREATE INDEX mails_later ON mails(hold_until) WHERE hold_until IS NOT NULL;
CREATE INDEX mails_vacation ON mails(account, received_at) WHERE role = 'vacation';

-- One row a recipient, accepted or refused.
CREATE TABLE parcels (
    id INTEGER PRIMARY KEY,
    contact_id INTEGER,
    mail_id TEXT NOT NULL,
    recipient INTEGER NOT NULL DEFAULT -1,  -- place in the envelope; -1: refused
    from_url TEXT NOT NULL,
    to_url TEXT NOT NULL,
    target TEXT NOT NULL,       -- the address it is delivered to
    domain TEXT NOT NULL,
    delivery TEXT NOT NULL CHECK (delivery IN ('local', 'remote', 'none')),
    state TEXT NOT NULL CHECK (state IN ('queued', 'deferred', 'held', 'delivered', 'failed', 'expired', 'refused', 'removed')),
    delivery_at TEXT,           -- when it ended or was last tried
    delivery_msg TEXT NOT NULL DEFAULT '',
    retry_at TEXT,
    expires_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    delayed_at TEXT,            -- when its sender was told that it takes long
    bounce TEXT NOT NULL DEFAULT '', -- an operator's words: the queue runner ends it with them and a notice
    notify TEXT NOT NULL DEFAULT '',
    orcpt TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX parcels_mail ON parcels(mail_id, recipient);
CREATE INDEX parcels_due ON parcels(retry_at) WHERE state IN ('queued', 'deferred');
-- What has ended, by age, for the purge.
CREATE INDEX parcels_ended ON parcels(coalesce(delivery_at, created_at)) WHERE state NOT IN ('queued', 'deferred', 'held');
-- What waits longer, by domain: costs nothing for mail that leaves at once.
CREATE INDEX parcels_waiting ON parcels(domain, retry_at) WHERE state IN ('deferred', 'held');
CREATE INDEX parcels_held ON parcels(created_at) WHERE state = 'held';

-- Every delivery attempt.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    parcel_id INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    route TEXT NOT NULL,        -- transport and why there
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    tls TEXT NOT NULL,
    reply TEXT NOT NULL,
    milliseconds INTEGER NOT NULL
);
CREATE INDEX attempts_parcel ON attempts(parcel_id);
CREATE INDEX attempts_age ON attempts(started_at);

-- What is local; filled from the configuration's local_domains at start, rows added by hand stay.
CREATE TABLE domains (
    domain TEXT PRIMARY KEY COLLATE NOCASE,
    configured INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

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

-- What an operator changed: who, when, what.
CREATE TABLE operator_changes (
    id INTEGER PRIMARY KEY,
    created_at TEXT NOT NULL,
    uid INTEGER NOT NULL,
    name TEXT NOT NULL DEFAULT '', -- the login of that uid, then
    what TEXT NOT NULL,
    affected INTEGER NOT NULL DEFAULT 0 -- how many parcels, contacts, rows
);

-- Rows that are being moved since the machine's clock was set, in pieces that hold up nobody's mail. No row: all are right.
CREATE TABLE clock_move (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seconds INTEGER NOT NULL,   -- by so much the clock was set
    before INTEGER NOT NULL,    -- when that was, by the clock as it was; since 1970
    clock INTEGER NOT NULL,     -- by which rows are right once they have been moved, as queue/journal/clock has it
    last_parcel INTEGER NOT NULL, -- what came later is right
    after_mail TEXT NOT NULL    -- mails up to this id, and their parcels, have been moved
);

-- How far into the journal this database reflects it.
CREATE TABLE journal_position (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    segment INTEGER NOT NULL,
    position INTEGER NOT NULL
);
INSERT INTO journal_position VALUES (1, 0, 0);
