-- Rows that are being moved since the machine's clock was set, in pieces that hold up nobody's mail. No row: all are right.
CREATE TABLE clock_move (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seconds INTEGER NOT NULL,   -- by so much the clock was set
    before INTEGER NOT NULL,    -- when that was, by the clock as it was; since 1970
    clock INTEGER NOT NULL,     -- by which rows are right once they have been moved, as queue/journal/clock has it
    last_parcel INTEGER NOT NULL, -- what came later is right
    after_mail TEXT NOT NULL    -- mails up to this id, and their parcels, have been moved
);
