//! Damaged runs: finding them, and putting whole ones in their place.

use super::Fault;
use super::read::{self, blob, unsigned};
use super::write::Writing;
use crate::store::{Inspected, StoreError};
use fenbu_protocol::id::{Hash, LogId};
use fenbu_protocol::log::{Opening, Run, Tip};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Looks at the runs of a log from where `at` stands, at most about `bytes_max` of them. A run that
/// cannot be read, is not its author's or does not follow the one before is as good as missing.
pub(super) fn inspect(
    c: &Connection,
    log: LogId,
    mut at: Inspected,
    bytes_max: usize,
) -> Result<Inspected, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT id, opening, seq, hash, body_bytes, epoch FROM logs WHERE log = ?1",
    )?;
    let found = statement.query_row([log.0], |row| {
        Ok((row.get::<_, i64>(0)?, Opening::from_wire(&row.get(1)?), tip(row)))
    });
    let Some((id, opening, tip)) = found.optional()? else {
        return Ok(Inspected { done: true, ..at });
    };
    let tip = tip?;
    if opening.log() != log || !opening.verify() {
        return Err(Fault::Damaged(format!("log {log} has another log's opening")));
    }
    let mut runs = c.prepare_cached(
        "SELECT bytes, first, last FROM runs WHERE log_id = ?1 AND first >= ifnull(
            (SELECT max(first) FROM runs WHERE log_id = ?1 AND first <= ?2), 0) ORDER BY first",
    )?;
    let mut rows = runs.query(params![id, at.next.cast_signed()])?;
    let (mut bytes, began) = (0, at.next);
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(0)?.as_blob().map_or(0, <[u8]>::len);
        if let Some(run) = whole(row, log, &opening)
            && run.last() <= tip.seq
        {
            at.meet(&run);
        }
        // Never without having got on: the next step would read the same again.
        if bytes > bytes_max && at.next > began {
            return Ok(Inspected { bytes, ..at });
        }
    }
    at.end(&tip);
    Ok(Inspected { bytes, done: true, ..at })
}

fn tip(row: &Row<'_>) -> Result<Tip, Fault> {
    read::tip(row, 2)
}

/// A stored run, if it is what its author signed.
fn whole(row: &Row<'_>, log: LogId, opening: &Opening) -> Option<Run> {
    let run = Run::parse(blob(row, 0).ok()?).ok()?;
    let named = unsigned(row, 1).ok()? == run.first() && unsigned(row, 2).ok()? == run.last();
    let own = run.log() == log && run.opening().is_none_or(|o| o == opening);
    (named && own && run.verify_alone(&opening.node).is_ok()).then_some(run)
}

/// A run that was read, if it is what its author signed.
pub(super) fn sound(c: &Connection, run: Run) -> Result<Run, Fault> {
    let log = run.log();
    let mut statement = c.prepare_cached("SELECT opening FROM logs WHERE log = ?1")?;
    let opening = Opening::from_wire(&statement.query_row([log.0], |row| row.get(0))?);
    match run.verify_alone(&opening.node) {
        Ok(()) => Ok(run),
        Err(error) => Err(Fault::Damaged(format!("a run of log {log}: {error}"))),
    }
}

impl Writing<'_> {
    /// Puts a verified run in the place of what cannot be read; it must fit what stands around it.
    pub(super) fn mend(&mut self, run: &Run) -> Result<(), Fault> {
        let log = run.log();
        let row = self.log(log)?;
        if run.last() > row.tip.seq {
            return Err(misfit(run, "goes on past its log's end"));
        }
        let opening = self.opening(row.id)?;
        let (first, last) = (run.first(), run.last());
        // What came with another range is whole again already.
        if let Some(held) = self.whole_with(row.id, log, &opening, first)? {
            let rest = run.starting_at(held.last() + 1);
            return rest.map_or(Ok(()), |rest| self.mend(&rest));
        }
        let before = match first {
            1 => Some(Tip::start(log).hash),
            _ => self
                .whole_with(row.id, log, &opening, first - 1)?
                .filter(|run| run.last() == first - 1)
                .and_then(|run| end(&run)),
        };
        if before.is_some_and(|hash| hash != run.previous()) {
            return Err(misfit(run, "does not follow what is held"));
        }
        let after = self.whole_with(row.id, log, &opening, last + 1)?;
        let after = after.and_then(|after| after.starting_at(last + 1));
        let fits = match &after {
            Some(next) => end(run) == Some(next.previous()),
            None => last < row.tip.seq || end(run) == Some(row.tip.hash),
        };
        if !fits {
            return Err(misfit(run, "is not followed by what is held"));
        }
        let to = after.as_ref().map_or(last, Run::first);
        self.tx
            .prepare_cached("DELETE FROM runs WHERE log_id = ?1 AND first BETWEEN ?2 AND ?3")?
            .execute(params![row.id, first.cast_signed(), to.cast_signed()])?;
        for run in [Some(run), after.as_ref()].into_iter().flatten() {
            self.insert_run(row.id, run)?;
        }
        self.tx
            .prepare_cached("UPDATE logs SET cursor = min(cursor, ?2) WHERE id = ?1")?
            .execute(params![row.id, (first - 1).cast_signed()])?;
        self.recount_small(log, row);
        Ok(())
    }

    fn opening(&self, id: i64) -> Result<Opening, Fault> {
        let mut statement = self.tx.prepare_cached("SELECT opening FROM logs WHERE id = ?1")?;
        Ok(Opening::from_wire(&statement.query_row([id], |row| row.get(0))?))
    }

    /// The stored run that holds `seq`, if it is what its author signed.
    fn whole_with(
        &self,
        id: i64,
        log: LogId,
        opening: &Opening,
        seq: u64,
    ) -> Result<Option<Run>, Fault> {
        let mut statement = self.tx.prepare_cached(
            "SELECT bytes, first, last FROM runs WHERE log_id = ?1 AND first <= ?2
             ORDER BY first DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![id, seq.cast_signed()])?;
        let found = rows.next()?.and_then(|row| whole(row, log, opening));
        Ok(found.filter(|run| run.last() >= seq))
    }
}

/// The header hash a run ends in.
fn end(run: &Run) -> Option<Hash> {
    run.entries().last().map(|entry| entry.hash)
}

fn misfit(run: &Run, what: &str) -> Fault {
    StoreError::Inconsistent(format!("{run:?} {what}")).into()
}
