//! Making derived data again: documents from the logs, view rows from documents.
//!
//! The runs are the record; everything here can be lost without loss. A document whose saved form
//! cannot be read is healed where it is met ([`Rebuilder::heal`]); whole spaces and all views are made
//! again when somebody asks (`fenbu repair`), while the node goes on. Memory is bounded by rounds: a
//! pass over a space's runs gathers as many documents as fit, and the next takes up the rest.

use crate::making::{Candidate, Job, on_all_cores, place_of};
use crate::materialiser::Progress;
use crate::shared::{DocumentGuard, Shared, lock};
use crate::store::{Place, Reader, RowUpdate, StoreError, StoredLog, WriteBatch};
use crate::views::row_of;
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::id::{DocId, LogId, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::{Record, schema};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Bodies gathered in one pass over a space. Making documents of them takes a few times as much.
const ROUND_BYTES: usize = 16 << 20;
/// What an entry costs in memory besides its body.
const ENTRY_BYTES: usize = 256;
/// Bytes of runs read at a time.
const READ_BYTES: usize = 4 << 20;
/// Documents made between taking their locks and giving them back: nobody waits long to write one.
const LOCKED_DOCUMENTS: usize = 256;

/// The last document whose rows are in views that are being filled.
pub(crate) const FILLED_SETTING: &str = "views/filled";

fn bytes_of(place: &Place) -> Vec<u8> {
    [&place.document.0[..], &place.space.0, &place.kind.0.to_be_bytes()].concat()
}

fn place_in(bytes: &[u8]) -> Option<Place> {
    let (document, rest) = bytes.split_first_chunk()?;
    let (space, kind) = rest.split_first_chunk()?;
    let kind = Kind(u16::from_be_bytes(kind.try_into().ok()?));
    Some(Place { document: DocId(*document), space: SpaceId(*space), kind })
}

/// What making documents or rows again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Looked at.
    pub count: u64,
    /// Those that are not what they were: they had been damaged, or were wrong.
    pub changed: u64,
    /// Those among them that could not be read.
    pub damaged: u64,
}

impl std::ops::AddAssign for Rebuilt {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.changed += other.changed;
        self.damaged += other.damaged;
    }
}

/// See the [module](self). Everything here blocks.
#[derive(Debug, Clone)]
pub struct Rebuilder {
    shared: Shared,
    writer: WriterHandle,
    progress: Arc<Progress>,
    round_bytes: usize,
    /// One repair at a time: two would need twice the memory and do the same.
    turn: Arc<Mutex<()>>,
    /// The node is stopping: what takes minutes is left where it is.
    stopping: Arc<AtomicBool>,
}

/// Entries of some documents of a space, and how far the logs were read for them.
#[derive(Default)]
struct Gathered {
    documents: BTreeMap<Place, Vec<Candidate>>,
    bytes: usize,
    /// Documents from here on did not fit.
    up_to: Option<Place>,
    /// Documents with entries beyond their logs' cursors, which the stored ones may or may not have.
    ahead: BTreeSet<Place>,
    read: BTreeMap<LogId, u64>,
}

impl Gathered {
    fn add(&mut self, place: Place, candidate: Candidate) {
        self.bytes += ENTRY_BYTES + candidate.body.len();
        self.documents.entry(place).or_default().push(candidate);
    }

    /// Gives up the last documents until the rest fits; at least one stays, however large.
    fn fit(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.documents.len() > 1 {
            let Some((place, candidates)) = self.documents.pop_last() else { return };
            let bytes: usize = candidates.iter().map(|c| ENTRY_BYTES + c.body.len()).sum();
            self.bytes -= bytes;
            self.up_to = Some(place);
        }
    }
}

impl Rebuilder {
    pub fn new(shared: Shared, writer: WriterHandle, progress: Arc<Progress>) -> Self {
        let (turn, stopping) = (Arc::default(), Arc::default());
        Self { shared, writer, progress, round_bytes: ROUND_BYTES, turn, stopping }
    }

    /// From here on nothing more is begun that takes long.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The same with other rounds: a test sees several in a small space.
    #[cfg(test)]
    fn with_rounds_of(self, round_bytes: usize) -> Self {
        Self { round_bytes, ..self }
    }

    /// Makes one document again, whose stored form cannot be read.
    pub fn heal(&self, place: Place, why: &str) -> Result<(), StoreError> {
        self.heal_all(BTreeMap::from([(place, why.to_owned())]))
    }

    /// Makes documents again, whose stored forms cannot be read for these reasons.
    pub fn heal_all(&self, damaged: BTreeMap<Place, String>) -> Result<(), StoreError> {
        let mut by_space: BTreeMap<SpaceId, BTreeSet<Place>> = BTreeMap::new();
        for (place, why) in damaged {
            tracing::warn!(
                space = %place.space.short(), document = %place.document, why,
                "a document's saved form is damaged; making it again from the log"
            );
            by_space.entry(place.space).or_default().insert(place);
        }
        for (space, places) in by_space {
            self.documents(space, Some(&places))?;
        }
        Ok(())
    }

    /// Makes all documents of a space again, one such repair at a time.
    pub fn repair_documents(&self, space: SpaceId) -> Result<Rebuilt, StoreError> {
        let _turn = lock(&self.turn);
        self.documents(space, None)
    }

    /// Makes every view's rows again, one such repair at a time.
    pub fn repair_views(&self) -> Result<Rebuilt, StoreError> {
        let _turn = lock(&self.turn);
        self.views()
    }

    /// Makes documents of a space again from nothing but its runs, to their ends: these, or all. A
    /// document may be ahead of its logs' cursors, and a local write may build on that, so nothing less
    /// would do; an entry the materialiser meets again changes nothing. A document no entry makes is
    /// dropped.
    ///
    /// The caller holds no lock on any of them.
    pub fn documents(
        &self,
        space: SpaceId,
        only: Option<&BTreeSet<Place>>,
    ) -> Result<Rebuilt, StoreError> {
        self.rounds(space, only, None)
    }

    /// The same for documents whose locks the caller holds.
    pub(crate) fn held_documents(
        &self,
        space: SpaceId,
        only: &BTreeSet<Place>,
        held: &DocumentGuard,
    ) -> Result<Rebuilt, StoreError> {
        self.rounds(space, Some(only), Some(held))
    }

    fn rounds(
        &self,
        space: SpaceId,
        only: Option<&BTreeSet<Place>>,
        held: Option<&DocumentGuard>,
    ) -> Result<Rebuilt, StoreError> {
        let mut rebuilt = Rebuilt::default();
        let mut from = None;
        loop {
            let (round, next) = self.round(space, only, from, held)?;
            rebuilt += round;
            match next {
                Some(place) => from = Some(place),
                None => break,
            }
        }
        // The old heads were taken out of the sum as they were read, which may have been wrong.
        self.store(WriteBatch { sum_anew: vec![space], ..WriteBatch::default() })?;
        self.progress.rebuilt.fetch_add(rebuilt.count, Ordering::Relaxed);
        self.progress.damaged.fetch_add(rebuilt.damaged, Ordering::Relaxed);
        Ok(rebuilt)
    }

    /// One pass: the documents from `from` on, as many as fit. Returns where the next begins.
    fn round(
        &self,
        space: SpaceId,
        only: Option<&BTreeSet<Place>>,
        from: Option<Place>,
        held: Option<&DocumentGuard>,
    ) -> Result<(Rebuilt, Option<Place>), StoreError> {
        let wanted = |place: &Place| {
            only.is_none_or(|only| only.contains(place)) && from.is_none_or(|from| *place >= from)
        };
        let mut gathered = Gathered::default();
        let logs = self.shared.readers.with(|r| r.logs(space))?;
        self.read(&logs, &mut gathered, &wanted, self.round_bytes)?;
        let next = gathered.up_to;
        let mut places: BTreeSet<Place> = gathered.documents.keys().copied().collect();
        // Those that are stored and have no entry.
        let stored = |place: &Place| wanted(place) && next.is_none_or(|next| *place < next);
        let named = match only {
            Some(only) => only.iter().copied().collect(),
            None => self.shared.readers.with(|r| r.places(Some(space), None, usize::MAX))?,
        };
        places.extend(named.into_iter().filter(stored));
        let mut rebuilt = Rebuilt::default();
        let places: Vec<Place> = places.into_iter().collect();
        for places in places.chunks(LOCKED_DOCUMENTS) {
            rebuilt += self.make(space, places, &mut gathered, held)?;
        }
        Ok((rebuilt, next))
    }

    /// Reads on in the logs, each to its end, and keeps the entries of wanted documents.
    fn read(
        &self,
        logs: &[StoredLog],
        gathered: &mut Gathered,
        wanted: &impl Fn(&Place) -> bool,
        bytes_max: usize,
    ) -> Result<(), StoreError> {
        for log in logs {
            let mut next = gathered.read.get(&log.log).copied().unwrap_or(0) + 1;
            while next <= log.tip.seq {
                let run = self.shared.readers.with(|r| r.sound_run(log.log, next, READ_BYTES))?;
                let Some(run) = run else {
                    let what = format!("log {} ends before its tip", log.log.short());
                    return Err(StoreError::Inconsistent(what));
                };
                for entry in run.entries().take_while(|e| e.header.seq <= log.tip.seq) {
                    let place = place_of(log.opening.space, &entry.header);
                    let fits = gathered.up_to.is_none_or(|up_to| place < up_to);
                    if let Some(body) = entry.body
                        && fits
                        && wanted(&place)
                    {
                        if entry.header.seq > log.cursor {
                            gathered.ahead.insert(place);
                        }
                        let (header, author) = (entry.header, log.opening.node);
                        gathered.add(place, Candidate { header, author, body: body.into() });
                    }
                }
                gathered.fit(bytes_max);
                next = run.last() + 1;
            }
            gathered.read.insert(log.log, log.tip.seq);
        }
        Ok(())
    }

    /// Makes some documents of those gathered, under their locks.
    fn make(
        &self,
        space: SpaceId,
        places: &[Place],
        gathered: &mut Gathered,
        held: Option<&DocumentGuard>,
    ) -> Result<Rebuilt, StoreError> {
        let lock = || self.shared.documents.lock(places.iter().copied());
        let guard = held.is_none().then(lock);
        // What was written since the pass. Nobody makes other versions of these documents now.
        let logs = self.shared.readers.with(|r| r.logs(space))?;
        let mut since = Gathered { read: gathered.read.clone(), ..Gathered::default() };
        let wanted: BTreeSet<Place> = places.iter().copied().collect();
        self.read(&logs, &mut since, &|place| wanted.contains(place), usize::MAX)?;
        let work: Vec<(Place, Vec<Candidate>)> = places
            .iter()
            .map(|place| {
                let mut candidates = gathered.documents.remove(place).unwrap_or_default();
                candidates.extend(since.documents.remove(place).unwrap_or_default());
                (*place, candidates)
            })
            .collect();
        let directory = self.shared.directory.now();
        let keyring = self.shared.keys.now();
        let readers = &self.shared.readers;
        let job = Job::new(&self.shared, &directory, &keyring);
        let make = |(place, candidates)| {
            let before = readers.with(|reader| Before::of(reader, place))?;
            let made = job.judge(place, None, candidates).map_err(StoreError::from)?;
            Ok::<_, StoreError>((place, before, made.batch))
        };
        let mut made = Vec::with_capacity(work.len());
        on_all_cores(work, make, |result| made.push(result));
        let mut rebuilt = Rebuilt::default();
        let mut batch = WriteBatch { forget: places.to_vec(), ..WriteBatch::default() };
        for made in made {
            let (place, before, made) = made?;
            let heads = made.documents.first().map(|update| &update.heads);
            let damaged = matches!(before, Before::Damaged);
            // One that is being brought up to date cannot be compared now.
            let ahead = gathered.ahead.contains(&place) || since.ahead.contains(&place);
            let same = before.is(heads) || (ahead && !damaged);
            rebuilt.count += 1;
            rebuilt.changed += u64::from(!same);
            rebuilt.damaged += u64::from(damaged);
            batch.merge(made);
        }
        self.store(batch)?;
        drop(guard);
        Ok(rebuilt)
    }

    /// Makes every view's rows again from the documents, and heals those that cannot be read.
    pub fn views(&self) -> Result<Rebuilt, StoreError> {
        self.rows_after(None, false).map(|(rebuilt, _)| rebuilt)
    }

    /// Fills views that were emptied, from where an earlier run of the node left it; returns whether that was
    /// finished. A node that is to stop leaves it within one group of documents.
    pub(crate) fn fill_views(&self) -> Result<bool, StoreError> {
        let stored = self.shared.readers.with(|r| r.setting(FILLED_SETTING))?;
        let after = stored.and_then(|bytes| place_in(&bytes));
        if after.is_some() {
            tracing::info!("going on where filling the views was left");
        }
        self.rows_after(after, true).map(|(_, finished)| finished)
    }

    /// The rows of documents after this one. Where they are being filled, each group says how far that is.
    fn rows_after(
        &self,
        mut after: Option<Place>,
        filling: bool,
    ) -> Result<(Rebuilt, bool), StoreError> {
        let mut rebuilt = Rebuilt::default();
        loop {
            if self.is_stopping() {
                return Ok((rebuilt, false));
            }
            let page = self.shared.readers.with(|r| r.places(None, after, LOCKED_DOCUMENTS))?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            let damaged = self.rows(&page, &mut rebuilt)?;
            rebuilt.damaged += damaged.len() as u64;
            rebuilt.changed += damaged.len() as u64;
            self.heal_all(damaged)?;
            if filling {
                let settings = vec![(FILLED_SETTING.to_owned(), Some(bytes_of(last)))];
                self.store(WriteBatch { settings, ..WriteBatch::default() })?;
            }
        }
        let settings = vec![(FILLED_SETTING.to_owned(), None)];
        self.store(WriteBatch { views_rebuilt: true, settings, ..WriteBatch::default() })?;
        Ok((rebuilt, true))
    }

    /// Writes the rows of some documents; returns those that cannot be read, and why.
    fn rows(
        &self,
        places: &[Place],
        rebuilt: &mut Rebuilt,
    ) -> Result<BTreeMap<Place, String>, StoreError> {
        let _guard = self.shared.documents.lock(places.iter().copied());
        let mut damaged = BTreeMap::new();
        let mut batch = WriteBatch::default();
        for &place in places {
            // A newer version's kind is shown by that version.
            let Some(schema) = schema(place.kind) else { continue };
            let stored = match self.shared.readers.with(|r| r.document(place)) {
                Ok(Some(stored)) => Record::load(schema, &stored.snapshot)
                    .map_err(|why| drop(damaged.insert(place, why.to_string()))),
                Ok(None) => continue,
                Err(StoreError::Corrupted { what, .. }) => {
                    damaged.insert(place, what);
                    Err(())
                }
                Err(error) => return Err(error),
            };
            rebuilt.count += 1;
            let Ok(record) = stored else { continue };
            let record = self.shared.name(record, place.space)?;
            let (row, keys) = (record.row(), record.matches(place.space, place.document));
            let (conflicts, row) = (row.conflicts, row_of(schema, row));
            let update = RowUpdate { place, conflicts, row, keys };
            let before = self.shared.readers.with(|r| r.row(place)).ok().flatten();
            let same =
                before.is_some_and(|b| b.row == update.row && b.conflicts == update.conflicts);
            rebuilt.changed += u64::from(!same);
            batch.rows.push(update);
        }
        self.store(batch)?;
        Ok(damaged)
    }

    fn store(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.writer.send(Command::Store { batch, reply }).is_ok() {
            // No answer: the writer has stopped, and so will we.
            answer.blocking_recv().unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

/// A document before it is made again.
enum Before {
    Absent,
    Whole(Vec<[u8; 32]>),
    Damaged,
}

impl Before {
    fn of(reader: &dyn Reader, place: Place) -> Result<Self, StoreError> {
        let stored = match reader.document(place) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Self::Absent),
            Err(StoreError::Corrupted { .. }) => return Ok(Self::Damaged),
            Err(error) => return Err(error),
        };
        let loaded = schema(place.kind).map(|schema| Record::load(schema, &stored.snapshot));
        Ok(match loaded {
            Some(Ok(record)) if record.heads() == stored.heads => Self::Whole(stored.heads),
            // Without its kind nobody could have stored it.
            _ => Self::Damaged,
        })
    }

    fn is(&self, heads: Option<&Vec<[u8; 32]>>) -> bool {
        match self {
            Self::Absent => heads.is_none(),
            Self::Whole(before) => heads == Some(before),
            Self::Damaged => false,
        }
    }
}

#[cfg(test)]
mod tests;
