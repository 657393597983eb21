//! Entries held once that the disk no longer gives back: fetched again, and put in their place.
//!
//! The log's end stays known and claimed: what was damaged is asked for like any range, from whoever has
//! it, and takes the place of what cannot be read. Until then it is declined to others, and the space's
//! records are not compared. What no peer has stays listed, for a person.

use super::engine::Engine;
use super::input::{LinkId, Mended};
use super::output::{Close, Output};
use crate::id::{LogId, NodeId, SpaceId};
use crate::limits::OPEN_WANTS_PER_PEER_MAX;
use crate::log::Run;
use crate::wire::{Message, Range, Want};
use std::collections::BTreeMap;

/// A peer that could not help is asked again after so long.
const AVOID_MS: u64 = 600_000;
/// Ranges asked for at a time, of all peers together.
const ASKS_MAX: usize = OPEN_WANTS_PER_PEER_MAX;

/// A range that cannot be read here; its first seq is its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Mend {
    to: u64,
    ask: Option<(LinkId, u64)>,
    /// Peers that could not help, and until when they are not asked.
    avoid: BTreeMap<NodeId, u64>,
}

/// What is to be fetched again, and what of it is on its way to the disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Mends {
    wanted: BTreeMap<(LogId, u64), Mend>,
    /// First seq, last seq, bytes, and who sent it.
    stored: BTreeMap<(LogId, u64), (u64, usize, NodeId)>,
}

/// Entries of a log that cannot be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRange {
    pub log: LogId,
    pub space: SpaceId,
    pub author: NodeId,
    pub from: u64,
    pub to: u64,
    /// Somebody is sending them.
    pub coming: bool,
    /// Linked peers that say they have them, and have not failed to bring them.
    pub holders: usize,
}

impl Engine {
    /// The ranges of a log that cannot be read, all of them, as the disk was last looked at.
    pub(super) fn damaged(&mut self, log: LogId, ranges: &[(u64, u64)]) {
        let Some(tip) = self.logs.get(&log).map(|state| state.durable.seq) else { return };
        let mut before: BTreeMap<u64, Mend> = BTreeMap::new();
        let keys: Vec<_> =
            self.mends.wanted.range((log, 0)..=(log, u64::MAX)).map(|(key, _)| *key).collect();
        for key in keys {
            before.extend(self.mends.wanted.remove(&key).map(|mend| (key.1, mend)));
        }
        for (from, to) in ranges.iter().filter(|(from, to)| (1..=*to).contains(from) && *to <= tip)
        {
            let known = before.remove(from).filter(|mend| mend.to == *to);
            let mend = known.unwrap_or(Mend { to: *to, ..Mend::default() });
            self.mends.wanted.insert((log, *from), mend);
        }
        self.states_changed();
    }

    /// Whether all entries of a space can be read, as far as is known.
    pub(super) fn is_whole(&self, space: &SpaceId) -> bool {
        let of = |log: &LogId| self.logs.get(log).is_some_and(|state| state.space == *space);
        let mut damaged = self.mends.wanted.keys().chain(self.mends.stored.keys());
        !damaged.any(|(log, _)| of(log))
    }

    /// Asks for what nobody is sending yet.
    pub(super) fn mend(&mut self) {
        if self.mends.wanted.is_empty()
            || self.storage_retry_at.is_some()
            || !self.accepts_batches()
        {
            return;
        }
        let (now, stall) = (self.now, self.settings.stall_ms);
        for mend in self.mends.wanted.values_mut() {
            mend.avoid.retain(|_, until| *until > now);
            if let Some((link, _)) = mend.ask.take_if(|(_, at)| *at + stall <= now)
                && let Some(session) = self.sessions.get(&link)
            {
                // It was busy, or the line is: it may have them all the same.
                mend.avoid.insert(session.peer, now + stall);
            }
        }
        let mut open = self.mends.wanted.values().filter(|mend| mend.ask.is_some()).count();
        let idle = self.mends.wanted.iter().filter(|(_, mend)| mend.ask.is_none());
        let idle: Vec<_> = idle.map(|(key, mend)| (*key, mend.to)).collect();
        for ((log, from), to) in idle {
            if open == ASKS_MAX {
                return;
            }
            let Some(link) = self.mender(log, from) else { continue };
            if let Some(mend) = self.mends.wanted.get_mut(&(log, from)) {
                mend.ask = Some((link, now));
            }
            open += 1;
            self.send(link, &Message::Want(Want { ranges: vec![Range { log, from, to }] }));
        }
    }

    /// A peer that holds `log` at `from`, and that we ask for nothing else of it: one range of a log is
    /// served at a time.
    fn mender(&self, log: LogId, from: u64) -> Option<LinkId> {
        let space = self.logs.get(&log)?.space;
        let mend = self.mends.wanted.get(&(log, from))?;
        let serves = |link| !self.is_asked(link, &log) && !self.is_mending(link, &log);
        let mut sessions = self.sessions.values().filter(|s| s.is_live());
        let found = sessions.find(|s| {
            !mend.avoid.contains_key(&s.peer)
                && self.peers[&s.peer].held(&space, &log).seq >= from
                && serves(s.link)
        });
        found.map(|s| s.link)
    }

    /// Whether we wait for a damaged range of `log` from this link.
    pub(super) fn is_mending(&self, link: LinkId, log: &LogId) -> bool {
        let mut of_log = self.mends.wanted.range((*log, 0)..=(*log, u64::MAX));
        of_log.any(|(_, mend)| mend.ask.is_some_and(|(asked, _)| asked == link))
    }

    /// When what was asked for has stalled, or a peer may be asked again.
    pub(super) fn next_mend_at(&self) -> Option<u64> {
        if self.storage_retry_at.is_some() || !self.accepts_batches() {
            return None;
        }
        let at = |mend: &Mend| match mend.ask {
            Some((_, at)) => Some(at + self.settings.stall_ms),
            None => mend.avoid.values().filter(|until| **until > self.now).min().copied(),
        };
        self.mends.wanted.values().filter_map(at).min()
    }

    /// A batch that was asked for to mend something. Returns whether it was one.
    pub(super) fn mends_with(&mut self, link: LinkId, run: &Run) -> bool {
        let (log, from) = (run.log(), run.first());
        let asked = |mend: &&mut Mend| mend.ask.is_some_and(|(asked, _)| asked == link);
        let Some(mend) = self.mends.wanted.get_mut(&(log, from)).filter(asked) else {
            return false;
        };
        let Some(state) = self.logs.get(&log) else { return false };
        let (author, tip) = (state.author, state.durable.seq);
        // It goes on past our end, too: that comes by the usual way, and this is asked for again then.
        if run.last() > tip {
            mend.ask = None;
            return false;
        }
        if let Err(error) = run.verify_alone(&author) {
            let reason = format!("batch of log {}: {error}", log.short());
            self.close(link, Close::Violation, reason);
            return true;
        }
        let Some(mut mend) = self.mends.wanted.remove(&(log, from)) else { return false };
        if run.last() < mend.to {
            mend.ask = Some((link, self.now));
            self.mends.wanted.insert((log, run.last() + 1), mend);
        }
        // A peer's runs may be longer than what was asked for, and bring other ranges with them.
        let within = (log, run.first())..=(log, run.last());
        let brought = self.mends.wanted.range(within).filter(|(_, m)| m.to <= run.last());
        for key in brought.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.mends.wanted.remove(&key);
        }
        let bytes = run.as_bytes().len();
        let peer = self.sessions.get(&link).map_or(NodeId([0; 32]), |session| session.peer);
        self.unpersisted_bytes += bytes;
        self.mends.stored.insert((log, from), (run.last(), bytes, peer));
        self.output(Output::Mend { run: run.clone() });
        true
    }

    /// What became of a run that was to take a damaged one's place.
    pub(super) fn mended(&mut self, log: LogId, from: u64, outcome: Mended) {
        let Some((to, bytes, peer)) = self.mends.stored.remove(&(log, from)) else { return };
        self.unpersisted_bytes = self.unpersisted_bytes.saturating_sub(bytes);
        match outcome {
            Mended::Done => self.states_changed(),
            // A peer with another history, or a disk that fails: later, from others first.
            Mended::Misfit | Mended::Failed => {
                let avoid = BTreeMap::from([(peer, self.now + AVOID_MS)]);
                self.mends.wanted.insert((log, from), Mend { to, ask: None, avoid });
            }
        }
    }

    /// The peer cannot help with it.
    pub(super) fn mend_declined(&mut self, link: LinkId, log: LogId) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        let until = self.now + AVOID_MS;
        for (_, mend) in self.mends.wanted.range_mut((log, 0)..=(log, u64::MAX)) {
            if mend.ask.take_if(|(asked, _)| *asked == link).is_some() {
                mend.avoid.insert(peer, until);
            }
        }
    }

    pub(super) fn withdraw_mends_of(&mut self, link: LinkId) {
        for mend in self.mends.wanted.values_mut() {
            mend.ask.take_if(|(asked, _)| *asked == link);
        }
    }

    pub(super) fn damaged_ranges(&self) -> Vec<DamagedRange> {
        let range = |log: LogId, from, to, mend: Option<&Mend>| {
            let state = self.logs.get(&log)?;
            let (space, author) = (state.space, state.author);
            let coming = mend.is_none_or(|mend| mend.ask.is_some());
            let holds = |s: &&super::session::Session| {
                s.is_live()
                    && self.peers[&s.peer].held(&space, &log).seq >= from
                    && mend.is_none_or(|mend| !mend.avoid.contains_key(&s.peer))
            };
            let holders = self.sessions.values().filter(holds).count();
            Some(DamagedRange { log, space, author, from, to, coming, holders })
        };
        let wanted = self.mends.wanted.iter();
        let wanted = wanted.filter_map(|((log, from), m)| range(*log, *from, m.to, Some(m)));
        let stored = self.mends.stored.iter();
        let stored = stored.filter_map(|((log, from), (to, ..))| range(*log, *from, *to, None));
        wanted.chain(stored).collect()
    }
}
