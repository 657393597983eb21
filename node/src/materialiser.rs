//! From received entries to documents and views: in bulk, off the path that makes them durable.
//!
//! Each round takes what is behind the logs' cursors, groups it by document, brings the documents up
//! to date on all cores, and commits documents, rows and cursors together. A crash between rounds
//! costs nothing: the cursors say where to go on.

use crate::shared::{Readers, Shared, lock};
use crate::store::{
    DocumentUpdate, EntryRef, Material, Reader, Refusal, RowUpdate, StoreError, StoredDocument,
    WriteBatch,
};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Encoding, HEADER_VERSION, Header, Kind, Run};
use fenbu_protocol::record::{Incoming, Outcome, Record, Schema, materialise, schema};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Bytes of runs taken in one round: the larger, the more of a document's changes meet in one load; and
/// it bounds the memory a backlog takes to materialise, at a few times this.
const ROUND_BYTES: usize = 16 << 20;
/// More than this to do is a backlog arriving: it is gathered before it is begun, so that the changes
/// of one document meet in one load. Less is live, and begun at once.
const BACKLOG_BYTES: usize = 64 << 10;
/// A backlog that pauses for so long has arrived …
const GATHER_PAUSE: Duration = Duration::from_millis(20);
/// … and one that does not is not waited for any longer.
const GATHER_MAX: Duration = Duration::from_millis(400);
/// Snapshots handed to the writer in one go.
const WRITTEN_BYTES: usize = 1 << 20;
/// Documents read in one transaction.
const DOCUMENTS_AT_A_TIME: usize = 32;
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

impl Wake {
    /// What two wakes come to: the one that asks for more.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stop, _) | (_, Self::Stop) => Self::Stop,
            (Self::Directory, _) | (_, Self::Directory) => Self::Directory,
            _ => Self::Received,
        }
    }
}

/// How the materialiser is doing, for `status`.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries are waiting to become documents, or are becoming them.
    pub busy: AtomicBool,
    pub documents: AtomicU64,
}

/// The thread's state.
#[derive(Debug)]
pub struct Materialiser {
    shared: Shared,
    writer: WriterHandle,
    wake: mpsc::Receiver<Wake>,
    progress: Arc<Progress>,
    authors: BTreeMap<LogId, NodeId>,
    views_stale: bool,
    /// What woke us while we gathered.
    later: Option<Wake>,
}

/// An entry to be judged, with its body.
struct Candidate {
    header: Header,
    body: Vec<u8>,
}

type Place = (SpaceId, DocId);

/// What a round makes of one document.
#[derive(Default)]
struct Made {
    batch: WriteBatch,
}

impl Materialiser {
    pub fn new(
        shared: Shared,
        writer: WriterHandle,
        wake: mpsc::Receiver<Wake>,
        progress: Arc<Progress>,
        views_stale: bool,
    ) -> Self {
        Self { shared, writer, wake, progress, authors: BTreeMap::new(), views_stale, later: None }
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
                Ok(()) => match self.later.take().map_or_else(|| self.wake.recv(), Ok) {
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
            self.rebuild_views()?;
            self.views_stale = false;
        }
        Ok(())
    }

    /// Fills views whose columns are not those the database was written with.
    fn rebuild_views(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.shared.readers.with(|r| r.documents(after, ROUND_BYTES))?;
            after = page.last().map(|d| (d.space, d.document));
            let done = page.is_empty();
            let mut batch = WriteBatch { views_rebuilt: done, ..WriteBatch::default() };
            for stored in page {
                let Some(schema) = schema(stored.kind) else { continue };
                let record = Record::load(schema, &stored.snapshot)
                    .map_err(|e| StoreError::Inconsistent(e.to_string()))?;
                let row = record.row();
                batch.rows.push(RowUpdate {
                    space: stored.space,
                    document: stored.document,
                    conflicts: row.conflicts,
                    row: row.into(),
                });
            }
            self.store(batch)?;
            if done {
                return Ok(());
            }
        }
    }

    fn store(&self, batch: WriteBatch) -> Result<(), StoreError> {
        settled(self.hand_over(batch))
    }

    fn hand_over(&self, batch: WriteBatch) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        // A writer that has stopped answers nothing, and so will we.
        let _ = self.writer.send(Command::Store { batch, reply });
        answer
    }

    /// Folds the wakes that piled up into one.
    fn latest(&self, wake: Wake) -> Wake {
        self.wake.try_iter().fold(wake, Wake::and)
    }

    /// Waits until what is arriving has arrived, within bounds.
    fn gather(&mut self) {
        let until = Instant::now() + GATHER_MAX;
        while self.later != Some(Wake::Stop) {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(wake) = self.wake.recv_timeout(GATHER_PAUSE.min(left)) else { return };
            self.later = Some(self.later.map_or(wake, |later| later.and(wake)));
        }
    }

    fn catch_up(&mut self, rights_changed: bool) -> Result<(), StoreError> {
        if rights_changed {
            self.retry_waiting()?;
        }
        let spaces = self.shared.readable();
        let mut gathered = false;
        loop {
            if self.later == Some(Wake::Stop) {
                return Ok(());
            }
            let runs = self.shared.readers.with(|r| r.behind(&spaces, ROUND_BYTES))?;
            if runs.is_empty() {
                return Ok(());
            }
            let bytes: usize = runs.iter().map(|r| r.as_bytes().len()).sum();
            if (BACKLOG_BYTES..ROUND_BYTES / 2).contains(&bytes) && !gathered {
                self.gather();
                gathered = true;
                continue;
            }
            gathered = false;
            self.round(&runs)?;
        }
    }

    fn round(&mut self, runs: &[Run]) -> Result<(), StoreError> {
        let mut by_document: BTreeMap<Place, Vec<Candidate>> = BTreeMap::new();
        let mut batch = WriteBatch::default();
        for run in runs {
            let (space, _) = self.place_of(run)?;
            for entry in run.entries() {
                if let Some(body) = entry.body {
                    let candidate = Candidate { header: entry.header, body: body.to_vec() };
                    by_document.entry((space, entry.header.document)).or_default().push(candidate);
                }
            }
            batch.cursors.push((run.log(), run.last()));
        }
        self.bring_up_to_date(by_document, batch)
    }

    /// The space and author of a run's log.
    fn place_of(&mut self, run: &Run) -> Result<(SpaceId, NodeId), StoreError> {
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
        let waiting = self.shared.readers.with(|r| r.all_waiting(RETRY_ENTRIES_MAX))?;
        let by_document: BTreeMap<Place, Vec<Candidate>> =
            waiting.into_iter().map(|e| ((e.space, e.document), Vec::new())).collect();
        if by_document.is_empty() {
            return Ok(());
        }
        self.bring_up_to_date(by_document, WriteBatch::default())
    }

    fn bring_up_to_date(
        &self,
        by_document: BTreeMap<Place, Vec<Candidate>>,
        mut batch: WriteBatch,
    ) -> Result<(), StoreError> {
        let count = by_document.len() as u64;
        let guard = self.shared.documents.lock(by_document.keys().copied());
        let mut work = by_document.into_iter().peekable();
        let mut parts: Vec<Vec<(Place, Vec<Candidate>)>> = Vec::new();
        while work.peek().is_some() {
            parts.push(work.by_ref().take(DOCUMENTS_AT_A_TIME).collect());
        }
        let directory = self.shared.directory.now();
        let job =
            Job { readers: &self.shared.readers, directory: &directory, authors: &self.authors };
        // Made documents are written while others are being made; the cursors come last.
        let mut written = Vec::new();
        let mut failed = None;
        on_all_cores(
            parts,
            |part| job.make(part),
            |made| {
                match made {
                    Ok(made) => made.into_iter().for_each(|made| batch.merge(made.batch)),
                    Err(error) => failed = failed.take().or(Some(error)),
                }
                if batch.documents.iter().map(|d| d.snapshot.len()).sum::<usize>() > WRITTEN_BYTES {
                    let cursors = std::mem::take(&mut batch.cursors);
                    written.push(self.hand_over(std::mem::take(&mut batch)));
                    batch.cursors = cursors;
                }
            },
        );
        if let Some(error) = failed {
            return Err(error);
        }
        written.push(self.hand_over(batch));
        written.into_iter().try_for_each(settled)?;
        drop(guard);
        self.progress.documents.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

/// Waiting entries looked at again when the directory grows.
const RETRY_ENTRIES_MAX: usize = 100_000;

/// Waits for a commit. No answer: the writer has stopped, and so shall we.
fn settled(answer: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    answer.blocking_recv().unwrap_or(Ok(()))
}

/// Works on all cores where there is enough to do, and takes the results here as they come.
fn on_all_cores<T: Send, R: Send>(
    work: Vec<T>,
    make: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    if work.len() < 2 || threads == 1 {
        return work.into_iter().map(make).for_each(take);
    }
    let work = Mutex::new(work.into_iter());
    let (done, results) = mpsc::sync_channel(2 * threads);
    std::thread::scope(|scope| {
        let (make, work) = (&make, &work);
        let worker = |done: mpsc::SyncSender<R>| {
            move || {
                while let Some(part) = { lock(work).next() } {
                    // Nobody listening: the taker has panicked.
                    let _ = done.send(make(part));
                }
            }
        };
        for _ in 0..threads {
            scope.spawn(worker(done.clone()));
        }
        drop(done);
        results.into_iter().for_each(&mut take);
    });
}

struct Job<'a> {
    readers: &'a Readers,
    directory: &'a Directory,
    authors: &'a BTreeMap<LogId, NodeId>,
}

/// Why an entry does not count now, before anybody looks inside.
enum Standing {
    Counts,
    Waits,
    Refused(&'static str, String),
}

impl Job<'_> {
    fn make(&self, part: Vec<(Place, Vec<Candidate>)>) -> Result<Vec<Made>, StoreError> {
        let places: Vec<Place> = part.iter().map(|(place, _)| *place).collect();
        let material: Result<Vec<_>, StoreError> = self.readers.with(|reader| {
            reader.material(&places)?.into_iter().map(|m| bodies(reader, m)).collect()
        });
        let parts = part.into_iter().zip(material?);
        parts.map(|((place, new), (stored, waited))| self.one(place, new, stored, waited)).collect()
    }

    fn one(
        &self,
        place: Place,
        mut candidates: Vec<Candidate>,
        stored: Option<StoredDocument>,
        waited: Vec<(EntryRef, Candidate)>,
    ) -> Result<Made, StoreError> {
        let (space, document) = place;
        let mut made = Made::default();
        for (entry, candidate) in waited {
            made.batch.no_longer_waiting.push(entry);
            candidates.push(candidate);
        }
        let kind = stored.as_ref().map(|s| s.kind);
        let kind = kind.or_else(|| candidates.first().map(|c| c.header.shape.kind));
        let Some(schema) = kind.and_then(schema) else {
            // A newer node's kind: kept and relayed, and shown by a version that knows it.
            for candidate in &candidates {
                made.wait(entry_ref(place, &candidate.header));
            }
            return Ok(made);
        };
        let kind = schema.kind;
        let mut offered: Vec<&Candidate> = Vec::new();
        for candidate in &candidates {
            let entry = entry_ref(place, &candidate.header);
            match self.standing(space, kind, &candidate.header) {
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
        let snapshot = stored.as_ref().map(|s| &s.snapshot[..]);
        let outcome = materialise(schema, snapshot, &incoming)
            .map_err(|e| StoreError::Inconsistent(format!("document {document}: {e}")))?;
        made.take(place, schema, outcome);
        Ok(made)
    }

    /// Whether the author had the right, as far as this directory tells.
    fn standing(&self, space: SpaceId, kind: Kind, header: &Header) -> Standing {
        let shape = &header.shape;
        if shape.version != HEADER_VERSION || header.epoch > self.directory.epoch() {
            return Standing::Waits;
        }
        if shape.encoding != Encoding::CHANGE {
            return Standing::Waits;
        }
        if schema(kind).is_none_or(|s| s.genesis != shape.genesis) {
            return Standing::Waits;
        }
        if shape.kind != kind {
            return Standing::Refused("kind", "the document is of another kind".into());
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

/// A document, and the entries that waited for others, with their bodies.
fn bodies(
    reader: &dyn Reader,
    material: Material,
) -> Result<(Option<StoredDocument>, Vec<(EntryRef, Candidate)>), StoreError> {
    let mut waited = Vec::new();
    for entry in material.waiting {
        if let Some(found) = reader.entry(entry.log, entry.seq)?
            && let Some(body) = found.body
        {
            waited.push((entry, Candidate { header: found.header, body }));
        }
    }
    Ok((material.document, waited))
}

impl Made {
    fn wait(&mut self, entry: EntryRef) {
        self.batch.no_longer_waiting.retain(|e| *e != entry);
        self.batch.waiting.push(entry);
    }

    fn take(&mut self, place: Place, schema: &'static Schema, outcome: Outcome) {
        let (space, document) = place;
        for (log, seq) in &outcome.waiting {
            self.wait(EntryRef { space, document, log: *log, seq: *seq });
        }
        for (log, seq, refusal) in &outcome.refused {
            self.batch.refused.push(Refusal {
                entry: EntryRef { space, document, log: *log, seq: *seq },
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
        space: place.0,
        document: place.1,
        kind: schema.kind,
        genesis: schema.genesis,
        snapshot: outcome.snapshot.as_slice().into(),
        heads: outcome.heads.clone(),
        conflicts: row.conflicts,
        row: row.into(),
    }
}

fn entry_ref(place: Place, header: &Header) -> EntryRef {
    EntryRef { space: place.0, document: place.1, log: header.log, seq: header.seq }
}
