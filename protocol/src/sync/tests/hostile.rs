//! A member that wants to cost this node memory: what one peer can make the engine hold is bounded.

use super::*;
use crate::id::HashPrefix;
use crate::limits::{LINK_OUTBOX_BYTES_MAX, LOGS_PER_SPACE_MAX, REFUSED_PER_PEER_MAX};
use crate::wire::{Have, Hello, Range, SpacePositions, WIRE_VERSION, Want};

const LINK: LinkId = LinkId(1);
const EVE: usize = 1;

/// Node 0 with a live link to node 1, whose words are ours to choose.
fn linked() -> Engine {
    let d = directory(2);
    let hello = Hello {
        version_min: WIRE_VERSION,
        version_max: WIRE_VERSION,
        federation: federation(),
        epoch: d.epoch(),
        directory: d.head(),
        digest: crate::id::Hash([9; 32]),
        agent: "eve".into(),
        state: None,
    };
    let mut engine = Engine::new(0, 7, id(0), Settings::default(), d, [], []);
    engine.handle(0, Input::LinkUp { link: LINK, peer: id(EVE), dialed: false });
    say(&mut engine, 0, Message::Hello(hello));
    engine
}

/// Eve says something; what the engine does about it.
fn say(engine: &mut Engine, now: u64, message: Message) -> Vec<Output> {
    engine.handle(now, Input::Message { link: LINK, message });
    std::iter::from_fn(|| engine.poll_output()).collect()
}

/// A post's entry, if one does not look inside.
fn draft(body: &[u8]) -> Draft<'_> {
    let shape = Shape {
        version: HEADER_VERSION,
        lane: Lane::POSTS,
        kind: Kind(1),
        genesis: 1,
        encoding: Encoding::CHANGE,
        key_epoch: 0,
    };
    let (directory, document) = (HashPrefix([0; 8]), DocId([1; 16]));
    Draft { epoch: 1, directory, now_ms: 1, shape, document, body }
}

fn made_up(n: u64) -> LogId {
    LogId(crate::id::Hash::of("test", &[&n.to_be_bytes()]).0)
}

#[test]
fn vectors_of_logs_nobody_has_do_not_pile_up() {
    let mut engine = linked();
    let of = |log| Position { log, seq: 9, prefix: HashPrefix([0; 8]), body_bytes: 0, fork: None };
    for round in 0..20 {
        let logs = (0..LOGS_PER_SPACE_MAX as u64).map(|n| made_up(round << 32 | n));
        let positions = logs.map(of).collect();
        let told = SpacePositions { space: space(), positions, whole: true };
        say(&mut engine, round, Message::Have(Have { spaces: vec![told] }));
        assert!(
            engine.wanted.len() <= LOGS_PER_SPACE_MAX,
            "{} in round {round}",
            engine.wanted.len()
        );
    }
    for now in 1..200 {
        engine.handle(now * 11_000, Input::Tick);
    }
    assert!(engine.sessions[&LINK].avoid.len() <= LOGS_PER_SPACE_MAX);
}

#[test]
fn declined_logs_are_counted_beyond_those_remembered() {
    let mut engine = linked();
    let mut told = 0;
    let tries = 2 * REFUSED_PER_PEER_MAX as u32;
    for incarnation in 0..tries {
        // A space nobody carries.
        let opening = Opening::sign(&key(EVE), SpaceId([77; 16]), incarnation);
        let mut author = Author::new(opening, Tip::start(opening.log()), 0);
        author.append(&draft(b"x"));
        let run = author.close(&key(EVE)).unwrap();
        for output in say(&mut engine, 1, Message::Batch(run)) {
            told += usize::from(matches!(output, Output::Notice(Notice::Refused { .. })));
        }
    }
    assert_eq!((told, engine.refused.len()), (REFUSED_PER_PEER_MAX, REFUSED_PER_PEER_MAX));
    let peer = engine.status().peers.into_iter().find(|p| p.peer == id(EVE)).unwrap();
    assert_eq!(peer.refusals.batches, u64::from(tries));
}

/// A batch that names an honest log and opens another would have that log refused, and nobody asked for it.
#[test]
fn a_log_is_not_refused_for_a_batch_that_opens_another() {
    let mut engine = linked();
    let honest = Opening::sign(&key(0), space(), 3).log();
    let opening = Opening::sign(&key(EVE), SpaceId([77; 16]), 0);
    let mut author = Author::new(opening, Tip::start(opening.log()), 0);
    author.append(&draft(b"x"));
    let mut bytes = author.close(&key(EVE)).unwrap().as_bytes().to_vec();
    bytes[..32].copy_from_slice(honest.as_bytes());
    bytes[40..72].copy_from_slice(honest.as_bytes());
    let outputs = say(&mut engine, 1, Message::Batch(Run::parse(bytes).unwrap()));
    let blamed = |o: &Output| matches!(o, Output::Close { code: Close::Violation, .. });
    assert!(outputs.iter().any(blamed) && engine.refused.is_empty(), "{outputs:?}");
}

#[test]
fn who_asks_and_does_not_read_is_closed() {
    let mut engine = linked();
    let ranges =
        |n: u64| (0..64).map(|i| Range { log: made_up(n * 64 + i), from: 1, to: 9 }).collect();
    let mut sent = 0;
    for n in 0.. {
        assert!(sent <= 2 * LINK_OUTBOX_BYTES_MAX, "it goes on");
        let outputs = say(&mut engine, 1, Message::Want(Want { ranges: ranges(n) }));
        let closed = outputs.iter().find_map(|output| match output {
            Output::Close { code, .. } => Some(*code),
            Output::Send { frame, .. } => {
                sent += frame.len();
                None
            }
            _ => None,
        });
        if let Some(code) = closed {
            assert_eq!(code, Close::Unread);
            break;
        }
    }
    assert!(sent > LINK_OUTBOX_BYTES_MAX);
    let peer = engine.status().peers.into_iter().find(|p| p.peer == id(EVE)).unwrap();
    assert_eq!(peer.refusals.unread, 1);
    assert!(peer.refusals.ranges > 0 && !peer.live);
}
