//! From received entries to documents and views: in bulk, off the path that makes them durable.
//!
//! Each round takes what is behind the logs' cursors, groups it by document, brings the documents up
//! to date on all cores, and commits documents, rows and cursors together. A crash between rounds
//! costs nothing: the cursors say where to go on.

use crate::changes;
use crate::forks::Forks;
use crate::making::{Candidate, Job, Made, Unmade, on_all_cores, opening, place_of};
use crate::rebuild::Rebuilder;
use crate::removal;
use crate::scrub::Scrub;
use crate::shared::{Shared, lock};
use crate::states;
use crate::store::{Place, StoreError, WriteBatch};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::id::Hash;
use fenbu_protocol::log::Run;
use std::collections::{BTreeMap, BTreeSet};
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
    /// The directory grew: what waited for a right or a key may count now.
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
    /// The views have not been filled since their columns changed: figures made of them would be wrong.
    pub views_stale: AtomicBool,
    pub documents: AtomicU64,
    /// Documents made again from the logs.
    pub rebuilt: AtomicU64,
    /// Those among them whose saved form could not be read.
    pub damaged: AtomicU64,
    /// Head of the directory under which all entries were last made into records.
    pub settled: Mutex<Option<Hash>>,
}

/// The thread's state.
#[derive(Debug)]
pub struct Materialiser {
    shared: Shared,
    writer: WriterHandle,
    rebuilder: Rebuilder,
    wake: mpsc::Receiver<Wake>,
    forks: Forks,
    progress: Arc<Progress>,
    scrub: Scrub,
    views_stale: bool,
    /// What woke us while we gathered.
    later: Option<Wake>,
}

impl Materialiser {
    pub fn new(
        shared: Shared,
        writer: WriterHandle,
        rebuilder: Rebuilder,
        wake: mpsc::Receiver<Wake>,
        progress: Arc<Progress>,
        scrub: Scrub,
        views_stale: bool,
    ) -> Self {
        progress.views_stale.store(views_stale, Ordering::Release);
        let forks = Forks::new(shared.clone(), writer.clone(), rebuilder.clone());
        Self { shared, writer, rebuilder, wake, forks, progress, scrub, views_stale, later: None }
    }

    /// Runs until told to stop, or until the node is gone.
    pub fn run(mut self) {
        // What an earlier run of the daemon left undone comes first.
        let mut next = Wake::Directory;
        loop {
            if next == Wake::Stop {
                return;
            }
            self.progress.busy.store(true, Ordering::Release);
            let outcome = self.refresh().and_then(|()| self.settle(next == Wake::Directory));
            self.progress.busy.store(false, Ordering::Release);
            next = match outcome {
                Ok(()) => match self.later.take().map_or_else(|| self.wake.recv(), Ok) {
                    Ok(wake) => self.latest(wake),
                    Err(_) => return,
                },
                Err(error) => {
                    tracing::error!(%error, "received entries cannot be made into documents yet");
                    self.scrub.met(&error);
                    match self.wake.recv_timeout(RETRY) {
                        Ok(Wake::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                        // What was due is due still.
                        Ok(wake) => next.and(wake),
                        Err(mpsc::RecvTimeoutError::Timeout) => next,
                    }
                }
            };
        }
    }

    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.views_stale {
            tracing::info!("the views have new columns: filling them again");
            if self.rebuilder.fill_views()? {
                self.views_stale = false;
                self.progress.views_stale.store(false, Ordering::Release);
            }
        }
        Ok(())
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

    /// Makes records of all there is; then it is known under which directory that was done.
    fn settle(&mut self, rights_changed: bool) -> Result<(), StoreError> {
        let head = self.shared.directory.now().head();
        self.catch_up(rights_changed)?;
        if !rights_changed || self.is_stopping() {
            return Ok(());
        }
        let before = lock(&self.progress.settled).replace(head);
        if before == Some(head) {
            return Ok(());
        }
        let settings = vec![states::settled(&head)];
        settled(self.hand_over(WriteBatch { settings, ..WriteBatch::default() }))
    }

    fn is_stopping(&self) -> bool {
        self.later == Some(Wake::Stop) || self.rebuilder.is_stopping()
    }

    fn catch_up(&mut self, rights_changed: bool) -> Result<(), StoreError> {
        // What another history takes away may bring an author's later entries within a limit.
        let remade = self.forks.remake()?;
        // Old entries that cannot be read keep nobody from what is new.
        let removed = if rights_changed { self.rights_changed() } else { Ok(()) };
        let looked_again = removed.and_then(|()| match rights_changed || remade {
            true => self.retry_waiting(),
            false => Ok(()),
        });
        self.take_up_new()?;
        looked_again
    }

    fn take_up_new(&mut self) -> Result<(), StoreError> {
        let spaces = self.shared.readable();
        let mut healed = BTreeSet::new();
        let mut gathered = false;
        loop {
            if self.is_stopping() {
                return Ok(());
            }
            let runs = self.shared.readers.with(|r| r.behind(&spaces, ROUND_BYTES))?;
            if runs.is_empty() {
                return self.forks.write_anew();
            }
            let bytes: usize = runs.iter().map(|r| r.as_bytes().len()).sum();
            if (BACKLOG_BYTES..ROUND_BYTES / 2).contains(&bytes) && !gathered {
                self.gather();
                gathered = true;
                continue;
            }
            gathered = false;
            self.forks.remake()?;
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
        self.drop_fallen(runs)?;
        for run in runs {
            let opening = self.shared.readers.with(|r| opening(r, run.log()))?;
            let (space, author) = (opening.space, opening.node);
            for entry in run.entries() {
                if let Some(body) = entry.body {
                    let candidate = Candidate { header: entry.header, author, body: body.to_vec() };
                    let place = place_of(space, &candidate.header);
                    by_document.entry(place).or_default().push(candidate);
                }
            }
            batch.cursors.push((run.log(), run.last()));
        }
        self.bring_up_to_date(by_document, batch)
    }

    /// Documents that hold what is over a limit now, since these runs stand before it, are made again
    /// without it. The runs are stored and not taken as done, so a crash in between costs nothing.
    fn drop_fallen(&self, runs: &[Run]) -> Result<(), StoreError> {
        let directory = self.shared.directory.now();
        let readers = &self.shared.readers;
        let mut whose = BTreeSet::new();
        for run in runs {
            let opening = readers.with(|r| opening(r, run.log()))?;
            whose.insert((opening.space, opening.node));
        }
        for whose in whose {
            let fallen = readers.with(|r| self.shared.ledger.fallen(r, &directory, whose))?;
            if !fallen.is_empty() {
                tracing::warn!(
                    space = %whose.0.short(), author = %whose.1.short(), documents = fallen.len(),
                    "an author has more than its limit: making again what it wrote beyond"
                );
                self.rebuilder.documents(whose.0, Some(&fallen))?;
            }
        }
        Ok(())
    }

    fn rights_changed(&self) -> Result<(), StoreError> {
        for batch in changes::turned(&self.shared)? {
            settled(self.hand_over(batch))?;
        }
        self.carry_out_removals()
    }

    fn carry_out_removals(&self) -> Result<(), StoreError> {
        let Some(done) = removal::carry_out(&self.shared, &self.rebuilder)? else { return Ok(()) };
        let settings = vec![done];
        settled(self.hand_over(WriteBatch { settings, ..WriteBatch::default() }))
    }

    /// Documents with entries that waited for a right, an epoch or a key are looked at again.
    fn retry_waiting(&mut self) -> Result<(), StoreError> {
        let mut healed = BTreeSet::new();
        let mut after = None;
        loop {
            let waiting = self.shared.readers.with(|r| r.all_waiting(after, RETRY_ENTRIES))?;
            let Some(last) = waiting.last().map(|e| (e.log, e.seq)) else { return Ok(()) };
            let by_document: BTreeMap<Place, Vec<Candidate>> =
                waiting.into_iter().map(|e| (e.place, Vec::new())).collect();
            let damaged = self.bring_up_to_date(by_document, WriteBatch::default())?;
            if damaged.is_empty() {
                after = Some(last);
            } else {
                self.heal(damaged, &mut healed)?;
            }
        }
    }

    /// The cursors stay where they are if a document turns out to be damaged; returns those.
    fn bring_up_to_date(
        &self,
        by_document: BTreeMap<Place, Vec<Candidate>>,
        mut batch: WriteBatch,
    ) -> Result<Damaged, StoreError> {
        let count = by_document.len() as u64;
        let guard = self.shared.documents.lock(by_document.keys().copied());
        let mut work = by_document.into_iter().peekable();
        let mut parts: Vec<Vec<(Place, Vec<Candidate>)>> = Vec::new();
        while work.peek().is_some() {
            parts.push(work.by_ref().take(DOCUMENTS_AT_A_TIME).collect());
        }
        let directory = self.shared.directory.now();
        let mut damaged = Damaged::new();
        let keyring = self.shared.keys.now();
        let job = Job::new(&self.shared, &directory, &keyring);
        // Made documents are written while others are being made; the cursors come last, if at all.
        let cursors = std::mem::take(&mut batch.cursors);
        let mut written = Vec::new();
        let mut failed = None;
        let take = |made: Vec<Result<Made, Unmade>>| {
            for made in made {
                match made {
                    Ok(made) => batch.merge(made.batch),
                    Err(Unmade::Damaged(place, why)) => drop(damaged.insert(place, why)),
                    Err(Unmade::Store(error)) => failed = failed.take().or(Some(error)),
                }
            }
            if batch.documents.iter().map(|d| d.snapshot.len()).sum::<usize>() > WRITTEN_BYTES {
                written.push(self.hand_over(std::mem::take(&mut batch)));
            }
        };
        on_all_cores(parts, |part| job.make(part), take);
        if damaged.is_empty() && failed.is_none() {
            batch.cursors = cursors;
        }
        written.push(self.hand_over(batch));
        // All are waited for, whatever becomes of them: the documents are ours until then.
        let settled: Vec<_> = written.into_iter().map(settled).collect();
        drop(guard);
        if let Some(error) = failed {
            return Err(error);
        }
        settled.into_iter().collect::<Result<(), _>>()?;
        if damaged.is_empty() {
            self.progress.documents.fetch_add(count, Ordering::Relaxed);
        }
        Ok(damaged)
    }
}

/// Documents whose stored form cannot be read, and why.
type Damaged = BTreeMap<Place, String>;

/// Waiting entries looked at again in one go when the directory grows.
const RETRY_ENTRIES: usize = 4096;

/// Waits for a commit. No answer: the writer has stopped, and so shall we.
fn settled(answer: oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    answer.blocking_recv().unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
