//! Logs whose author signed several histories: one stands everywhere, whatever came first.

use super::*;
use crate::log::{History, Proof, part};
use std::collections::BTreeSet;

/// Small numbers from a seed, the same ones every time.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Stored runs of one log.
struct Shelf<'a>(&'a [Run]);

impl History for Shelf<'_> {
    type Error = std::convert::Infallible;

    fn run(&mut self, from: u64) -> Result<Option<Run>, Self::Error> {
        let held = self.0.iter().filter(|r| r.last() >= from);
        Ok(held.take(1).find_map(|r| r.starting_at(from)))
    }

    fn checkpoint(&mut self, seq: u64) -> Result<u64, Self::Error> {
        Ok(self.0.iter().map(Run::last).filter(|last| *last <= seq).max().unwrap_or(0))
    }
}

impl Node {
    pub(super) fn part(&self, run: &Run) -> Parting {
        let log = run.log();
        let runs = self.runs.get(&log).map_or(&[][..], Vec::as_slice);
        let tip = self.engine.durable(&log);
        let Some(opening) = runs.first().and_then(Run::opening) else { return Parting::Nowhere };
        part(run, *opening, &tip, &mut Shelf(runs)).unwrap()
    }

    pub(super) fn go_over(&mut self, switch: Switch) {
        let log = switch.log().unwrap();
        let runs = self.runs.get_mut(&log).unwrap();
        let lost: Vec<_> = runs.iter().filter_map(|r| r.starting_at(switch.parted)).collect();
        let lost = lost.iter().flat_map(|r| r.entries().map(|e| e.hash)).collect();
        runs.retain(|r| r.first() <= switch.base.seq);
        assert_eq!(runs.last().map_or(0, Run::last), switch.base.seq, "a log ends at a checkpoint");
        runs.extend(switch.runs);
        self.lost.push((log, lost));
    }

    fn restart(&mut self, now: u64) {
        let stored: Vec<_> = self
            .runs
            .iter()
            .filter_map(|(log, runs)| {
                let opening = *runs.first()?.opening()?;
                let mut tip = Tip::start(*log);
                for run in runs {
                    tip = run.verify(&opening.node, &tip).unwrap().tip;
                }
                let fork = self.proofs.get(log).cloned();
                Some(StoredLog { log: *log, space: opening.space, author: opening.node, tip, fork })
            })
            .collect();
        let directory = Directory::from_chain(federation(), self.chain.clone()).unwrap();
        let me = self.engine.me();
        self.engine = Engine::new(now, 7, me, Settings::default(), directory, stored, []);
    }
}

/// Writes runs at the end of a branch.
struct Pen {
    key: SigningKey,
    author: Author,
    runs: Vec<Run>,
}

impl Pen {
    fn new(key: SigningKey) -> Self {
        let opening = Opening::sign(&key, space(), 0);
        let author = Author::new(opening, Tip::start(opening.log()), 0);
        Self { key, author, runs: Vec::new() }
    }

    /// A copy that goes on by itself.
    fn copy(&self) -> Self {
        Self { key: self.key.clone(), author: self.author.clone(), runs: self.runs.clone() }
    }

    fn write(&mut self, entries: u64, body: &str) {
        for _ in 0..entries {
            self.author.append(&Draft {
                epoch: 4,
                directory: crate::id::HashPrefix([7; 8]),
                now_ms: 1,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: Lane::POSTS,
                    kind: Kind(1),
                    genesis: 1,
                    encoding: Encoding::CHANGE,
                    key_epoch: 0,
                },
                document: DocId([1; 16]),
                body: body.as_bytes(),
            });
        }
        self.runs.extend(self.author.close(&self.key));
    }

    fn log(&self) -> LogId {
        self.author.log()
    }

    /// The same entries in other runs: joined where chance says so.
    fn rearranged(&self, rng: &mut Rng) -> Vec<Run> {
        let mut out: Vec<Run> = Vec::new();
        for run in &self.runs {
            match out.last().and_then(|last| last.joined(run)).filter(|_| rng.below(2) == 0) {
                Some(joined) => *out.last_mut().unwrap() = joined,
                None => out.push(run.clone()),
            }
        }
        out
    }

    fn hashes(&self) -> Vec<Hash> {
        self.runs.iter().flat_map(|r| r.entries().map(|e| e.hash)).collect()
    }
}

/// What stands: from entry to entry, the one with the lowest hash.
fn standing(branches: &[Vec<Hash>]) -> Vec<Hash> {
    let mut out: Vec<Hash> = Vec::new();
    loop {
        let on: Vec<_> = branches.iter().filter(|b| b.starts_with(&out)).collect();
        let Some(next) = on.iter().filter_map(|b| b.get(out.len())).min() else { return out };
        out.push(*next);
    }
}

impl Net {
    /// A node holds these runs of another's log from the beginning.
    fn holds(&mut self, node: usize, runs: Vec<Run>) {
        if let Some(run) = runs.first() {
            self.nodes[node].runs.insert(run.log(), runs);
        }
        self.nodes[node].restart(self.now);
    }

    fn held(&self, node: usize, log: LogId) -> Vec<Hash> {
        let runs = self.nodes[node].runs.get(&log).into_iter().flatten();
        runs.flat_map(|r| r.entries().map(|e| e.hash)).collect()
    }

    fn first_level(&self, n: usize) -> bool {
        let digests = &self.digests()[..n];
        digests.iter().all(|d| *d == digests[0])
    }

    fn forks(&self, node: usize) -> Vec<(u64, bool)> {
        self.nodes[node].engine.forks().map(|f| (f.seq, f.losing)).collect()
    }
}

/// Two copies of node 3's disk wrote on, one entry and three.
fn two_copies() -> (Pen, Pen) {
    let mut a = Pen::new(key(3));
    a.write(2, "before");
    let mut b = a.copy();
    a.write(1, "one");
    b.write(3, "other");
    // `a` is the branch that stands.
    if a.runs[1].first_hash() < b.runs[1].first_hash() { (a, b) } else { (b, a) }
}

fn alone() -> Net {
    let mut net = Net::new(4);
    net.cut = (0..4).flat_map(|n| [(n, 3), (3, n)]).collect();
    net
}

#[test]
fn the_lower_branch_stands_whatever_came_first() {
    for (first, second) in [(0, 1), (1, 0)] {
        let (a, b) = two_copies();
        let branches = [a.runs.clone(), b.runs.clone()];
        let mut net = alone();
        net.holds(0, branches[first].clone());
        net.holds(1, branches[second].clone());
        net.run(3_000);
        assert!(net.first_level(3));
        let log = a.log();
        for node in 0..3 {
            assert_eq!(net.held(node, log), a.hashes(), "node {node}");
            assert_eq!(net.forks(node), [(3, false)], "everyone has the proof");
        }
        let loser = if first == 0 { 1 } else { 0 };
        assert_eq!(net.nodes[loser].lost, [(log, b.hashes()[2..].to_vec())], "nothing is dropped");
        net.sent.clear();
        net.run(60_000);
        assert_eq!(net.sent, [], "and then there is nothing more to say");
    }
}

#[test]
fn a_branch_that_stands_goes_on_and_counts_in_full() {
    let (mut a, b) = two_copies();
    let mut net = alone();
    net.holds(0, a.runs.clone());
    net.holds(1, b.runs);
    net.run(3_000);
    // Its author does not know yet.
    a.write(2, "later");
    let run = a.runs.last().unwrap().clone();
    let link = *net.links.iter().find(|(_, (node, _))| *node == 1).unwrap().0;
    net.handle(1, Input::Message { link, message: Message::Batch(run) });
    net.run(3_000);
    for node in 0..3 {
        assert_eq!(net.held(node, a.log()), a.hashes(), "node {node}");
    }
}

#[test]
fn a_wrong_prefix_is_no_proof() {
    let (a, _) = two_copies();
    let mut net = alone();
    net.holds(0, a.runs.clone());
    net.run(3_000);
    assert!(net.first_level(3));
    let lie = |seq| Position {
        log: a.log(),
        seq,
        prefix: crate::id::HashPrefix([9; 8]),
        body_bytes: 0,
        fork: Some(1),
    };
    let link = *net.links.iter().find(|(_, (node, _))| *node == 1).unwrap().0;
    for seq in 1..4 {
        let spaces = vec![crate::wire::SpacePositions {
            space: space(),
            positions: vec![lie(seq)],
            whole: false,
        }];
        let message = Message::Have(crate::wire::Have { spaces });
        net.handle(1, Input::Message { link, message });
        net.run(1_000);
    }
    net.run(30_000);
    assert!(net.notices.iter().all(|(_, n)| !matches!(n, Notice::Fork { .. })));
    assert!((0..3).all(|node| net.forks(node).is_empty() && net.held(node, a.log()) == a.hashes()));
}

#[test]
fn a_proof_that_is_none_is_a_violation() {
    let (a, b) = two_copies();
    let mut net = alone();
    net.holds(0, a.runs.clone());
    net.run(3_000);
    let opening = *a.runs[0].opening().unwrap();
    let proof = Proof::of(opening, &a.runs[1], &b.runs[1]).unwrap();
    assert!(proof.verify());
    let mut bytes = proof.to_wire();
    // The signature of the other branch.
    let at = bytes.len() - b.runs[1].without_bodies().as_bytes().len() + 80;
    bytes[at] ^= 1;
    let forged = Proof::from_wire(&bytes).unwrap();
    assert!(!forged.verify());
    let link = *net.links.iter().find(|(_, (node, _))| *node == 1).unwrap().0;
    net.handle(1, Input::Message { link, message: Message::Proof(Box::new(forged)) });
    assert!(
        net.forks(1).is_empty()
            && net.nodes[1].engine.status().peers.iter().any(|p| p.refusals.violations > 0)
    );
    assert!(Proof::of(opening, &a.runs[1], &a.runs[1]).is_none(), "one history proves nothing");
}

#[test]
fn a_node_that_was_away_hears_of_the_fork_without_the_other_branch() {
    let (a, b) = two_copies();
    let mut net = alone();
    net.cut.extend([(2, 0), (0, 2), (2, 1), (1, 2)]);
    net.holds(2, a.runs.clone());
    net.holds(0, a.runs.clone());
    net.holds(1, b.runs);
    net.run(3_000);
    assert_eq!((net.forks(0), net.forks(2)), (vec![(3, false)], vec![]));
    assert!(!net.first_level(3), "what is proven is part of what is compared");
    net.cut.clear();
    net.run(90_000);
    assert!(net.first_level(3));
    assert_eq!(net.forks(2), [(3, false)]);
}

/// Up to four copies of one disk, each leaving another where chance says so; nodes hold what chance
/// gives them, meet in any order and start again in between: they end with one history.
#[test]
fn any_order_of_meetings_gives_one_history() {
    let (mut lost, mut twice) = (0, 0);
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let mut pens = vec![Pen::new(key(4))];
        pens[0].write(1 + rng.below(3), "first");
        for round in 0..12 {
            let which = rng.below(pens.len() as u64) as usize;
            if rng.below(2) == 0 && pens.len() < 4 {
                let copy = pens[which].copy();
                pens.push(copy);
            } else {
                let pen = &mut pens[which];
                pen.write(1 + rng.below(4), &format!("{which} {round}"));
            }
        }
        let log = pens[0].log();
        let mut net = Net::new(5);
        net.cut = (0..5).flat_map(|a| (0..5).map(move |b| (a, b))).collect();
        let mut held = BTreeSet::new();
        for node in 0..4 {
            let mut runs = pens[node % pens.len()].rearranged(&mut rng);
            if rng.below(3) == 0 {
                runs.truncate(rng.below(runs.len() as u64 + 1) as usize);
            }
            held.insert(runs.iter().flat_map(|r| r.entries().map(|e| e.hash)).collect::<Vec<_>>());
            net.holds(node, runs);
        }
        let expected = standing(&held.into_iter().collect::<Vec<_>>());
        for _ in 0..12 {
            let (a, b) = (rng.below(4) as usize, rng.below(4) as usize);
            if a != b {
                net.connect(a, b);
            }
            net.run(rng.below(400));
            if rng.below(6) == 0 {
                net.nodes[a].restart(net.now);
                let gone: Vec<_> = net
                    .links
                    .iter()
                    .filter(|(_, (n, _))| *n == a)
                    .map(|(l, (_, o))| (*l, *o))
                    .collect();
                for (link, other) in gone {
                    net.wire.retain(|(l, ..)| *l != link && *l != other);
                    let (far, _) = net.links[&other];
                    net.handle(far, Input::LinkDown { link: other, reason: "restart".into() });
                }
                net.drain(a);
            }
        }
        net.cut = (0..5).flat_map(|n| [(n, 4), (4, n)]).collect();
        net.run(100_000);
        for node in 0..4 {
            assert_eq!(net.held(node, log), expected, "seed {seed}, node {node}");
        }
        assert!(net.first_level(4), "seed {seed}");
        assert!((0..4).all(|n| net.forks(n) == net.forks(0)), "seed {seed}");
        assert!(net.forks(0).iter().all(|(_, losing)| !losing), "seed {seed}");
        lost += net.nodes.iter().filter(|n| !n.lost.is_empty()).count();
        twice += net.nodes.iter().filter(|n| n.lost.len() > 1).count();
    }
    assert!(lost > 20 && twice > 0, "{lost} nodes went over, {twice} more than once");
}
