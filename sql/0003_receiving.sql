-- Greylisting.

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
