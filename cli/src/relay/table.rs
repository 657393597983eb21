//! What the relay knows: who is behind it, who may reach whom, and what befalls packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::port::Port;
use super::{Counters, Faults};
use crate::sample::Rng;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) nodes: Vec<Node>,
    pub(super) by_address: BTreeMap<SocketAddr, usize>,
    /// By source and the node it talks to.
    pub(super) guests: BTreeMap<(SocketAddr, usize), Guest>,
    /// Counts guests' packets, to tell who was silent longest.
    pub(super) guests_seen: u64,
    pub(super) guests_admitted: u64,
    /// Nodes that are not on side 0.
    pub(super) sides: BTreeMap<SocketAddr, u32>,
    pub(super) islands: u32,
    /// From, to.
    pub(super) blocks: BTreeSet<(SocketAddr, SocketAddr)>,
    pub(super) faults: Faults,
    /// By ends, from and to.
    pub(super) paths: BTreeMap<(End, End), Path>,
    pub(super) counters: Counters,
    pub(super) tasks: Vec<AbortHandle>,
    pub(super) is_closed: bool,
}

#[derive(Debug)]
pub(super) struct Node {
    /// The node's own.
    pub(super) address: SocketAddr,
    /// In front of it.
    pub(super) port: Arc<Port>,
}

/// A source that is no node.
#[derive(Debug)]
pub(super) struct Guest {
    /// What its node sees of it.
    pub(super) port: Arc<Port>,
    pub(super) end: End,
    /// `Table::guests_seen` when it last sent.
    pub(super) seen: u64,
    pub(super) task: AbortHandle,
}

/// One end of a path, numbered in the order of appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Node(usize),
    Guest(u64),
}

impl End {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Node(index) => index as u64,
            Self::Guest(index) => (1 << 31) | index,
        }
    }
}

/// The fate of packets from one end to another.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) rng: Rng,
    /// Until reordering is allowed, nothing is delivered before this.
    pub(super) last_due: Option<Instant>,
}

/// Where a batch goes, and from which port.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) ends: (End, End),
    /// The real addresses, which cuts and blocks go by.
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) via: Arc<Port>,
}

/// A packet's fate, and its copy's: `None` is lost, a time in the past is now.
pub(super) type Fates = [Option<Instant>; 2];

impl Table {
    /// The node with this address or listening port.
    pub(super) fn node_at(&self, address: SocketAddr) -> Option<usize> {
        let listens = || self.nodes.iter().position(|node| node.port.local == address);
        self.by_address.get(&address).copied().or_else(listens)
    }

    pub(super) fn address_of(&self, address: SocketAddr) -> SocketAddr {
        self.node_at(address).map_or(address, |index| self.nodes[index].address)
    }

    pub(super) fn allows(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let side = |address| self.sides.get(address).copied().unwrap_or(0);
        side(&from) == side(&to) && !self.blocks.contains(&(from, to))
    }

    /// Forgets the guest at an address, which is now a node's.
    pub(super) fn forget_guest(&mut self, address: SocketAddr) {
        let ours: Vec<_> =
            self.guests.keys().filter(|(from, _)| *from == address).copied().collect();
        for key in ours {
            self.remove_guest(key);
        }
    }

    pub(super) fn remove_guest(&mut self, key: (SocketAddr, usize)) {
        if let Some(guest) = self.guests.remove(&key) {
            guest.task.abort();
            self.paths.retain(|(from, to), _| *from != guest.end && *to != guest.end);
        }
    }

    /// Moves an address's side and blocks to another.
    pub(super) fn rename(&mut self, old: SocketAddr, new: SocketAddr) {
        if let Some(side) = self.sides.remove(&old) {
            self.sides.insert(new, side);
        }
        let renamed = |address| if address == old { new } else { address };
        let blocks = std::mem::take(&mut self.blocks);
        self.blocks = blocks.into_iter().map(|(f, t)| (renamed(f), renamed(t))).collect();
    }

    /// Fates for each packet of a batch. Four numbers are drawn for every packet whatever the
    /// faults are, so that changing one of them does not change the others' outcome.
    pub(super) fn fates(
        &mut self,
        seed: u64,
        ends: (End, End),
        packets: u64,
        now: Instant,
    ) -> Vec<Fates> {
        let faults = self.faults.clone();
        let path = self.paths.entry(ends).or_insert_with(|| Path {
            rng: Rng::derive(seed, "relay", (ends.0.number() << 32) | ends.1.number()),
            last_due: None,
        });
        let mut fates = Vec::with_capacity(packets as usize);
        for _ in 0..packets {
            let is_lost = path.rng.chance(faults.loss_permille);
            let is_doubled = path.rng.chance(faults.duplicate_permille);
            let dues = [0, 1].map(|_| now + delay(&mut path.rng, &faults.delay_ms));
            let mut in_turn = |due: Instant| {
                let due = if faults.reorder { due } else { due.max(path.last_due.unwrap_or(due)) };
                path.last_due = Some(due);
                due
            };
            let first = (!is_lost).then(|| in_turn(dues[0]));
            let copy = (!is_lost && is_doubled).then(|| in_turn(dues[1]));
            self.counters.packets_lost += u64::from(is_lost);
            self.counters.packets_duplicated += u64::from(copy.is_some());
            fates.push([first, copy]);
        }
        fates
    }
}

fn delay(rng: &mut Rng, range_ms: &RangeInclusive<u64>) -> Duration {
    let spread = range_ms.end().saturating_sub(*range_ms.start());
    let extra = rng.below(usize::try_from(spread).unwrap_or(usize::MAX).saturating_add(1));
    Duration::from_millis(range_ms.start().saturating_add(extra as u64))
}
