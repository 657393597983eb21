//! Directories that part, over the wire: everyone stops, and everyone comes back together.

use super::*;
use proptest::prelude::*;

/// Two halves that cannot reach each other: even and odd nodes.
fn halves(n: usize) -> Net {
    let mut net = Net::new(n);
    net.part();
    net.run(1_000);
    net
}

impl Net {
    fn part(&mut self) {
        let n = self.nodes.len();
        let pairs = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
        self.cut = pairs.filter(|(a, b)| (a + b) % 2 == 1).collect();
        let across: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, (node, other))| (node + self.links[other].0) % 2 == 1)
            .map(|(link, _)| *link)
            .collect();
        for link in across {
            let node = self.links[&link].0;
            self.handle(node, Input::LinkDown { link, reason: "cut".into() });
        }
    }

    fn meet(&mut self) {
        self.cut.clear();
        // Longer than anyone waits before dialling again.
        self.run(92_000);
    }

    fn directory(&self, node: usize) -> &Directory {
        self.nodes[node].engine.directory()
    }

    /// Signs the next statement by the key of node 0, the admin, and has it declared at `node`.
    fn declare_at(&mut self, node: usize, act: &Act) {
        let statement = self.directory(node).draft(&key(0), act, 0);
        self.handle(node, Input::Declared { statement });
    }

    fn recover_at(&mut self, node: usize, epoch: u64) {
        let statement = self.directory(node).draft_recovery(&root(), epoch, 0).unwrap();
        self.handle(node, Input::Declared { statement });
    }

    /// What a node would begin with after a restart.
    fn stored(&self, node: usize) -> Directory {
        let Node { chain, fork, .. } = &self.nodes[node];
        let mut directory = Directory::from_chain(federation(), chain.iter().cloned()).unwrap();
        fork.iter().for_each(|other| directory.stop_again(other.clone()));
        directory
    }

    /// All have the same directory, in memory and on disk.
    fn is_one(&self) -> bool {
        let first = self.directory(0);
        (0..self.nodes.len()).all(|n| self.directory(n) == first && self.stored(n) == *first)
    }

    fn alarms(&self) -> Vec<(usize, u64)> {
        let fork = |(node, notice): &(usize, Notice)| match notice {
            Notice::DirectoryFork { epoch } => Some((*node, *epoch)),
            _ => None,
        };
        let mut alarms: Vec<_> = self.notices.iter().filter_map(fork).collect();
        alarms.sort_unstable();
        alarms
    }

    fn no_violations(&self) -> bool {
        let blamed = |(_, notice): &(usize, Notice)| matches!(notice, Notice::Ended { reason, .. } if reason.contains("directory:"));
        !self.notices.iter().any(blamed)
    }
}

fn unit(code: &str) -> Act {
    Act::DefineUnit(DefineUnit { code: code.into(), name: code.into() })
}

/// Forked just after their beginnings: even nodes heard of one unit, odd nodes of another.
fn forked(n: usize) -> (Net, u64) {
    let mut net = halves(n);
    let common = net.directory(0).epoch();
    net.declare_at(0, &unit("nantong"));
    net.declare_at(1, &unit("suzhou"));
    net.run(1_000);
    net.meet();
    (net, common)
}

#[test]
fn a_fork_stops_everyone_and_writing_goes_on() {
    let (mut net, common) = forked(5);
    let everyone: Vec<_> = (0..5).map(|n| (n, common + 1)).collect();
    assert_eq!(net.alarms(), everyone, "each says it once");
    assert!(net.no_violations());
    for node in 0..5 {
        assert_eq!(net.directory(node).epoch(), common + 1);
        assert_eq!(net.stored(node).fork(), net.directory(node).fork(), "also after a restart");
        assert!(net.nodes[node].engine.status().directory_stopped.is_some());
        net.write(node, &[b"still here"]);
    }
    net.run(2_000);
    assert!(net.level());
    // The admin's next statement goes nowhere, whichever side it is for.
    let statement = net.directory(0).draft(&key(0), &unit("wuxi"), 0);
    let message = Message::Statements(crate::wire::Statements { statements: vec![statement] });
    let link = *net.links.iter().find(|(_, (node, _))| *node == 2).unwrap().0;
    net.handle(2, Input::Message { link, message });
    net.run(1_000);
    assert!((0..5).all(|n| net.directory(n).epoch() == common + 1));
    // Meeting again costs the proof, and settles down.
    net.part();
    net.meet();
    net.sent.clear();
    net.run(5_000);
    assert_eq!(net.count("Statements") + net.count("Parted"), 0);
    assert_eq!(net.alarms(), everyone);
}

#[test]
fn the_root_ends_it_on_either_side_or_before() {
    for (at, back) in [(0, 0), (1, 0), (2, 0), (3, 1), (0, 1)] {
        let (mut net, common) = forked(4);
        let expected = net.directory(at).epoch() - back;
        net.recover_at(at, expected);
        net.declare_at(at, &unit("wuxi"));
        net.run(3_000);
        assert!(net.is_one() && net.no_violations(), "recovered at {at}, {back} back");
        assert_eq!(net.directory(3).epoch(), expected + 2);
        assert_eq!(expected, common + 1 - back);
        assert!(net.nodes.iter().all(|n| n.engine.status().directory_stopped.is_none()));
        net.write(3, &[b"after it"]);
        net.run(1_000);
        assert!(net.level());
    }
}

#[test]
fn one_who_was_away_comes_back_to_what_stands() {
    // Nodes 1 and 3 follow a long void history and know nothing of a fork.
    let mut net = halves(4);
    let common = net.directory(0).epoch();
    for n in 0..150 {
        net.declare_at(1, &unit(&format!("void-{n}")));
    }
    net.run(1_000);
    assert_eq!(net.directory(3).epoch(), common + 150);
    for n in 0..100 {
        net.declare_at(0, &unit(&format!("unit-{n}")));
    }
    let epoch = net.directory(0).epoch();
    net.recover_at(0, epoch);
    net.declare_at(0, &unit("after"));
    net.run(1_000);
    net.meet();
    assert!(net.is_one() && net.no_violations());
    assert_eq!(net.directory(3).epoch(), common + 102);
    assert!(net.directory(3).unit("void-0").is_none());
}

#[test]
fn a_recovery_reaches_those_who_stopped_before_it() {
    // Node 2 hears of the fork and stops; its own side goes on without it, and is recovered there.
    let mut net = halves(4);
    let common = net.directory(0).epoch();
    net.declare_at(0, &unit("nantong"));
    net.run(1_000);
    let other = directory(4).draft(&key(0), &unit("suzhou"), 0);
    let message = Message::Statements(crate::wire::Statements { statements: vec![other] });
    net.cut.extend([(0, 2), (2, 0)]);
    let link = *net.links.iter().find(|(_, (node, _))| *node == 2).unwrap().0;
    let far = net.links[&link].1;
    net.handle(2, Input::Message { link, message });
    net.wire.clear();
    net.handle(2, Input::LinkDown { link, reason: "cut".into() });
    net.handle(0, Input::LinkDown { link: far, reason: "cut".into() });
    assert_eq!(net.directory(2).fork().unwrap().epoch, common + 1);
    net.declare_at(0, &unit("wuxi"));
    net.declare_at(0, &unit("changzhou"));
    let epoch = net.directory(0).epoch();
    net.recover_at(0, epoch);
    net.run(1_000);
    net.meet();
    assert!(net.is_one() && net.no_violations());
    assert_eq!(net.directory(2).epoch(), common + 4);
}

#[test]
fn a_replaced_admin_stops_nobody() {
    let mut net = halves(4);
    let common = net.directory(0).epoch();
    // Nodes 1 and 3 believe what the old admin says; head office has another by now.
    net.declare_at(1, &unit("suzhou"));
    net.declare_at(0, &unit("nantong"));
    let appoint = Act::AppointAdmin(AppointAdmin { node: id(2), cuts: None });
    let statement = net.directory(0).draft(&root(), &appoint, 0);
    net.handle(0, Input::Declared { statement });
    net.run(1_000);
    net.meet();
    assert!(net.is_one() && net.no_violations());
    assert_eq!(net.alarms(), []);
    assert_eq!(net.directory(1).epoch(), common + 2);
    assert_eq!(net.directory(1).admin(), id(2));
}

#[test]
fn whom_the_void_admitted_is_let_go() {
    let old = directory(2);
    let mut new = old.clone();
    declare(&mut new, &key(0), admit(2));
    let mut net = Net::with_directories(vec![new.clone(), new.clone(), new]);
    net.run(2_000);
    net.write(2, &[b"for a while"]);
    net.run(1_000);
    assert!(net.level());
    net.recover_at(0, old.epoch());
    net.run(5_000);
    assert_eq!(net.directory(1).epoch(), old.epoch() + 1);
    let let_go = |(node, notice): &(usize, Notice)| {
        *node < 2
            && matches!(notice, Notice::Ended { peer, reason, .. } if *peer == id(2) && reason.contains("void"))
    };
    assert!(net.notices.iter().any(let_go));
    net.write(0, &[b"between us"]);
    net.run(1_000);
    assert_eq!(net.digests()[0], net.digests()[1]);
    assert_ne!(net.digests()[0], net.digests()[2]);
}

/// The disk refuses as the other history is stored; it is stored later, before what follows it.
#[test]
fn a_recovery_the_disk_refused_is_stored_later() {
    let mut net = Net::new(2);
    net.run(1_000);
    net.declare_at(0, &unit("void"));
    net.run(1_000);
    let epoch = net.directory(0).epoch();
    net.recover_at(0, epoch - 1);
    let (link, message, _) = net.wire.pop_front().unwrap();
    let other = net.links[&link].1;
    net.nodes[1].engine.handle(net.now, Input::Message { link: other, message });
    while let Some(output) = net.nodes[1].engine.poll_output() {
        if let Output::Persist { ticket, .. } = output {
            let reason = "disk full".into();
            net.nodes[1].engine.handle(net.now, Input::PersistFailed { ticket, reason });
        }
    }
    net.declare_at(0, &unit("after"));
    net.run(10_000);
    assert!(net.is_one());
    assert_eq!(net.directory(1).epoch(), epoch + 1);
}

#[test]
fn a_stranger_is_not_told_where_we_have_been() {
    let mut net = Net::with_directories(vec![directory(1), directory(1)]);
    net.connect(0, 1);
    let link = *net.links.iter().find(|(_, (node, _))| *node == 0).unwrap().0;
    net.wire.clear();
    net.sent.clear();
    let message = Message::Parted(crate::wire::Parted { heads: vec![] });
    net.handle(0, Input::Message { link, message });
    assert_eq!(net.sent.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is said on either side of whatever cuts, by the admin or the root, one more recovery
    /// brings all together.
    #[test]
    fn one_recovery_brings_everyone_together(
        steps in prop::collection::vec((0u8..5, 0usize..5), 1..14),
        at in 0usize..5,
        back in 0u64..3,
    ) {
        let mut net = Net::new(5);
        net.run(500);
        for (n, (what, node)) in steps.into_iter().enumerate() {
            match what {
                0 => net.part(),
                1 => net.cut.clear(),
                2 => net.declare_at(node, &unit(&format!("u{n}"))),
                3 => {
                    let epoch = net.directory(node).epoch() - 1;
                    net.recover_at(node, epoch.max(directory(5).epoch()));
                }
                _ => net.write(node, &[b"x"]),
            }
            net.run(400);
        }
        net.meet();
        prop_assert!(net.no_violations());
        // Not to before it admitted them.
        let epoch = (net.directory(at).epoch() - back).max(directory(5).epoch());
        net.recover_at(at, epoch);
        net.run(20_000);
        prop_assert!(net.is_one());
        prop_assert!(net.level());
        let next = net.directory(0).draft(&key(0), &unit("end"), 0);
        net.handle(0, Input::Declared { statement: next });
        net.run(2_000);
        prop_assert!(net.is_one() && net.directory(4).unit("end").is_some());
    }
}
