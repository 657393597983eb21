//! Whether equal entries made equal records: readers tell each other what theirs come to.
//!
//! Two readers of a space who hold the same entries, under the same directory, by the same rules, and
//! have made records of all of them, hold the same records. Where they do not, one of them has met
//! damage or a bug. Neither can tell which, so each makes the space's records again from the logs, once:
//! at once if nobody agrees with it, a while later if somebody does and the other has not come round by
//! then. If they differ still, that stays an alarm.
//!
//! The sums are told in Hello, so that nodes which have nothing else to say to each other notice too,
//! and afterwards seldom.

use super::engine::Engine;
use super::input::{LinkId, SpaceState};
use super::output::{Notice, Output};
use super::session::Session;
use crate::id::{Hash, HashPrefix, NodeId, SpaceId};
use crate::log::{LogDigest, StateDigest};
use crate::record::RULES;
use crate::wire::{Message, SpaceSum, State, StateSum};
use std::collections::{BTreeMap, BTreeSet};

/// How long unfinished answers make us wait at most before we ask again.
const PATIENCE_MS: u64 = 60_000;

/// What we know of our own records, and do about them.
#[derive(Debug, Clone, Default)]
pub(super) struct States {
    known: BTreeMap<SpaceId, SpaceState>,
    /// [`Output::ReadStates`] is out.
    asked: bool,
    /// When to ask again.
    ask_at: Option<u64>,
    /// The wait after an answer that did not say everything.
    patience_ms: u64,
    /// Spaces whose records are being made again,
    rebuilding: BTreeSet<SpaceId>,
    /// or are to be then, as somebody agrees with us;
    rebuild_at: BTreeMap<SpaceId, u64>,
    /// when that was last begun,
    rebuilt_at: BTreeMap<SpaceId, u64>,
    /// and what came out of it, at which entries.
    rebuilt: BTreeMap<SpaceId, (LogDigest, StateDigest)>,
    /// Rebuilt, and not read since.
    fresh: BTreeSet<SpaceId>,
}

/// A peer's records of a space are not ours, though made of the same entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    pub peer: NodeId,
    pub space: SpaceId,
    /// When it was noticed, on the clock the driver hands in.
    pub since_ms: u64,
    /// Ours are being made again from the logs.
    pub rebuilding: bool,
    /// Ours are what the logs give, as far as this node can tell: it has made them again.
    pub confirmed: bool,
}

impl Engine {
    /// Our records may not be what they were. Asked a moment later: one answer for many changes.
    pub(super) fn states_changed(&mut self) {
        let at = self.now + self.settings.state_delay_ms;
        self.states.patience_ms = self.settings.state_delay_ms;
        self.states.ask_at = Some(self.states.ask_at.map_or(at, |due| due.min(at)));
    }

    /// When something here is due.
    pub(super) fn next_state_at(&self) -> Option<u64> {
        let ask = self.states.ask_at.filter(|_| !self.states.asked);
        let say = self.sessions.values().filter_map(|s| s.state_due);
        let rebuild = self.states.rebuild_at.values().copied();
        say.chain(ask).chain(rebuild).min()
    }

    /// Asks for and says what is due.
    pub(super) fn states_on_time(&mut self) {
        if !self.states.asked && self.states.ask_at.is_some_and(|at| at <= self.now) {
            self.states.ask_at = None;
            self.states.asked = true;
            self.output(Output::ReadStates);
        }
        let now = self.now;
        let due = |s: &&Session| s.state_due.is_some_and(|at| at <= now);
        let due: Vec<LinkId> = self.sessions.values().filter(due).map(|s| s.link).collect();
        for link in due {
            self.say_state(link);
        }
        let due = self.states.rebuild_at.iter().filter(|(_, at)| **at <= now);
        let due: Vec<SpaceId> = due.map(|(space, _)| *space).collect();
        for space in due {
            self.states.rebuild_at.remove(&space);
            if self.peers.values().any(|p| p.differs.contains_key(&space)) {
                self.rebuild(space);
            }
        }
    }

    /// What the records of spaces come to, of those whose entries have all been made into records.
    pub(super) fn states_read(&mut self, states: Vec<SpaceState>) {
        self.states.asked = false;
        self.states.known = states.into_iter().map(|s| (s.space, s)).collect();
        for space in std::mem::take(&mut self.states.fresh) {
            match self.state_of(&space) {
                Some(state) => {
                    self.states.rebuilt.insert(space, (self.logs.digest(&space), state));
                }
                None => drop(self.states.fresh.insert(space)),
            }
        }
        let read: Vec<SpaceId> = self.directory.spaces().map(|s| s.id).collect();
        let lacking = |s: &SpaceId| self.reads(&self.me, s) && self.state_of(s).is_none();
        if read.iter().any(lacking) {
            let wait = self.states.patience_ms.max(self.settings.state_delay_ms);
            self.states.patience_ms = (wait * 2).min(PATIENCE_MS);
            let at = self.now + wait;
            self.states.ask_at = Some(self.states.ask_at.map_or(at, |due| due.min(at)));
        }
        for link in self.live_links() {
            self.compare_states(link);
            self.plan_state(link);
        }
    }

    /// A space's records were made again; or could not be.
    pub(super) fn rebuilt(&mut self, space: SpaceId, done: bool) {
        self.states.rebuilding.remove(&space);
        self.states.known.remove(&space);
        if done {
            self.states.fresh.insert(space);
        }
        self.states.ask_at = Some(self.now);
    }

    /// Whether `node` can make records of all of a space's entries: it reads the space, and the
    /// directory has brought it every key.
    fn reads(&self, node: &NodeId, space: &SpaceId) -> bool {
        let Some(defined) = self.directory.space(space) else { return false };
        self.directory.may_read(node, space)
            && (!defined.is_sealed()
                || (1..=defined.key_epoch()).all(|n| defined.wrap(n, node).is_some()))
    }

    /// Our records of a space, if they are made of exactly what we hold now.
    fn state_of(&self, space: &SpaceId) -> Option<StateDigest> {
        let known = self.states.known.get(space).filter(|_| self.is_whole(space))?;
        (known.directory == self.directory.head() && known.log == self.logs.digest(space))
            .then_some(known.state)
    }

    fn both_read(&self, peer: &NodeId) -> Vec<SpaceId> {
        let both = |s: &SpaceId| self.reads(&self.me, s) && self.reads(peer, s);
        self.shared_spaces(peer).into_iter().filter(both).collect()
    }

    /// Our records in what we and `peer` read; `None` while they are not made of all we hold.
    pub(super) fn state_with(&self, peer: &NodeId) -> Option<StateSum> {
        let of = |space: SpaceId| Some((space, self.state_of(&space)?));
        let states: Option<Vec<_>> = self.both_read(peer).into_iter().map(of).collect();
        Some(StateSum::of(RULES, states?))
    }

    /// Has our state said, unless it has been: soon where it matters, else seldom.
    pub(super) fn plan_state(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get(&link).filter(|s| s.is_live()) else { return };
        let peer = session.peer;
        let Some(state) = self.state_with(&peer) else { return };
        let digest = self.digest_with(&peer);
        let news = session.state_said != Some((digest, state));
        // Of the same entries we said something else: it was wrong.
        let taken_back = session.state_said.is_some_and(|(said, _)| said == digest);
        let differs = self.peers.get(&peer).is_some_and(|p| !p.differs.is_empty());
        let at = if differs || taken_back { self.now } else { session.state_next_at.max(self.now) };
        if let Some(session) = self.sessions.get_mut(&link) {
            session.state_due = news.then_some(at);
        }
    }

    fn say_state(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.state_due = None;
        let peer = session.peer;
        // What has changed since is asked for already, and said then.
        let Some(state) = self.state_with(&peer) else { return };
        let digest = self.digest_with(&peer);
        self.said_state(link, digest, state);
        self.send(link, &Message::State(State { digest, state, spaces: Vec::new() }));
    }

    pub(super) fn said_state(&mut self, link: LinkId, digest: Hash, state: StateSum) {
        let next = self.now + self.settings.state_every_ms;
        if let Some(session) = self.sessions.get_mut(&link) {
            session.state_said = Some((digest, state));
            session.state_next_at = next;
            session.state_due = None;
        }
    }

    /// A peer says what its records come to.
    pub(super) fn state_told(&mut self, link: LinkId, state: State) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.state_heard = Some(state);
            self.compare_states(link);
        }
    }

    /// Compares what the peer said last with what we know now, if both are of the same entries.
    pub(super) fn compare_states(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get(&link).filter(|s| s.is_live()) else { return };
        let (peer, Some(heard)) = (session.peer, session.state_heard.clone()) else { return };
        let Some(ours) = self.state_with(&peer) else { return };
        if heard.digest != self.digest_with(&peer) || heard.state.rules != ours.rules {
            return;
        }
        if heard.state == ours {
            if let Some(session) = self.sessions.get_mut(&link) {
                session.state_agreed = Some((heard.digest, ours));
            }
            let differed = std::mem::take(&mut self.peers.entry(peer).or_default().differs);
            if !differed.is_empty() {
                self.notice(Notice::StatesAgree { peer });
            }
            return;
        }
        self.name_spaces(link, heard.digest, ours);
        for told in heard.spaces {
            let Some(state) = self.state_of(&told.space) else { continue };
            if self.reads(&self.me, &told.space) && self.reads(&peer, &told.space) {
                self.compare_space(peer, told.space, prefix(state) == told.sum);
            }
        }
    }

    /// Tells the peer our sum of each space, once for each sum of all.
    fn name_spaces(&mut self, link: LinkId, digest: Hash, ours: StateSum) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.state_named == Some((digest, ours)) {
            return;
        }
        session.state_named = Some((digest, ours));
        let peer = session.peer;
        let both = self.both_read(&peer);
        let sum = |space: SpaceId| Some(SpaceSum { space, sum: prefix(self.state_of(&space)?) });
        let spaces = both.into_iter().filter_map(sum).collect();
        self.said_state(link, digest, ours);
        self.send(link, &Message::State(State { digest, state: ours, spaces }));
    }

    fn compare_space(&mut self, peer: NodeId, space: SpaceId, same: bool) {
        let now = self.now;
        let differs = &mut self.peers.entry(peer).or_default().differs;
        if same {
            differs.remove(&space);
            return;
        }
        if let std::collections::btree_map::Entry::Vacant(entry) = differs.entry(space) {
            entry.insert(now);
            self.notice(Notice::StatesDiffer { peer, space });
        }
        if self.somebody_agrees(&peer) {
            let at = now + self.settings.state_patience_ms;
            self.states.rebuild_at.entry(space).or_insert(at);
        } else {
            self.rebuild(space);
        }
    }

    /// Whether a peer but this one has told us just what we have.
    fn somebody_agrees(&self, but: &NodeId) -> bool {
        let others = self.sessions.values().filter(|s| s.is_live() && s.peer != *but);
        others.filter_map(|s| Some((s.peer, s.state_agreed?))).any(|(peer, (digest, state))| {
            digest == self.digest_with(&peer) && Some(state) == self.state_with(&peer)
        })
    }

    /// Has a space's records made again, unless they are known to be what the logs give, and not again
    /// for a while: a peer that is wrong, or lies, must not keep us at it.
    fn rebuild(&mut self, space: SpaceId) {
        if self.confirmed(&space) || self.states.rebuilding.contains(&space) {
            return;
        }
        let every = self.settings.state_rebuild_ms;
        if self.states.rebuilt_at.get(&space).is_some_and(|at| at + every > self.now) {
            return;
        }
        self.states.rebuilding.insert(space);
        self.states.rebuilt_at.insert(space, self.now);
        self.output(Output::Rebuild { space });
    }

    /// Our records of a space are what came of making them again from the entries we hold.
    fn confirmed(&self, space: &SpaceId) -> bool {
        let Some(state) = self.state_of(space) else { return false };
        self.states.rebuilt.get(space) == Some(&(self.logs.digest(space), state))
    }

    pub(super) fn differences(&self) -> Vec<Difference> {
        let of = |(peer, known): (&NodeId, &super::peer::Peer)| {
            let peer = *peer;
            let differs = known.differs.iter().map(|(space, since)| (*space, *since));
            differs.map(move |(space, since_ms)| (peer, space, since_ms)).collect::<Vec<_>>()
        };
        let all = self.peers.iter().flat_map(of);
        all.map(|(peer, space, since_ms)| Difference {
            peer,
            space,
            since_ms,
            rebuilding: self.states.rebuilding.contains(&space),
            confirmed: self.states.rebuilt.contains_key(&space),
        })
        .collect()
    }
}

fn prefix(state: StateDigest) -> HashPrefix {
    state.0.to_hash().prefix()
}
