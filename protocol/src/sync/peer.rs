//! What we know of a node of the federation, linked or not.

use super::input::LinkId;
use crate::id::{LogId, SpaceId};
use crate::log::Position;
use std::collections::BTreeMap;

/// How much of a log a peer holds durably, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) seq: u64,
    pub(super) body_bytes: u64,
}

/// What this node has refused a peer since it started, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals {
    /// Links closed because the peer broke a rule of the wire or the transport.
    pub violations: u64,
    /// Batches of logs that have no place here.
    pub batches: u64,
    /// Links closed because the peer asked and did not read.
    pub unread: u64,
    /// Wanted ranges declined.
    pub ranges: u64,
}

impl Refusals {
    pub fn total(&self) -> u64 {
        self.violations + self.batches + self.unread + self.ranges
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    /// The link we talk over, once one is up.
    pub(super) link: Option<LinkId>,
    pub(super) dialing: bool,
    /// Failed attempts since we last talked.
    pub(super) attempt: u32,
    /// Links in a row that ended soon after they came up.
    pub(super) brief: u32,
    /// Until then another copy of this node is taken to want the peer's link too, in milliseconds.
    pub(super) contended_until: u64,
    pub(super) dial_at: Option<u64>,
    pub(super) last_contact_ms: Option<u64>,
    /// Why there is no link, or why entries do not move, in words.
    pub(super) why: Option<String>,
    pub(super) agent: String,
    pub(super) refusals: Refusals,
    /// Spaces of which it made other records than we, and when that was noticed.
    pub(super) differs: BTreeMap<SpaceId, u64>,
    held: BTreeMap<SpaceId, BTreeMap<LogId, Held>>,
}

impl Peer {
    pub(super) fn held(&self, space: &SpaceId, log: &LogId) -> Held {
        self.held.get(space).and_then(|logs| logs.get(log)).copied().unwrap_or_default()
    }

    /// All logs of a space the peer has told us of, in order.
    pub(super) fn held_in(&self, space: &SpaceId) -> impl Iterator<Item = (LogId, Held)> + '_ {
        self.held.get(space).into_iter().flatten().map(|(log, held)| (*log, *held))
    }

    pub(super) fn logs_known(&self, space: &SpaceId) -> usize {
        self.held.get(space).map_or(0, BTreeMap::len)
    }

    /// Returns whether this is news.
    pub(super) fn hears(&mut self, space: SpaceId, log: LogId, held: Held) -> bool {
        let known = self.held.entry(space).or_default().entry(log).or_default();
        if held.seq <= known.seq {
            return false;
        }
        *known = held;
        true
    }

    /// It holds less than it did: another branch of the log took over there.
    pub(super) fn goes_back(&mut self, space: SpaceId, log: LogId, held: Held) {
        if let Some(known) = self.held.get_mut(&space).and_then(|logs| logs.get_mut(&log))
            && held.seq < known.seq
        {
            *known = Held { seq: held.seq.saturating_sub(1), ..held };
        }
    }

    /// The peer listed a whole space: what it did not list it does not hold.
    pub(super) fn holds_exactly(&mut self, space: SpaceId, positions: &[Position]) {
        let logs = positions
            .iter()
            .map(|p| (p.log, Held { seq: p.seq, body_bytes: p.body_bytes }))
            .collect();
        self.held.insert(space, logs);
    }
}
