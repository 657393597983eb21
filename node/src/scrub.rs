//! Looking for damage before somebody meets it, slowly and without end.
//!
//! A pass reads everything once: each log's runs against their authors' signatures, each space's records
//! against its sum, each record's saved form, and the database's own structure. Damaged entries are told
//! to the engine, which fetches them again from peers; damaged records are made again from the logs; a
//! structure that is damaged is for [`crate::salvage`]. Whoever meets damage has the logs looked at at
//! once.

use crate::materialiser::Wake;
use crate::rebuild::Rebuilder;
use crate::shared::{Shared, lock};
use crate::store::{Inspected, Place, StoreError, WriteBatch};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::id::{LogId, SpaceId};
use fenbu_protocol::record::{Record, schema};
use fenbu_protocol::sync::Input;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc as tokio_mpsc, oneshot};

/// Bytes of a log looked at between pauses.
const STEP_BYTES: usize = 256 << 10;
/// Records looked at between pauses.
const STEP_RECORDS: usize = 64;
/// The first pass begins so long after the start: a node that has just started has better to do.
const FIRST: Duration = Duration::from_secs(60);
/// Logs are not looked at more often than this, however often somebody meets damage.
const HURRY_EVERY: Duration = Duration::from_secs(5);

/// How a pass is paced, from the settings.
#[derive(Debug, Clone, Copy)]
pub struct ScrubSettings {
    /// Bytes a second.
    pub bytes_per_s: u64,
    /// From the end of a pass to the beginning of the next.
    pub every: Duration,
}

/// What is wrong with the store, as far as it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// When the last whole pass ended, in milliseconds since 1970; `None` before the first.
    pub looked_ms: Option<u64>,
    /// Logs looked at in it, and records.
    pub logs: u64,
    pub records: u64,
    /// Records that were made again because of it.
    pub healed: u64,
    /// The database's structure is damaged, in words.
    pub structure: Option<String>,
}

/// Asks for a look; cheap to clone.
#[derive(Debug, Clone)]
pub struct Scrub {
    looks: mpsc::Sender<Look>,
    findings: Arc<Mutex<Findings>>,
    /// Told when the structure turns out to be damaged.
    damaged: Arc<Notify>,
}

#[derive(Debug)]
enum Look {
    /// At the logs, soon.
    Logs,
    /// At the database's structure, soon.
    Structure,
    /// At everything, now.
    All(oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

impl Scrub {
    /// The handle, and what [`Scrubber::run`] works on.
    pub(crate) fn new() -> (Self, ScrubOrders) {
        let (looks, orders) = mpsc::channel();
        let (findings, damaged) = (Arc::default(), Arc::default());
        (Self { looks, findings, damaged }, ScrubOrders(orders))
    }

    /// Somebody met an error: if it is damage, the logs are looked at soon.
    pub fn met(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupted { .. }) {
            // A scrubber that has gone: the node is stopping.
            let _ = self.looks.send(Look::Logs);
        }
    }

    /// The logs are known to have gaps: they are looked at soon.
    pub fn look(&self) {
        let _ = self.looks.send(Look::Logs);
    }

    /// A commit met damage, or a check of the structure: if that is so, it is made anew.
    pub fn blocked(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupted { .. }) {
            let _ = self.looks.send(Look::Structure);
        }
    }

    /// Looks at everything now, as fast as the disk goes. Blocks.
    pub fn all(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let _ = self.looks.send(Look::All(reply));
        answer.blocking_recv().unwrap_or(Ok(()))
    }

    pub fn findings(&self) -> Findings {
        lock(&self.findings).clone()
    }

    /// Returns once the database's structure is known to be damaged.
    pub async fn damaged(&self) {
        self.damaged.notified().await;
    }

    pub(crate) fn stop(&self) {
        let _ = self.looks.send(Look::Stop);
    }
}

/// The receiving end of a [`Scrub`].
#[derive(Debug)]
pub(crate) struct ScrubOrders(mpsc::Receiver<Look>);

/// The thread's state.
pub(crate) struct Scrubber {
    pub(crate) shared: Shared,
    pub(crate) writer: WriterHandle,
    pub(crate) rebuilder: Rebuilder,
    pub(crate) scrub: Scrub,
    pub(crate) settings: ScrubSettings,
    pub(crate) engine: tokio_mpsc::UnboundedSender<Input>,
    pub(crate) wake: mpsc::Sender<Wake>,
    pub(crate) orders: ScrubOrders,
}

/// How fast a pass goes, and whether it is to end.
struct Pace<'a> {
    /// Bytes a second; `None` as fast as the disk goes.
    bytes_per_s: Option<u64>,
    orders: &'a ScrubOrders,
    /// What came meanwhile.
    came: Option<Look>,
}

impl Pace<'_> {
    /// Rests as long as reading so much is worth. Returns whether to go on.
    fn rest(&mut self, bytes: usize) -> bool {
        let Some(rate) = self.bytes_per_s else { return true };
        let pause = Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1));
        if self.came.is_none() {
            self.came = self.orders.0.recv_timeout(pause).ok();
        }
        // What was met is looked at by this pass, too; everything, or the end, comes at once.
        matches!(self.came, None | Some(Look::Logs))
    }
}

impl Scrubber {
    /// The whole structure, since somebody could not go on.
    fn structure(&self) {
        match self.shared.readers.with(|r| r.check_all()) {
            Err(error @ StoreError::Corrupted { .. }) => {
                tracing::error!(%error, "the database's structure is damaged");
                lock(&self.scrub.findings).structure = Some(error.to_string());
                self.scrub.damaged.notify_one();
            }
            // What lies in its rows is mended where it lies.
            _ => drop(self.scrub.looks.send(Look::Logs)),
        }
    }
}

impl Scrubber {
    /// Runs until told to stop or until nobody is left to tell.
    pub(crate) fn run(self) {
        let mut next = Instant::now() + FIRST;
        let (mut hurried, mut checked) = (None, None);
        let mut came = None;
        loop {
            let wait = next.saturating_duration_since(Instant::now());
            let look = match came.take() {
                Some(look) => Ok(look),
                None => self.orders.0.recv_timeout(wait),
            };
            match look {
                Ok(Look::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(Look::Logs) => {
                    let now = Instant::now();
                    if hurried.is_none_or(|at: Instant| now >= at + HURRY_EVERY) {
                        hurried = Some(now);
                        self.report(&self.logs(&mut self.pace(None)).map(drop));
                    }
                }
                Ok(Look::Structure) => {
                    let now = Instant::now();
                    if checked.is_none_or(|at: Instant| now >= at + HURRY_EVERY) {
                        checked = Some(now);
                        self.structure();
                    }
                }
                Ok(Look::All(reply)) => {
                    let done = self.pass(&mut self.pace(None));
                    self.report(&done);
                    let _ = reply.send(done);
                    next = Instant::now() + self.settings.every;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let mut pace = self.pace(Some(self.settings.bytes_per_s));
                    self.report(&self.pass(&mut pace));
                    came = pace.came;
                    next = Instant::now() + self.settings.every;
                }
            }
        }
    }

    fn pace(&self, bytes_per_s: Option<u64>) -> Pace<'_> {
        Pace { bytes_per_s, orders: &self.orders, came: None }
    }

    fn report(&self, done: &Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::warn!(%error, "looking for damage met an error");
            self.scrub.blocked(error);
        }
    }

    /// Everything once.
    fn pass(&self, pace: &mut Pace<'_>) -> Result<(), StoreError> {
        self.shared.readers.with(|r| r.check())?;
        lock(&self.scrub.findings).structure = None;
        let Some(logs) = self.logs(pace)? else { return Ok(()) };
        let Some((records, healed)) = self.records(pace)? else { return Ok(()) };
        let looked_ms = Some(crate::clock::wall_ms());
        let findings = Findings { looked_ms, logs, records, healed, structure: None };
        tracing::debug!(?findings, "everything was looked at");
        *lock(&self.scrub.findings) = findings;
        Ok(())
    }

    /// Every log's runs; `None` if something else came first.
    fn logs(&self, pace: &mut Pace<'_>) -> Result<Option<u64>, StoreError> {
        let logs: Vec<LogId> = self.shared.readers.with(|r| r.tips())?.into_keys().collect();
        let mut count = 0;
        for log in logs {
            let mut at = Inspected::default();
            while !at.done {
                at = self.shared.readers.with(|r| r.inspect(log, at, STEP_BYTES))?;
                if !pace.rest(at.bytes) {
                    return Ok(None);
                }
            }
            self.found(log, at.damaged)?;
            count += 1;
        }
        Ok(Some(count))
    }

    /// Tells the engine, and lets the materialiser go on behind what is missing.
    fn found(&self, log: LogId, ranges: Vec<(u64, u64)>) -> Result<(), StoreError> {
        let stored = self.shared.readers.with(|r| r.log(log))?;
        let stuck = |cursor: u64| ranges.iter().find(|r| (r.0..=r.1).contains(&(cursor + 1)));
        if let Some((_, to)) = stored.and_then(|stored| stuck(stored.cursor)) {
            let cursors = vec![(log, *to)];
            self.store(WriteBatch { cursors, ..WriteBatch::default() })?;
            let _ = self.wake.send(Wake::Received);
        }
        if let Some((from, to)) = ranges.first() {
            tracing::error!(
                log = %log.short(), from, to, ranges = ranges.len(),
                "entries are damaged: fetching them again from peers"
            );
        }
        // A closed channel means that the daemon is stopping.
        let _ = self.engine.send(Input::Damaged { log, ranges });
        Ok(())
    }

    /// Every record's saved form, and the sum of each space. Returns how many were looked at and how many
    /// made again.
    fn records(&self, pace: &mut Pace<'_>) -> Result<Option<(u64, u64)>, StoreError> {
        let (mut looked, mut healed) = (0, 0);
        for space in self.shared.readable() {
            let mut after = None;
            let mut damaged = BTreeMap::new();
            loop {
                let page =
                    self.shared.readers.with(|r| r.places(Some(space), after, STEP_RECORDS))?;
                let Some(last) = page.last() else { break };
                after = Some(*last);
                let mut bytes = 0;
                for place in page {
                    looked += 1;
                    match self.record(place) {
                        Ok(length) => bytes += length,
                        Err(why) => drop(damaged.insert(place, why?)),
                    }
                }
                if !pace.rest(bytes) {
                    return Ok(None);
                }
            }
            healed += damaged.len() as u64;
            self.rebuilder.heal_all(damaged)?;
            healed += self.sum(space)?;
        }
        Ok(Some((looked, healed)))
    }

    /// Length of a record's saved form, or why it is damaged, or why that cannot be said.
    fn record(&self, place: Place) -> Result<usize, Result<String, StoreError>> {
        let stored = match self.shared.readers.with(|r| r.document(place)) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(0),
            Err(StoreError::Corrupted { what, .. }) => return Err(Ok(what)),
            Err(error) => return Err(Err(error)),
        };
        let Some(schema) = schema(place.kind) else { return Ok(stored.snapshot.len()) };
        match Record::load(schema, &stored.snapshot) {
            Ok(record) if record.heads() == stored.heads => Ok(stored.snapshot.len()),
            Ok(_) => Err(Ok("its heads are not those of its saved form".into())),
            Err(error) => Err(Ok(error.to_string())),
        }
    }

    /// A space whose records do not come to its sum was changed by another hand than ours.
    fn sum(&self, space: SpaceId) -> Result<u64, StoreError> {
        let (kept, counted) = self.shared.readers.with(|r| r.recount(space))?;
        if kept == counted {
            return Ok(0);
        }
        tracing::error!(
            space = %space.short(),
            "the records of a space do not come to its sum: making them again from the logs"
        );
        let rebuilt = self.rebuilder.repair_documents(space)?;
        Ok(rebuilt.changed)
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
