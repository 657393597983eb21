//! What the engine can say about where things stand: plain data for the API, `doctor` and tests.

use super::engine::Engine;
use super::mend::DamagedRange;
use super::peer::Refusals;
use super::states::Difference;
use crate::directory::DirectoryError;
use crate::id::{LogId, NodeId, SpaceId};
use crate::log::{LogDigest, Tip};

/// How far apart we and a peer are in one space, counted in entries and body bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceGap {
    /// What the peer holds by its word.
    pub peer_entries: u64,
    /// Entries it has and we lack.
    pub missing_here: u64,
    /// Entries we have durably and it has not acknowledged.
    pub missing_there: u64,
    /// Body bytes of what we lack, as far as announced.
    pub bytes_to_come: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    pub peer: NodeId,
    /// Greeted and talking.
    pub live: bool,
    pub dialing: bool,
    /// On the clock the driver hands in.
    pub last_contact_ms: Option<u64>,
    /// When we dial again, if that is planned.
    pub dial_at_ms: Option<u64>,
    pub agent: String,
    /// Why there is no link, or why entries do not move.
    pub why: Option<String>,
    /// What it was refused since the start.
    pub refusals: Refusals,
    /// Only spaces both carry.
    pub spaces: Vec<(SpaceId, SpaceGap)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    pub log: LogId,
    pub space: SpaceId,
    pub author: NodeId,
    pub tip: Tip,
    /// Nodes known to hold it up to the tip, this one included.
    pub safe_on: usize,
}

/// A log whose author is proven to have signed two histories of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkStatus {
    pub log: LogId,
    pub space: SpaceId,
    pub author: NodeId,
    /// The first seq that was used twice.
    pub seq: u64,
    /// When the author did so, in milliseconds since 1970 by its own clock.
    pub since_ms: u64,
    /// Another branch stands than the one held here, and is still to come.
    pub losing: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub epoch: u64,
    pub peers: Vec<PeerStatus>,
    pub logs: Vec<LogStatus>,
    pub forks: Vec<ForkStatus>,
    /// Logs we decline to take, and why.
    pub refused: Vec<(LogId, String)>,
    pub directory_stopped: Option<String>,
    /// The disk refused the last time.
    pub storage_failing: bool,
    /// Entries this node once wrote that some peer holds and it does not: after a restore, until they
    /// have come back. Those of a log no entry of which is here yet are not among them.
    pub own_missing: u64,
    /// Records that peers made otherwise of the same entries.
    pub differences: Vec<Difference>,
    /// Entries the disk does not give back, until peers have brought them again.
    pub damaged: Vec<DamagedRange>,
}

impl Engine {
    pub fn status(&self) -> Status {
        Status {
            epoch: self.directory.epoch(),
            peers: self
                .directory
                .nodes()
                .filter(|n| n.node != self.me && n.revoked.is_none())
                .map(|n| self.peer_status(n.node))
                .collect(),
            logs: self
                .logs
                .iter()
                .map(|(log, state)| LogStatus {
                    log,
                    space: state.space,
                    author: state.author,
                    tip: state.durable,
                    safe_on: self.safe_on(&log, state.durable.seq),
                })
                .collect(),
            forks: self.forks().collect(),
            refused: self
                .refused
                .iter()
                .map(|(log, declined)| (*log, declined.why.clone()))
                .collect(),
            directory_stopped: self.directory_stopped(),
            storage_failing: self.storage_retry_at.is_some(),
            own_missing: self.own_missing(),
            differences: self.differences(),
            damaged: self.damaged_ranges(),
        }
    }

    /// Logs proven to be forked, by log id.
    pub fn forks(&self) -> impl Iterator<Item = ForkStatus> + '_ {
        self.logs.iter().filter_map(|(log, state)| {
            let proof = state.fork.as_ref()?;
            Some(ForkStatus {
                log,
                space: state.space,
                author: state.author,
                seq: proof.seq(),
                since_ms: proof.since_ms(),
                losing: state.losing.is_some(),
            })
        })
    }

    fn own_missing(&self) -> u64 {
        let own = self.logs.iter().filter(|(_, state)| state.author == self.me);
        own.map(|(log, state)| {
            let held = self.peers.values().map(|p| p.held(&state.space, &log).seq).max();
            held.unwrap_or(0).saturating_sub(state.durable.seq)
        })
        .fold(0, u64::saturating_add)
    }

    /// Why the directory takes nothing more, in words.
    fn directory_stopped(&self) -> Option<String> {
        let forked = self.directory.fork().map(|fork| DirectoryError::Forked(fork.epoch));
        forked.map(|error| error.to_string()).or_else(|| self.directory_stopped.clone())
    }

    fn peer_status(&self, node: NodeId) -> PeerStatus {
        let peer = self.peers.get(&node).cloned().unwrap_or_default();
        let session = peer.link.and_then(|link| self.sessions.get(&link));
        PeerStatus {
            peer: node,
            live: session.is_some_and(super::session::Session::is_live),
            dialing: peer.dialing,
            last_contact_ms: peer.last_contact_ms,
            dial_at_ms: peer.dial_at,
            agent: peer.agent.clone(),
            why: peer.why.clone(),
            refusals: peer.refusals,
            spaces: self
                .shared_spaces(&node)
                .into_iter()
                .map(|space| (space, self.gap(&peer, space)))
                .collect(),
        }
    }

    fn gap(&self, peer: &super::peer::Peer, space: SpaceId) -> SpaceGap {
        let mut gap = SpaceGap::default();
        for (log, held) in peer.held_in(&space) {
            let ours = self.logs.durable(&log);
            // A peer may claim anything; sums of claims must not overflow.
            let lacking = held.seq.saturating_sub(ours.seq);
            let bytes = held.body_bytes.saturating_sub(ours.body_bytes);
            gap.peer_entries = gap.peer_entries.saturating_add(held.seq);
            gap.missing_here = gap.missing_here.saturating_add(lacking);
            gap.bytes_to_come = gap.bytes_to_come.saturating_add(bytes);
        }
        for log in self.logs.of_space(&space) {
            let held = peer.held(&space, log).seq;
            gap.missing_there += self.logs.durable(log).seq.saturating_sub(held);
        }
        gap
    }

    /// How many nodes hold `log` durably up to `seq`, by their word, this one included.
    pub fn safe_on(&self, log: &LogId, seq: u64) -> usize {
        let Some(state) = self.logs.get(log) else { return 0 };
        let here = usize::from(state.durable.seq >= seq);
        let there = self
            .directory
            .nodes()
            .filter(|n| n.node != self.me && n.revoked.is_none())
            .filter_map(|n| self.peers.get(&n.node))
            .filter(|p| p.held(&state.space, log).seq >= seq)
            .count();
        here + there
    }

    /// The log digest of a space, over what is durable here.
    pub fn log_digest(&self, space: &SpaceId) -> LogDigest {
        self.logs.digest(space)
    }

    /// The durable end of a log.
    pub fn durable(&self, log: &LogId) -> Tip {
        self.logs.durable(log)
    }
}
