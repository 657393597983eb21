-- The order in which documents came to be what they are: each is here once, under the number of its
-- latest change, also one that is gone. AUTOINCREMENT, because no number may come twice.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document BLOB NOT NULL,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    kind INTEGER NOT NULL,
    UNIQUE (document, space_id, kind)
);
CREATE INDEX changes_of_kind ON changes (kind, number);
INSERT INTO changes (document, space_id, kind)
    SELECT document, space_id, kind FROM documents ORDER BY id;

-- What was answered to requests that may come again: both are hashes, `outcome` is the caller's.
CREATE TABLE receipts (
    key BLOB PRIMARY KEY,
    request BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    outcome BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX receipts_by_time ON receipts (at_ms);
