//! The clock and everything that is going to happen, in order.

use super::copies::Comparing;
use super::disk::Disk;
use super::faults::{Fault, Mix};
use super::invariants::{Breach, LINKS_PER_PEER_MAX, Ledger};
use super::malice::{Evil, Malice};
use super::markers::Markers;
use super::network::{Network, other};
use super::node::Node;
use super::oracle::Oracle;
use super::trace::Trace;
use super::{Broken, Options, Outcome, founding};
use fenbu::sample::Rng;
use fenbu_protocol::directory::Act;
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::sync::{Input, LinkId};
use fenbu_protocol::wire::Message;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

/// How often nodes are compared once the faults are over.
const LOOK_MS: u64 = 250;
/// A run that takes more steps than this does not come to rest.
const STEPS_MAX: u64 = 3_000_000;

/// Something that is going to happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Tick {
        node: usize,
    },
    /// A handshake finished at this end.
    Up {
        link: LinkId,
    },
    /// This end learns that the link is gone.
    Down {
        link: LinkId,
        reason: &'static str,
    },
    /// This end has heard nothing for a while: it goes if the way is still cut.
    Silent {
        link: LinkId,
    },
    Dial {
        node: usize,
        life: u32,
        to: usize,
    },
    DialFailed {
        node: usize,
        life: u32,
        peer: NodeId,
        reason: &'static str,
    },
    Deliver {
        link: LinkId,
        lane: usize,
    },
    /// The transport takes the oldest frame of an outbox.
    Taken {
        link: LinkId,
    },
    Synced {
        node: usize,
        life: u32,
    },
    Compare {
        node: usize,
        life: u32,
        asked: Box<Comparing>,
    },
    Loaded {
        node: usize,
        life: u32,
        link: LinkId,
        log: LogId,
        from: u64,
        bytes_max: usize,
    },
    /// The engine wants to know what the records come to.
    ReadStates {
        node: usize,
        life: u32,
    },
    /// The disk is looked at again.
    Kick {
        node: usize,
    },
    Write {
        node: usize,
    },
    Strike(Fault),
    /// An adversary does something.
    Harm {
        node: usize,
        malice: Malice,
    },
    Crash {
        node: usize,
        down_ms: u64,
    },
    Heal,
    Restart {
        node: usize,
    },
    /// The admin makes its next statement.
    Declare,
    /// Are all level?
    Look,
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) mix: Mix,
    pub(super) rng: Rng,
    pub(super) now: u64,
    events: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    pub(super) steps: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) by_id: BTreeMap<NodeId, usize>,
    pub(super) network: Network,
    pub(super) ledger: Ledger,
    pub(super) trace: Trace,
    pub(super) markers: Markers,
    pub(super) oracle: Oracle,
    pub(super) evil: Evil,
    pub(super) broken: Option<Broken>,
    /// The next node that waits for its disk crashes then, and stays down so long.
    pub(super) crash_in_sync: Option<u64>,
    /// What the admin is still to say.
    pub(super) acts: VecDeque<Act>,
    /// Records written to so far, by space.
    pub(super) documents: BTreeMap<SpaceId, Vec<(Kind, DocId)>>,
    pub(super) words: u64,
    pub(super) writes_left: usize,
    pub(super) writes_done: u64,
    /// Who wrote each log.
    pub(super) authors: BTreeMap<LogId, usize>,
    /// The last frame sent and by whom: one that goes to many is looked at once.
    pub(super) last_frame: Option<(usize, Arc<[u8]>, Message)>,
    pub(super) settled_at: Option<u64>,
    /// Backups not put back yet, and nodes that had one put back.
    pub(super) backups: BTreeMap<usize, Disk>,
    pub(super) restored: BTreeSet<usize>,
}

impl World {
    pub(super) fn new(seed: u64, options: &Options) -> Self {
        let mix = Mix::draw(seed, options.nodes, options.adversaries);
        let founders = mix.nodes - mix.late;
        let adversaries = (0..mix.adversaries).map(|n| founding::OUTSIDER + n);
        let nodes: Vec<Node> = (0..mix.nodes).chain(adversaries).map(Node::new).collect();
        let mut world = Self {
            seed,
            rng: Rng::derive(seed, "world", 0),
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            steps: 0,
            by_id: nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect(),
            nodes,
            network: Network::default(),
            ledger: Ledger::default(),
            trace: Trace::new(options.trace),
            markers: Markers::default(),
            oracle: Oracle::default(),
            evil: Evil::new(seed),
            broken: None,
            crash_in_sync: None,
            acts: VecDeque::new(),
            documents: BTreeMap::new(),
            words: 0,
            writes_left: mix.writes,
            writes_done: 0,
            authors: BTreeMap::new(),
            last_frame: None,
            settled_at: None,
            backups: BTreeMap::new(),
            restored: BTreeSet::new(),
            mix,
        };
        let directory = founding::directory_among(world.mix.units, founders, world.mix.adversaries);
        for said in directory.statements_after(0) {
            world.oracle.hears(said);
        }
        for _ in 0..world.mix.slow_disks {
            let node = world.rng.below(founders);
            world.nodes[node].slow_disk = true;
        }
        for node in (0..founders).chain(world.mix.nodes..world.nodes.len()) {
            world.nodes[node].disk.fill(&directory);
            let at = world.rng.below(2_000) as u64;
            world.at(at, Event::Restart { node });
        }
        world.plan(founders);
        world
    }

    /// Puts everything that is drawn beforehand on the calendar.
    fn plan(&mut self, founders: usize) {
        let end = self.mix.faults_end_ms;
        for _ in 0..self.mix.writes {
            let (node, at) = (self.rng.below(self.mix.nodes), self.rng.below(end as usize));
            self.at(at as u64, Event::Write { node });
        }
        self.acts
            .extend((founders..self.mix.nodes).map(|n| founding::admission(n, self.mix.units)));
        if self.mix.late_space {
            let place = self.rng.below(self.acts.len() + 1);
            self.acts.insert(place, founding::late_space());
            let after = place + 1 + self.rng.below(self.acts.len() - place);
            self.acts
                .insert(after, founding::narrowed_space(self.mix.units, self.mix.adversaries > 0));
        }
        self.plan_malice();
        for _ in 0..self.acts.len() {
            let at = self.rng.below(end as usize) as u64;
            self.at(at, Event::Declare);
        }
        for (at, fault) in self.mix.faults.clone() {
            self.at(at, Event::Strike(fault));
        }
        self.at(end, Event::Heal);
        self.at(end, Event::Look);
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        let at = at.max(self.now);
        self.events.push(Reverse(Scheduled { at, order: self.order, event }));
    }

    pub(super) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    /// Runs to rest, or to the first breach.
    pub(super) fn run(mut self) -> Outcome {
        while self.broken.is_none() && self.settled_at.is_none() {
            let Some(Reverse(next)) = self.events.pop() else { break };
            self.now = next.at;
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.breach(("rest", "the nodes do not come to rest".into()));
            }
            self.happen(next.event);
        }
        Outcome {
            seed: self.seed,
            nodes: self.mix.nodes,
            steps: self.steps,
            settled_ms: self.settled_at.map_or(0, |at| at - self.mix.faults_end_ms),
            writes: self.writes_done,
            hash: self.trace.hash(),
            markers: self.markers,
            broken: self.broken,
            lines: self.trace.into_lines(),
        }
    }

    pub(super) fn breach(&mut self, (invariant, what): Breach) {
        let at_ms = self.now;
        self.broken.get_or_insert(Broken { invariant, what, at_ms });
    }

    pub(super) fn check(&mut self, result: Result<(), Breach>) {
        if let Err(breach) = result {
            self.breach(breach);
        }
    }

    /// One way, this time.
    pub(super) fn delay(&mut self) -> u64 {
        let (least, most) = self.mix.delay_ms;
        let mut ms = self.rng.between(least, most);
        while self.rng.chance(self.mix.loss_permille) {
            ms += self.rng.between(200, 1_500);
        }
        ms as u64
    }

    fn alive(&self, node: usize, life: u32) -> bool {
        self.nodes[node].life == life && self.nodes[node].engine.is_some()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick { node } => self.tick(node),
            Event::Up { link } => self.up(link),
            Event::Down { link, reason } => self.down(link, reason),
            Event::Silent { link } => self.silent(link),
            Event::Dial { node, life, to } if self.alive(node, life) => self.dial(node, to),
            Event::DialFailed { node, life, peer, reason } if self.alive(node, life) => {
                self.handle(node, Input::DialFailed { peer, reason: reason.into() });
            }
            Event::Deliver { link, lane } => self.deliver(link, lane),
            Event::Taken { link } => self.taken(link),
            Event::Synced { node, life } if self.alive(node, life) => self.synced(node),
            Event::Loaded { node, life, link, log, from, bytes_max } if self.alive(node, life) => {
                self.loaded(node, link, log, from, bytes_max);
            }
            Event::Compare { node, life, asked } if self.alive(node, life) => {
                self.compare(node, asked);
            }
            Event::ReadStates { node, life } if self.alive(node, life) => {
                // What is written and not synced is not shown.
                let syncing = self.nodes[node].disk.is_syncing();
                let states = if syncing { Vec::new() } else { self.nodes[node].states() };
                self.markers.states_read += states.len() as u64;
                self.handle(node, Input::States { states });
            }
            Event::ReadStates { .. }
            | Event::Dial { .. }
            | Event::DialFailed { .. }
            | Event::Synced { .. }
            | Event::Compare { .. }
            | Event::Loaded { .. } => {}
            Event::Kick { node } => self.kick(node),
            Event::Write { node } => self.write(node),
            Event::Strike(fault) => self.strike(fault),
            Event::Harm { node, malice } => self.harm(node, malice),
            Event::Crash { node, down_ms } => self.crash(node, down_ms),
            Event::Heal => self.heal(),
            Event::Restart { node } => self.restart(node),
            Event::Declare => self.declare(),
            Event::Look => self.look(),
        }
    }

    fn tick(&mut self, node: usize) {
        if self.nodes[node].engine.is_none() || self.nodes[node].tick_at != Some(self.now) {
            return;
        }
        self.nodes[node].tick_at = None;
        self.handle(node, Input::Tick);
        let due = self.nodes[node].engine.as_ref().and_then(|e| e.poll_timeout());
        if due.is_some_and(|due| due <= self.now) {
            self.breach(("rest", format!("node {node} asks for a tick it has just had")));
        }
    }

    fn dial(&mut self, node: usize, to: usize) {
        let (life, peer) = (self.nodes[node].life, self.nodes[to].id);
        if self.nodes[to].engine.is_none() || !self.network.meet(node, to) {
            let down = self.nodes[to].engine.is_none() && self.rng.chance(500);
            let ms = if down { self.delay() } else { self.rng.between(1_000, 5_000) as u64 };
            let reason = if down { "refused" } else { "no answer" };
            return self.after(ms, Event::DialFailed { node, life, peer, reason });
        }
        self.connect(node, to);
        if self.rng.chance(self.mix.double_dial_permille) {
            self.connect(node, to);
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let at = self.now + self.delay();
        let (dialler, answerer) = self.network.connect(from, to, at);
        self.after(0, Event::Up { link: dialler });
        self.at(at, Event::Up { link: answerer });
    }

    fn up(&mut self, link: LinkId) {
        let Some(end) = self.network.end_mut(link).filter(|end| !end.gone) else { return };
        end.up = true;
        let (node, dialed) = (end.node, end.dialed);
        let Some(there) = self.network.end(other(link)).map(|end| end.node) else { return };
        let open = self.network.up_of(node).filter(|(_, peer)| *peer == there).count();
        let peer = self.nodes[there].id;
        self.trace.note(self.now, node, "up", [link.0, there as u64], || {
            format!("link {} to node {there}", link.0)
        });
        self.handle(node, Input::LinkUp { link, peer, dialed });
        if open > LINKS_PER_PEER_MAX {
            self.breach(("I6", format!("node {node} has {open} links to node {there}")));
        }
    }

    fn down(&mut self, link: LinkId, reason: &'static str) {
        let Some(node) = self.network.end(link).filter(|end| !end.gone).map(|end| end.node) else {
            return;
        };
        if self.network.end_gone(link) {
            self.trace
                .note(self.now, node, "down", [link.0, 0], || format!("link {}: {reason}", link.0));
            self.handle(node, Input::LinkDown { link, reason: reason.into() });
        }
    }

    fn silent(&mut self, link: LinkId) {
        let nodes = [link, other(link)].map(|l| self.network.end(l).map(|end| end.node));
        if let [Some(a), Some(b)] = nodes
            && !self.network.meet(a, b)
        {
            self.markers.link_timed_out += 1;
            self.down(link, "silent");
        }
    }

    fn deliver(&mut self, link: LinkId, lane: usize) {
        let Some(end) = self.network.end(link) else { return };
        let node = end.node;
        if end.gone {
            return;
        }
        if self.nodes[node].engine.as_ref().is_some_and(|e| !e.accepts_batches()) {
            self.markers.held_back += 1;
            return self.after(20, Event::Deliver { link, lane });
        }
        let Some(frame) = self.network.arrive(link, lane) else { return };
        self.frame(node, link, &frame);
    }

    fn taken(&mut self, link: LinkId) {
        let Some(there) = self.network.end(other(link)).map(|end| end.node) else { return };
        let Some(end) = self.network.end(link).filter(|end| end.up) else { return };
        let node = end.node;
        if self.network.is_cut(node, there) {
            return self.after(100, Event::Taken { link });
        }
        let Some(end) = self.network.end_mut(link) else { return };
        let Some((bytes, batch)) = end.outbox.pop_front() else { return };
        if batch {
            end.outbox_batches -= bytes;
        }
        self.handle(node, Input::Sent { link, bytes });
    }

    /// A crash swallowed writes nobody had been told were safe: their authors do not try again.
    pub(super) fn writes_lost(&mut self, count: usize) {
        self.writes_left -= count;
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.acts.is_empty() && self.writes_left == 0
    }

    fn look(&mut self) {
        if self.now < self.mix.faults_end_ms + LOOK_MS {
            return self.after(LOOK_MS, Event::Look);
        }
        match self.unsettled() {
            None => {
                let result = self.finale();
                self.check(result);
                self.settled_at = Some(self.now);
            }
            Some(what) if self.now > self.mix.faults_end_ms + self.mix.settle_ms() => {
                self.breach(("I7", what));
            }
            Some(_) => self.after(LOOK_MS, Event::Look),
        }
    }
}
