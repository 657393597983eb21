//! Keys that records which contradict each other share, and which of them are shared right now.
//!
//! Derived, as the views are, and made with them. Whether a key is shared is told when a document that
//! has it is written, so that nobody has to look through all records to find those in conflict.

use super::Fault;
use crate::store::{Place, SharedKey};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::conflict::Match;
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// No kind is called so: names of views begin with a letter.
pub(super) const TABLES: &str = "
    CREATE TABLE view__keys (key BLOB NOT NULL, anchor INTEGER NOT NULL, document_id INTEGER NOT NULL,
        PRIMARY KEY (key, anchor, document_id)) WITHOUT ROWID;
    CREATE INDEX view__keys_of ON view__keys (document_id, key, anchor);
    CREATE TABLE view__shared (key BLOB PRIMARY KEY) WITHOUT ROWID;\n";

/// Shared keys and their documents, at most so many keys.
pub(super) const SHARED: &str = "SELECT k.key, d.document, s.space, d.kind
     FROM (SELECT key FROM view__shared ORDER BY key LIMIT ?1) h
     JOIN view__keys k ON k.key = h.key
     JOIN documents d ON d.id = k.document_id JOIN spaces s ON s.id = d.space_id
     ORDER BY k.key, d.document, s.space, d.kind";

/// Brings the keys of a document to what they are now.
pub(super) fn put(connection: &Connection, id: i64, keys: &[Match]) -> Result<(), Fault> {
    let held = held(connection, id)?;
    let keys: BTreeSet<Match> = keys.iter().copied().collect();
    if held == keys {
        return Ok(());
    }
    for gone in held.difference(&keys) {
        connection
            .prepare_cached(
                "DELETE FROM view__keys WHERE key = ?1 AND anchor = ?2 AND document_id = ?3",
            )?
            .execute(params![gone.key, gone.anchor, id])?;
    }
    for new in keys.difference(&held) {
        connection
            .prepare_cached(
                "INSERT INTO view__keys (key, anchor, document_id) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![new.key, new.anchor, id])?;
    }
    held.symmetric_difference(&keys).try_for_each(|changed| tell(connection, changed.key))
}

fn held(connection: &Connection, id: i64) -> Result<BTreeSet<Match>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT key, anchor FROM view__keys WHERE document_id = ?1")?;
    let mut rows = statement.query([id])?;
    let mut out = BTreeSet::new();
    while let Some(row) = rows.next()? {
        out.insert(Match { key: row.get(0)?, anchor: row.get(1)? });
    }
    Ok(out)
}

/// Whether a key is shared now.
fn tell(connection: &Connection, key: [u8; 16]) -> Result<(), Fault> {
    let shared: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM view__keys WHERE key = ?1 AND anchor = 1)
             AND EXISTS (SELECT 1 FROM view__keys WHERE key = ?1 LIMIT 1 OFFSET 1)",
        )?
        .query_row([key], |row| row.get(0))?;
    let sql = match shared {
        true => "INSERT OR IGNORE INTO view__shared (key) VALUES (?1)",
        false => "DELETE FROM view__shared WHERE key = ?1",
    };
    connection.prepare_cached(sql)?.execute([key])?;
    Ok(())
}

/// After every document's keys were written: those of documents that are gone go.
pub(super) fn tidy(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(
        "DELETE FROM view__keys WHERE document_id NOT IN (SELECT id FROM documents);
         DELETE FROM view__shared;
         INSERT INTO view__shared
             SELECT key FROM view__keys GROUP BY key HAVING count(*) > 1 AND max(anchor) = 1;",
    )?;
    Ok(())
}

pub(super) fn shared(connection: &Connection, limit: usize) -> Result<Vec<SharedKey>, Fault> {
    let mut statement = connection.prepare_cached(SHARED)?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut out: Vec<SharedKey> = Vec::new();
    while let Some(row) = rows.next()? {
        let key: [u8; 16] = row.get(0)?;
        let (document, space) = (DocId(row.get(1)?), SpaceId(row.get(2)?));
        let place = Place { document, space, kind: Kind(row.get(3)?) };
        match out.last_mut() {
            Some(last) if last.key == key => last.places.push(place),
            _ => out.push(SharedKey { key, places: vec![place] }),
        }
    }
    Ok(out)
}
