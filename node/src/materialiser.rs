//! From received entries to documents and views: in bulk, off the path that makes them durable.
//!
//! Each round takes what is behind the logs' cursors, groups it by document, brings the documents up
//! to date on all cores, and commits documents, rows and cursors together. A crash between rounds
//! costs nothing: the cursors say where to go on.

use crate::rebuild::Rebuilder;
use crate::shared::{Readers, Shared};
use crate::store::{DocumentUpdate, EntryRef, Place, Refusal, StoreError, WriteBatch};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Encoding, HEADER_VERSION, Header, Run};
use fenbu_protocol::record::{Incoming, Outcome, Schema, materialise, schema};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of runs taken in one round: the larger, the more of a document's changes meet in one load; and
/// it bounds the memory a backlog takes to materialise, at a few times this.
const ROUND_BYTES: usize = 16 << 20;
/// After the disk refused.
const RETRY: Duration = Duration::from_secs(5);

/// What wakes the materialiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Entries were received.
    Received,
    /// The directory grew: what waited for a right may count now.
    Directory,
    Stop,
}

/// How the materialiser is doing, for `status`.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries are waiting to become documents, or are becoming them.
    pub busy: AtomicBool,
    pub documents: AtomicU64,
    /// Documents made again from the logs.
    pub rebuilt: AtomicU64,
    /// Those among them whose saved form could not be read.
    pub damaged: AtomicU64,
}

/// The thread's state.
#[derive(Debug)]
pub struct Materialiser {
    shared: Shared,
    writer: WriterHandle,
    rebuilder: Rebuilder,
    wake: mpsc::Receiver<Wake>,
    progress: Arc<Progress>,
    authors: BTreeMap<LogId, NodeId>,
    views_stale: bool,
}

/// An entry to be judged, with its body.
pub(crate) struct Candidate {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
}

/// What a round makes of one document.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) batch: WriteBatch,
}

/// Why a document could not be made.
pub(crate) enum Unmade {
    /// Its stored form cannot be read, for this reason; its entries are still there.
    Damaged(Place, String),
    Store(StoreError),
}

impl From<StoreError> for Unmade {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unmade> for StoreError {
    fn from(unmade: Unmade) -> Self {
        match unmade {
            Unmade::Store(error) => error,
            Unmade::Damaged(place, why) => {
                Self::Inconsistent(format!("document {}: {why}", place.document))
            }
        }
    }
}

impl Materialiser {
    pub fn new(
        shared: Shared,
        writer: WriterHandle,
        rebuilder: Rebuilder,
        wake: mpsc::Receiver<Wake>,
        progress: Arc<Progress>,
        views_stale: bool,
    ) -> Self {
        Self { shared, writer, rebuilder, wake, progress, authors: BTreeMap::new(), views_stale }
    }

    /// Runs until told to stop, or until the node is gone.
    pub fn run(mut self) {
        // What an earlier run of the daemon left undone comes first.
        let mut next = Wake::Received;
        loop {
            if next == Wake::Stop {
                return;
            }
            self.progress.busy.store(true, Ordering::Release);
            let outcome = self.refresh().and_then(|()| self.catch_up(next == Wake::Directory));
            self.progress.busy.store(false, Ordering::Release);
            next = match outcome {
                Ok(()) => match self.wake.recv() {
                    Ok(wake) => self.latest(wake),
                    Err(_) => return,
                },
                Err(error) => {
                    tracing::error!(%error, "received entries cannot be made into documents yet");
                    match self.wake.recv_timeout(RETRY) {
                        Ok(Wake::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                        _ => Wake::Received,
                    }
                }
            };
        }
    }

    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.views_stale {
            tracing::info!("the views have new columns: filling them again");
            self.rebuilder.views()?;
            self.views_stale = false;
        }
        Ok(())
    }

    fn store(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if self.writer.send(Command::Store { batch, reply }).is_ok() {
            // No answer: the writer has stopped, and so will we.
            answer.blocking_recv().unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    /// Folds the wakes that piled up into one.
    fn latest(&self, mut wake: Wake) -> Wake {
        while let Ok(next) = self.wake.try_recv() {
            wake = match (wake, next) {
                (Wake::Stop, _) | (_, Wake::Stop) => Wake::Stop,
                (Wake::Directory, _) | (_, Wake::Directory) => Wake::Directory,
                _ => Wake::Received,
            };
        }
        wake
    }

    fn catch_up(&mut self, rights_changed: bool) -> Result<(), StoreError> {
        if rights_changed {
            self.retry_waiting()?;
        }
        let spaces = self.shared.readable();
        let mut healed = BTreeSet::new();
        loop {
            let runs = self.shared.readers.with(|r| r.behind(&spaces, ROUND_BYTES))?;
            if runs.is_empty() {
                return Ok(());
            }
            let damaged = self.round(&runs)?;
            self.heal(damaged, &mut healed)?;
        }
    }

    /// Documents found damaged are made again, and what was to be done is looked at again; a second
    /// time within one go somebody else damages them, and it waits.
    fn heal(&self, damaged: Damaged, healed: &mut BTreeSet<Place>) -> Result<(), StoreError> {
        if let Some(place) = damaged.keys().find(|place| healed.contains(place)) {
            let what = format!("document {} is damaged again and again", place.document);
            return Err(StoreError::Inconsistent(what));
        }
        healed.extend(damaged.keys());
        self.rebuilder.heal_all(damaged)
    }

    fn round(&mut self, runs: &[Run]) -> Result<Damaged, StoreError> {
        let mut by_document: BTreeMap<Place, Vec<Candidate>> = BTreeMap::new();
        let mut batch = WriteBatch::default();
        for run in runs {
            let (space, _) = self.origin_of(run)?;
            for entry in run.entries() {
                if let Some(body) = entry.body {
                    let candidate = Candidate { header: entry.header, body: body.to_vec() };
                    let place = place_of(space, &candidate.header);
                    by_document.entry(place).or_default().push(candidate);
                }
            }
            batch.cursors.push((run.log(), run.last()));
        }
        self.bring_up_to_date(by_document, batch)
    }

    /// The space and author of a run's log.
    fn origin_of(&mut self, run: &Run) -> Result<(SpaceId, NodeId), StoreError> {
        let log = run.log();
        let stored = self.shared.readers.with(|r| r.log(log))?.ok_or_else(|| {
            StoreError::Inconsistent(format!("log {} has entries and no opening", log.short()))
        })?;
        let opening = stored.opening;
        self.authors.insert(log, opening.node);
        Ok((opening.space, opening.node))
    }

    /// Documents with entries that waited for a right or an epoch are looked at again.
    fn retry_waiting(&mut self) -> Result<(), StoreError> {
        let mut healed = BTreeSet::new();
        loop {
            let waiting = self.shared.readers.with(|r| r.all_waiting(RETRY_ENTRIES_MAX))?;
            let by_document: BTreeMap<Place, Vec<Candidate>> =
                waiting.into_iter().map(|e| (e.place, Vec::new())).collect();
            if by_document.is_empty() {
                return Ok(());
            }
            let damaged = self.bring_up_to_date(by_document, WriteBatch::default())?;
            if damaged.is_empty() {
                return Ok(());
            }
            self.heal(damaged, &mut healed)?;
        }
    }

    /// Nothing is written if a document turns out to be damaged; returns those.
    fn bring_up_to_date(
        &self,
        by_document: BTreeMap<Place, Vec<Candidate>>,
        mut batch: WriteBatch,
    ) -> Result<Damaged, StoreError> {
        let count = by_document.len() as u64;
        let guard = self.shared.documents.lock(by_document.keys().copied());
        let work: Vec<_> = by_document.into_iter().collect();
        let directory = self.shared.directory.now();
        let mut damaged = Damaged::new();
        let job =
            Job { readers: &self.shared.readers, directory: &directory, authors: &self.authors };
        for made in on_all_cores(work, |(place, candidates)| job.make(place, candidates)) {
            match made {
                Ok(made) => batch.merge(made.batch),
                Err(Unmade::Damaged(place, why)) => drop(damaged.insert(place, why)),
                Err(Unmade::Store(error)) => return Err(error),
            }
        }
        if damaged.is_empty() {
            self.store(batch)?;
            self.progress.documents.fetch_add(count, Ordering::Relaxed);
        }
        drop(guard);
        Ok(damaged)
    }
}

/// Documents whose stored form cannot be read, and why.
type Damaged = BTreeMap<Place, String>;

/// Waiting entries looked at again when the directory grows.
const RETRY_ENTRIES_MAX: usize = 100_000;

/// Splits work over two threads where there is enough of it to pay; keeps the order.
pub(crate) fn on_all_cores<T: Send, R: Send>(work: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    if work.len() < 16 || threads == 1 {
        return work.into_iter().map(make).collect();
    }
    let size = work.len().div_ceil(threads);
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut work = work.into_iter();
    loop {
        let part: Vec<T> = work.by_ref().take(size).collect();
        if part.is_empty() {
            break;
        }
        parts.push(part);
    }
    std::thread::scope(|scope| {
        let make = &make;
        let threads: Vec<_> = parts
            .into_iter()
            .map(|part| scope.spawn(move || part.into_iter().map(make).collect::<Vec<R>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

pub(crate) struct Job<'a> {
    pub(crate) readers: &'a Readers,
    pub(crate) directory: &'a Directory,
    pub(crate) authors: &'a BTreeMap<LogId, NodeId>,
}

/// Why an entry does not count now, before anybody looks inside.
enum Standing {
    Counts,
    Waits,
    Refused(&'static str, String),
}

impl Job<'_> {
    fn make(&self, place: Place, mut candidates: Vec<Candidate>) -> Result<Made, Unmade> {
        let (stored, waited) = self.readers.with(|reader| {
            let stored = match reader.document(place) {
                Err(StoreError::Corrupted { what, .. }) => {
                    return Err(Unmade::Damaged(place, what));
                }
                stored => stored?,
            };
            let mut waited = Vec::new();
            for entry in reader.waiting(place)? {
                if let Some(found) = reader.entry(entry.log, entry.seq)?
                    && let Some(body) = found.body
                {
                    waited.push((entry, Candidate { header: found.header, body }));
                }
            }
            Ok((stored, waited))
        })?;
        let mut released = Vec::with_capacity(waited.len());
        for (entry, candidate) in waited {
            released.push(entry);
            candidates.push(candidate);
        }
        let snapshot = stored.as_ref().map(|s| &s.snapshot[..]);
        let mut made = self.judge(place, snapshot, candidates)?;
        released.retain(|entry| !made.batch.waiting.contains(entry));
        made.batch.no_longer_waiting = released;
        Ok(made)
    }

    /// What becomes of a document, made before up to `snapshot`, with these entries.
    pub(crate) fn judge(
        &self,
        place: Place,
        snapshot: Option<&[u8]>,
        candidates: Vec<Candidate>,
    ) -> Result<Made, Unmade> {
        let mut made = Made::default();
        let Some(schema) = schema(place.kind) else {
            // A newer node's kind: kept and relayed, and shown by a version that knows it.
            for candidate in &candidates {
                made.wait(entry_ref(place, &candidate.header));
            }
            return Ok(made);
        };
        let mut offered: Vec<&Candidate> = Vec::new();
        for candidate in &candidates {
            let entry = entry_ref(place, &candidate.header);
            match self.standing(place.space, schema, &candidate.header) {
                Standing::Counts => offered.push(candidate),
                Standing::Waits => made.wait(entry),
                Standing::Refused(code, reason) => {
                    made.batch.refused.push(Refusal { entry, code: code.into(), reason });
                }
            }
        }
        if offered.is_empty() {
            return Ok(made);
        }
        let incoming: Vec<Incoming<'_>> = offered
            .iter()
            .map(|c| Incoming { log: c.header.log, seq: c.header.seq, body: &c.body })
            .collect();
        let outcome = materialise(schema, snapshot, &incoming)
            .map_err(|why| Unmade::Damaged(place, why.to_string()))?;
        made.take(place, schema, outcome);
        Ok(made)
    }

    /// Whether the author had the right, as far as this directory tells.
    fn standing(&self, space: SpaceId, schema: &Schema, header: &Header) -> Standing {
        let shape = &header.shape;
        if shape.version != HEADER_VERSION || header.epoch > self.directory.epoch() {
            return Standing::Waits;
        }
        if shape.encoding != Encoding::CHANGE {
            return Standing::Waits;
        }
        if schema.genesis != shape.genesis {
            return Standing::Waits;
        }
        let right = self
            .authors
            .get(&header.log)
            .is_some_and(|author| self.directory.may_write(author, &space, header.epoch));
        if right {
            Standing::Counts
        } else {
            let reason = format!("its author had no right to write here at epoch {}", header.epoch);
            Standing::Refused("no-right", reason)
        }
    }
}

impl Made {
    fn wait(&mut self, entry: EntryRef) {
        self.batch.waiting.push(entry);
    }

    fn take(&mut self, place: Place, schema: &'static Schema, outcome: Outcome) {
        for (log, seq) in &outcome.waiting {
            self.wait(EntryRef { place, log: *log, seq: *seq });
        }
        for (log, seq, refusal) in &outcome.refused {
            self.batch.refused.push(Refusal {
                entry: EntryRef { place, log: *log, seq: *seq },
                code: refusal.code().into(),
                reason: refusal.to_string(),
            });
        }
        if outcome.accepted > 0 || !outcome.evicted.is_empty() {
            let update = document_update(place, schema, &outcome);
            self.batch.documents.push(update);
        }
    }
}

fn document_update(place: Place, schema: &'static Schema, outcome: &Outcome) -> DocumentUpdate {
    let row = outcome.record.row();
    DocumentUpdate {
        space: place.space,
        document: place.document,
        kind: place.kind,
        genesis: schema.genesis,
        snapshot: outcome.snapshot.as_slice().into(),
        heads: outcome.heads.clone(),
        conflicts: row.conflicts,
        row: row.into(),
    }
}

fn entry_ref(place: Place, header: &Header) -> EntryRef {
    EntryRef { place, log: header.log, seq: header.seq }
}

pub(crate) fn place_of(space: SpaceId, header: &Header) -> Place {
    Place { document: header.document, space, kind: header.shape.kind }
}
