//! Entries that a disk lost after it had them.

use super::*;

/// Three nodes, level, with a log of three runs; node 1 no longer has the second.
fn damaged() -> (Net, LogId) {
    let mut net = Net::new(3);
    for bodies in [&[b"one" as &[u8]], &[b"two" as &[u8]], &[b"three" as &[u8]]] {
        net.write(0, bodies);
        net.run(2_000);
    }
    let log = net.nodes[0].author.log();
    assert_eq!(net.nodes[1].runs[&log].len(), 3);
    net.nodes[1].runs.get_mut(&log).unwrap().remove(1);
    net.sent.clear();
    (net, log)
}

fn ranges(net: &Net, node: usize) -> Vec<(u64, u64)> {
    net.nodes[node].engine.status().damaged.iter().map(|d| (d.from, d.to)).collect()
}

#[test]
fn a_damaged_range_is_fetched_again_alone_and_put_back() {
    let (mut net, log) = damaged();
    let tip = net.nodes[1].engine.durable(&log);
    net.handle(1, Input::Damaged { log, ranges: vec![(2, 2)] });
    assert_eq!(ranges(&net, 1), [(2, 2)]);
    assert_eq!(net.nodes[1].engine.state_with(&id(0)), None, "not compared meanwhile");
    net.run(5_000);
    assert_eq!(ranges(&net, 1), []);
    assert_eq!((net.count("Want"), net.count("Batch"), net.count("Prune")), (1, 1, 0));
    let held: Vec<u64> = net.nodes[1].runs[&log].iter().map(Run::first).collect();
    assert_eq!(held, [1, 2, 3]);
    assert_eq!(net.nodes[1].engine.durable(&log), tip, "its end was never in doubt");
    assert!(net.nodes[1].engine.state_with(&id(0)).is_some());
}

#[test]
fn an_author_gets_its_own_entries_back_and_writes_on() {
    let (mut net, log) = damaged();
    net.nodes[0].runs.get_mut(&log).unwrap().remove(0);
    // One of the two it may ask lacks another run, and says so only when asked for that.
    net.handle(0, Input::Damaged { log, ranges: vec![(1, 1)] });
    net.run(5_000);
    assert_eq!((ranges(&net, 0), net.nodes[0].runs[&log].len()), (vec![], 3));
    net.write(0, &[b"four"]);
    net.run(2_000);
    assert!(net.level());
}

#[test]
fn a_peer_that_cannot_help_is_passed_over_and_what_nobody_has_stays_listed() {
    let (mut net, log) = damaged();
    net.nodes[0].runs.get_mut(&log).unwrap().remove(1);
    net.handle(1, Input::Damaged { log, ranges: vec![(2, 2)] });
    net.run(30_000);
    assert_eq!(ranges(&net, 1), [], "the third has it");

    for node in 0..3 {
        net.nodes[node].runs.get_mut(&log).unwrap().retain(|run| run.first() != 3);
    }
    net.handle(1, Input::Damaged { log, ranges: vec![(3, 3)] });
    net.run(60_000);
    let status = net.nodes[1].engine.status().damaged;
    assert_eq!((status.len(), status[0].holders, status[0].coming), (1, 0, false));
    // Asking does not become a flood, and a disk that was looked at again may take it back.
    net.sent.clear();
    net.run(60_000);
    assert_eq!(net.count("Want"), 0);
    net.handle(1, Input::Damaged { log, ranges: Vec::new() });
    assert_eq!(ranges(&net, 1), []);
}

#[test]
fn a_run_that_does_not_fit_is_asked_of_another() {
    let (mut net, log) = damaged();
    let link = net.links.iter().find(|(_, (node, other))| *node == 1 && net.links[other].0 == 0);
    let link = *link.unwrap().0;
    net.handle(1, Input::Damaged { log, ranges: vec![(2, 2)] });
    // Nothing but what was asked, from whom it was asked, and signed, mends anything.
    let run = net.nodes[0].runs[&log][1].clone();
    let mut bytes = run.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = Run::parse(bytes).unwrap();
    let asked = net.wire.iter().find(|(_, m, _)| matches!(m, Message::Want(_))).unwrap().0;
    let elsewhere = if asked == link { LinkId(u64::MAX) } else { link };
    net.handle(1, Input::Message { link: elsewhere, message: Message::Batch(forged.clone()) });
    assert_eq!(ranges(&net, 1), [(2, 2)]);
    net.handle(1, Input::Message { link: asked, message: Message::Batch(forged) });
    assert_eq!(net.nodes[1].runs[&log].len(), 2);
    assert_eq!(ranges(&net, 1), [(2, 2)]);
    net.run(30_000);
    assert_eq!(ranges(&net, 1), []);
}

/// Found by a daemon whose database was made anew: it asked for what was missing in the middle and for what
/// was new, and the second took the first one's place with the peer.
#[test]
fn what_is_new_of_a_log_does_not_displace_what_is_mended_of_it() {
    let (mut net, log) = damaged();
    net.cut = vec![(0, 1), (1, 0), (1, 2), (2, 1)];
    let of_one = |net: &Net, link: &LinkId| {
        let (node, other) = net.links[link];
        node == 1 || net.links[&other].0 == 1
    };
    let links: Vec<LinkId> = net.links.keys().copied().filter(|l| of_one(&net, l)).collect();
    for link in links {
        let (node, _) = net.links[&link];
        net.handle(node, Input::LinkDown { link, reason: "cable".into() });
    }
    net.write(0, &[b"four"]);
    net.run(2_000);
    net.handle(1, Input::Damaged { log, ranges: vec![(2, 2)] });
    // One peer alone can be asked for both.
    net.cut = vec![(1, 2), (2, 1)];
    net.run(8_000);
    assert_eq!(ranges(&net, 1), []);
    assert_eq!(net.nodes[1].engine.durable(&log).seq, 4);
}
