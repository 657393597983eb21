//! A store in memory that tells written from synced, for tests and simulations.
//!
//! [`MemoryStore::commit`](Store::commit) writes and syncs. A simulator that wants to lose power in
//! between calls [`MemoryStore::write`], [`MemoryStore::sync`] and [`MemoryStore::crash`]. Nothing
//! outside the process is touched, and two stores given the same batches answer alike.

mod changes;
mod forks;
mod read;

use super::batch::{self, Extension, other_statement, unknown_document};
use super::row::{Cell, check_specs};
use super::runs::{self, SMALL_RUNS_MAX};
use super::{
    Digests, DocumentUpdate, EntryRef, Loaded, LostBranch, Pending, Place, Reader, Receipt,
    Refusal, Row, RowUpdate, Store, StoreError, StoredDocument, StoredLog, ViewSpec, WriteBatch,
};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Proof, Run, StateDigest};
use fenbu_protocol::record::conflict::Match;
use read::MemoryReader;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// See the module. A clone is a copy of the disk: what happens to one does not happen to the other.
#[derive(Debug)]
pub struct MemoryStore {
    views: Arc<[ViewSpec]>,
    /// What readers see; after a crash, what was synced.
    written: Arc<RwLock<State>>,
    synced: State,
    /// Written and not yet synced.
    unsynced: Vec<WriteBatch>,
    failure: Option<StoreError>,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self {
            views: Arc::clone(&self.views),
            written: Arc::new(RwLock::new(read(&self.written).clone())),
            synced: self.synced.clone(),
            unsynced: self.unsynced.clone(),
            failure: self.failure.clone(),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    ///
    /// # Errors
    /// Where two views share a kind or a name is not plain.
    pub fn new(views: &[ViewSpec]) -> Result<Self, StoreError> {
        check_specs(views)?;
        Ok(Self {
            views: views.into(),
            written: Arc::default(),
            synced: State::default(),
            unsynced: Vec::new(),
            failure: None,
        })
    }

    /// Writes all of `batch` or nothing; readers see it, a crash loses it until [`Self::sync`].
    pub fn write(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut state = write(&self.written);
        let extensions = state.check(batch, &self.views)?;
        state.apply(batch, &extensions, &self.views);
        self.unsynced.push(batch.clone());
        Ok(())
    }

    /// Makes everything written durable.
    pub fn sync(&mut self) {
        for batch in std::mem::take(&mut self.unsynced) {
            // INVARIANT: `write` checked it after the same batches.
            let extensions = self.synced.check(&batch, &self.views).expect("checked before");
            self.synced.apply(&batch, &extensions, &self.views);
        }
    }

    /// Loses everything that was written and not synced.
    pub fn crash(&mut self) {
        self.unsynced.clear();
        *write(&self.written) = self.synced.clone();
    }

    /// Makes the next write or commit, and only that one, fail without an effect.
    pub fn fail_next_commit(&mut self, error: StoreError) {
        self.failure = Some(error);
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let state = read(&self.written);
        Ok(Loaded {
            logs: state.logs.values().map(|log| log.stored).collect(),
            forks: state.forks.clone(),
            statements: state.statements.iter().map(|(e, b)| (*e, b.clone())).collect(),
            acknowledgements: state.acknowledgements(),
            digests: state.digests.clone(),
            settings: state.settings.clone(),
            views_stale: false,
        })
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch)?;
        self.sync();
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let state = Arc::clone(&self.written);
        Ok(Box::new(MemoryReader { views: Arc::clone(&self.views), state }))
    }
}

/// A batch is applied by code that does not panic, so a poisoned lock means no more than that some
/// other thread ended badly while it held it.
fn read(state: &RwLock<State>) -> RwLockReadGuard<'_, State> {
    state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write(state: &RwLock<State>) -> RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Debug, Clone, Default)]
struct State {
    logs: BTreeMap<LogId, Log>,
    digests: BTreeMap<SpaceId, Digests>,
    documents: BTreeMap<Place, Document>,
    waiting: BTreeMap<(LogId, u64), EntryRef>,
    refused: BTreeMap<(LogId, u64), (u64, Refusal)>,
    /// Refusals so far, which orders them.
    refusals: u64,
    statements: BTreeMap<u64, Vec<u8>>,
    acknowledgements: BTreeMap<(NodeId, LogId), u64>,
    settings: BTreeMap<String, Vec<u8>>,
    forks: BTreeMap<LogId, Arc<Proof>>,
    lost: Vec<(LostBranch, Vec<Run>)>,
    amendments: Vec<Pending>,
    /// By number, and where each place stands in it.
    changes: BTreeMap<u64, Place>,
    changed_last: BTreeMap<Place, u64>,
    receipts: BTreeMap<[u8; 32], Receipt>,
}

#[derive(Debug, Clone)]
struct Log {
    stored: StoredLog,
    /// By first seq.
    runs: BTreeMap<u64, Run>,
}

#[derive(Debug, Clone)]
struct Document {
    stored: StoredDocument,
    /// `None` for kinds without a view.
    row: Option<Arc<Row>>,
    keys: Vec<Match>,
}

impl State {
    /// Everything that could refuse the batch, before anything changes.
    fn check(&self, batch: &WriteBatch, views: &[ViewSpec]) -> Result<Vec<Extension>, StoreError> {
        let held = |log| self.logs.get(&log).map(|log: &Log| log.stored.tip);
        let extensions = batch::plan(batch, views, held)?;
        self.can_switch(batch)?;
        let mut added: BTreeMap<u64, &Vec<u8>> = BTreeMap::new();
        for (epoch, bytes) in &batch.statements {
            if i64::try_from(*epoch).is_err() {
                return Err(StoreError::Inconsistent(format!("no directory has epoch {epoch}")));
            }
            let dropped = batch.drop_statements_from.is_some_and(|from| *epoch >= from);
            let old = self.statements.get(epoch).filter(|_| !dropped);
            if old.or(added.get(epoch).copied()).is_some_and(|held| held != bytes) {
                return Err(other_statement(*epoch));
            }
            added.insert(*epoch, bytes);
        }
        for update in &batch.rows {
            let place = update.place;
            let fresh = batch.documents.iter().any(|d| d.place() == place);
            let held = self.documents.contains_key(&place) && !batch.forget.contains(&place);
            if !fresh && !held {
                return Err(unknown_document(place.document));
            }
            if let Some(view) = views.iter().find(|view| view.kind == place.kind) {
                view.check(&update.row)?;
            }
        }
        Ok(extensions)
    }

    fn apply(&mut self, batch: &WriteBatch, extensions: &[Extension], views: &[ViewSpec]) {
        if let Some(epoch) = batch.drop_statements_from {
            self.statements.split_off(&epoch);
        }
        self.statements.extend(batch.statements.iter().cloned());
        for switching in &batch.switches {
            self.switch(switching);
        }
        for extension in extensions {
            self.extend(extension);
        }
        for place in &batch.forget {
            self.forget(*place);
        }
        for update in &batch.documents {
            let has_view = views.iter().any(|view| view.kind == update.kind);
            self.document(update, has_view);
        }
        for update in &batch.rows {
            self.row(update, views);
        }
        for place in &batch.touched {
            self.changed(*place);
        }
        for (log, cursor) in &batch.cursors {
            if let Some(held) = self.logs.get_mut(log) {
                held.stored.cursor = *cursor;
            }
        }
        self.judged(batch);
        for (node, log, seq) in &batch.acknowledgements {
            self.acknowledgements.insert((*node, *log), (*seq).min(i64::MAX as u64));
        }
        for (name, value) in &batch.settings {
            match value {
                Some(value) => self.settings.insert(name.clone(), value.clone()),
                None => self.settings.remove(name),
            };
        }
        self.receipts(&batch.receipts);
        self.forked(batch);
        for space in &batch.sum_anew {
            let mut sum = StateDigest::default();
            for held in self.documents.values().filter(|held| held.stored.space == *space) {
                sum.advance(held.stored.document, &[], &held.stored.heads);
            }
            self.digests.entry(*space).or_default().state = sum;
        }
    }

    fn forget(&mut self, place: Place) {
        self.waiting.retain(|_, entry| entry.place != place);
        self.refused.retain(|_, (_, refusal)| refusal.entry.place != place);
        if let Some(held) = self.documents.remove(&place) {
            let state = &mut self.digests.entry(place.space).or_default().state;
            state.advance(place.document, &held.stored.heads, &[]);
            self.changed(place);
        }
    }

    fn row(&mut self, update: &RowUpdate, views: &[ViewSpec]) {
        let has_view = views.iter().any(|view| view.kind == update.place.kind);
        let row = has_view.then(|| Arc::new(update.row.stored()));
        let same = self.shows(update.place, row.as_deref(), update.conflicts);
        let Some(held) = self.documents.get_mut(&update.place) else { return };
        held.stored.conflicts = update.conflicts;
        held.row = row;
        held.keys = if has_view { update.keys.clone() } else { Vec::new() };
        if !same {
            self.changed(update.place);
        }
    }

    fn extend(&mut self, Extension { run, from, to }: &Extension) {
        let id = run.log();
        if let Some(opening) = run.opening() {
            let stored = StoredLog { opening: *opening, log: id, tip: *from, cursor: 0 };
            self.logs.insert(id, Log { stored, runs: BTreeMap::new() });
        }
        let Some(log) = self.logs.get_mut(&id) else { return };
        log.stored.tip = *to;
        log.runs.insert(run.first(), run.clone());
        let tail: Vec<_> = log.runs.values().rev().take(SMALL_RUNS_MAX).rev().cloned().collect();
        if runs::small_tail(&tail) == SMALL_RUNS_MAX
            && let Some(joined) = runs::compacted(tail)
        {
            // The joined runs begin where the first of those they replace did.
            if let Some(first) = joined.first() {
                log.runs.split_off(&first.first());
            }
            log.runs.extend(joined.into_iter().map(|run| (run.first(), run)));
        }
        let space = log.stored.opening.space;
        self.digests.entry(space).or_default().log.advance(space, id, from, to);
    }

    fn document(&mut self, update: &DocumentUpdate, has_view: bool) {
        let key = update.place();
        let old = self.documents.get(&key).map_or(&[][..], |held| &held.stored.heads);
        let state = &mut self.digests.entry(update.space).or_default().state;
        state.advance(update.document, old, &update.heads);
        let stored = StoredDocument {
            space: update.space,
            document: update.document,
            kind: update.kind,
            genesis: update.genesis,
            snapshot: Arc::clone(&update.snapshot),
            heads: update.heads.clone(),
            conflicts: update.conflicts,
        };
        let row = has_view.then(|| Arc::new(update.row.stored()));
        let keys = if has_view { update.keys.clone() } else { Vec::new() };
        let before = self.documents.get(&key).map(|held| &held.stored.heads);
        let same =
            before == Some(&update.heads) && self.shows(key, row.as_deref(), update.conflicts);
        self.documents.insert(key, Document { stored, row, keys });
        if !same {
            self.changed(key);
        }
    }

    /// Entries that wait or are refused. The space is the log's, whatever the batch says.
    fn judged(&mut self, batch: &WriteBatch) {
        let of_log = |logs: &BTreeMap<LogId, Log>, entry: &EntryRef| {
            let space = logs.get(&entry.log).map(|log| log.stored.opening.space);
            let place = Place { space: space.unwrap_or(entry.place.space), ..entry.place };
            EntryRef { place, ..*entry }
        };
        for entry in &batch.waiting {
            self.waiting.insert((entry.log, entry.seq), of_log(&self.logs, entry));
        }
        for entry in &batch.no_longer_waiting {
            self.waiting.remove(&(entry.log, entry.seq));
        }
        for refusal in &batch.refused {
            self.refusals += 1;
            let entry = of_log(&self.logs, &refusal.entry);
            let refusal = Refusal { entry, ..refusal.clone() };
            self.refused.insert((entry.log, entry.seq), (self.refusals, refusal));
        }
        for entry in &batch.no_longer_refused {
            self.refused.remove(&(entry.log, entry.seq));
        }
    }

    fn acknowledgements(&self) -> Vec<(NodeId, LogId, u64)> {
        self.acknowledgements.iter().map(|((node, log), seq)| (*node, *log, *seq)).collect()
    }

    fn rows(
        &self,
        view: &ViewSpec,
        spaces: Option<&[SpaceId]>,
        by: Option<&str>,
    ) -> impl Iterator<Item = (&StoredDocument, &Row)> {
        let (kind, publisher) = (view.kind, view.publisher());
        let publisher = move |row: &Row| publisher.map_or(Cell::Null, |at| row.cells[at].clone());
        let all = move || {
            let held = self.documents.values().filter(move |held| held.stored.kind == kind);
            held.filter_map(|held| Some((&held.stored, held.row.as_deref()?)))
        };
        let records = all().filter(move |(_, row)| publisher(row) == Cell::Null);
        let records: BTreeSet<_> = records.map(|(document, _)| document.document).collect();
        all().filter(move |(document, row)| {
            let published = publisher(row);
            let by = by.is_some_and(|by| published == Cell::Text(by.into()));
            let wanted = spaces.is_none_or(|spaces| spaces.contains(&document.space)) || by;
            let once =
                || published != Cell::Text(String::new()) && !records.contains(&document.document);
            wanted && (published == Cell::Null || once())
        })
    }
}

impl Log {
    /// The stored runs from the one that holds `seq` on.
    fn runs_from(&self, seq: u64) -> impl Iterator<Item = &Run> {
        let first = self.runs.range(..=seq).next_back().map_or(seq, |(first, _)| *first);
        self.runs.range(first..).map(|(_, run)| run)
    }
}
