//! Codecs: round trips, bounds, the largest legal message, and bytes that never change.

use super::join::{Token, TokenError};
use super::*;
use crate::directory::{Role, Signed};
use crate::id::{FederationId, Hash, LogId, NodeId, SpaceId, hex};
use crate::limits::*;
use crate::log::{Position, Tip};
use proptest::prelude::*;

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        federation: FederationId([1; 32]),
        epoch: 52,
        directory: Hash([2; 32]),
        digest: Hash([3; 32]),
        agent: "fenbu 0.1.0".into(),
    }
}

fn positions(n: usize) -> Vec<Position> {
    (0..n)
        .map(|i| {
            let log = LogId(Hash::of("test", &[&i.to_be_bytes()]).0);
            Tip { seq: i as u64, hash: Hash(log.0), body_bytes: u64::MAX }.position(log)
        })
        .collect()
}

fn examples() -> Vec<Message> {
    let space = SpaceId([4; 16]);
    let log = LogId([5; 32]);
    vec![
        Message::Hello(hello()),
        Message::Digests(Digests { spaces: vec![SpaceDigest { space, digest: Hash([6; 32]) }] }),
        Message::Have(Have {
            spaces: vec![SpacePositions { space, positions: positions(2), whole: true }],
        }),
        Message::Want(Want { ranges: vec![Range { log, from: 1, to: 256 }] }),
        Message::Decline(Decline { log, from: 9, reason: DeclineReason::NOT_HELD }),
        Message::Prune(Prune { log }),
        Message::Statements(Statements {
            statements: vec![Signed { bytes: vec![1, 2, 3], signature: [7; 64] }],
        }),
        Message::Unknown(99),
    ]
}

#[test]
fn messages_round_trip() {
    for message in examples() {
        assert_eq!(Message::from_frame(&message.to_frame()).unwrap(), message);
    }
}

/// The bytes themselves, so that no refactoring changes what other versions read. `WIRE.md` quotes
/// the same files.
#[test]
fn golden_vectors_hold() {
    let golden = include_str!("../../../tests/vectors/messages.hex");
    let lines: Vec<_> = golden.lines().filter(|l| !l.starts_with('#')).collect();
    let ours: Vec<_> =
        examples().iter().map(|m| format!("{} {}", m.name(), hex(&m.to_frame()))).collect();
    assert_eq!(lines, ours);
}

#[test]
fn two_hellos_cost_under_300_stream_bytes() {
    // Lane byte and length prefix included, both directions: the whole of a reconnection with
    // nothing new.
    let frame = Message::Hello(hello()).to_frame();
    assert!(2 * (1 + 4 + frame.len()) < 300, "{}", frame.len());
}

#[test]
fn the_largest_legal_messages_fit_a_frame() {
    let space = SpaceId([9; 16]);
    let mut left = POSITIONS_MAX;
    let mut spaces = Vec::new();
    while left > 0 {
        let n = left.min(LOGS_PER_SPACE_MAX);
        spaces.push(SpacePositions { space, positions: positions(n), whole: false });
        left -= n;
    }
    let digest = SpaceDigest { space, digest: Hash([1; 32]) };
    let statement = Signed { bytes: vec![1; STATEMENT_BYTES_MAX / 2], signature: [1; 64] };
    for message in [
        Message::Have(Have { spaces }),
        Message::Digests(Digests { spaces: vec![digest; SPACES_MAX] }),
        Message::Want(Want {
            ranges: vec![Range { log: LogId([1; 32]), from: 1, to: u64::MAX }; WANTS_MAX],
        }),
        Message::Statements(Statements { statements: vec![statement; STATEMENTS_PER_MESSAGE_MAX] }),
    ] {
        let frame = message.to_frame();
        assert!(frame.len() <= FRAME_BYTES_MAX, "{}", message.name());
    }
}

#[test]
fn bounds_are_checked_on_arrival() {
    let range = Range { log: LogId([1; 32]), from: 1, to: 1 };
    let over = Message::Want(Want { ranges: vec![range; WANTS_MAX + 1] });
    assert_eq!(Message::from_frame(&over.to_frame()), Err(DecodeError::Bound("Want")));
    let backwards = Message::Want(Want { ranges: vec![Range { from: 5, to: 4, ..range }] });
    assert_eq!(Message::from_frame(&backwards.to_frame()), Err(DecodeError::Bound("Want")));
}

#[test]
fn a_compression_bomb_is_refused_before_it_unfolds() {
    let zeros = vec![0u8; FRAME_BYTES_MAX - 1];
    let mut bomb = vec![0x88];
    bomb.extend_from_slice(&(zeros.len() as u32).to_be_bytes());
    bomb.extend_from_slice(&zstd::bulk::compress(&zeros, 3).unwrap());
    assert!(bomb.len() < 1000);
    let honest = frame::encode(8, &zeros);
    assert_eq!(frame::decode(&honest).unwrap().1, zeros, "what compresses too well travels plain");
    assert_eq!(frame::decode(&bomb), Err(frame::FrameError::Compression));
}

#[test]
fn tokens_round_trip_and_say_what_is_wrong() {
    let token = Token {
        federation: FederationId([1; 32]),
        issuer: NodeId([2; 32]),
        addresses: vec!["head.example:4433".into()],
        secret: [3; 16],
        unit: "lianyungang".into(),
        role: Role::SERVER,
    };
    let text = token.to_text();
    assert_eq!(Token::from_text(&format!(" {text}\n")), Ok(token));
    assert_eq!(Token::from_text("hello"), Err(TokenError::Prefix));
    assert_eq!(Token::from_text(&text[..text.len() - 3]), Err(TokenError::Damaged));
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::from_frame(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(which in 0usize..8, at: usize, to: u8) {
        let mut frame = examples()[which].to_frame().to_vec();
        let at = at % frame.len();
        frame[at] = to;
        let _ = Message::from_frame(&frame);
    }

    #[test]
    fn frames_round_trip(kind in 0u8..0x80, body in prop::collection::vec(0u8..4, 0..5000)) {
        prop_assert_eq!(frame::decode(&frame::encode(kind, &body)).unwrap(), (kind, body));
    }
}
