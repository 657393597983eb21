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
