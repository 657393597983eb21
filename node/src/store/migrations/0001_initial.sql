-- Rowids inside, random ids only in secondary indexes: a random primary key costs seven times the
-- time of a sequential one. Integers that are unsigned 64-bit in the program stay below 2^63.

-- Sums are 32 bytes, see `fenbu_protocol::log::Sum`.
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    space BLOB NOT NULL UNIQUE,
    state_sum BLOB NOT NULL,
    log_sum BLOB NOT NULL
);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    log BLOB NOT NULL UNIQUE,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    node BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    opening BLOB NOT NULL,
    -- The tip.
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    body_bytes INTEGER NOT NULL,
    -- Any 64 bits.
    epoch INTEGER NOT NULL,
    -- Materialised up to this seq.
    cursor INTEGER NOT NULL
);
CREATE INDEX logs_behind ON logs (space_id) WHERE cursor < seq;

-- `first` and `last` are seqs, `clock` the first entry's: neighbours in time are materialised
-- together. `bytes` comes last so that the rest is read without it.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    log_id INTEGER NOT NULL REFERENCES logs (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (log_id, first)
);

CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    document BLOB NOT NULL,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    kind INTEGER NOT NULL,
    genesis INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    heads BLOB NOT NULL,
    snapshot BLOB NOT NULL,
    UNIQUE (document, space_id, kind)
);

CREATE TABLE waiting (
    log_id INTEGER NOT NULL REFERENCES logs (id),
    seq INTEGER NOT NULL,
    document BLOB NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (log_id, seq)
) WITHOUT ROWID;
CREATE INDEX waiting_document ON waiting (document);

-- AUTOINCREMENT, because the order of refusals is what is shown.
CREATE TABLE refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_id INTEGER NOT NULL REFERENCES logs (id),
    seq INTEGER NOT NULL,
    document BLOB NOT NULL,
    kind INTEGER NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (log_id, seq)
);
CREATE INDEX refused_document ON refused (document);

CREATE TABLE statements (
    epoch INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
);

-- Peers may hold logs that are not here yet, so the log is named, not referred to.
CREATE TABLE acknowledgements (
    id INTEGER PRIMARY KEY,
    node BLOB NOT NULL,
    log BLOB NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (node, log)
);

-- Logs whose authors signed two histories: the proof of the fork furthest back, as it travels.
CREATE TABLE forks (
    log_id INTEGER PRIMARY KEY REFERENCES logs (id),
    seq INTEGER NOT NULL,
    proof BLOB NOT NULL
);

-- Branches that were lost: what a log held from `first` to `last` before another history took over.
-- `own` where this node wrote it, `remade` once its documents show it no longer.
CREATE TABLE lost (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_id INTEGER NOT NULL REFERENCES logs (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    own INTEGER NOT NULL,
    remade INTEGER NOT NULL
);

CREATE TABLE lost_runs (
    id INTEGER PRIMARY KEY,
    lost_id INTEGER NOT NULL REFERENCES lost (id),
    first INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (lost_id, first)
);

-- Changes of ours that no longer count and are to be written anew, each once, in the order of `id`.
CREATE TABLE amendments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces (id),
    document BLOB NOT NULL,
    kind INTEGER NOT NULL,
    change BLOB NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (space_id, document, kind, change)
);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- One row: what the `view_*` tables were generated from, and whether every document is in them.
-- Those tables are derived and not part of any migration.
CREATE TABLE views (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint BLOB NOT NULL,
    complete INTEGER NOT NULL
);
