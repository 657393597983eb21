//! The index: what each document is found by, in a database of its own.
//!
//! It follows from the documents and can be thrown away: a crash or damage costs making it again, so
//! nothing waits for the disk here.

use super::{Found, SearchQuery};
use crate::store::Place;
use fenbu_protocol::id::{DocId, Hash, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::search::{Findable, question, terms};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::path::{Path, PathBuf};

/// Changes with the shape of the tables or of the terms: an index of another version is made again.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        document BLOB NOT NULL,
        space BLOB NOT NULL,
        kind INTEGER NOT NULL,
        heads BLOB NOT NULL,
        unit TEXT,
        col TEXT,
        day TEXT,
        updated_ms INTEGER NOT NULL,
        UNIQUE (document, space, kind)
    );
    CREATE INDEX documents_by_time ON documents (updated_ms);
    CREATE TABLE marks (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE VIRTUAL TABLE terms USING fts5(text, content='', contentless_delete=1, tokenize='unicode61');
";

/// A connection to the index.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
}

/// What is kept of one document.
pub(super) struct Entry<'a> {
    pub(super) place: Place,
    pub(super) heads: Hash,
    pub(super) updated_ms: u64,
    /// `None` where the document is to be found by nobody.
    pub(super) findable: Option<&'a Findable>,
}

impl Index {
    /// Opens the index; one that cannot be read or is of another version is begun anew.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        match Self::try_open(path) {
            Ok(index) => Ok(index),
            Err(error) => {
                tracing::warn!(%error, "the search index cannot be used: making it again");
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    // What is not there need not be removed, and what cannot be shows below.
                    let _ = std::fs::remove_file(PathBuf::from(name));
                }
                Self::try_open(path)
            }
        }
    }

    fn try_open(path: &Path) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000;
             PRAGMA cache_size = -4096;",
        )?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != VERSION {
            let tx = connection.transaction()?;
            if version != 0 {
                tx.execute_batch("DROP TABLE documents; DROP TABLE marks; DROP TABLE terms;")?;
            }
            tx.execute_batch(TABLES)?;
            tx.pragma_update(None, "user_version", VERSION)?;
            tx.commit()?;
        }
        // Touches every table, so that a damaged file shows now.
        connection
            .query_row("SELECT count(*) FROM terms WHERE terms MATCH '\"\"'", [], |_| Ok(()))?;
        connection.query_row("SELECT count(*) FROM documents", [], |_| Ok(()))?;
        Ok(Self { connection })
    }

    /// What all documents were when the index was last known to be complete.
    pub(super) fn mark(&self) -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM marks WHERE name = 'complete'";
        self.connection.query_row(sql, [], |row| row.get(0)).optional()
    }

    pub(super) fn set_mark(&self, value: Option<&[u8]>) -> rusqlite::Result<()> {
        match value {
            Some(value) => self.connection.execute(
                "INSERT OR REPLACE INTO marks (name, value) VALUES ('complete', ?1)",
                [value],
            )?,
            None => self.connection.execute("DELETE FROM marks", [])?,
        };
        Ok(())
    }

    pub(super) fn heads(&self, place: Place) -> rusqlite::Result<Option<Hash>> {
        self.connection
            .prepare_cached(
                "SELECT heads FROM documents WHERE document = ?1 AND space = ?2 AND kind = ?3",
            )?
            .query_row(params![place.document.0, place.space.0, place.kind.0], |row| row.get(0))
            .optional()
            .map(|heads| heads.map(Hash))
    }

    /// All documents in the index.
    pub(super) fn places(&self) -> rusqlite::Result<Vec<Place>> {
        let mut statement =
            self.connection.prepare("SELECT document, space, kind FROM documents")?;
        let place = |row: &rusqlite::Row<'_>| {
            let (document, space) = (DocId(row.get(0)?), SpaceId(row.get(1)?));
            Ok(Place { document, space, kind: Kind(row.get(2)?) })
        };
        statement.query_map([], place)?.collect()
    }

    /// Takes up what has become of some documents; `gone` are no longer there.
    pub(super) fn update(&mut self, entries: &[Entry<'_>], gone: &[Place]) -> rusqlite::Result<()> {
        let tx = self.connection.transaction()?;
        let places = entries.iter().map(|e| &e.place).chain(gone);
        for place in places {
            let old: Option<i64> = tx
                .prepare_cached(
                    "DELETE FROM documents WHERE document = ?1 AND space = ?2 AND kind = ?3
                     RETURNING id",
                )?
                .query_row(params![place.document.0, place.space.0, place.kind.0], |r| r.get(0))
                .optional()?;
            if let Some(id) = old {
                tx.prepare_cached("DELETE FROM terms WHERE rowid = ?1")?.execute([id])?;
            }
        }
        for entry in entries {
            let Entry { place, heads, updated_ms, findable } = entry;
            tx.prepare_cached(
                "INSERT INTO documents
                 (document, space, kind, heads, unit, col, day, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                place.document.0,
                place.space.0,
                place.kind.0,
                heads.0,
                findable.and_then(|f| f.unit.as_deref()),
                findable.and_then(|f| f.column.as_deref()),
                findable.and_then(|f| f.day.as_deref()),
                i64::try_from(*updated_ms).unwrap_or(i64::MAX)
            ])?;
            if let Some(findable) = findable {
                let id = tx.last_insert_rowid();
                tx.prepare_cached("INSERT INTO terms (rowid, text) VALUES (?1, ?2)")?
                    .execute(params![id, terms(&findable.text)])?;
            }
        }
        tx.commit()
    }

    /// Documents that have all that is asked for, the latest change first; empty for a question of no words.
    pub(super) fn find(&self, query: &SearchQuery) -> rusqlite::Result<Vec<Found>> {
        let Some(question) = question(&query.text) else { return Ok(Vec::new()) };
        let mut sql = "SELECT d.document, d.space, d.kind, d.unit, d.day, d.updated_ms
             FROM terms t JOIN documents d ON d.id = t.rowid WHERE terms MATCH ?"
            .to_owned();
        let mut values: Vec<rusqlite::types::Value> = vec![question.into()];
        let mut and = |condition: &str, value: rusqlite::types::Value| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        };
        if let Some(kind) = query.kind {
            and("d.kind = ?", i64::from(kind.0).into());
        }
        if let Some(unit) = &query.unit {
            and("d.unit = ?", unit.clone().into());
        }
        if let Some(column) = &query.column {
            and("d.col = ?", column.clone().into());
        }
        if let Some(from) = &query.from {
            and("d.day >= ?", from.clone().into());
        }
        if let Some(to) = &query.to {
            and("d.day <= ?", to.clone().into());
        }
        if let Some((updated_ms, document)) = &query.after {
            and("d.updated_ms <= ?", i64::try_from(*updated_ms).unwrap_or(i64::MAX).into());
            and(
                "(d.updated_ms, d.document) < (?",
                i64::try_from(*updated_ms).unwrap_or(i64::MAX).into(),
            );
            sql.push_str(", ?)");
            values.push(document.0.to_vec().into());
        }
        let marks = vec!["?"; query.spaces.len()].join(", ");
        sql.push_str(&format!(" AND d.space IN ({marks})"));
        values.extend(query.spaces.iter().map(|s| s.0.to_vec().into()));
        if let Some(everyones) = &query.everyones {
            sql.push_str(
                " AND (d.space <> ? OR NOT EXISTS (SELECT 1 FROM documents o
                 WHERE o.document = d.document AND o.space <> d.space AND o.kind = d.kind))",
            );
            values.push(everyones.0.to_vec().into());
        }
        sql.push_str(" ORDER BY d.updated_ms DESC, d.document DESC LIMIT ?");
        values.push((query.limit as i64).into());
        let found = |row: &rusqlite::Row<'_>| {
            let (document, space) = (DocId(row.get(0)?), SpaceId(row.get(1)?));
            Ok(Found {
                place: Place { document, space, kind: Kind(row.get(2)?) },
                unit: row.get(3)?,
                day: row.get(4)?,
                updated_ms: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_map(params_from_iter(values), found)?.collect()
    }
}
