//! The logs we hold: how far, how far durably, and what that comes to.

use super::engine::{Declined, Engine};
use super::input::{LinkId, Ticket};
use super::output::{Item, Notice, Output};
use super::peer::Held;
use crate::id::{LogId, NodeId, SpaceId};
use crate::limits::{LOGS_PER_SPACE_MAX, REFUSED_PER_PEER_MAX};
use crate::log::{LogDigest, Position, Proof, Run, RunError, Tip};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A log as the disk holds it, for [`Engine::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    pub log: LogId,
    pub space: SpaceId,
    pub author: NodeId,
    pub tip: Tip,
    /// That its author signed another history of it, if that is proven.
    pub fork: Option<Arc<Proof>>,
}

#[derive(Debug, Clone)]
pub(super) struct LogState {
    pub(super) space: SpaceId,
    pub(super) author: NodeId,
    /// Verified up to here; the part after `durable` is on its way to the disk.
    pub(super) received: Tip,
    pub(super) durable: Tip,
    /// The proof that its author signed another history, of the fork furthest back.
    pub(super) fork: Option<Arc<Proof>>,
    /// Where that fork is, once the proof is durable.
    mark: Option<u64>,
    /// From here on another branch stands, which is not here yet.
    pub(super) losing: Option<u64>,
    /// A run is being held against the disk, or takes the place of what is there.
    pub(super) comparing: Option<Ticket>,
}

/// A run between [`Output::Persist`] and its answer.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    log: LogId,
    run: Run,
    bytes: usize,
    tip: Tip,
    from: LinkId,
    /// It takes the place of what was held from its first entry on.
    instead: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Logs {
    table: BTreeMap<LogId, LogState>,
    digests: BTreeMap<SpaceId, LogDigest>,
    by_space: BTreeMap<SpaceId, Vec<LogId>>,
}

impl Logs {
    pub(super) fn new(stored: impl IntoIterator<Item = StoredLog>) -> Self {
        let mut logs = Self::default();
        for s in stored {
            logs.open(s.log, s.space, s.author);
            logs.set_durable(s.log, s.tip);
            if let Some(state) = logs.table.get_mut(&s.log) {
                state.received = s.tip;
                state.fork = s.fork.clone();
            }
            logs.set_mark(s.log, s.fork.map(|proof| proof.seq()));
        }
        logs
    }

    pub(super) fn get(&self, log: &LogId) -> Option<&LogState> {
        self.table.get(log)
    }

    pub(super) fn get_mut(&mut self, log: &LogId) -> Option<&mut LogState> {
        self.table.get_mut(log)
    }

    /// Where a log is durably known to be forked.
    pub(super) fn mark(&self, log: &LogId) -> Option<u64> {
        self.table.get(log).and_then(|state| state.mark)
    }

    pub(super) fn set_mark(&mut self, log: LogId, seq: Option<u64>) {
        if let Some(state) = self.table.get_mut(&log) {
            let digest = self.digests.entry(state.space).or_default();
            digest.fork(state.space, log, state.mark, seq);
            state.mark = seq;
        }
    }

    /// What we tell of a log.
    pub(super) fn position(&self, log: &LogId) -> Position {
        Position { fork: self.mark(log), ..self.durable(log).position(*log) }
    }

    pub(super) fn stop_comparing(&mut self) {
        for state in self.table.values_mut() {
            state.comparing = None;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LogId, &LogState)> {
        self.table.iter().map(|(log, state)| (*log, state))
    }

    /// Logs of a space, in the order they were opened here.
    pub(super) fn of_space(&self, space: &SpaceId) -> &[LogId] {
        self.by_space.get(space).map_or(&[], Vec::as_slice)
    }

    pub(super) fn digest(&self, space: &SpaceId) -> LogDigest {
        self.digests.get(space).copied().unwrap_or_default()
    }

    /// Verified up to; the start of the log where we hold nothing.
    pub(super) fn received(&self, log: &LogId) -> Tip {
        self.table.get(log).map_or(Tip::start(*log), |s| s.received)
    }

    pub(super) fn durable(&self, log: &LogId) -> Tip {
        self.table.get(log).map_or(Tip::start(*log), |s| s.durable)
    }

    fn open(&mut self, log: LogId, space: SpaceId, author: NodeId) {
        let start = Tip::start(log);
        self.table.entry(log).or_insert_with(|| {
            self.by_space.entry(space).or_default().push(log);
            LogState {
                space,
                author,
                received: start,
                durable: start,
                fork: None,
                mark: None,
                losing: None,
                comparing: None,
            }
        });
    }

    fn set_durable(&mut self, log: LogId, tip: Tip) {
        if let Some(state) = self.table.get_mut(&log) {
            let digest = self.digests.entry(state.space).or_default();
            digest.advance(state.space, log, &state.durable, &tip);
            state.durable = tip;
        }
    }

    fn forget_unpersisted(&mut self) {
        for state in self.table.values_mut() {
            state.received = state.durable;
        }
    }
}

/// How often the wait after a refusal doubles.
const STORAGE_DOUBLINGS: u32 = 2;

/// Why a run has no place here.
#[derive(Debug)]
enum Misplaced {
    /// A later part of a log whose opening we have not seen.
    Unknown,
    Refused(String),
}

impl Engine {
    /// A batch arrived: verify it, have it stored, and note what it says of the sender.
    pub(super) fn batch(&mut self, link: LinkId, run: Run) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        if self.mends_with(link, &run) {
            return;
        }
        let log = run.log();
        // Said of a log by one who need not have it: what is refused for it must not stick to the log.
        if run.opening().is_some_and(|opening| opening.log() != log) {
            return self.violation(link, log, &RunError::OpeningInvalid);
        }
        let (space, author) = match self.place(&run) {
            Ok(place) => place,
            Err(Misplaced::Unknown) => return self.came_early(link, &run),
            Err(Misplaced::Refused(reason)) => {
                self.came_early(link, &run);
                return self.refuse(link, log, reason);
            }
        };
        let held = self.logs.received(&log);
        match run.verify(&author, &held) {
            // While we look for where two histories part, what we seem to hold is looked at, too.
            Ok(verified) if verified.fresh == 0 && self.is_searched(link, &log) => {
                if run.is_signed_by(&author) {
                    self.compare(link, run);
                }
            }
            Ok(verified) if verified.fresh == 0 => self.duplicate(link, log),
            Ok(verified) => {
                // It goes on from our tip: no other history.
                if let Some(session) = self.sessions.get_mut(&link) {
                    session.parted.remove(&log);
                }
                let opened = self.logs.get(&log).is_none();
                self.logs.open(log, space, author);
                let fresh = run.starting_at(held.seq + 1).unwrap_or(run);
                self.hear(peer, space, log, &verified.tip);
                self.accept(link, space, fresh, verified.tip);
                if opened {
                    self.place_early();
                }
            }
            // It pushed past what we have: now we know whom to ask for the rest.
            Err(RunError::Detached) => {
                let to = Held { seq: run.last(), body_bytes: 0 };
                self.heard_of(peer, space, log, to);
            }
            Err(RunError::Fork(_)) => self.compare(link, run),
            Err(error) => self.violation(link, log, &error),
        }
    }

    fn violation(&mut self, link: LinkId, log: LogId, error: &RunError) {
        let reason = format!("batch of log {}: {error}", log.short());
        self.close(link, super::Close::Violation, reason);
    }

    /// The space and author of a run: of a log we hold, or as its opening says, if the directory
    /// agrees that both are ours to know.
    fn place(&self, run: &Run) -> Result<(SpaceId, NodeId), Misplaced> {
        let refused = |reason: &str| Err(Misplaced::Refused(reason.into()));
        if let Some(state) = self.logs.get(&run.log()) {
            return Ok((state.space, state.author));
        }
        let Some(opening) = run.opening() else {
            let space = self.wanted.get(&run.log()).map(|w| w.space);
            // Detached, as a later batch of a log whose beginning was refused is.
            return space.map(|space| (space, NodeId([0; 32]))).ok_or(Misplaced::Unknown);
        };
        if self.directory.node(&opening.node).is_none() {
            return refused("its author is not in this node's directory yet");
        }
        if !self.directory.carries(&self.me, &opening.space) {
            return refused("this node does not carry its space");
        }
        if self.logs.of_space(&opening.space).len() >= LOGS_PER_SPACE_MAX {
            return refused("its space has as many logs as a space may have");
        }
        Ok((opening.space, opening.node))
    }

    /// A push may overtake the run before it, or the statement that makes its space ours: remember
    /// that the peer has it.
    fn came_early(&mut self, link: LinkId, run: &Run) {
        let space = run.opening().filter(|o| o.log() == run.log()).map(|o| o.space);
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let log = run.log();
        if session.early.len() < LOGS_PER_SPACE_MAX || session.early.contains_key(&log) {
            let early = session.early.entry(log).or_insert((space, 0));
            *early = (early.0.or(space), early.1.max(run.last()));
        }
    }

    /// What came too early is wanted once it has its place.
    pub(super) fn place_early(&mut self) {
        let mut placed = Vec::new();
        for session in self.sessions.values_mut() {
            session.early.retain(|log, (said, seq)| {
                let space = self.logs.get(log).map(|state| state.space).or(*said);
                let ours = space.filter(|space| self.directory.carries(&self.me, space));
                placed.extend(ours.map(|space| (session.peer, space, *log, *seq)));
                ours.is_none()
            });
        }
        for (peer, space, log, seq) in placed {
            self.heard_of(peer, space, log, Held { seq, body_bytes: 0 });
        }
    }

    fn refuse(&mut self, link: LinkId, log: LogId, reason: String) {
        let Some(session) = self.sessions.get(&link) else { return };
        let peer = session.peer;
        self.withdraw_ask(&log);
        self.peers.entry(peer).or_default().refusals.batches += 1;
        if let Some(before) = self.refused.get_mut(&log) {
            before.why = reason;
            return;
        }
        // What is not remembered is refused again should it come again; counted it is each time.
        if self.refused.values().filter(|r| r.peer == peer).count() < REFUSED_PER_PEER_MAX {
            self.refused.insert(log, Declined { peer, why: reason.clone() });
            self.notice(Notice::Refused { peer, log, reason });
        } else {
            // Nor asked for again until somebody says anew that it has it.
            self.wanted.remove(&log);
        }
    }

    fn accept(&mut self, link: LinkId, space: SpaceId, run: Run, tip: Tip) {
        let bytes = run.as_bytes().len();
        let ticket = self.carry(link, run.clone(), bytes, tip, false);
        if planted!(SentBeforeStored) {
            self.grew(run.log(), &run, Some(link));
        }
        self.output(Output::Persist { ticket, item: Item::Run { space, run, tip } });
    }

    /// So many bytes are on their way to the disk, `run` the last of them: at the end of its log, or
    /// instead of what is there.
    pub(super) fn carry(
        &mut self,
        link: LinkId,
        run: Run,
        bytes: usize,
        tip: Tip,
        instead: bool,
    ) -> Ticket {
        let log = run.log();
        if let Some(state) = self.logs.table.get_mut(&log) {
            state.received = tip;
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.unpersisted_bytes += bytes;
        let in_flight = InFlight { log, run, bytes, tip, from: link, instead };
        self.in_flight.insert(ticket, in_flight);
        self.progressed(link, log, tip.seq);
        ticket
    }

    pub(super) fn persisted(&mut self, ticket: Ticket) {
        if let Some(Item::Proof { proof }) = self.directory_in_flight.remove(&ticket) {
            self.proof_kept(&proof);
        }
        self.storage_refusals = 0;
        let Some(done) = self.in_flight.remove(&ticket) else { return };
        self.unpersisted_bytes -= done.bytes;
        let early = planted!(StoredTooSoon);
        let tip = if early { self.logs.received(&done.log) } else { done.tip };
        self.logs.set_durable(done.log, tip);
        if done.instead {
            self.went_over(done.log);
        }
        self.states_changed();
        self.grew(done.log, &done.run, Some(done.from));
        if self.logs.get(&done.log).is_some_and(|s| s.author == self.me) {
            self.output(Output::OwnLogAhead { log: done.log, seq: done.tip.seq });
        }
    }

    /// Entries not yet durable are forgotten and asked for again a little later. The directory goes
    /// by its statements already, so these are kept and stored then.
    pub(super) fn persist_failed(&mut self, _ticket: Ticket, reason: String) {
        let statements = std::mem::take(&mut self.directory_in_flight);
        self.directory_waiting.splice(0..0, statements.into_values());
        self.in_flight.clear();
        self.unpersisted_bytes = 0;
        if !planted!(RefusalForgotten) {
            self.logs.forget_unpersisted();
        }
        self.search_again();
        // A disk that goes on refusing is asked less and less: each time costs peers what they send.
        let wait = self.settings.storage_retry_ms << self.storage_refusals.min(STORAGE_DOUBLINGS);
        self.storage_refusals += 1;
        self.storage_retry_at = Some(self.now + wait);
        self.want_everything();
        self.notice(Notice::StorageFailed { reason });
    }

    pub(super) fn retry_storage(&mut self) {
        if self.storage_retry_at.is_some_and(|at| at <= self.now && !planted!(NoRetry)) {
            self.storage_retry_at = None;
            self.persist_waiting();
        }
    }

    /// A local write: durable already.
    pub(super) fn appended(&mut self, run: Run, tip: Tip) {
        let log = run.log();
        if let Some(opening) = run.opening() {
            self.logs.open(log, opening.space, opening.node);
        }
        let gives_way = self.in_flight.values().any(|other| other.instead && other.log == log);
        if let Some(state) = self.logs.table.get_mut(&log)
            && !gives_way
        {
            state.received = tip;
        }
        self.logs.set_durable(log, tip);
        self.states_changed();
        self.grew(log, &run, None);
    }
}
