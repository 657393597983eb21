//! One commit: what changes in the tables, and in the writer's memory once it is durable.

use super::{Fault, keys, read, run_rows, views};
use crate::store::batch::{self, Extension, other_statement, unknown_document};
use crate::store::runs::{self, SMALL_RUNS_MAX};
use crate::store::{DocumentUpdate, EntryRef, Place, RowUpdate, StoreError, ViewSpec, WriteBatch};
use fenbu_protocol::id::{Hash, LogId, SpaceId};
use fenbu_protocol::log::{Kind, LogDigest, Opening, Run, StateDigest, Sum, Tip};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeMap;

/// What the writer knows by heart of logs and spaces, and in another instance, what one commit
/// changes about them.
#[derive(Debug, Default)]
pub(super) struct Cache {
    logs: BTreeMap<LogId, LogRow>,
    spaces: BTreeMap<SpaceId, SpaceRow>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LogRow {
    pub(super) id: i64,
    space: SpaceId,
    pub(super) tip: Tip,
    /// Small runs at the log's end; `None` until the log is first written to.
    small_runs: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SpaceRow {
    pub(super) id: i64,
    pub(super) state: StateDigest,
    pub(super) log: LogDigest,
}

impl Cache {
    pub(super) fn load(connection: &Connection) -> Result<Self, Fault> {
        let mut cache = Self::default();
        let mut statement =
            connection.prepare("SELECT id, space, state_sum, log_sum FROM spaces")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let sum = |at| row.get(at).map(|bytes| Sum::from_hash(&Hash(bytes)));
            let space =
                SpaceRow { id: row.get(0)?, state: StateDigest(sum(2)?), log: LogDigest(sum(3)?) };
            cache.spaces.insert(SpaceId(row.get(1)?), space);
        }
        let mut statement = connection.prepare(
            "SELECT l.id, l.log, s.space, l.seq, l.hash, l.body_bytes, l.epoch
             FROM logs l JOIN spaces s ON s.id = l.space_id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let tip = read::tip(row, 3)?;
            let log =
                LogRow { id: row.get(0)?, space: SpaceId(row.get(2)?), tip, small_runs: None };
            cache.logs.insert(LogId(row.get(1)?), log);
        }
        Ok(cache)
    }

    /// Takes over what a durable commit changed.
    pub(super) fn absorb(&mut self, touched: Self) {
        self.logs.extend(touched.logs);
        self.spaces.extend(touched.spaces);
    }
}

/// A commit under way.
pub(super) struct Writing<'a> {
    pub(super) tx: &'a Transaction<'a>,
    base: &'a Cache,
    pub(super) views: &'a [ViewSpec],
    touched: Cache,
}

impl<'a> Writing<'a> {
    pub(super) fn new(tx: &'a Transaction<'a>, base: &'a Cache, views: &'a [ViewSpec]) -> Self {
        Self { tx, base, views, touched: Cache::default() }
    }

    pub(super) fn batch(&mut self, batch: &WriteBatch) -> Result<(), Fault> {
        let extensions =
            batch::plan(batch, self.views, |log| self.base.logs.get(&log).map(|row| row.tip))?;
        self.statements(batch)?;
        for switching in &batch.switches {
            self.switch(switching)?;
        }
        for extension in extensions {
            self.extend(&extension)?;
        }
        for run in &batch.mended {
            self.mend(run)?;
        }
        for place in &batch.forget {
            self.forget(*place)?;
        }
        for update in &batch.documents {
            self.document(update)?;
        }
        for update in &batch.rows {
            self.row(update)?;
        }
        for place in &batch.touched {
            self.changed(*place)?;
        }
        for (log, seq) in &batch.cursors {
            let id = self.log(*log)?.id;
            self.tx
                .prepare_cached("UPDATE logs SET cursor = ?2 WHERE id = ?1")?
                .execute(params![id, seq.cast_signed()])?;
        }
        self.waiting(batch)?;
        self.refused(batch)?;
        self.small_values(batch)?;
        self.receipts(&batch.receipts)?;
        for proof in &batch.proofs {
            self.proof(proof)?;
        }
        self.remade(&batch.remade)?;
        self.amendments(&batch.amendments, &batch.amended)?;
        for space in &batch.sum_anew {
            self.sum_anew(*space)?;
        }
        Ok(())
    }

    /// Writes the sums of the spaces that changed, and hands out what to remember.
    pub(super) fn finish(self) -> Result<Cache, Fault> {
        let mut update = self
            .tx
            .prepare_cached("UPDATE spaces SET state_sum = ?2, log_sum = ?3 WHERE id = ?1")?;
        for space in self.touched.spaces.values() {
            let (state, log) = (space.state.0.to_hash(), space.log.0.to_hash());
            update.execute(params![space.id, state.0, log.0])?;
        }
        drop(update);
        Ok(self.touched)
    }

    pub(super) fn log(&self, log: LogId) -> Result<LogRow, Fault> {
        let row = self.touched.logs.get(&log).or_else(|| self.base.logs.get(&log));
        // `plan` has refused batches that name unknown logs.
        row.copied().ok_or_else(|| Fault::Damaged(format!("log {log} has no row")))
    }

    pub(super) fn space(&mut self, space: SpaceId) -> Result<&mut SpaceRow, Fault> {
        if !self.touched.spaces.contains_key(&space) {
            let row = match self.base.spaces.get(&space) {
                Some(row) => *row,
                None => self.new_space(space)?,
            };
            self.touched.spaces.insert(space, row);
        }
        // INVARIANT: put there just above.
        Ok(self.touched.spaces.get_mut(&space).expect("a space that was touched"))
    }

    fn new_space(&self, space: SpaceId) -> Result<SpaceRow, Fault> {
        let zero = Sum::default().to_hash();
        self.tx
            .prepare_cached("INSERT INTO spaces (space, state_sum, log_sum) VALUES (?1, ?2, ?2)")?
            .execute(params![space.0, zero.0])?;
        let id = self.tx.last_insert_rowid();
        Ok(SpaceRow { id, state: StateDigest::default(), log: LogDigest::default() })
    }

    fn extend(&mut self, extension: &Extension) -> Result<(), Fault> {
        let Extension { run, from, to } = extension;
        let log = run.log();
        let mut row = match run.opening() {
            Some(opening) => self.new_log(opening)?,
            None => self.log(log)?,
        };
        self.space(row.space)?.log.advance(row.space, log, from, to);
        let small_runs = match row.small_runs {
            Some(known) => known,
            None => self.small_runs(row.id)?,
        };
        self.insert_run(row.id, run)?;
        row.small_runs = Some(if !runs::run_is_small(run) {
            0
        } else if small_runs + 1 < SMALL_RUNS_MAX {
            small_runs + 1
        } else {
            // Runs that cannot be joined are damaged: they are mended where they are met.
            self.compact(row.id, log)?.unwrap_or(0)
        });
        row.tip = *to;
        self.write_tip(&row)?;
        self.touched.logs.insert(log, row);
        Ok(())
    }

    pub(super) fn log_id(&self, log: LogId) -> Result<i64, Fault> {
        Ok(self.log(log)?.id)
    }

    /// A log's end after other runs took the place of some of its own.
    pub(super) fn set_tip(&mut self, log: LogId, tip: Tip) -> Result<(), Fault> {
        let mut row = self.log(log)?;
        self.space(row.space)?.log.advance(row.space, log, &row.tip, &tip);
        row.tip = tip;
        row.small_runs = None;
        self.write_tip(&row)?;
        self.touched.logs.insert(log, row);
        Ok(())
    }

    fn write_tip(&self, row: &LogRow) -> Result<(), Fault> {
        let tip = &row.tip;
        self.tx
            .prepare_cached(
                "UPDATE logs SET seq = ?2, hash = ?3, body_bytes = ?4, epoch = ?5 WHERE id = ?1",
            )?
            .execute(params![
                row.id,
                tip.seq.cast_signed(),
                tip.hash.0,
                tip.body_bytes.cast_signed(),
                tip.epoch.cast_signed()
            ])?;
        Ok(())
    }

    fn new_log(&mut self, opening: &Opening) -> Result<LogRow, Fault> {
        let log = opening.log();
        let space_id = self.space(opening.space)?.id;
        self.tx
            .prepare_cached(
                "INSERT INTO logs
                 (log, space_id, node, incarnation, opening, seq, hash, body_bytes, epoch, cursor)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?1, 0, 0, 0)",
            )?
            .execute(params![
                log.0,
                space_id,
                opening.node.0,
                opening.incarnation,
                opening.to_wire()
            ])?;
        let id = self.tx.last_insert_rowid();
        Ok(LogRow { id, space: opening.space, tip: Tip::start(log), small_runs: Some(0) })
    }

    pub(super) fn insert_run(&self, log_id: i64, run: &Run) -> Result<(), Fault> {
        let clock = run.entries().next().map_or(0, |e| e.header.clock);
        self.tx
            .prepare_cached(
                "INSERT INTO runs (log_id, first, last, clock, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                log_id,
                run.first().cast_signed(),
                run.last().cast_signed(),
                i64::try_from(clock).unwrap_or(i64::MAX),
                run.as_bytes()
            ])?;
        Ok(())
    }

    /// How many runs at the log's end are small; one less than the bound is as good as the bound.
    fn small_runs(&self, log_id: i64) -> Result<usize, Fault> {
        let mut statement = self.tx.prepare_cached(
            "SELECT last - first + 1, length(bytes) FROM runs
             WHERE log_id = ?1 ORDER BY first DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![log_id, SMALL_RUNS_MAX as i64 - 1])?;
        let mut small = 0;
        while let Some(row) = rows.next()? {
            if !runs::is_small(read::unsigned(row, 0)?, read::length(row, 1)?) {
                break;
            }
            small += 1;
        }
        Ok(small)
    }

    /// After runs of a log were put in place by hand.
    pub(super) fn recount_small(&mut self, log: LogId, row: LogRow) {
        self.touched.logs.insert(log, LogRow { small_runs: None, ..row });
    }

    /// Joins the last [`SMALL_RUNS_MAX`] runs of a log and returns how many small ones remain; `None` if
    /// they cannot be joined.
    fn compact(&self, log_id: i64, log: LogId) -> Result<Option<usize>, Fault> {
        let mut ids = Vec::new();
        let mut tail = Vec::new();
        let mut statement = self.tx.prepare_cached(
            "SELECT id, bytes FROM runs WHERE log_id = ?1 ORDER BY first DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![log_id, SMALL_RUNS_MAX as i64])?;
        while let Some(row) = rows.next()? {
            ids.push(row.get::<_, i64>(0)?);
            let Ok(run) = run_rows::run(row, 1, log) else { return Ok(None) };
            tail.push(run);
        }
        tail.reverse();
        let Some(joined) = runs::compacted(tail) else { return Ok(None) };
        let mut delete = self.tx.prepare_cached("DELETE FROM runs WHERE id = ?1")?;
        for id in ids {
            delete.execute([id])?;
        }
        for run in &joined {
            self.insert_run(log_id, run)?;
        }
        Ok(Some(runs::small_tail(&joined)))
    }

    fn document(&mut self, update: &DocumentUpdate) -> Result<(), Fault> {
        let space_id = self.space(update.space)?.id;
        let held = self.held(update.place(), space_id)?;
        let same = held.as_ref().is_some_and(|held| held.heads == update.heads)
            && self.shows(update.place(), &update.row, update.conflicts)?;
        if !same {
            self.changed(update.place())?;
        }
        let heads = update.heads.as_flattened();
        let id = match &held {
            Some(held) => {
                self.tx
                    .prepare_cached(
                        "UPDATE documents SET genesis = ?2, conflicts = ?3, heads = ?4,
                         snapshot = ?5 WHERE id = ?1",
                    )?
                    .execute(params![
                        held.id,
                        update.genesis,
                        update.conflicts,
                        heads,
                        &update.snapshot[..]
                    ])?;
                held.id
            }
            None => {
                self.tx
                    .prepare_cached(
                        "INSERT INTO documents
                         (document, space_id, kind, genesis, conflicts, heads, snapshot)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        update.document.0,
                        space_id,
                        update.kind.0,
                        update.genesis,
                        update.conflicts,
                        heads,
                        &update.snapshot[..]
                    ])?;
                self.tx.last_insert_rowid()
            }
        };
        let old = held.as_ref().map_or(&[][..], |h| &h.heads);
        self.space(update.space)?.state.advance(update.document, old, &update.heads);
        let Some(view) = self.view(update.kind) else {
            return Ok(());
        };
        let key = views::RowKey { id, space: update.space, document: update.document };
        views::put(self.tx, view, key, &update.row, update.conflicts)?;
        keys::put(self.tx, id, &update.keys)
    }

    fn row(&mut self, update: &RowUpdate) -> Result<(), Fault> {
        let RowUpdate { place, row, conflicts, keys } = update;
        let space_id = self.space(place.space)?.id;
        let Some(held) = self.held(*place, space_id)? else {
            return Err(unknown_document(place.document).into());
        };
        if !self.shows(*place, row, *conflicts)? {
            self.changed(*place)?;
        }
        self.tx
            .prepare_cached("UPDATE documents SET conflicts = ?2 WHERE id = ?1")?
            .execute(params![held.id, conflicts])?;
        let Some(view) = self.view(place.kind) else {
            return Ok(());
        };
        view.check(row)?;
        let key = views::RowKey { id: held.id, space: place.space, document: place.document };
        views::put(self.tx, view, key, row, *conflicts)?;
        keys::put(self.tx, held.id, keys)
    }

    pub(super) fn view(&self, kind: Kind) -> Option<&'a ViewSpec> {
        self.views.iter().find(|view| view.kind == kind)
    }

    fn held(&self, place: Place, space_id: i64) -> Result<Option<Held>, Fault> {
        let found = self
            .tx
            .prepare_cached(
                "SELECT id, heads FROM documents
                 WHERE document = ?1 AND space_id = ?2 AND kind = ?3",
            )?
            .query_row(params![place.document.0, space_id, place.kind.0], |row| {
                Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        found.map(|(id, heads)| Ok(Held { id, heads: read::heads(&heads)? })).transpose()
    }

    fn statements(&self, batch: &WriteBatch) -> Result<(), Fault> {
        if let Some(epoch) = batch.drop_statements_from {
            self.tx
                .prepare_cached("DELETE FROM statements WHERE epoch >= ?1")?
                .execute([i64::try_from(epoch).unwrap_or(i64::MAX)])?;
        }
        for (epoch, bytes) in &batch.statements {
            let epoch = i64::try_from(*epoch)
                .map_err(|_| StoreError::Inconsistent(format!("no directory has epoch {epoch}")))?;
            let held: Option<Vec<u8>> = self
                .tx
                .prepare_cached("SELECT bytes FROM statements WHERE epoch = ?1")?
                .query_row([epoch], |row| row.get(0))
                .optional()?;
            match held {
                Some(held) if held == *bytes => {}
                Some(_) => return Err(other_statement(epoch.cast_unsigned()).into()),
                None => {
                    self.tx
                        .prepare_cached("INSERT INTO statements (epoch, bytes) VALUES (?1, ?2)")?
                        .execute(params![epoch, bytes])?;
                }
            }
        }
        Ok(())
    }

    fn waiting(&self, batch: &WriteBatch) -> Result<(), Fault> {
        for entry in &batch.waiting {
            self.tx
                .prepare_cached(
                    "INSERT OR REPLACE INTO waiting (log_id, seq, document, kind)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    self.log(entry.log)?.id,
                    entry.seq.cast_signed(),
                    entry.place.document.0,
                    entry.place.kind.0
                ])?;
        }
        self.no_longer("waiting", &batch.no_longer_waiting)
    }

    /// Entries that neither wait nor are refused any more.
    fn no_longer(&self, table: &str, entries: &[EntryRef]) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let sql = format!("DELETE FROM {table} WHERE log_id = ?1 AND seq = ?2");
        let mut delete = self.tx.prepare_cached(&sql)?;
        for entry in entries {
            delete.execute(params![self.log(entry.log)?.id, entry.seq.cast_signed()])?;
        }
        Ok(())
    }

    fn refused(&self, batch: &WriteBatch) -> Result<(), Fault> {
        for refusal in &batch.refused {
            let entry = &refusal.entry;
            self.tx
                .prepare_cached(
                    "INSERT OR REPLACE INTO refused (log_id, seq, document, kind, code, reason)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    self.log(entry.log)?.id,
                    entry.seq.cast_signed(),
                    entry.place.document.0,
                    entry.place.kind.0,
                    refusal.code,
                    refusal.reason
                ])?;
        }
        self.no_longer("refused", &batch.no_longer_refused)
    }

    fn small_values(&self, batch: &WriteBatch) -> Result<(), Fault> {
        for (node, log, seq) in &batch.acknowledgements {
            // A peer's word may be any number; one beyond every log means the same as the largest.
            let seq = i64::try_from(*seq).unwrap_or(i64::MAX);
            self.tx
                .prepare_cached(
                    "INSERT INTO acknowledgements (node, log, seq) VALUES (?1, ?2, ?3)
                     ON CONFLICT (node, log) DO UPDATE SET seq = excluded.seq",
                )?
                .execute(params![node.0, log.0, seq])?;
        }
        for (name, value) in &batch.settings {
            match value {
                Some(value) => self
                    .tx
                    .prepare_cached(
                        "INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)",
                    )?
                    .execute(params![name, value])?,
                None => self
                    .tx
                    .prepare_cached("DELETE FROM settings WHERE name = ?1")?
                    .execute([name])?,
            };
        }
        if batch.views_rebuilt {
            for view in self.views {
                views::delete_orphans(self.tx, view)?;
            }
            keys::tidy(self.tx)?;
            self.tx.prepare_cached("UPDATE views SET complete = 1")?.execute([])?;
        }
        Ok(())
    }
}

/// A document as it stands before an update.
struct Held {
    id: i64,
    heads: Vec<[u8; 32]>,
}
