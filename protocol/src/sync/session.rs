//! One link to one peer: how far the greeting is, and what is under way.

use super::forks::Search;
use super::input::LinkId;
use crate::directory::Branch;
use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::log::{Lane, Tip};
use crate::wire::{State, StateSum};
use std::collections::{BTreeMap, BTreeSet};

/// Where a link stands. It only ever moves down this list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The directory does not know the peer. It may greet and show us statements that admit it.
    Stranger,
    /// We said Hello; `tips` is what our digest stood for, should the peer's be equal: how far each log
    /// went, and where it was known to be forked.
    Greeting { tips: Tips },
    /// Both have greeted; everything may be said.
    Live,
}

pub(super) type Tips = BTreeMap<LogId, (Tip, Option<u64>)>;

/// A range a peer asked us for, next seq first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) next: u64,
    pub(super) to: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) link: LinkId,
    pub(super) peer: NodeId,
    pub(super) dialed: bool,
    pub(super) since_ms: u64,
    pub(super) phase: Phase,
    /// Ours has been sent. A peer that dials while another link is live is let to greet first.
    pub(super) hello_sent: bool,
    /// Its Hello has arrived.
    pub(super) greeted: bool,
    /// We have told it our digests space by space.
    pub(super) digests_sent: bool,
    /// Length of the peer's directory, as far as we know or have sent it.
    pub(super) epoch: u64,
    /// Another history of the directory than ours, as it tells it.
    pub(super) branch: Option<Branch>,
    /// It has told more of it since we last looked.
    pub(super) weigh: bool,
    /// Our head when we last asked where our histories part, and the epoch it was about,
    pub(super) parted_at: Option<(Hash, u64)>,
    /// and when we last sent it ours for its own.
    pub(super) answered: Option<Hash>,
    /// The fork of the directory it has been shown.
    pub(super) fork_told: Option<u64>,
    /// Frame bytes handed out and not yet taken by the transport.
    pub(super) outbox_bytes: usize,
    /// More waits for it than it may leave unread.
    pub(super) unread: bool,
    /// Ranges to serve, urgent lanes first.
    pub(super) serving: BTreeMap<(Lane, LogId), Serving>,
    /// The log a `Load` is out for.
    pub(super) loading: Option<LogId>,
    /// Ranges we asked this peer for and still wait on.
    pub(super) open_wants: usize,
    /// Up to where we have pushed each log.
    pub(super) pushed: BTreeMap<LogId, u64>,
    /// Up to where we have told the peer that we hold each log.
    pub(super) told: BTreeMap<LogId, u64>,
    /// Departures from the rule that only authors push: true after the peer wanted a relayed log's
    /// newest entries, false after it pruned.
    pub(super) push: BTreeMap<LogId, bool>,
    /// Logs that grew and are to be told of at `have_at`.
    pub(super) news: BTreeSet<LogId>,
    pub(super) have_at: Option<u64>,
    /// Logs it pushed whose place we do not know yet, with the space if it was said, up to where.
    pub(super) early: BTreeMap<LogId, (Option<SpaceId>, u64)>,
    /// Logs of which it holds, or may hold, another history than ours.
    pub(super) parted: BTreeMap<LogId, Search>,
    /// The fork of each log it was last shown, or showed: first seq, and header hash that stands there.
    pub(super) shown: BTreeMap<LogId, (u64, Hash)>,
    /// Asked it once and it stalled or declined: not asked for this log again before this time.
    pub(super) avoid: BTreeMap<LogId, u64>,
    /// What we last told it our records come to, and at which entries;
    pub(super) state_said: Option<(Hash, StateSum)>,
    /// not before this time again, unless something is wrong;
    pub(super) state_next_at: u64,
    /// due now.
    pub(super) state_due: Option<u64>,
    /// The same, told space by space.
    pub(super) state_named: Option<(Hash, StateSum)>,
    /// What it last told us of its own,
    pub(super) state_heard: Option<State>,
    /// and what was the same as ours.
    pub(super) state_agreed: Option<(Hash, StateSum)>,
}

impl Session {
    pub(super) fn new(link: LinkId, peer: NodeId, dialed: bool, phase: Phase, now: u64) -> Self {
        Self {
            link,
            peer,
            dialed,
            since_ms: now,
            phase,
            hello_sent: false,
            greeted: false,
            digests_sent: false,
            epoch: 0,
            branch: None,
            weigh: false,
            parted_at: None,
            answered: None,
            fork_told: None,
            outbox_bytes: 0,
            unread: false,
            serving: BTreeMap::new(),
            loading: None,
            open_wants: 0,
            pushed: BTreeMap::new(),
            told: BTreeMap::new(),
            push: BTreeMap::new(),
            news: BTreeSet::new(),
            have_at: None,
            early: BTreeMap::new(),
            parted: BTreeMap::new(),
            shown: BTreeMap::new(),
            avoid: BTreeMap::new(),
            state_said: None,
            state_next_at: 0,
            state_due: None,
            state_named: None,
            state_heard: None,
            state_agreed: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Tell the peer of `log` by `at` at the latest.
    pub(super) fn tell(&mut self, log: LogId, at: u64) {
        self.news.insert(log);
        self.have_at = Some(self.have_at.map_or(at, |due| due.min(at)));
    }
}
