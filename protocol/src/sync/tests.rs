//! Sessions between engines over a perfect in-process network: who sends what, and when it ends.
//! Loss, crashes and delay are the simulator's business.

mod branches;
mod forks;
mod hostile;
mod mend;
mod states;

use super::*;
use crate::directory::*;
use crate::id::{DocId, FederationId, Hash, LogId, NodeId, SpaceId};
use crate::log::*;
use crate::wire::{Message, Prune};
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One node: an engine, its log, and a disk that never fails.
struct Node {
    key: SigningKey,
    engine: Engine,
    runs: BTreeMap<LogId, Vec<Run>>,
    author: Author,
    /// What its records come to, and what its logs give.
    records: (u8, u8),
    rebuilds: usize,
    /// The directory as it is stored, and what stops it.
    chain: Vec<Signed>,
    fork: Option<Signed>,
    proofs: BTreeMap<LogId, Arc<Proof>>,
    /// Branches that were lost: log, and header hashes.
    lost: Vec<(LogId, Vec<Hash>)>,
}

/// Messages in flight between links, delivered in order.
struct Net {
    now: u64,
    nodes: Vec<Node>,
    /// link → (node it belongs to, link at the other end)
    links: BTreeMap<LinkId, (usize, LinkId)>,
    next_link: u64,
    wire: VecDeque<(LinkId, Message, usize)>,
    /// Dials between these pairs fail.
    cut: Vec<(usize, usize)>,
    sent: Vec<(usize, &'static str, usize)>,
    /// Epochs of the statements each node stored.
    stored: Vec<(usize, u64)>,
    notices: Vec<(usize, Notice)>,
}

fn key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 10; 32])
}

fn id(n: usize) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn federation() -> FederationId {
    FederationId(root().verifying_key().to_bytes())
}

fn space() -> SpaceId {
    space_id(&federation(), "federation")
}

fn declare(directory: &mut Directory, key: &SigningKey, act: Act) -> Signed {
    let signed = directory.draft(key, &act, 0);
    directory.apply(signed.clone()).unwrap();
    signed
}

fn admit(n: usize) -> Act {
    Act::AdmitNode(AdmitNode {
        node: id(n),
        unit: "head".into(),
        name: format!("node {n}"),
        role: Role::SERVER,
        addresses: vec![format!("node{n}:1")],
        sealing: crate::seal::sealing_public(&key(n)),
    })
}

/// A directory with one space and nodes `0..n`; node 0 is the admin.
fn directory(n: usize) -> Directory {
    let mut d = Directory::empty(federation());
    let found = Found { name: "f".into(), admin: id(0), head_office: "head".into() };
    declare(&mut d, &root(), Act::Found(found));
    declare(
        &mut d,
        &key(0),
        Act::DefineUnit(DefineUnit { code: "head".into(), name: "局机关".into() }),
    );
    let define = DefineSpace {
        space: space(),
        label: "federation".into(),
        template: Template::FEDERATION,
        unit: None,
        readers: Scope::everyone(),
        writers: Scope::everyone(),
        carriers: Scope::everyone(),
        cuts: None,
    };
    declare(&mut d, &key(0), Act::DefineSpace(define));
    for i in 0..n {
        declare(&mut d, &key(0), admit(i));
    }
    d
}

impl Node {
    /// All entries are records at once.
    fn states(&self) -> Vec<SpaceState> {
        let mut state = StateDigest::default();
        state.advance(DocId([1; 16]), &[], &[[self.records.0; 32]]);
        let (directory, log) = (self.engine.directory().head(), self.engine.log_digest(&space()));
        vec![SpaceState { space: space(), directory, log, state }]
    }

    fn store(&mut self, from: u64, statements: impl IntoIterator<Item = Signed>) {
        self.chain.truncate(from as usize - 1);
        self.chain.extend(statements);
    }
}

impl Net {
    fn new(n: usize) -> Self {
        Self::with_directories((0..n).map(|_| directory(n)).collect())
    }

    fn with_directories(directories: Vec<Directory>) -> Self {
        let nodes = directories
            .into_iter()
            .enumerate()
            .map(|(i, d)| {
                let opening = Opening::sign(&key(i), space(), 0);
                let author = Author::new(opening, Tip::start(opening.log()), 0);
                let chain = d.statements_after(0).to_vec();
                let engine = Engine::new(0, i as u64, id(i), Settings::default(), d, [], []);
                let (runs, proofs) = (BTreeMap::new(), BTreeMap::new());
                let (fork, lost, records) = (None, Vec::new(), (0, 0));
                let key = key(i);
                Node { key, engine, runs, author, records, rebuilds: 0, chain, fork, proofs, lost }
            })
            .collect();
        Self {
            now: 0,
            nodes,
            links: BTreeMap::new(),
            next_link: 0,
            wire: VecDeque::new(),
            cut: Vec::new(),
            sent: Vec::new(),
            stored: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn handle(&mut self, node: usize, input: Input) {
        if let Input::Declared { statement } = &input {
            let epoch = statement.open().unwrap().epoch;
            self.nodes[node].store(epoch, [statement.clone()]);
        }
        self.nodes[node].engine.handle(self.now, input);
        self.drain(node);
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].engine.poll_output() {
            match output {
                Output::Dial { peer, .. } => {
                    let to = (0..self.nodes.len()).find(|i| id(*i) == peer);
                    match to {
                        Some(to) if !self.cut.contains(&(node, to)) => self.connect(node, to),
                        _ => self
                            .handle(node, Input::DialFailed { peer, reason: "no answer".into() }),
                    }
                }
                Output::Close { link, reason, .. } => {
                    let (_, other) = self.links[&link];
                    let (to, _) = self.links[&other];
                    self.handle(to, Input::LinkDown { link: other, reason });
                }
                Output::Send { link, frame, .. } => {
                    let message = Message::from_frame(&frame).unwrap();
                    self.sent.push((node, message.name(), frame.len() + 4));
                    self.wire.push_back((link, message, frame.len()));
                }
                Output::Persist { ticket, item } => {
                    match item {
                        Item::Run { run, .. } => {
                            self.nodes[node].runs.entry(run.log()).or_default().push(run);
                        }
                        Item::Statement { epoch, statement } => {
                            self.stored.push((node, epoch));
                            let held = self.nodes[node].chain.len() as u64;
                            assert_eq!(held + 1, epoch, "a store takes no other and no gap");
                            self.nodes[node].store(epoch, [statement]);
                        }
                        Item::Branch { from, statements } => {
                            self.nodes[node].store(from, statements);
                        }
                        Item::Fork { statement } => self.nodes[node].fork = Some(statement),
                        Item::Switch(switch) => self.nodes[node].go_over(switch),
                        Item::Proof { proof } => {
                            self.nodes[node].proofs.insert(proof.log(), proof);
                        }
                    }
                    self.handle(node, Input::Persisted { ticket });
                }
                Output::Load { link, log, from, .. } => {
                    let run = self.nodes[node].runs.get(&log).into_iter().flatten();
                    let run = run.filter(|r| r.last() >= from).find_map(|r| r.starting_at(from));
                    let result = run.map_or(Loaded::NotHeld, Loaded::Run);
                    self.handle(node, Input::Loaded { link, log, from, result });
                }
                Output::Compare { ticket, link, run, headers } => {
                    let result = Ok(self.nodes[node].part(&run));
                    self.handle(node, Input::Compared { ticket, link, run, headers, result });
                }
                Output::Mend { run } => {
                    let (log, from) = (run.log(), run.first());
                    let n = &mut self.nodes[node];
                    let runs = n.runs.entry(log).or_default();
                    runs.push(run);
                    runs.sort_by_key(Run::first);
                    self.handle(node, Input::Mended { log, from, outcome: Mended::Done });
                }
                Output::ReadStates => {
                    let states = self.nodes[node].states();
                    self.handle(node, Input::States { states });
                }
                Output::Rebuild { space } => {
                    let n = &mut self.nodes[node];
                    (n.records.0, n.rebuilds) = (n.records.1, n.rebuilds + 1);
                    self.handle(node, Input::Rebuilt { space, done: true });
                }
                Output::Notice(notice) => self.notices.push((node, notice)),
                Output::Acknowledged { .. }
                | Output::DirectoryChanged
                | Output::OwnLogAhead { .. } => {}
            }
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let (a, b) = (LinkId(self.next_link), LinkId(self.next_link + 1));
        self.next_link += 2;
        self.links.insert(a, (from, b));
        self.links.insert(b, (to, a));
        self.handle(from, Input::LinkUp { link: a, peer: id(to), dialed: true });
        self.handle(to, Input::LinkUp { link: b, peer: id(from), dialed: false });
    }

    /// Delivers everything, then lets `ms` pass in small steps.
    fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            while let Some((link, message, bytes)) = self.wire.pop_front() {
                let (from, other) = self.links[&link];
                let (to, _) = self.links[&other];
                self.handle(from, Input::Sent { link, bytes });
                self.handle(to, Input::Message { link: other, message });
            }
            if self.now >= end {
                return;
            }
            self.now += 5;
            for node in 0..self.nodes.len() {
                if self.nodes[node].engine.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.handle(node, Input::Tick);
                }
            }
        }
    }

    /// Delivers one message of those in flight, out of turn.
    fn deliver(&mut self, from: usize, name: &str) {
        let found = self
            .wire
            .iter()
            .position(|(link, message, _)| self.links[link].0 == from && message.name() == name);
        let (link, message, _) = self.wire.remove(found.unwrap()).unwrap();
        let other = self.links[&link].1;
        let (to, _) = self.links[&other];
        self.handle(to, Input::Message { link: other, message });
    }

    fn write(&mut self, node: usize, bodies: &[&[u8]]) {
        let n = &mut self.nodes[node];
        // The directory went back: such a log is left, as a node does.
        if !n.author.may_cite(n.engine.directory().epoch()) {
            let incarnation = n.author.opening().incarnation + 1;
            let opening = Opening::sign(&n.key, space(), incarnation);
            n.author = Author::new(opening, Tip::start(opening.log()), 0);
        }
        for body in bodies {
            n.author.append(&Draft {
                epoch: n.engine.directory().epoch(),
                directory: n.engine.directory().head_prefix(),
                now_ms: self.now,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: Lane::POSTS,
                    kind: Kind(1),
                    genesis: 1,
                    encoding: Encoding::CHANGE,
                    key_epoch: 0,
                },
                document: DocId([1; 16]),
                body,
            });
        }
        let run = n.author.close(&n.key).unwrap();
        let tip = n.author.tip();
        n.runs.entry(run.log()).or_default().push(run.clone());
        self.handle(node, Input::Appended { run, tip });
    }

    fn digests(&self) -> Vec<LogDigest> {
        self.nodes.iter().map(|n| n.engine.log_digest(&space())).collect()
    }

    fn level(&self) -> bool {
        let digests = self.digests();
        digests.iter().all(|d| *d == digests[0])
    }

    fn count(&self, name: &str) -> usize {
        self.sent.iter().filter(|(_, n, _)| *n == name).count()
    }
}

#[test]
fn a_write_reaches_every_neighbour_by_push_alone() {
    let mut net = Net::new(4);
    net.run(2_000);
    net.sent.clear();
    net.write(0, &[b"hello"]);
    net.run(1_000);
    assert!(net.level());
    assert_eq!(net.count("Batch"), 3, "one push each, nothing relayed");
    assert_eq!(net.count("Want"), 0);
    let log = net.nodes[0].author.log();
    assert_eq!(net.nodes[0].engine.safe_on(&log, 1), 4);
    assert_eq!(net.nodes[3].engine.safe_on(&log, 1), 4, "everyone knows it is safe");
}

#[test]
fn meeting_again_with_nothing_new_costs_two_hellos() {
    let mut net = Net::new(2);
    net.write(0, &[b"one", b"two"]);
    net.run(2_000);
    assert!(net.level());
    let link = *net.links.keys().next_back().unwrap();
    let (node, other) = net.links[&link];
    let (far, _) = net.links[&other];
    net.sent.clear();
    net.handle(node, Input::LinkDown { link, reason: "cable".into() });
    net.handle(far, Input::LinkDown { link: other, reason: "cable".into() });
    net.run(5_000);
    let names: Vec<_> = net.sent.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(names, ["Hello", "Hello"]);
    assert!(net.sent.iter().map(|(_, _, bytes)| bytes + 1).sum::<usize>() < 300);
}

#[test]
fn a_backlog_is_pulled_each_range_once_from_several_peers() {
    let mut net = Net::new(7);
    net.cut.extend((0..6).flat_map(|n| [(n, 6), (6, n)]));
    for node in 0..6 {
        for _ in 0..5 {
            net.write(node, &[b"entry", b"entry"]);
        }
    }
    net.run(3_000);
    assert!(!net.level());
    net.sent.clear();
    for node in 0..6 {
        net.connect(node, 6);
    }
    net.run(1_000);
    assert!(net.level());
    let mut by_node = BTreeMap::new();
    for (node, _, _) in net.sent.iter().filter(|(_, name, _)| *name == "Batch") {
        *by_node.entry(*node).or_insert(0) += 1;
    }
    assert_eq!(by_node.values().sum::<usize>(), 30, "five runs of each of six logs, once");
    assert!(by_node.len() > 1, "the work was shared: {by_node:?}");
}

#[test]
fn a_third_carries_between_two_that_cannot_meet() {
    let mut net = Net::new(3);
    net.cut.extend([(0, 1), (1, 0)]);
    net.run(1_000);
    net.write(0, &[b"from zero"]);
    net.run(2_000);
    assert!(net.level(), "pulled after an announcement");
    net.sent.clear();
    net.write(0, &[b"again"]);
    net.run(2_000);
    assert!(net.level());
    assert_eq!(net.count("Want"), 0, "a relay pushes what was pulled from it before");
}

#[test]
fn a_duplicate_push_is_pruned() {
    let mut net = Net::new(3);
    net.cut.extend([(0, 1), (1, 0)]);
    net.run(1_000);
    net.write(0, &[b"from zero"]);
    net.run(2_000);
    net.cut.clear();
    net.run(120_000);
    net.write(0, &[b"now both push"]);
    net.run(2_000);
    assert!(net.level());
    assert!(net.count("Prune") >= 1);
    net.sent.clear();
    net.write(0, &[b"one path is left"]);
    net.run(2_000);
    assert!(net.level());
    assert_eq!(net.count("Batch"), 2);
}

#[test]
fn writes_while_greeting_are_not_lost() {
    for early in 0..4 {
        let mut net = Net::new(2);
        for step in 0..8 {
            if step % 4 == early {
                net.write(0, &[b"x"]);
                net.write(1, &[b"y"]);
            }
            // One message at a time, so that writes fall between any two of them.
            if let Some((link, message, _)) = net.wire.pop_front() {
                let (to, _) = net.links[&net.links[&link].1];
                let other = net.links[&link].1;
                net.handle(to, Input::Message { link: other, message });
            } else {
                net.run(5);
            }
        }
        net.run(3_000);
        assert!(net.level(), "writing at step {early}");
    }
}

#[test]
fn the_directory_spreads_and_admits_the_one_who_brings_it() {
    let mut old = directory(2);
    let mut new = old.clone();
    declare(&mut new, &key(0), admit(2));
    assert!(!old.is_member(&id(2)));
    // Node 2 knows the newer directory, nodes 0 and 1 do not; node 0 cannot be reached.
    let mut net = Net::with_directories(vec![old.clone(), old.clone(), new.clone()]);
    net.cut.extend([(0, 1), (0, 2), (1, 0), (2, 0)]);
    net.write(2, &[b"I am new"]);
    net.run(5_000);
    assert_eq!(net.nodes[1].engine.directory(), &new);
    assert_eq!(net.digests()[1], net.digests()[2]);

    // A statement made on the admin node reaches everyone when the cut ends.
    let statement = declare(&mut old, &key(0), admit(2));
    net.handle(0, Input::Declared { statement });
    net.cut.clear();
    net.run(180_000);
    assert!(net.level());
    let heads: Vec<_> = net.nodes.iter().map(|n| n.engine.directory().head()).collect();
    assert!(heads.iter().all(|h| *h == heads[0]));
}

#[test]
fn a_stranger_is_told_and_a_revoked_node_dropped() {
    let with_stranger = directory(2);
    let without = directory(1);
    let mut net = Net::with_directories(vec![without.clone(), with_stranger]);
    // Another chain of the same length would be a fork; node 1's is longer and valid, so it is
    // admitted. A node with no statements that admit it stays outside.
    net.run(1_000);
    assert!(net.nodes[0].engine.directory().is_member(&id(1)));

    let mut directory = net.nodes[0].engine.directory().clone();
    let revoke = Act::RevokeNode(RevokeNode { node: id(1), cuts: vec![] });
    let statement = declare(&mut directory, &key(0), revoke);
    net.handle(0, Input::Declared { statement });
    net.run(20_000);
    let status = net.nodes[0].engine.status();
    assert!(status.peers.is_empty(), "revoked nodes are no peers");

    let mut net = Net::with_directories(vec![without.clone(), without]);
    net.connect(0, 1);
    net.run(15_000);
    assert!(net.notices.iter().any(|(node, notice)| *node == 0
        && matches!(notice, Notice::Ended { reason, .. } if reason.contains("join it first"))));
}

#[test]
fn a_range_that_stalls_is_asked_of_another() {
    let mut net = Net::new(3);
    net.cut.extend([(0, 1), (1, 0), (2, 0), (0, 2)]);
    net.write(1, &[b"a"]);
    net.run(2_000);
    // Node 1's disk stops answering reads: it holds the entry and never serves it.
    let log = net.nodes[1].author.log();
    net.nodes[1].runs.remove(&log);
    net.cut = vec![(0, 2), (2, 0)];
    net.run(20_000);
    assert!(!net.level(), "declined, and nobody else can be reached");
    let why = net.nodes[0].engine.status().peers.into_iter().find(|p| p.peer == id(1));
    assert!(why.unwrap().why.unwrap().contains("does not hold it"));
    net.cut.clear();
    net.run(120_000);
    assert!(net.level());
}

#[test]
fn a_failed_disk_asks_again_later() {
    let mut net = Net::new(2);
    net.run(1_000);
    // The push arrives while node 1's disk refuses.
    net.write(0, &[b"x"]);
    while let Some((link, message, _)) = net.wire.pop_front() {
        let (to, _) = net.links[&net.links[&link].1];
        let other = net.links[&link].1;
        net.nodes[to].engine.handle(net.now, Input::Message { link: other, message });
        while let Some(output) = net.nodes[to].engine.poll_output() {
            if let Output::Persist { ticket, .. } = output {
                let reason = "disk full".into();
                net.nodes[to].engine.handle(net.now, Input::PersistFailed { ticket, reason });
            }
        }
    }
    assert!(net.nodes[1].engine.status().storage_failing);
    assert!(!net.level());
    net.run(10_000);
    assert!(net.level(), "asked for again");
}

#[test]
fn words_before_hello_and_garbage_end_the_link() {
    let mut net = Net::new(2);
    net.cut.extend([(0, 1), (1, 0)]);
    net.links.insert(LinkId(500), (0, LinkId(501)));
    net.links.insert(LinkId(501), (1, LinkId(500)));
    net.handle(0, Input::LinkUp { link: LinkId(500), peer: id(1), dialed: false });
    let message = Message::Prune(Prune { log: LogId([1; 32]) });
    net.handle(0, Input::Message { link: LinkId(500), message });
    assert!(net.notices.iter().any(|(_, n)| matches!(n,
        Notice::Ended { reason, .. } if reason.contains("before Hello"))));
}

/// Found by the simulator: lanes overtake each other, and the pusher was blamed for it.
#[test]
fn a_push_that_overtakes_the_hello_is_taken() {
    let mut net = Net::new(2);
    net.cut.extend([(0, 1), (1, 0)]);
    net.connect(0, 1);
    net.deliver(1, "Hello");
    net.write(0, &[b"pushed as soon as the greeting came"]);
    net.deliver(0, "Batch");
    net.run(1_000);
    assert!(net.level());
    assert_eq!(net.count("Batch"), 1);
    assert!(!net.notices.iter().any(|(_, n)| matches!(n, Notice::Ended { .. })));
}

/// Found by the simulator: a node whose admission came by another link before its Hello did was
/// blamed for greeting twice.
#[test]
fn a_stranger_admitted_meanwhile_may_still_greet() {
    let old = directory(2);
    let mut new = old.clone();
    let statement = declare(&mut new, &key(0), admit(2));
    let mut net = Net::with_directories(vec![old.clone(), old, new]);
    net.cut.extend([(0, 2), (1, 2), (2, 0), (2, 1)]);
    net.run(1_000);
    net.connect(2, 1);
    net.handle(0, Input::Declared { statement });
    net.deliver(0, "Statements");
    net.notices.clear();
    net.write(2, &[b"I am new"]);
    net.run(2_000);
    assert!(!net.notices.iter().any(|(_, n)| matches!(n, Notice::Ended { .. })));
    assert!(net.level());
}

/// Found by the simulator: a log opened between our Hello and the peer's was told to nobody, since
/// the peer took the greetings for level.
#[test]
fn a_log_opened_while_greeting_is_told() {
    let mut net = Net::new(2);
    net.cut.extend([(0, 1), (1, 0)]);
    net.connect(0, 1);
    net.write(0, &[b"first words"]);
    net.run(2_000);
    assert!(net.level());
}

/// Found by the simulator: the directory in memory went on, the one on disk kept a gap, and the node
/// could not start again.
#[test]
fn a_statement_the_disk_refused_is_stored_later() {
    let mut net = Net::new(2);
    net.run(1_000);
    let mut grown = directory(2);
    let statements = [2, 3].map(|n| declare(&mut grown, &key(0), admit(n)));
    let [first, second] = statements;
    net.handle(0, Input::Declared { statement: first });
    let (link, message, _) = net.wire.pop_front().unwrap();
    let other = net.links[&link].1;
    net.nodes[1].engine.handle(net.now, Input::Message { link: other, message });
    while let Some(output) = net.nodes[1].engine.poll_output() {
        if let Output::Persist { ticket, .. } = output {
            let reason = "disk full".into();
            net.nodes[1].engine.handle(net.now, Input::PersistFailed { ticket, reason });
        }
    }
    // The next one must not be stored before it.
    net.handle(0, Input::Declared { statement: second });
    net.run(10_000);
    assert_eq!(net.stored, [(1, grown.epoch() - 1), (1, grown.epoch())]);
}

/// Found by the simulator: a log's second run, on a faster lane, was refused for good because the
/// first had not opened the log yet.
#[test]
fn a_second_run_may_overtake_the_first() {
    let mut net = Net::new(2);
    net.run(1_000);
    net.write(0, &[b"first"]);
    net.write(0, &[b"second"]);
    net.wire.swap(0, 1);
    net.run(1_000);
    assert!(net.level());
}

/// The same with the statement that makes the entry's space.
#[test]
fn a_push_may_overtake_the_statement_that_makes_its_space() {
    let mut net = Net::new(2);
    net.run(1_000);
    let late = space_id(&federation(), "late");
    let define = DefineSpace {
        space: late,
        label: "late".into(),
        template: Template::TEMPORARY,
        unit: None,
        readers: Scope::everyone(),
        writers: Scope::everyone(),
        carriers: Scope::everyone(),
        cuts: None,
    };
    let statement = declare(&mut directory(2), &key(0), Act::DefineSpace(define));
    net.handle(0, Input::Declared { statement });
    let opening = Opening::sign(&key(0), late, 0);
    net.nodes[0].author = Author::new(opening, Tip::start(opening.log()), 0);
    net.write(0, &[b"first"]);
    net.deliver(0, "Batch");
    net.run(1_000);
    assert_eq!(net.nodes[1].engine.durable(&opening.log()).seq, 1);
}

/// Found by the simulator: a range that stalled while nothing could be asked made the driver tick
/// without end.
#[test]
fn a_stall_while_the_disk_is_busy_asks_for_no_tick() {
    let mut net = Net::new(2);
    net.cut.extend([(0, 1), (1, 0)]);
    net.connect(0, 1);
    net.deliver(0, "Hello");
    net.deliver(1, "Hello");
    let log = LogId([3; 32]);
    let tip = Tip { seq: 9, ..Tip::start(log) };
    let positions = vec![tip.position(log)];
    let spaces = vec![crate::wire::SpacePositions { space: space(), positions, whole: false }];
    let link = *net.links.keys().next().unwrap();
    let message = Message::Have(crate::wire::Have { spaces });
    net.handle(0, Input::Message { link, message });
    assert_eq!(net.count("Want"), 1);
    net.nodes[0].engine.unpersisted_bytes = crate::limits::UNPERSISTED_BYTES_MAX;
    net.now += 60_000;
    net.handle(0, Input::Tick);
    assert!(net.nodes[0].engine.poll_timeout().is_none_or(|at| at > net.now));
}

#[test]
fn an_old_statement_behind_a_new_one_is_not_stored_again() {
    let mut d = directory(2);
    let old = d.statements_after(3)[0].clone();
    let new = declare(&mut d, &key(0), admit(7));
    let mut net = Net::new(2);
    net.run(1_000);
    let link = *net.links.iter().find(|(_, (node, _))| *node == 1).unwrap().0;
    let statements = crate::wire::Statements { statements: vec![new, old] };
    net.nodes[1]
        .engine
        .handle(net.now, Input::Message { link, message: Message::Statements(statements) });
    let mut stored = Vec::new();
    while let Some(output) = net.nodes[1].engine.poll_output() {
        if let Output::Persist { item: Item::Statement { epoch, .. }, .. } = output {
            stored.push(epoch);
        }
    }
    assert_eq!(stored, [d.epoch()]);
}

#[test]
fn a_stranger_learns_nothing_and_raises_no_alarm() {
    let mut net = Net::with_directories(vec![directory(1), directory(1)]);
    net.connect(0, 1);
    let link = *net.links.iter().find(|(_, (node, _))| *node == 0).unwrap().0;
    net.wire.clear();
    net.sent.clear();
    let hello = crate::wire::Hello {
        version_min: 1,
        version_max: 1,
        federation: federation(),
        epoch: 1,
        directory: crate::id::Hash([9; 32]),
        digest: crate::id::Hash::ZERO,
        agent: String::new(),
        state: None,
    };
    net.handle(0, Input::Message { link, message: Message::Hello(hello) });
    assert_eq!(net.sent.len(), 0);
    assert!(net.notices.iter().all(|(_, n)| !matches!(n, Notice::DirectoryFork { .. })));
}

#[test]
fn boundless_claims_cost_nothing_but_the_link() {
    let mut net = Net::new(2);
    net.write(0, &[b"x"]);
    net.run(1_000);
    let log = net.nodes[0].author.log();
    let link = *net.links.iter().find(|(_, (node, _))| *node == 0).unwrap().0;
    let claim = |log| Position {
        log,
        seq: u64::MAX,
        prefix: log_prefix(),
        body_bytes: u64::MAX,
        fork: None,
    };
    let positions = vec![claim(log), claim(LogId([1; 32])), claim(LogId([2; 32]))];
    let have = crate::wire::Have {
        spaces: vec![crate::wire::SpacePositions { space: space(), positions, whole: false }],
    };
    net.handle(0, Input::Message { link, message: Message::Have(have) });
    net.write(0, &[b"y"]);
    net.run(1_000);
    let status = net.nodes[0].engine.status();
    assert_eq!(status.peers[0].spaces[0].1.missing_here, u64::MAX);
}

fn log_prefix() -> crate::id::HashPrefix {
    crate::id::HashPrefix([0; 8])
}

#[test]
fn a_dial_that_was_overtaken_costs_no_second_greeting() {
    let mut net = Net::new(2);
    net.run(2_000);
    net.sent.clear();
    let (small, large) = if id(0) < id(1) { (0, 1) } else { (1, 0) };
    // The dial of the smaller key completes after the larger one's link is live.
    net.connect(small, large);
    net.run(500);
    assert_eq!(net.count("Hello"), 0);
    assert!(net.nodes.iter().all(|n| n.engine.status().peers[0].live));
}

#[test]
fn a_peer_that_lost_its_link_is_heard_on_a_new_one() {
    let mut net = Net::new(2);
    net.run(2_000);
    // Node 1 restarts: node 0 does not know yet that the old link is dead.
    let link = *net.links.iter().find(|(_, (node, _))| *node == 1).unwrap().0;
    net.cut.extend([(0, 1), (1, 0)]);
    net.handle(1, Input::LinkDown { link, reason: "restart".into() });
    net.cut.clear();
    net.run(5_000);
    net.write(1, &[b"here again"]);
    net.run(1_000);
    assert!(net.level());
    assert!(net.nodes.iter().all(|n| n.engine.status().peers[0].live));
}
