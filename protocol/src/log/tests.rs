//! Runs: what round-trips, what is refused, and what a cut or a join leaves true.

use super::*;
use crate::id::{DocId, HashPrefix, NodeId, SpaceId};
use crate::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX, RUN_ENTRIES_MAX};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn node() -> NodeId {
    NodeId(key().verifying_key().to_bytes())
}

fn author() -> Author {
    let opening = Opening::sign(&key(), SpaceId([1; 16]), 0);
    Author::new(opening, Tip::start(opening.log()), 0)
}

fn append(author: &mut Author, kind: u16, epoch: u64, body: &[u8]) {
    author.append(&Draft {
        epoch,
        directory: HashPrefix([epoch as u8; 8]),
        now_ms: 1_700_000_000_000,
        shape: Shape {
            version: HEADER_VERSION,
            lane: Lane::POSTS,
            kind: Kind(kind),
            genesis: 1,
            encoding: Encoding::CHANGE,
            key_epoch: 0,
        },
        document: DocId([kind as u8; 16]),
        body,
    });
}

/// Runs of a log whose bodies are `sizes` long, one run for each inner list.
fn runs(sizes: &[Vec<usize>]) -> (Vec<Run>, Tip) {
    let mut author = author();
    let mut out = Vec::new();
    for (i, run) in sizes.iter().enumerate() {
        for (j, size) in run.iter().enumerate() {
            append(&mut author, (j % 3) as u16, (i / 2) as u64, &vec![j as u8; *size]);
        }
        out.extend(author.close(&key()));
    }
    (out, author.tip())
}

proptest! {
    #[test]
    fn runs_verify_join_and_cut(
        sizes in prop::collection::vec(prop::collection::vec(0usize..300, 1..6), 1..6),
        at in 1u64..30,
    ) {
        let (runs, tip) = runs(&sizes);
        let start = Tip::start(author().log());
        let mut held = start;
        for run in &runs {
            let again = Run::parse(run.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&again, run);
            held = run.verify(&node(), &held).unwrap().tip;
        }
        prop_assert_eq!(held, tip);

        let mut joined = runs[0].clone();
        for run in &runs[1..] {
            joined = joined.joined(run).unwrap();
        }
        prop_assert_eq!(joined.verify(&node(), &start).unwrap().tip, tip);
        prop_assert_eq!(joined.verify(&node(), &runs[0].verify(&node(), &start).unwrap().tip).unwrap().tip, tip);

        let whole: Vec<_> = joined.entries().map(|e| (e.header, e.hash)).collect();
        match joined.starting_at(at) {
            None => prop_assert!(at > joined.last()),
            Some(cut) => {
                let rest: Vec<_> = cut.entries().map(|e| (e.header, e.hash)).collect();
                prop_assert_eq!(&whole[(at - 1) as usize..], &rest[..]);
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed(byte in 0usize..2000, bit in 0u8..8) {
        let (runs, _) = runs(&[vec![100, 0, 7]]);
        let mut bytes = runs[0].as_bytes().to_vec();
        let at = byte % bytes.len();
        bytes[at] ^= 1 << bit;
        let held = Tip::start(author().log());
        let refused = match Run::parse(bytes) {
            Err(_) => true,
            Ok(run) => run.log() != author().log() || run.verify(&node(), &held).is_err(),
        };
        prop_assert!(refused, "byte {at} bit {bit}");
    }

    #[test]
    fn truncated_runs_are_refused(keep in 0usize..600) {
        let (runs, _) = runs(&[vec![100, 0, 7]]);
        let bytes = runs[0].as_bytes();
        prop_assert!(Run::parse(bytes[..keep.min(bytes.len() - 1)].to_vec()).is_err());
    }
}

#[test]
fn a_second_history_is_a_fork_only_if_signed() {
    let (runs, _) = runs(&[vec![10], vec![20]]);
    let held = runs[0].verify(&node(), &Tip::start(runs[0].log())).unwrap().tip;
    let mut other = author();
    append(&mut other, 9, 0, b"another past");
    append(&mut other, 9, 0, b"another present");
    let forked = other.close(&key()).unwrap();
    assert_eq!(forked.verify(&node(), &held), Err(RunError::Fork(1)));
    assert_eq!(forked.starting_at(2).unwrap().verify(&node(), &held), Err(RunError::Fork(1)));
    let mut bytes = forked.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(Run::parse(bytes).unwrap().verify(&node(), &held), Err(RunError::Signature));
}

#[test]
fn a_gap_is_detached_and_a_falling_epoch_refused() {
    let (runs, _) = runs(&[vec![1], vec![2], vec![3]]);
    let start = Tip::start(runs[0].log());
    assert_eq!(runs[2].verify(&node(), &start), Err(RunError::Detached));
}

/// Also from one run to the next, and where a run begins before what is held.
#[test]
fn a_log_cites_no_earlier_epoch_than_before() {
    let mut writer = author();
    append(&mut writer, 1, 5, b"x");
    let first = writer.close(&key()).unwrap();
    let held = first.verify(&node(), &Tip::start(first.log())).unwrap().tip;
    assert_eq!(held.epoch, 5);
    assert!(writer.may_cite(5) && !writer.may_cite(4));
    // One who does not ask itself: its memory of what it cited is gone.
    let mut careless = Author::new(*writer.opening(), Tip { epoch: 0, ..held }, 0);
    append(&mut careless, 1, 4, b"y");
    let second = careless.close(&key()).unwrap();
    assert_eq!(second.verify(&node(), &held), Err(RunError::EpochFalls(5, 4)));
    let joined = first.joined(&second).unwrap();
    for tip in [held, Tip::start(first.log())] {
        assert_eq!(joined.verify(&node(), &tip), Err(RunError::EpochFalls(5, 4)));
    }
    append(&mut writer, 1, 5, b"y");
    let honest = first.joined(&writer.close(&key()).unwrap()).unwrap();
    assert_eq!(honest.verify(&node(), &held).unwrap().fresh, 1);
}

#[test]
#[should_panic(expected = "such a log is left")]
fn an_author_does_not_contradict_itself() {
    let mut writer = author();
    append(&mut writer, 1, 5, b"x");
    append(&mut writer, 1, 4, b"y");
}

#[test]
fn the_largest_run_of_one_author_fits_a_frame() {
    let mut writer = author();
    for _ in 0..RUN_ENTRIES_MAX - 1 {
        append(&mut writer, 1, 0, &[0; 200]);
        assert!(!writer.is_full());
    }
    append(&mut writer, 1, 0, &vec![0; BODY_BYTES_MAX]);
    assert!(writer.is_full());
    let run = writer.close(&key()).unwrap();
    assert!(run.as_bytes().len() < FRAME_BYTES_MAX);
    assert_eq!(run.verify(&node(), &Tip::start(run.log())).unwrap().tip, writer.tip());
}

#[test]
fn another_nodes_key_cannot_sign_for_a_log() {
    let (runs, _) = runs(&[vec![1]]);
    let eve = NodeId(SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes());
    assert_eq!(runs[0].verify(&eve, &Tip::start(runs[0].log())), Err(RunError::OpeningInvalid));
}

/// The lines of a golden file, without its comments: a name and hex digits each.
fn golden(text: &str) -> Vec<(&str, Vec<u8>)> {
    let bytes = |hex: &str| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks_exact(2);
        pairs.map(|p| crate::id::unhex::<1>(std::str::from_utf8(p).unwrap()).unwrap()[0]).collect()
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, bytes(hex)))
        .collect()
}

/// The log `run.hex` shows: two entries of different shapes in one run, then an empty one, which
/// cites a longer directory.
fn golden_runs() -> Vec<(&'static str, Run)> {
    let mut author = author();
    append(&mut author, 1, 5, b"hello");
    append(&mut author, 2, 5, b"world!");
    let first = author.close(&key()).unwrap();
    append(&mut author, 2, 6, b"");
    let second = author.close(&key()).unwrap();
    let cut = first.starting_at(2).unwrap();
    let joined = first.joined(&second).unwrap();
    let mut erased = joined.as_bytes().to_vec();
    // "hello" is the first body; its entry's flags lie one head before it.
    let at = erased.windows(5).position(|w| w == b"hello").unwrap();
    erased[at - (1 + 11 + 16 + 8 + 16 + 4)] = 0b011;
    erased.splice(at..at + 5, header::body_hash(b"hello").0);
    let erased = Run::parse(erased).unwrap();
    vec![("first", first), ("second", second), ("cut", cut), ("joined", joined), ("erased", erased)]
}

/// The bytes themselves: what is on disks and in other versions' batches. Signatures are
/// deterministic (RFC 8032), so they are part of them.
#[test]
fn golden_runs_hold() {
    let golden = golden(include_str!("../../../tests/vectors/run.hex"));
    let ours = golden_runs();
    assert_eq!(golden.len(), ours.len());
    for ((name, bytes), (our_name, run)) in golden.iter().zip(&ours) {
        assert_eq!((*name, bytes.as_slice()), (*our_name, run.as_bytes()));
        assert_eq!(Run::parse(bytes.clone()).as_ref(), Ok(run));
    }
    let start = Tip::start(ours[0].1.log());
    let verify = |at: usize, held: &Tip| ours[at].1.verify(&node(), held).unwrap().tip;
    let two = verify(0, &start);
    let three = verify(1, &two);
    assert_eq!((two.seq, two.body_bytes), (2, 11));
    assert_eq!((three.seq, three.body_bytes), (3, 11));
    // A cut and its whole, a joined run and its parts, a run with and without a body: one chain.
    assert_eq!(verify(3, &start), three);
    assert_eq!(verify(4, &start), three);
    let one = ours[0].1.entries().next().unwrap();
    let one = Tip { seq: 1, hash: one.hash, body_bytes: 5, epoch: 5 };
    assert_eq!(verify(2, &one), two);
    assert!(ours[4].1.entries().next().unwrap().body.is_none());
}

/// On the wire a run is a batch's body as it stands.
#[test]
fn a_short_golden_run_travels_as_it_is_stored() {
    let (_, run) = golden_runs().remove(0);
    let frame = crate::wire::Message::Batch(run.clone()).to_frame();
    assert_eq!(frame[0], 8);
    assert_eq!(&frame[1..], run.as_bytes());
}
