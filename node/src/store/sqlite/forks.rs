//! Forked logs on disk: another branch takes over, and what is kept of the one that was lost.

use super::read::{collect, unsigned};
use super::write::Writing;
use super::{Fault, run_rows};
use crate::store::{LostBranch, Pending, Place, StoreError, Switching, forks};
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Kind, Proof, Run};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Writing<'_> {
    pub(super) fn switch(&mut self, switching: &Switching) -> Result<(), Fault> {
        let switch = &switching.switch;
        let Some(log) = switch.log() else { return Ok(()) };
        let id = self.log_id(log)?;
        let stored = runs_after(self.tx, id, log, switch.base.seq)?;
        let (first, base) = (switch.base.seq + 1, switch.base.hash);
        if stored.first().is_none_or(|r| r.first() != first || r.previous() != base) {
            // Its runs were joined since the two were compared.
            let what = format!("log {} holds no checkpoint at {}", log.short(), first - 1);
            return Err(StoreError::Inconsistent(what).into());
        }
        self.keep_lost(switching, id, &forks::lost_part(&stored, switch.parted))?;
        self.tx
            .prepare_cached("DELETE FROM runs WHERE log_id = ?1 AND first > ?2")?
            .execute(params![id, switch.base.seq.cast_signed()])?;
        for table in ["waiting", "refused"] {
            self.tx
                .prepare_cached(&format!("DELETE FROM {table} WHERE log_id = ?1 AND seq >= ?2"))?
                .execute(params![id, switch.parted.cast_signed()])?;
        }
        self.tx
            .prepare_cached("UPDATE logs SET cursor = min(cursor, ?2) WHERE id = ?1")?
            .execute(params![id, (switch.parted - 1).cast_signed()])?;
        for run in &switch.runs {
            self.insert_run(id, run)?;
        }
        self.set_tip(log, switch.tip)
    }

    fn keep_lost(&self, switching: &Switching, id: i64, lost: &[Run]) -> Result<(), Fault> {
        let last = lost.last().map_or(0, Run::last);
        self.tx
            .prepare_cached(
                "INSERT INTO lost (log_id, first, last, at_ms, own, remade)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0)",
            )?
            .execute(params![
                id,
                switching.switch.parted.cast_signed(),
                last.cast_signed(),
                i64::try_from(switching.at_ms).unwrap_or(i64::MAX),
                switching.own
            ])?;
        let lost_id = self.tx.last_insert_rowid();
        for run in lost {
            self.tx
                .prepare_cached(
                    "INSERT INTO lost_runs (lost_id, first, bytes) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![lost_id, run.first().cast_signed(), run.as_bytes()])?;
        }
        Ok(())
    }

    pub(super) fn proof(&mut self, proof: &Proof) -> Result<(), Fault> {
        let log = proof.log();
        let id = self.log_id(log)?;
        let held: Option<i64> = self
            .tx
            .prepare_cached("SELECT seq FROM forks WHERE log_id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let space = proof.opening().space;
        let before = held.map(i64::cast_unsigned);
        self.space(space)?.log.fork(space, log, before, Some(proof.seq()));
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO forks (log_id, seq, proof) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, proof.seq().cast_signed(), proof.to_wire()])?;
        Ok(())
    }

    pub(super) fn remade(&self, lost: &[u64]) -> Result<(), Fault> {
        for id in lost {
            self.tx
                .prepare_cached("UPDATE lost SET remade = 1 WHERE id = ?1")?
                .execute([id.cast_signed()])?;
        }
        Ok(())
    }

    pub(super) fn amendments(
        &mut self,
        added: &[Pending],
        done: &[(Place, [u8; 32])],
    ) -> Result<(), Fault> {
        for pending in added {
            let place = pending.place;
            let space = self.space(place.space)?.id;
            self.tx
                .prepare_cached(
                    "INSERT OR IGNORE INTO amendments (space_id, document, kind, change, bytes)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    space,
                    place.document.0,
                    place.kind.0,
                    pending.change,
                    pending.bytes
                ])?;
        }
        for (place, change) in done {
            let space = self.space(place.space)?.id;
            self.tx
                .prepare_cached(
                    "DELETE FROM amendments
                     WHERE space_id = ?1 AND document = ?2 AND kind = ?3 AND change = ?4",
                )?
                .execute(params![space, place.document.0, place.kind.0, change])?;
        }
        Ok(())
    }
}

/// Stored runs that begin after a seq.
fn runs_after(c: &Connection, id: i64, log: LogId, after: u64) -> Result<Vec<Run>, Fault> {
    let mut statement =
        c.prepare_cached("SELECT bytes FROM runs WHERE log_id = ?1 AND first > ?2 ORDER BY first")?;
    let mut rows = statement.query(params![id, after.cast_signed()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(run_rows::run(row, 0, log)?);
    }
    Ok(found)
}

pub(super) fn checkpoint(c: &Connection, log: LogId, seq: u64) -> Result<u64, Fault> {
    let Some((id, _)) = run_rows::log_row(c, log)? else { return Ok(0) };
    // The run that holds the next entry, or the last one.
    let mut statement = c.prepare_cached(
        "SELECT first, last FROM runs WHERE log_id = ?1 AND first <= ?2
         ORDER BY first DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![id, seq.saturating_add(1).cast_signed()])?;
    let Some(row) = rows.next()? else { return Ok(0) };
    let (first, last) = (unsigned(row, 0)?, unsigned(row, 1)?);
    Ok(if last <= seq { last } else { first.saturating_sub(1) })
}

pub(super) fn proofs(c: &Connection) -> Result<BTreeMap<LogId, Arc<Proof>>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT l.log, f.proof FROM forks f JOIN logs l ON l.id = f.log_id ORDER BY l.log",
    )?;
    let mut rows = statement.query([])?;
    let all = collect(&mut rows, |row| {
        let bytes: Vec<u8> = row.get(1)?;
        Ok((LogId(row.get(0)?), forks::proof(&bytes).map_err(Fault::Damaged)?))
    })?;
    Ok(all.into_iter().collect())
}

pub(super) fn lost(c: &Connection) -> Result<Vec<LostBranch>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT b.id, l.log, s.space, l.node, b.first, b.last, b.at_ms, b.own, b.remade
         FROM lost b JOIN logs l ON l.id = b.log_id JOIN spaces s ON s.id = l.space_id
         ORDER BY b.id",
    )?;
    collect(&mut statement.query([])?, |row| {
        Ok(LostBranch {
            id: unsigned(row, 0)?,
            log: LogId(row.get(1)?),
            space: SpaceId(row.get(2)?),
            author: NodeId(row.get(3)?),
            first: unsigned(row, 4)?,
            last: unsigned(row, 5)?,
            at_ms: unsigned(row, 6)?,
            own: row.get(7)?,
            remade: row.get(8)?,
        })
    })
}

pub(super) fn lost_runs(c: &Connection, id: u64) -> Result<Vec<Run>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT r.bytes, l.log FROM lost_runs r JOIN lost b ON b.id = r.lost_id
         JOIN logs l ON l.id = b.log_id WHERE r.lost_id = ?1 ORDER BY r.first",
    )?;
    let mut rows = statement.query([id.cast_signed()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(run_rows::run(row, 0, LogId(row.get(1)?))?);
    }
    Ok(found)
}

pub(super) fn amendments(c: &Connection) -> Result<Vec<Pending>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT s.space, a.document, a.kind, a.change, a.bytes
         FROM amendments a JOIN spaces s ON s.id = a.space_id ORDER BY a.id",
    )?;
    collect(&mut statement.query([])?, |row| {
        let place = Place {
            document: DocId(row.get(1)?),
            space: SpaceId(row.get(0)?),
            kind: Kind(row.get(2)?),
        };
        Ok(Pending { place, change: row.get(3)?, bytes: row.get(4)? })
    })
}
