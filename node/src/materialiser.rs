//! From received entries to documents and views: in bulk, off the path that makes them durable.
//!
//! Each round takes what is behind the logs' cursors, groups it by document, brings the documents up
//! to date on all cores, and commits documents, rows and cursors together. A crash between rounds
//! costs nothing: the cursors say where to go on.

use crate::shared::{Readers, Shared};
use crate::store::{DocumentUpdate, EntryRef, Reader, Refusal, RowUpdate, StoreError, WriteBatch};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{HEADER_VERSION, Header, Kind, Opening, Run};
use fenbu_protocol::record::{Incoming, Outcome, Record, Schema, materialise, schema};
use fenbu_protocol::seal::{Keyring, Reading};
use std::borrow::Cow;
use std::collections::BTreeMap;
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
    /// The directory grew: what waited for a right or a key may count now.
    Directory,
    Stop,
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
    views_stale: bool,
}

/// An entry to be judged, with its body.
struct Candidate {
    header: Header,
    author: NodeId,
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
        Self { shared, writer, wake, progress, views_stale }
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
        loop {
            let runs = self.shared.readers.with(|r| r.behind(&spaces, ROUND_BYTES))?;
            if runs.is_empty() {
                return Ok(());
            }
            self.round(&runs)?;
        }
    }

    fn round(&mut self, runs: &[Run]) -> Result<(), StoreError> {
        let mut by_document: BTreeMap<Place, Vec<Candidate>> = BTreeMap::new();
        let mut batch = WriteBatch::default();
        for run in runs {
            let opening = self.shared.readers.with(|r| opening(r, run.log()))?;
            let (space, author) = (opening.space, opening.node);
            for entry in run.entries() {
                if let Some(body) = entry.body {
                    let candidate = Candidate { header: entry.header, author, body: body.to_vec() };
                    by_document.entry((space, entry.header.document)).or_default().push(candidate);
                }
            }
            batch.cursors.push((run.log(), run.last()));
        }
        self.bring_up_to_date(by_document, batch)
    }

    /// Documents with entries that waited for a right, an epoch or a key are looked at again.
    fn retry_waiting(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let waiting = self.shared.readers.with(|r| r.all_waiting(after, RETRY_ENTRIES))?;
            let Some(last) = waiting.last() else { return Ok(()) };
            after = Some((last.log, last.seq));
            let by_document: BTreeMap<Place, Vec<Candidate>> =
                waiting.into_iter().map(|e| ((e.space, e.document), Vec::new())).collect();
            self.bring_up_to_date(by_document, WriteBatch::default())?;
        }
    }

    fn bring_up_to_date(
        &self,
        by_document: BTreeMap<Place, Vec<Candidate>>,
        mut batch: WriteBatch,
    ) -> Result<(), StoreError> {
        let count = by_document.len() as u64;
        let guard = self.shared.documents.lock(by_document.keys().copied());
        let work: Vec<_> = by_document.into_iter().collect();
        let directory = self.shared.directory.now();
        let keyring = self.shared.keys.now();
        let job = Job { readers: &self.shared.readers, directory: &directory, keyring: &keyring };
        for made in on_all_cores(work, |(place, candidates)| job.make(place, candidates)) {
            batch.merge(made?.batch);
        }
        self.store(batch)?;
        drop(guard);
        self.progress.documents.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

/// Waiting entries looked at again in one go when the directory grows.
const RETRY_ENTRIES: usize = 4096;

fn opening(reader: &dyn Reader, log: LogId) -> Result<Opening, StoreError> {
    let stored = reader.log(log)?.ok_or_else(|| {
        StoreError::Inconsistent(format!("log {} has entries and no opening", log.short()))
    })?;
    Ok(stored.opening)
}

/// Splits work over two threads where there is enough of it to pay; keeps the order.
fn on_all_cores<T: Send, R: Send>(work: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
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

struct Job<'a> {
    readers: &'a Readers,
    directory: &'a Directory,
    keyring: &'a Keyring,
}

/// Whether an entry is offered to the gate, and with which plain body.
enum Standing<'a> {
    Counts(Cow<'a, [u8]>),
    Waits,
    Refused(&'static str, String),
}

impl Job<'_> {
    fn make(&self, place: Place, mut candidates: Vec<Candidate>) -> Result<Made, StoreError> {
        let (space, document) = place;
        let (stored, waited) = self.readers.with(|reader| {
            let stored = reader.document(space, document)?;
            let mut waited = Vec::new();
            for entry in reader.waiting(space, document)? {
                if let Some(found) = reader.entry(entry.log, entry.seq)?
                    && let Some(body) = found.body
                {
                    let author = opening(reader, entry.log)?.node;
                    waited.push((entry, Candidate { header: found.header, author, body }));
                }
            }
            Ok::<_, StoreError>((stored, waited))
        })?;
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
        let mut offered: Vec<(&Header, Cow<'_, [u8]>)> = Vec::new();
        for candidate in &candidates {
            let entry = entry_ref(place, &candidate.header);
            match self.judge(space, kind, candidate) {
                Standing::Counts(body) => offered.push((&candidate.header, body)),
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
            .map(|(header, body)| Incoming { log: header.log, seq: header.seq, body })
            .collect();
        let snapshot = stored.as_ref().map(|s| &s.snapshot[..]);
        let outcome = materialise(schema, snapshot, &incoming)
            .map_err(|e| StoreError::Inconsistent(format!("document {document}: {e}")))?;
        made.take(place, schema, outcome);
        Ok(made)
    }

    /// Whether the author had the right, as far as this directory tells, and what was written.
    fn judge<'a>(&self, space: SpaceId, kind: Kind, candidate: &'a Candidate) -> Standing<'a> {
        let header = &candidate.header;
        let shape = &header.shape;
        if shape.version != HEADER_VERSION || header.epoch > self.directory.epoch() {
            return Standing::Waits;
        }
        if schema(kind).is_none_or(|s| s.genesis != shape.genesis) {
            return Standing::Waits;
        }
        if shape.kind != kind {
            return Standing::Refused("kind", "the document is of another kind".into());
        }
        if !self.directory.may_write(&candidate.author, &space, header.epoch) {
            let reason = format!("its author had no right to write here at epoch {}", header.epoch);
            return Standing::Refused("no-right", reason);
        }
        match self.keyring.read(self.directory, &space, header, &candidate.body) {
            Reading::Plain(body) => Standing::Counts(body),
            Reading::Waits => Standing::Waits,
            Reading::Refused(error) => Standing::Refused(error.code(), error.to_string()),
        }
    }
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

#[cfg(test)]
mod tests;
