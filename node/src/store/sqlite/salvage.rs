//! A new database of what a damaged one still gives.
//!
//! Runs and statements are the record, and each proves itself; everything else is made again from them.
//! Rows are read one by one, so that a page that cannot be read costs what lies on it. Where runs are
//! missing in the middle of a log the rest is kept behind the gap, which is then mended from peers.

use super::{Fault, SqliteStore, connect, read};
use crate::store::{StoreError, ViewSpec};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{LogDigest, Opening, Run, Tip};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params};
use std::collections::BTreeMap;
use std::path::Path;

const DOING: &str = "bringing over what can be read";
/// Settings that are looked for by name, should a list of all break off.
const NAMED: [&str; 2] = ["incarnation", crate::store::FORK_SETTING];
/// Made again, or made anew.
const LEFT: [&str; 6] = [
    "continuity",
    "removals",
    "settled",
    crate::changes::LIVES_SETTING,
    crate::changes::SHOWN_SETTING,
    crate::rebuild::FILLED_SETTING,
];

/// What was brought over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Salvaged {
    pub(crate) statements: u64,
    pub(crate) logs: u64,
    pub(crate) runs: u64,
    /// Places in tables that could not be read.
    pub(crate) holes: u64,
}

/// The runs found of one log.
struct Found {
    opening: Opening,
    /// By first seq: row and last seq.
    runs: BTreeMap<u64, (i64, u64)>,
}

impl SqliteStore {
    /// Writes a new database at `to` of what can be read in the one at `from`. `follows` is asked for
    /// each statement in order whether it continues the directory's chain.
    pub(crate) fn salvage(
        from: &Path,
        to: &Path,
        views: &[ViewSpec],
        follows: impl FnMut(&[u8]) -> bool,
    ) -> Result<Salvaged, StoreError> {
        let mut store = Self::open(to, views)?;
        let salvaged = || -> Result<Salvaged, Fault> {
            let old = connect(from, OpenFlags::empty())?;
            old.pragma_update(None, "query_only", true)?;
            let mut salvaged = Salvaged::default();
            let tx = store.connection.transaction()?;
            settings(&old, &tx)?;
            salvaged.statements = statements(&old, &tx, follows)?;
            acknowledgements(&old, &tx, &mut salvaged)?;
            let found = logs(&old, &mut salvaged)?;
            tx.commit()?;
            for (log, found) in found {
                let tx = store.connection.transaction()?;
                bring_log(&old, &tx, log, &found, &mut salvaged)?;
                tx.commit()?;
            }
            store.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(salvaged)
        };
        salvaged().map_err(|fault| fault.at(from, DOING))
    }
}

/// Visits the rows of a table by rowid; what cannot be read is passed over. `sql` takes the id after
/// which to go on and gives one row, the id first.
fn each(
    old: &Connection,
    sql: &str,
    salvaged: &mut Salvaged,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut after = 0_i64;
    loop {
        // One statement each: after an error it must begin anew.
        let found = old.prepare(sql).and_then(|mut statement| {
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, visit(row)));
            statement.query_row([after], row).optional()
        });
        match found {
            Ok(None) => return Ok(()),
            Ok(Some((id, visited))) => {
                // A row that reads and makes no sense is as good as none.
                if !matches!(visited, Ok(()) | Err(Fault::Damaged(_) | Fault::Sqlite(_))) {
                    return visited;
                }
                after = id;
            }
            Err(_) => {
                salvaged.holes += 1;
                let Some(next) = past_hole(old, sql, after) else { return Ok(()) };
                after = next;
            }
        }
    }
}

/// The first id after `from` behind which rows can be read again; `None` if there is none.
fn past_hole(old: &Connection, sql: &str, from: i64) -> Option<i64> {
    let reads = |after: i64| {
        let found = old.prepare(sql).and_then(|mut statement| {
            statement.query_row([after], |row| row.get::<_, i64>(0)).optional()
        });
        found.is_ok()
    };
    let mut step = 1_i64;
    while !reads(from + step) {
        step *= 2;
        // Past any table there can be.
        if step > 1 << 40 {
            return None;
        }
    }
    let (mut hole, mut whole) = (from + step / 2, from + step);
    while hole + 1 < whole {
        let middle = hole + (whole - hole) / 2;
        if reads(middle) {
            whole = middle;
        } else {
            hole = middle;
        }
    }
    Some(whole)
}

fn settings(old: &Connection, tx: &Transaction<'_>) -> Result<(), Fault> {
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    if let Ok(mut all) = old.prepare("SELECT name, value FROM settings")
        && let Ok(mut rows) = all.query([])
    {
        while let Ok(Some(row)) = rows.next() {
            if let (Ok(name), Ok(value)) = (row.get(0), row.get(1)) {
                found.insert(name, value);
            }
        }
    }
    for name in NAMED {
        let sql = "SELECT value FROM settings WHERE name = ?1";
        if let Ok(value) = old.query_row(sql, [name], |row| row.get(0)) {
            found.insert(name.to_owned(), value);
        }
    }
    found.retain(|name, _| !LEFT.contains(&name.as_str()));
    for (name, value) in found {
        tx.execute("INSERT INTO settings VALUES (?1, ?2)", params![name, value])?;
    }
    Ok(())
}

/// The chain up to what cannot be read or does not follow: peers have the rest.
fn statements(
    old: &Connection,
    tx: &Transaction<'_>,
    mut follows: impl FnMut(&[u8]) -> bool,
) -> Result<u64, Fault> {
    let mut epoch = 0;
    loop {
        let sql = "SELECT bytes FROM statements WHERE epoch = ?1";
        let found = old.query_row(sql, [epoch + 1], |row| row.get::<_, Vec<u8>>(0));
        let Some(bytes) = found.ok().filter(|bytes| follows(bytes)) else { break };
        epoch += 1;
        tx.execute("INSERT INTO statements VALUES (?1, ?2)", params![epoch, bytes])?;
    }
    Ok(epoch as u64)
}

fn acknowledgements(
    old: &Connection,
    tx: &Transaction<'_>,
    salvaged: &mut Salvaged,
) -> Result<(), Fault> {
    let sql = "SELECT id, node, log, seq FROM acknowledgements WHERE id > ?1 ORDER BY id LIMIT 1";
    each(old, sql, salvaged, |row| {
        let (node, log) = (NodeId(row.get(1)?), LogId(row.get(2)?));
        tx.execute(
            "INSERT OR IGNORE INTO acknowledgements (node, log, seq) VALUES (?1, ?2, ?3)",
            params![node.0, log.0, row.get::<_, i64>(3)?],
        )?;
        Ok(())
    })
}

/// Every log of which an opening is left, and its runs.
fn logs(old: &Connection, salvaged: &mut Salvaged) -> Result<BTreeMap<LogId, Found>, Fault> {
    let mut found: BTreeMap<LogId, Found> = BTreeMap::new();
    let mut open = |opening: Opening| {
        if opening.verify() {
            let empty = Found { opening, runs: BTreeMap::new() };
            found.entry(opening.log()).or_insert(empty);
        }
    };
    let sql = "SELECT id, opening FROM logs WHERE id > ?1 ORDER BY id LIMIT 1";
    each(old, sql, salvaged, |row| {
        open(Opening::from_wire(&row.get(1)?));
        Ok(())
    })?;
    let sql = "SELECT id, bytes FROM runs WHERE id > ?1 ORDER BY id LIMIT 1";
    let mut runs = Vec::new();
    each(old, sql, salvaged, |row| {
        let run = Run::parse(read::blob(row, 1)?).map_err(|e| Fault::Damaged(e.to_string()))?;
        if let Some(opening) = run.opening() {
            open(*opening);
        }
        runs.push((run.log(), run.first(), run.last(), row.get::<_, i64>(0)?));
        Ok(())
    })?;
    for (log, first, last, id) in runs {
        if let Some(found) = found.get_mut(&log) {
            found.runs.insert(first, (id, last));
        }
    }
    Ok(found)
}

/// A log's runs that are what their author signed, in order, gaps and all.
fn bring_log(
    old: &Connection,
    tx: &Transaction<'_>,
    log: LogId,
    found: &Found,
    salvaged: &mut Salvaged,
) -> Result<(), Fault> {
    let opening = &found.opening;
    let mut tip = Tip::start(log);
    let mut id = None;
    for (row, last) in found.runs.values() {
        let sql = "SELECT bytes FROM runs WHERE id = ?1";
        let bytes = old.query_row(sql, [row], |row| row.get::<_, Vec<u8>>(0));
        let run = bytes.ok().and_then(|bytes| Run::parse(bytes).ok());
        let sound = |run: &Run| {
            run.last() == *last
                && run.first() > tip.seq
                && (run.first() > tip.seq + 1 || run.previous() == tip.hash)
                && run.verify_alone(&opening.node).is_ok()
        };
        let Some(run) = run.filter(sound) else { continue };
        let id = match id {
            Some(id) => id,
            None => *id.insert(new_log(tx, log, opening)?),
        };
        insert(tx, id, &run)?;
        salvaged.runs += 1;
        for entry in run.entries() {
            let body_bytes = tip.body_bytes.saturating_add(u64::from(entry.header.body_len));
            let (seq, epoch) = (entry.header.seq, entry.header.epoch);
            tip = Tip { seq, hash: entry.hash, epoch, body_bytes };
        }
    }
    let Some(id) = id else { return Ok(()) };
    salvaged.logs += 1;
    tx.execute(
        "UPDATE logs SET seq = ?2, hash = ?3, body_bytes = ?4, epoch = ?5 WHERE id = ?1",
        params![
            id,
            tip.seq.cast_signed(),
            tip.hash.0,
            tip.body_bytes.cast_signed(),
            tip.epoch.cast_signed()
        ],
    )?;
    add_to_sum(tx, opening.space, log, &tip)
}

fn new_log(tx: &Transaction<'_>, log: LogId, opening: &Opening) -> Result<i64, Fault> {
    tx.execute(
        "INSERT OR IGNORE INTO spaces (space, state_sum, log_sum)
         VALUES (?1, zeroblob(32), zeroblob(32))",
        [opening.space.0],
    )?;
    tx.execute(
        "INSERT INTO logs
         (log, space_id, node, incarnation, opening, seq, hash, body_bytes, epoch, cursor)
         VALUES (?1, (SELECT id FROM spaces WHERE space = ?2), ?3, ?4, ?5, 0, ?1, 0, 0, 0)",
        params![log.0, opening.space.0, opening.node.0, opening.incarnation, opening.to_wire()],
    )?;
    Ok(tx.last_insert_rowid())
}

fn insert(tx: &Transaction<'_>, log_id: i64, run: &Run) -> Result<(), Fault> {
    let clock = run.entries().next().map_or(0, |e| e.header.clock);
    tx.execute(
        "INSERT INTO runs (log_id, first, last, clock, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            log_id,
            run.first().cast_signed(),
            run.last().cast_signed(),
            i64::try_from(clock).unwrap_or(i64::MAX),
            run.as_bytes()
        ],
    )?;
    Ok(())
}

fn add_to_sum(tx: &Transaction<'_>, space: SpaceId, log: LogId, tip: &Tip) -> Result<(), Fault> {
    let sql = "SELECT log_sum FROM spaces WHERE space = ?1";
    let held = tx.query_row(sql, [space.0], |row| row.get(0))?;
    let mut sum = LogDigest(fenbu_protocol::log::Sum::from_hash(&fenbu_protocol::id::Hash(held)));
    sum.advance(space, log, &Tip::start(log), tip);
    tx.execute(
        "UPDATE spaces SET log_sum = ?2 WHERE space = ?1",
        params![space.0, sum.0.to_hash().0],
    )?;
    Ok(())
}
