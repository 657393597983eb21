//! Stored runs: the one that holds an entry, several joined, and what is not materialised yet.

use super::Fault;
use super::read::{blob, length, unsigned};
use crate::store::runs::{self, Room};
use fenbu_protocol::id::{LogId, SpaceId};
use fenbu_protocol::log::Run;
use rusqlite::{Connection, Row, params};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rowid and last seq of a log.
pub(super) fn log_row(c: &Connection, log: LogId) -> Result<Option<(i64, u64)>, Fault> {
    let mut statement = c.prepare_cached("SELECT id, seq FROM logs WHERE log = ?1")?;
    let mut rows = statement.query([log.0])?;
    rows.next()?.map(|row| Ok((row.get(0)?, unsigned(row, 1)?))).transpose()
}

/// Stored runs from the one that holds a seq on.
const RUNS_FROM: &str = "SELECT bytes, length(bytes), first, last, clock FROM runs
    WHERE log_id = ?1 AND first >=
        (SELECT first FROM runs WHERE log_id = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1)
    ORDER BY first";

/// The stored run that holds `seq`, which is within the log.
pub(super) fn run_with(c: &Connection, id: i64, log: LogId, seq: u64) -> Result<Run, Fault> {
    let mut statement = c.prepare_cached(RUNS_FROM)?;
    let mut rows = statement.query(params![id, seq.cast_signed()])?;
    let found = rows.next()?.map(|row| run(row, 0, log)).transpose()?;
    found
        .filter(|run| run.first() <= seq && seq <= run.last())
        .ok_or_else(|| Fault::Damaged(format!("entry {seq} of log {log} is missing")))
}

pub(super) fn joined_run(
    c: &Connection,
    log: LogId,
    from: u64,
    bytes_max: usize,
) -> Result<Option<Run>, Fault> {
    let Some((id, tip)) = log_row(c, log)? else { return Ok(None) };
    if !(1..=tip).contains(&from) {
        return Ok(None);
    }
    let missing = || Fault::Damaged(format!("log {log} has a gap after entry {from}"));
    let mut statement = c.prepare_cached(RUNS_FROM)?;
    let mut rows = statement.query(params![id, from.cast_signed()])?;
    let first = rows.next()?.map(|row| run(row, 0, log)).transpose()?;
    let first = first.and_then(|run| run.starting_at(from)).ok_or_else(missing)?;
    if first.first() != from {
        return Err(missing());
    }
    let mut room = Room::after(&first, bytes_max);
    let mut found = vec![first];
    while let Some(row) = rows.next()? {
        let (first, last) = (unsigned(row, 2)?, unsigned(row, 3)?);
        let entries = last.saturating_sub(first).saturating_add(1);
        if !room.admits(entries, length(row, 1)?) {
            break;
        }
        found.push(run(row, 0, log)?);
    }
    runs::join(found).map(Some).ok_or_else(missing)
}

/// A log that is behind, by the clock of its next run: the least is taken first.
type Head = Reverse<(i64, LogId, i64, u64)>;

pub(super) fn behind(
    c: &Connection,
    spaces: &[SpaceId],
    bytes_max: usize,
) -> Result<Vec<Run>, Fault> {
    let mut heads = BinaryHeap::new();
    let mut logs = c.prepare_cached(
        "SELECT l.id, l.log, l.cursor FROM logs l JOIN spaces s ON s.id = l.space_id
         WHERE s.space = ?1 AND l.cursor < l.seq",
    )?;
    for space in spaces {
        let mut rows = logs.query([space.0])?;
        while let Some(row) = rows.next()? {
            let from = unsigned(row, 2)?.saturating_add(1);
            heads.extend(head(c, row.get(0)?, LogId(row.get(1)?), from)?);
        }
    }
    let mut out = Vec::new();
    let mut bytes = 0;
    while let Some(Reverse((_, log, id, from))) = heads.pop() {
        let found = run_with(c, id, log, from)?;
        let next = found.last() + 1;
        let found = found
            .starting_at(from)
            .ok_or_else(|| Fault::Damaged(format!("entry {from} of log {log} is missing")))?;
        bytes += found.as_bytes().len();
        if bytes > bytes_max && !out.is_empty() {
            break;
        }
        out.push(found);
        heads.extend(head(c, id, log, next)?);
    }
    Ok(out)
}

/// `None` at the log's end.
pub(super) fn head(c: &Connection, id: i64, log: LogId, from: u64) -> Result<Option<Head>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT clock, last FROM runs WHERE log_id = ?1 AND first <= ?2
         ORDER BY first DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![id, from.cast_signed()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let ended = unsigned(row, 1)? < from;
    Ok(if ended { None } else { Some(Reverse((row.get(0)?, log, id, from))) })
}

/// A stored run, which must be of `log`.
pub(super) fn run(row: &Row<'_>, at: usize, log: LogId) -> Result<Run, Fault> {
    let damaged = |what: String| Fault::Damaged(format!("a run of log {log}: {what}"));
    let run = Run::parse(blob(row, at)?).map_err(|e| damaged(e.to_string()))?;
    if run.log() != log {
        return Err(damaged("it belongs to another log".into()));
    }
    Ok(run)
}
