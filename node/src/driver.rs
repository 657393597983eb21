//! The one loop: wait for one event, feed the engine, carry out its outputs in order.
//!
//! Dull on purpose. Whatever looks like a choice belongs in `fenbu_protocol::sync`.

use crate::freshness::{Freshness, Heard};
use crate::links::{self, OpenLink};
use crate::materialiser::{Progress, Wake};
use crate::rebuild::Rebuilder;
use crate::scrub::Scrub;
use crate::shared::Shared;
use crate::states;
use crate::store::parting;
use crate::transport::{Endpoint, EndpointStats, Incoming, LinkStats};
use crate::writer::{Command, WriterHandle};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::Run;
use fenbu_protocol::sync::{
    Engine, Input, Item, LinkId, Loaded, Mended, Notice, Output, Pace, PaceSettings, Status, Ticket,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

/// What the API asks of the engine.
#[derive(Debug)]
pub enum Question {
    Status(oneshot::Sender<DriverStatus>),
}

/// The engine's status, and what only the driver sees.
#[derive(Debug, Clone)]
pub struct DriverStatus {
    pub engine: Status,
    pub links: BTreeMap<NodeId, LinkView>,
    /// Bytes of links that have ended, by peer.
    pub past: BTreeMap<NodeId, LinkStats>,
    pub alarms: Vec<String>,
    /// When others were last heard of, this moment included.
    pub heard: Heard,
    /// Handshakes others began.
    pub handshakes: EndpointStats,
    /// How often a peer was held back for sending too much, and for how many milliseconds in all.
    pub held_back: BTreeMap<NodeId, (u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
pub struct LinkView {
    pub remote: SocketAddr,
    pub rtt_ms: f64,
    pub stats: LinkStats,
}

/// The loop's state.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) endpoint: Endpoint,
    pub(crate) shared: Shared,
    pub(crate) writer: WriterHandle,
    pub(crate) wake: std::sync::mpsc::Sender<Wake>,
    rebuilder: Rebuilder,
    progress: Arc<Progress>,
    scrub: Scrub,
    pub(crate) directory: watch::Sender<Arc<Directory>>,
    pub(crate) urgent: mpsc::UnboundedSender<Input>,
    pub(crate) joins: mpsc::UnboundedSender<crate::transport::JoinConnection>,
    links: BTreeMap<LinkId, OpenLink>,
    past: BTreeMap<NodeId, LinkStats>,
    next_link: u64,
    pace_settings: PaceSettings,
    /// By peer, over all its links: a new link brings no new credit. Members, and strangers linked now.
    paces: BTreeMap<NodeId, Arc<Mutex<Pace>>>,
    /// Tickets of runs, whose durability the materialiser waits for.
    runs: BTreeSet<Ticket>,
    alarms: Vec<String>,
    /// When the log last told that a peer's link ended, and how often it has since.
    ended: BTreeMap<NodeId, (Option<u64>, u64)>,
    freshness: Freshness,
    peers: mpsc::Sender<Input>,
    peer_inputs: mpsc::Receiver<Input>,
    dialed: mpsc::UnboundedSender<(NodeId, Result<crate::transport::Link, String>)>,
    dial_results: mpsc::UnboundedReceiver<(NodeId, Result<crate::transport::Link, String>)>,
}

/// Alarms kept; older ones are in the log.
const ALARMS_MAX: usize = 32;
/// How often the log tells of one peer's ended links, and of how many peers that is remembered:
/// strangers are without number.
const ENDED_EVERY_MS: u64 = 60_000;
const ENDED_MAX: usize = 1024;

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "the loop is where everything meets")]
    pub(crate) fn new(
        engine: Engine,
        endpoint: Endpoint,
        shared: Shared,
        writer: WriterHandle,
        wake: std::sync::mpsc::Sender<Wake>,
        rebuilder: Rebuilder,
        progress: Arc<Progress>,
        scrub: Scrub,
        directory: watch::Sender<Arc<Directory>>,
        urgent: mpsc::UnboundedSender<Input>,
        joins: mpsc::UnboundedSender<crate::transport::JoinConnection>,
        pace_settings: PaceSettings,
        heard: Heard,
    ) -> Self {
        let (peers, peer_inputs) = links::channel();
        let (dialed, dial_results) = mpsc::unbounded_channel();
        Self {
            engine,
            endpoint,
            shared,
            writer,
            wake,
            rebuilder,
            progress,
            scrub,
            directory,
            urgent,
            joins,
            links: BTreeMap::new(),
            past: BTreeMap::new(),
            next_link: 0,
            pace_settings,
            paces: BTreeMap::new(),
            runs: BTreeSet::new(),
            alarms: Vec::new(),
            ended: BTreeMap::new(),
            freshness: Freshness::new(heard),
            peers,
            peer_inputs,
            dialed,
            dial_results,
        }
    }

    /// Runs until `stop` says so or everything it listens to is gone.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<Input>,
        mut questions: mpsc::UnboundedReceiver<Question>,
        mut stop: watch::Receiver<bool>,
    ) {
        self.step(Input::Tick);
        loop {
            let timeout = self.engine.poll_timeout().map(|at| self.shared.clock.deadline(at));
            let tick = async {
                match timeout {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let room = self.engine.accepts_batches();
            tokio::select! {
                biased;
                _ = stop.wait_for(|s| *s) => break,
                Some(input) = inputs.recv() => self.step(input),
                Some((peer, result)) = self.dial_results.recv() => self.dial_result(peer, result),
                Some(question) = questions.recv() => self.answer(question),
                Some(incoming) = self.endpoint.accept() => self.incoming(incoming),
                () = tick => self.step(Input::Tick),
                Some(input) = self.peer_inputs.recv(), if room => self.step(input),
                else => break,
            }
        }
        self.remember_heard();
        let code = fenbu_protocol::sync::Close::Stopping as u32;
        self.endpoint.close(code, "this node is stopping").await;
    }

    fn step(&mut self, input: Input) {
        if let Input::LinkDown { link, .. } = &input {
            self.forget(*link);
        }
        let persisted = match &input {
            Input::Persisted { ticket } => self.runs.remove(ticket),
            Input::Mended { outcome, .. } => *outcome == Mended::Done,
            _ => false,
        };
        self.engine.handle(self.shared.clock.now_ms(), input);
        while let Some(output) = self.engine.poll_output() {
            self.carry_out(output);
        }
        self.remember_heard();
        if persisted {
            // A closed channel means that the daemon is stopping.
            let _ = self.wake.send(Wake::Received);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Dial { peer, addresses } => self.dial(peer, addresses),
            Output::Close { link, code, reason } => {
                if let Some(open) = self.links.get(&link) {
                    open.handle.close(code as u32, &reason);
                }
                self.forget(link);
            }
            Output::Send { link, lane, frame } => {
                if let Some(open) = self.links.get(&link) {
                    open.send(lane, frame);
                }
            }
            Output::Persist { ticket, item } => {
                if matches!(item, Item::Run { .. } | Item::Switch(_)) {
                    self.runs.insert(ticket);
                }
                // A writer that has gone answers nothing; the daemon is stopping.
                let _ = self.writer.send(Command::Persist { ticket, item });
            }
            Output::Load { link, log, from, bytes_max } => self.load(link, log, from, bytes_max),
            Output::Compare { ticket, link, run, headers } => {
                self.compare(ticket, link, run, headers);
            }
            Output::Acknowledged { peer, log, seq } => {
                let _ = self.writer.send(Command::Acknowledged { peer, log, seq });
            }
            Output::DirectoryChanged => {
                let directory = Arc::new(self.engine.directory().clone());
                self.shared.keys.learn(&directory, &self.shared.me, &self.shared.key);
                self.directory.send_replace(directory);
                let _ = self.wake.send(Wake::Directory);
            }
            Output::OwnLogAhead { log, seq } => {
                let _ = self.writer.send(Command::OwnLogAhead { log, seq });
            }
            Output::Mend { run } => drop(self.writer.send(Command::Mend { run })),
            Output::ReadStates => self.read_states(),
            Output::Rebuild { space } => self.rebuild(space),
            Output::Notice(notice) => self.notice(notice),
        }
    }

    fn dial(&self, peer: NodeId, addresses: Vec<String>) {
        let (endpoint, dialed) = (self.endpoint.clone(), self.dialed.clone());
        tokio::spawn(async move {
            let outcome = endpoint.connect_any(peer, addresses).await;
            let outcome = outcome.map_err(|errors| {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                errors.join(crate::words::JOINT)
            });
            let _ = dialed.send((peer, outcome));
        });
    }

    fn dial_result(&mut self, peer: NodeId, result: Result<crate::transport::Link, String>) {
        match result {
            Ok(link) => self.open(link),
            Err(reason) => self.step(Input::DialFailed { peer, reason }),
        }
    }

    fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Sync(link) => self.open(link),
            // A door that is gone lets nobody in.
            Incoming::Join(knock) => drop(self.joins.send(knock)),
        }
    }

    fn open(&mut self, link: crate::transport::Link) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let (peer, dialed) = (link.peer(), link.dialed());
        let pace = self.pace_of(peer);
        let (peers, urgent) = (self.peers.clone(), self.urgent.clone());
        let open = OpenLink::start(id, link, peers, urgent, self.shared.clock, pace);
        self.links.insert(id, open);
        self.step(Input::LinkUp { link: id, peer, dialed });
    }

    fn pace_of(&mut self, peer: NodeId) -> Arc<Mutex<Pace>> {
        let now = self.shared.clock.now_ms();
        let fresh = || Arc::new(Mutex::new(Pace::new(now, &self.pace_settings)));
        self.paces.entry(peer).or_insert_with(fresh).clone()
    }

    /// A stranger's pace goes with its last link: there is no end of strangers. Each costs a handshake.
    fn forget_pace(&mut self, peer: NodeId) {
        let linked = self.links.values().any(|open| open.peer == peer);
        if !linked && !self.engine.directory().is_member(&peer) {
            self.paces.remove(&peer);
        }
    }

    fn forget(&mut self, link: LinkId) {
        if let Some(open) = self.links.remove(&link) {
            let stats = open.handle.stats();
            let past = self.past.entry(open.peer).or_default();
            past.udp_bytes_in += stats.udp_bytes_in;
            past.udp_bytes_out += stats.udp_bytes_out;
            past.stream_bytes_in += stats.stream_bytes_in;
            past.stream_bytes_out += stats.stream_bytes_out;
            self.forget_pace(open.peer);
        }
    }

    fn load(&self, link: LinkId, log: LogId, from: u64, bytes_max: usize) {
        let (readers, urgent) = (self.shared.readers.clone(), self.urgent.clone());
        let scrub = self.scrub.clone();
        tokio::task::spawn_blocking(move || {
            let result = match readers.with(|r| r.sound_run(log, from, bytes_max)) {
                Ok(Some(run)) => Loaded::Run(run),
                Ok(None) => Loaded::NotHeld,
                Err(error) => {
                    tracing::error!(log = %log.short(), %error, "entries cannot be read");
                    scrub.met(&error);
                    Loaded::Failed(error.to_string())
                }
            };
            // A closed channel means that the daemon is stopping.
            let _ = urgent.send(Input::Loaded { link, log, from, result });
        });
    }

    fn compare(&self, ticket: Ticket, link: Option<LinkId>, run: Run, headers: bool) {
        let (readers, urgent) = (self.shared.readers.clone(), self.urgent.clone());
        tokio::task::spawn_blocking(move || {
            let result = readers.with(|r| parting(r, &run)).map_err(|error| {
                tracing::error!(log = %run.log().short(), %error, "a log cannot be read");
                error.to_string()
            });
            // A closed channel means that the daemon is stopping.
            let _ = urgent.send(Input::Compared { ticket, link, run, headers, result });
        });
    }

    fn read_states(&self) {
        let (shared, progress, urgent) =
            (self.shared.clone(), self.progress.clone(), self.urgent.clone());
        tokio::task::spawn_blocking(move || {
            let states = states::read(&shared, &progress).unwrap_or_else(|error| {
                tracing::warn!(%error, "what the records come to cannot be read");
                Vec::new()
            });
            // A closed channel means that the daemon is stopping.
            let _ = urgent.send(Input::States { states });
        });
    }

    fn rebuild(&self, space: SpaceId) {
        let (rebuilder, urgent) = (self.rebuilder.clone(), self.urgent.clone());
        tokio::task::spawn_blocking(move || {
            let done = match rebuilder.repair_documents(space) {
                Ok(rebuilt) => {
                    let (count, changed) = (rebuilt.count, rebuilt.changed);
                    tracing::warn!(space = %space.short(), count, changed, "records made again");
                    true
                }
                Err(error) => {
                    tracing::error!(space = %space.short(), %error, "records cannot be made again");
                    false
                }
            };
            let _ = urgent.send(Input::Rebuilt { space, done });
        });
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Live { peer, link } => {
                tracing::info!(peer = %peer.short(), "linked");
                self.freshness.up(link, peer);
            }
            Notice::Ended { peer, reason, link } => {
                let now_ms = self.shared.clock.now_ms();
                self.freshness.down(link, self.engine.directory(), now_ms);
                self.ended(peer, &reason);
            }
            Notice::Refused { peer, log, reason } => {
                tracing::warn!(peer = %peer.short(), log = %log.short(), reason, "entries refused");
            }
            // `status` and `doctor` tell of it as long as something is left to be done.
            Notice::Fork { author, log, seq } => {
                tracing::error!(
                    node = %author.short(), log = %log.short(), seq,
                    "two histories of one log, both signed by its author"
                );
                if author == self.shared.me {
                    let _ = self.writer.send(Command::OwnLogForked { log, seq });
                }
            }
            Notice::WentOver { author, log, seq } => tracing::warn!(
                node = %author.short(), log = %log.short(), seq,
                "another history of a log took over; what was held is kept, see `fenbu quarantine`"
            ),
            Notice::DirectoryFork { epoch } => {
                self.alarm(format!("the directory is forked at epoch {epoch}"));
            }
            Notice::DirectoryRecovered { epoch } => self.alarm(format!(
                "the directory was recovered: what was said after epoch {epoch} is void, or gave way to what the root key vouches for"
            )),
            Notice::DirectoryStopped { reason } => self.alarm(reason),
            // `status` and `doctor` tell of it as long as it lasts.
            Notice::StatesDiffer { peer, space } => tracing::error!(
                peer = %peer.short(), space = %space.short(),
                "equal entries, other records than a peer's"
            ),
            Notice::StatesAgree { peer } => {
                tracing::info!(peer = %peer.short(), "the same records as this peer again");
            }
            Notice::StorageFailed { reason } => {
                tracing::error!(reason, "received entries could not be stored; asking again later");
            }
        }
    }

    /// A link that comes and goes by the second fills no log: a line a minute says how often.
    fn ended(&mut self, peer: NodeId, reason: &str) {
        let now = self.shared.clock.now_ms();
        if self.ended.len() >= ENDED_MAX {
            self.ended.clear();
        }
        let told = self.ended.entry(peer).or_default();
        if told.0.is_some_and(|at| now < at + ENDED_EVERY_MS) {
            told.1 += 1;
            return tracing::debug!(peer = %peer.short(), reason, "link ended");
        }
        match std::mem::replace(told, (Some(now), 0)).1 {
            0 => tracing::info!(peer = %peer.short(), reason, "link ended"),
            times => {
                tracing::info!(peer = %peer.short(), reason, times, "link ended, and before that");
            }
        }
    }

    /// At leisure, when it is time.
    fn remember_heard(&mut self) {
        let now_ms = self.shared.clock.now_ms();
        if let Some(heard) = self.freshness.due(self.engine.directory(), now_ms) {
            let _ = self.writer.send(Command::Note { setting: heard.setting() });
        }
    }

    fn alarm(&mut self, text: String) {
        tracing::error!("{text}");
        if !self.alarms.contains(&text) {
            self.alarms.push(text);
            if self.alarms.len() > ALARMS_MAX {
                self.alarms.remove(0);
            }
        }
    }

    fn answer(&self, question: Question) {
        // One who no longer waits needs no answer.
        match question {
            Question::Status(reply) => {
                let _ = reply.send(self.status());
            }
        }
    }

    fn status(&self) -> DriverStatus {
        let links = self.links.values().map(|open| {
            let view = LinkView {
                remote: open.handle.remote(),
                rtt_ms: open.handle.rtt().as_secs_f64() * 1e3,
                stats: open.handle.stats(),
            };
            (open.peer, view)
        });
        DriverStatus {
            engine: self.engine.status(),
            links: links.collect(),
            past: self.past.clone(),
            alarms: self.alarms.clone(),
            heard: self.freshness.heard(self.engine.directory(), self.shared.clock.now_ms()),
            handshakes: self.endpoint.stats(),
            held_back: self
                .paces
                .iter()
                .map(|(peer, pace)| {
                    let pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
                    (*peer, pace.held_back())
                })
                .collect(),
        }
    }
}
