//! The engine's state, and the one door in and out.

use super::backoff::Jitter;
use super::forks::Unchecked;
use super::input::{Input, LinkId, Ticket};
use super::logs::{InFlight, Logs, StoredLog};
use super::mend::Mends;
use super::output::{Close, Item, Notice, Output};
use super::peer::{Held, Peer};
use super::session::Session;
use super::states::States;
use super::want::Wanted;
use crate::directory::{Directory, Template};
use crate::id::{LogId, NodeId, SpaceId};
use crate::limits::{LINK_OUTBOX_BYTES_MAX, UNPERSISTED_BYTES_MAX};
use crate::log::Lane;
use crate::wire::Message;
use std::collections::{BTreeMap, VecDeque};

/// Times the engine goes by; a slow satellite link wants others than a test.
#[derive(Debug, Clone)]
pub struct Settings {
    /// First wait before dialling again; doubles with each failure.
    pub redial_min_ms: u64,
    pub redial_max_ms: u64,
    /// How long a grown log may wait to be acknowledged to the peer it came from.
    pub ack_delay_ms: u64,
    /// How long it may wait to be announced to the others.
    pub announce_delay_ms: u64,
    /// How long to wait for the author's own push before pulling from one who announced.
    pub lazy_wait_ms: u64,
    /// A wanted range that has not moved for this long is asked of another peer.
    pub stall_ms: u64,
    /// A link that has not greeted by then is closed.
    pub greeting_ms: u64,
    /// After the disk refused: when to ask for entries again.
    pub storage_retry_ms: u64,
    /// How long after a change the records are looked at.
    pub state_delay_ms: u64,
    /// How often one peer is told what they come to, at most.
    pub state_every_ms: u64,
    /// How long a peer whose records differ may take to come round, where others agree with us.
    pub state_patience_ms: u64,
    /// How often a space's records are made again because a peer's differ, at most.
    pub state_rebuild_ms: u64,
    /// Software and version, told in `Hello`.
    pub agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            redial_min_ms: 500,
            redial_max_ms: 60_000,
            ack_delay_ms: 20,
            announce_delay_ms: 100,
            lazy_wait_ms: 250,
            stall_ms: 10_000,
            greeting_ms: 10_000,
            storage_retry_ms: 5_000,
            state_delay_ms: 1_000,
            state_every_ms: 60_000,
            state_patience_ms: 120_000,
            state_rebuild_ms: 3_600_000,
            agent: concat!("fenbu ", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// A log we declined to receive: from whom, and why.
#[derive(Debug, Clone)]
pub(super) struct Declined {
    pub(super) peer: NodeId,
    pub(super) why: String,
}

/// See the [module](super) for the contract.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) me: NodeId,
    pub(super) settings: Settings,
    pub(super) jitter: Jitter,
    pub(super) now: u64,
    pub(super) directory: Directory,
    pub(super) logs: Logs,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) sessions: BTreeMap<LinkId, Session>,
    /// Logs some peer has more of than we do.
    pub(super) wanted: BTreeMap<LogId, Wanted>,
    /// Logs we declined to receive; asked again when the directory grows. At most
    /// [`crate::limits::REFUSED_PER_PEER_MAX`] of one peer.
    pub(super) refused: BTreeMap<LogId, Declined>,
    /// Proofs of forks that are still to be held against the disk, one a log.
    pub(super) unchecked: BTreeMap<LogId, Unchecked>,
    pub(super) in_flight: BTreeMap<Ticket, InFlight>,
    /// What changes the directory, and proofs of forks, on their way to the disk.
    pub(super) directory_in_flight: BTreeMap<Ticket, Item>,
    /// … and to be stored once the disk is asked again, in order.
    pub(super) directory_waiting: Vec<Item>,
    pub(super) unpersisted_bytes: usize,
    pub(super) next_ticket: u64,
    /// The disk refused; nothing is asked for before this time.
    pub(super) storage_retry_at: Option<u64>,
    /// How often in a row it did.
    pub(super) storage_refusals: u32,
    pub(super) directory_stopped: Option<String>,
    pub(super) states: States,
    pub(super) mends: Mends,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine over what the disk holds. `now` is milliseconds on any clock that does not go
    /// back; all times given later are on the same one. `acknowledged` are remembered positions of
    /// peers ([`Output::Acknowledged`]).
    pub fn new(
        now: u64,
        seed: u64,
        me: NodeId,
        settings: Settings,
        directory: Directory,
        stored: impl IntoIterator<Item = StoredLog>,
        acknowledged: impl IntoIterator<Item = (NodeId, LogId, u64)>,
    ) -> Self {
        let mut engine = Self {
            me,
            settings,
            jitter: Jitter::new(seed),
            now,
            directory,
            logs: Logs::new(stored),
            peers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            wanted: BTreeMap::new(),
            refused: BTreeMap::new(),
            unchecked: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            directory_in_flight: BTreeMap::new(),
            directory_waiting: Vec::new(),
            unpersisted_bytes: 0,
            next_ticket: 0,
            storage_retry_at: None,
            storage_refusals: 0,
            directory_stopped: None,
            states: States::default(),
            mends: Mends::default(),
            outputs: VecDeque::new(),
        };
        for (peer, log, seq) in acknowledged {
            if let Some(state) = engine.logs.get(&log) {
                let held = Held { seq, body_bytes: 0 };
                engine.peers.entry(peer).or_default().hears(state.space, log, held);
            }
        }
        let forked: Vec<LogId> =
            engine.logs.iter().filter(|(_, s)| s.fork.is_some()).map(|(log, _)| log).collect();
        for log in forked {
            engine.check_again(log);
        }
        engine.plan_dials();
        engine.states_changed();
        engine
    }

    /// Something happened at `now`.
    pub fn handle(&mut self, now: u64, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::LinkUp { link, peer, dialed } => self.link_up(link, peer, dialed),
            Input::LinkDown { link, reason } => self.link_down(link, reason),
            Input::DialFailed { peer, reason } => self.dial_failed(peer, reason),
            Input::Message { link, message } => self.message(link, message),
            Input::Garbled { link, reason } => self.close(link, Close::Violation, reason),
            Input::Sent { link, bytes } => self.sent(link, bytes),
            Input::Persisted { ticket } => self.persisted(ticket),
            Input::PersistFailed { ticket, reason } => self.persist_failed(ticket, reason),
            Input::Loaded { link, log, from, result } => self.loaded(link, log, from, result),
            Input::Compared { ticket, link, run, headers, result } => {
                self.compared(ticket, link, run, headers, result);
            }
            Input::Appended { run, tip } => self.appended(run, tip),
            Input::Declared { statement } => self.declared(statement),
            Input::States { states } => self.states_read(states),
            Input::Rebuilt { space, done } => self.rebuilt(space, done),
            Input::Damaged { log, ranges } => self.damaged(log, &ranges),
            Input::Mended { log, from, outcome } => self.mended(log, from, outcome),
            Input::Tick => {}
        }
        self.on_time();
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<u64> {
        let sessions = self.sessions.values().flat_map(|s| {
            let greeting = (!s.is_live()).then_some(s.since_ms + self.settings.greeting_ms);
            [s.have_at, greeting]
        });
        let peers = self.peers.values().map(|p| p.dial_at);
        let wants = [self.next_want_at(), self.next_search_at()].into_iter();
        let others = [self.storage_retry_at, self.next_state_at(), self.next_mend_at()];
        sessions.chain(peers).chain(wants).chain(others).flatten().min()
    }

    /// Whether there is room for more batches; see the [module](super).
    pub fn accepts_batches(&self) -> bool {
        self.unpersisted_bytes < UNPERSISTED_BYTES_MAX || planted!(UnboundedIntake)
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub fn me(&self) -> NodeId {
        self.me
    }

    fn on_time(&mut self) {
        self.time_out_greetings();
        self.retry_storage();
        self.flush_news();
        self.check_proofs();
        self.ask_where_parted();
        self.states_on_time();
        self.ask();
        self.mend();
        self.close_unread();
        self.dial_due();
    }

    fn message(&mut self, link: LinkId, message: Message) {
        let Some(session) = self.sessions.get(&link) else { return };
        let (live, peer) = (session.is_live(), session.peer);
        self.peers.entry(peer).or_default().last_contact_ms = Some(self.now);
        match message {
            Message::Hello(hello) => self.hello(link, hello),
            Message::Statements(statements) => self.statements(link, statements),
            Message::Unknown(_) => {}
            // Lanes overtake each other, so a push may arrive before the Hello sent before it. The
            // handshake has proved the peer's key, and a run proves itself.
            Message::Batch(run) if self.directory.is_member(&peer) => self.batch(link, run),
            // A stranger's further words are not yet heard, and not yet a crime: they may have
            // crossed the statement that admits it.
            _ if !live && self.directory.is_member(&peer) => {
                let reason = format!("{} before Hello", message.name());
                self.close(link, Close::Violation, reason);
            }
            _ if !live => {}
            Message::Digests(digests) => self.digests(link, digests),
            Message::Have(have) => self.have(link, have),
            Message::Want(want) => self.want(link, want),
            Message::Decline(decline) => self.declined(link, decline),
            Message::Prune(prune) => self.pruned(link, prune.log),
            Message::Batch(run) => self.batch(link, run),
            Message::Parted(parted) => self.parted(link, &parted),
            Message::Proof(proof) => self.proof(link, *proof),
            Message::State(state) => self.state_told(link, state),
        }
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.output(Output::Notice(notice));
    }

    /// Hands a message to a link, on the control lane unless it is a batch.
    pub(super) fn send(&mut self, link: LinkId, message: &Message) {
        let lane = match message {
            Message::Batch(run) => self.lane_of_log(&run.log()),
            _ => Lane::CONTROL,
        };
        self.send_frame(link, lane, message.to_frame());
    }

    pub(super) fn send_frame(&mut self, link: LinkId, lane: Lane, frame: std::sync::Arc<[u8]>) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.outbox_bytes += frame.len();
            session.unread |= session.outbox_bytes > LINK_OUTBOX_BYTES_MAX;
            let lane = Lane(lane.0.min(Lane::BLOBS.0));
            self.output(Output::Send { link, lane, frame });
        }
    }

    /// Ends links whose peers ask and do not read. Not where the frame is handed out, so that whoever
    /// hands out several need not look after each.
    fn close_unread(&mut self) {
        let unread: Vec<LinkId> =
            self.sessions.values().filter(|s| s.unread).map(|s| s.link).collect();
        for link in unread {
            let reason = "it asks and does not read what it is sent".into();
            self.close(link, Close::Unread, reason);
        }
    }

    /// Spaces both we and `peer` carry, as our directory has it.
    pub(super) fn shared_spaces(&self, peer: &NodeId) -> Vec<SpaceId> {
        self.directory
            .spaces()
            .map(|s| s.id)
            .filter(|s| self.directory.carries(&self.me, s) && self.directory.carries(peer, s))
            .collect()
    }

    /// How urgent a space's entries are.
    pub(super) fn lane_of(&self, space: &SpaceId) -> Lane {
        match self.directory.space(space).map(|s| s.template) {
            Some(Template::FEDERATION) => Lane::POSTS,
            _ => Lane::RECORDS,
        }
    }

    /// The lane of a log is its space's, whatever its entries say: batches of one log must not
    /// overtake each other.
    pub(super) fn lane_of_log(&self, log: &LogId) -> Lane {
        self.logs.get(log).map_or(Lane::BLOBS, |state| self.lane_of(&state.space))
    }

    /// The links entries may move over, in order.
    pub(super) fn live_links(&self) -> Vec<LinkId> {
        self.sessions.values().filter(|s| s.is_live()).map(|s| s.link).collect()
    }
}
