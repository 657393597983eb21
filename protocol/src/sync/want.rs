//! Pulling: which range from which peer, and serving the ranges peers ask of us.

use super::engine::Engine;
use super::input::{LinkId, Loaded};
use super::output::Output;
use super::peer::Held;
use super::session::Serving;
use crate::id::{LogId, NodeId, SpaceId};
use crate::limits::{
    LOGS_PER_SPACE_MAX, OPEN_WANTS_PER_PEER_MAX, OUTBOX_BYTES_MAX, WANT_ENTRIES_MAX, WANTS_MAX,
};
use crate::log::{Lane, Position, Tip};
use crate::wire::{Decline, DeclineReason, Have, Message, Range, Want};
use std::collections::BTreeMap;

/// Bytes read from disk for one batch: long enough to compress and verify well, short enough that an
/// urgent lane does not wait behind it.
const SERVE_BYTES: usize = 512 << 10;

/// A log some peer has more of.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) space: SpaceId,
    /// When we first heard of what we now lack.
    heard_at: u64,
    ask: Option<Ask>,
}

/// A range asked of one peer.
#[derive(Debug, Clone, Copy)]
struct Ask {
    link: LinkId,
    to: u64,
    moved_at: u64,
}

impl Engine {
    /// A peer holds what it says; what we lack of it is wanted.
    pub(super) fn have(&mut self, link: LinkId, have: Have) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        for told in have.spaces {
            let shared = self.directory.carries(&self.me, &told.space)
                && self.directory.carries(&peer, &told.space);
            if !shared {
                continue;
            }
            if told.whole {
                let known = self.peers.entry(peer).or_default();
                known.holds_exactly(told.space, &[]);
            }
            for position in &told.positions {
                self.position(link, peer, told.space, position);
            }
            if told.whole {
                self.forget_wants(&told.space);
            }
        }
    }

    /// Drops wants of logs nobody says he holds any more: a peer that lists other logs each time must not
    /// make them grow.
    fn forget_wants(&mut self, space: &SpaceId) {
        let gone = |log: &LogId, w: &Wanted| {
            w.space == *space
                && !self
                    .peers
                    .values()
                    .any(|p| p.held(space, log).seq > self.logs.received(log).seq)
        };
        let gone: Vec<LogId> =
            self.wanted.iter().filter(|(log, w)| gone(log, w)).map(|(log, _)| *log).collect();
        for log in gone {
            self.withdraw_ask(&log);
            self.wanted.remove(&log);
        }
    }

    fn position(&mut self, link: LinkId, peer: NodeId, space: SpaceId, position: &Position) {
        let held = Held { seq: position.seq, body_bytes: position.body_bytes };
        // Where an author has signed two histories a peer may go over to a shorter one.
        if self.logs.get(&position.log).is_some_and(|state| state.fork.is_some()) {
            self.peers.entry(peer).or_default().goes_back(space, position.log, held);
        }
        self.heard_of(peer, space, position.log, held);
        self.position_of_fork(link, space, position);
    }

    /// A log gave way to a shorter branch: peers may have more of it now.
    pub(super) fn want_log(&mut self, space: SpaceId, log: LogId) {
        let held = self.peers.values().map(|p| p.held(&space, &log).seq).max().unwrap_or(0);
        if held > self.logs.received(&log).seq {
            let heard_at = self.now;
            self.wanted.entry(log).or_insert(Wanted { space, heard_at, ask: None });
        }
    }

    /// `peer` holds `log` up to `held`: remember it, and want what we lack.
    pub(super) fn heard_of(&mut self, peer: NodeId, space: SpaceId, log: LogId, held: Held) {
        let known = self.peers.entry(peer).or_default();
        if known.logs_known(&space) >= LOGS_PER_SPACE_MAX && known.held(&space, &log).seq == 0 {
            return;
        }
        if known.hears(space, log, held) && self.logs.get(&log).is_some() {
            self.output(Output::Acknowledged { peer, log, seq: held.seq });
        }
        if held.seq > self.logs.received(&log).seq {
            let heard_at = self.now;
            self.wanted.entry(log).or_insert(Wanted { space, heard_at, ask: None });
        }
    }

    pub(super) fn hear(&mut self, peer: NodeId, space: SpaceId, log: LogId, tip: &Tip) {
        self.heard_of(peer, space, log, Held { seq: tip.seq, body_bytes: tip.body_bytes });
    }

    /// Looks through all peers' positions again: after a loss, or when the directory grew.
    pub(super) fn want_everything(&mut self) {
        self.wanted.clear();
        for session in self.sessions.values_mut() {
            session.open_wants = 0;
        }
        let mut lacking = Vec::new();
        for space in self.directory.spaces() {
            for peer in self.peers.values() {
                lacking.extend(peer.held_in(&space.id).map(|(log, held)| (space.id, log, held)));
            }
        }
        for (space, log, held) in lacking {
            if held.seq > self.logs.received(&log).seq {
                let wanted = Wanted { space, heard_at: self.now, ask: None };
                self.wanted.entry(log).or_insert(wanted);
            }
        }
    }

    /// A range moved, to `seq`. Closes the ask when it is complete, the want when nobody has more.
    pub(super) fn progressed(&mut self, link: LinkId, log: LogId, seq: u64) {
        let Some(wanted) = self.wanted.get_mut(&log) else { return };
        let space = wanted.space;
        match &mut wanted.ask {
            Some(ask) if seq >= ask.to => self.withdraw_ask(&log),
            Some(ask) if ask.link == link => ask.moved_at = self.now,
            _ => {}
        }
        if !self.peers.values().any(|p| p.held(&space, &log).seq > seq) {
            self.withdraw_ask(&log);
            self.wanted.remove(&log);
        }
    }

    pub(super) fn withdraw_ask(&mut self, log: &LogId) {
        if let Some(ask) = self.wanted.get_mut(log).and_then(|w| w.ask.take())
            && let Some(session) = self.sessions.get_mut(&ask.link)
        {
            session.open_wants = session.open_wants.saturating_sub(1);
        }
    }

    /// Whether we wait for a range of `log` from this link.
    pub(super) fn is_asked(&self, link: LinkId, log: &LogId) -> bool {
        self.wanted.get(log).and_then(|w| w.ask).is_some_and(|ask| ask.link == link)
    }

    /// The link is gone: what was asked over it is asked of others.
    pub(super) fn withdraw_asks_of(&mut self, link: LinkId) {
        for wanted in self.wanted.values_mut() {
            if wanted.ask.is_some_and(|ask| ask.link == link) {
                wanted.ask = None;
            }
        }
    }

    /// Gives every wanted range that nobody is fetching to the least busy peer that has it.
    pub(super) fn ask(&mut self) {
        if self.wanted.is_empty() || self.storage_retry_at.is_some() || !self.accepts_batches() {
            return;
        }
        self.move_stalled();
        let mut logs: Vec<(Lane, LogId)> = self
            .wanted
            .iter()
            .filter(|(log, w)| w.ask.is_none() && !self.refused.contains_key(*log))
            .map(|(log, w)| (self.lane_of(&w.space), *log))
            .collect();
        logs.sort_unstable();
        let mut asks: BTreeMap<LinkId, Vec<Range>> = BTreeMap::new();
        for (_, log) in logs {
            if let Some((link, range)) = self.choose(log) {
                asks.entry(link).or_default().push(range);
            }
        }
        for (link, ranges) in asks {
            for chunk in ranges.chunks(WANTS_MAX) {
                self.send(link, &Message::Want(Want { ranges: chunk.to_vec() }));
            }
        }
    }

    fn choose(&mut self, log: LogId) -> Option<(LinkId, Range)> {
        let wanted = self.wanted.get(&log)?;
        if self.lazy_until(&log, wanted).is_some_and(|at| at > self.now) {
            return None;
        }
        let from = self.logs.received(&log).seq + 1;
        let (_, link, has) = self
            .sessions
            .values()
            .filter(|s| s.is_live() && s.open_wants < OPEN_WANTS_PER_PEER_MAX)
            .filter(|s| !s.parted.contains_key(&log))
            .filter(|s| s.avoid.get(&log).is_none_or(|until| *until <= self.now))
            // A second range would take the first one's place there.
            .filter(|s| !self.is_mending(s.link, &log))
            .map(|s| (s.open_wants, s.link, self.peers[&s.peer].held(&wanted.space, &log).seq))
            .filter(|(_, _, has)| *has >= from)
            .min_by_key(|(open, link, has)| (*open, std::cmp::Reverse(*has), *link))?;
        let to = has.min(from.saturating_add(WANT_ENTRIES_MAX - 1));
        let ask = Ask { link, to, moved_at: self.now };
        self.wanted.get_mut(&log)?.ask = Some(ask);
        self.sessions.get_mut(&link)?.open_wants += 1;
        Some((link, Range { log, from, to }))
    }

    /// Others announced what the author, linked to us, is about to push: give it a moment.
    fn lazy_until(&self, log: &LogId, wanted: &Wanted) -> Option<u64> {
        let state = self.logs.get(log)?;
        let author = self.peers.get(&state.author)?;
        let session = self.sessions.get(&author.link?)?;
        let author_has = author.held(&wanted.space, log).seq;
        (session.is_live() && author_has <= state.received.seq)
            .then_some(wanted.heard_at + self.settings.lazy_wait_ms)
    }

    fn move_stalled(&mut self) {
        let (now, stall) = (self.now, self.settings.stall_ms);
        let stalled: Vec<(LogId, LinkId)> = self
            .wanted
            .iter()
            .filter_map(|(log, w)| w.ask.map(|ask| (*log, ask)))
            .filter(|(_, ask)| ask.moved_at + stall <= now && !planted!(NeverMoves))
            .map(|(log, ask)| (log, ask.link))
            .collect();
        for (log, link) in stalled {
            self.withdraw_ask(&log);
            self.avoid(link, log, format!("was asked for log {} and stalled", log.short()));
        }
    }

    pub(super) fn avoid(&mut self, link: LinkId, log: LogId, why: String) {
        let until = self.now + self.settings.stall_ms;
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&link) {
            if session.avoid.len() >= LOGS_PER_SPACE_MAX {
                session.avoid.retain(|_, until| *until > now);
            }
            session.avoid.insert(log, until);
            self.peers.entry(session.peer).or_default().why = Some(why);
        }
    }

    /// When the wants need looking at again without anything arriving.
    pub(super) fn next_want_at(&self) -> Option<u64> {
        // Nobody is asked meanwhile, see `ask`; the disk's answer is what ends it.
        if self.storage_retry_at.is_some() || !self.accepts_batches() {
            return None;
        }
        let now = self.now;
        let asks = self.wanted.iter().filter_map(|(log, w)| match w.ask {
            Some(ask) => Some(ask.moved_at + self.settings.stall_ms),
            None => self.lazy_until(log, w).filter(|at| *at > now),
        });
        let avoided = self
            .sessions
            .values()
            .flat_map(|s| s.avoid.iter())
            .filter(|(log, until)| self.wanted.contains_key(*log) && **until > now)
            .map(|(_, until)| *until);
        asks.chain(avoided).min()
    }

    pub(super) fn declined(&mut self, link: LinkId, decline: Decline) {
        self.end_search(link, decline.log, decline.reason.as_str());
        self.mend_declined(link, decline.log);
        let asked = self.wanted.get(&decline.log).and_then(|w| w.ask);
        if asked.is_some_and(|ask| ask.link == link) {
            self.withdraw_ask(&decline.log);
            let why = format!("log {}: {}", decline.log.short(), decline.reason.as_str());
            self.avoid(link, decline.log, why);
        }
    }

    // Serving.

    pub(super) fn want(&mut self, link: LinkId, want: Want) {
        for range in want.ranges {
            if let Err(reason) = self.serve(link, range) {
                let decline = Decline { log: range.log, from: range.from, reason };
                if let Some(peer) = self.sessions.get(&link).map(|s| s.peer) {
                    self.peers.entry(peer).or_default().refusals.ranges += 1;
                }
                self.send(link, &Message::Decline(decline));
            }
        }
        self.pump(link);
    }

    fn serve(&mut self, link: LinkId, range: Range) -> Result<(), DeclineReason> {
        let state = self.logs.get(&range.log).ok_or(DeclineReason::NOT_HELD)?;
        let (space, newest) = (state.space, state.durable.seq);
        let lane = self.lane_of(&space);
        let session = self.sessions.get_mut(&link).ok_or(DeclineReason::NOT_HELD)?;
        // Rights first: whoever may not have the space is not told what of it is here.
        if !self.directory.carries(&session.peer, &space) {
            return Err(DeclineReason::NOT_ENTITLED);
        }
        if newest < range.from {
            return Err(DeclineReason::NOT_HELD);
        }
        // It wants the newest of a relayed log: from here on it gets them pushed (Plumtree's graft).
        session.push.insert(range.log, true);
        let to = range.to.min(newest);
        session.pushed.insert(range.log, to);
        let next = range.from + u64::from(planted!(ServesOneLate) && range.from < to);
        session.serving.insert((lane, range.log), Serving { next, to });
        Ok(())
    }

    /// Starts the next read for a link whose outbox has room.
    pub(super) fn pump(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.loading.is_some() || session.outbox_bytes >= OUTBOX_BYTES_MAX {
            return;
        }
        let Some(((_, log), serving)) = session.serving.first_key_value() else { return };
        let (log, from) = (*log, serving.next);
        session.loading = Some(log);
        self.output(Output::Load { link, log, from, bytes_max: SERVE_BYTES });
    }

    pub(super) fn loaded(&mut self, link: LinkId, log: LogId, from: u64, result: Loaded) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.loading == Some(log) {
            session.loading = None;
        }
        let Some(key) = session.serving.keys().find(|(_, l)| *l == log).copied() else {
            return self.pump(link);
        };
        let message = match result {
            Loaded::Run(run) => {
                let to = session.serving[&key].to;
                if run.last() >= to {
                    session.serving.remove(&key);
                    let pushed = session.pushed.entry(log).or_default();
                    *pushed = run.last().max(*pushed);
                } else {
                    session.serving.insert(key, Serving { next: run.last() + 1, to });
                }
                Message::Batch(run)
            }
            Loaded::NotHeld | Loaded::Failed(_) => {
                session.serving.remove(&key);
                let reason = match result {
                    Loaded::Failed(_) => DeclineReason::UNREADABLE,
                    _ => DeclineReason::NOT_HELD,
                };
                Message::Decline(Decline { log, from, reason })
            }
        };
        self.send(link, &message);
        self.pump(link);
    }

    pub(super) fn sent(&mut self, link: LinkId, bytes: usize) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.outbox_bytes = session.outbox_bytes.saturating_sub(bytes);
            self.pump(link);
        }
    }
}
