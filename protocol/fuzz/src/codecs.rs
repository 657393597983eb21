//! Bytes in, values out, and back.

use crate::world::{self, ADMIN};
use fenbu_protocol::directory::{Act, Signed, Statement};
use fenbu_protocol::limits::{FRAME_BYTES_MAX, RUN_BYTES_MAX};
use fenbu_protocol::log::{Run, Tip};
use fenbu_protocol::wire::{Message, frame};

/// A frame that is read can be written, and reads the same.
pub fn frame(data: &[u8]) {
    let Ok((kind, body)) = frame::decode(data) else { return };
    assert!(body.len() <= FRAME_BYTES_MAX && kind & 0x80 == 0);
    let again = frame::encode(kind, &body);
    assert_eq!(frame::decode(&again).expect("our own frame"), (kind, body));
}

/// So can a message.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::from_frame(data) else { return };
    let again = Message::from_frame(&message.to_frame()).expect("our own message");
    assert_eq!(again, message);
}

/// A run's entries chain up, whatever it is cut at; what it says is checked without a panic.
pub fn run(data: &[u8]) {
    let Ok(run) = Run::parse(data) else { return };
    assert!(run.as_bytes().len() <= RUN_BYTES_MAX);
    let hashes: Vec<_> = run.entries().map(|entry| entry.hash).collect();
    assert_eq!(hashes.len(), run.count() as usize);
    let middle = run.first() + u64::from(run.count()) / 2;
    let tail = run.starting_at(middle).expect("the middle is within");
    let cut = (middle - run.first()) as usize;
    assert_eq!(tail.last(), run.last());
    assert!(tail.entries().map(|entry| entry.hash).eq(hashes[cut..].iter().copied()));
    let author = run.opening().map_or(world::id(ADMIN), |opening| opening.node);
    let _ = run.verify(&author, &Tip::start(run.log()));
    let held = Tip { seq: run.first(), hash: hashes[0], body_bytes: 0, epoch: 0 };
    let _ = run.verify(&author, &held);
}

/// First as they come; then as what a statement of the admin or the root says, properly signed.
pub fn statement(data: &[u8]) {
    if let Ok(signed) = Signed::from_wire(data) {
        assert_eq!(Signed::from_wire(&signed.to_wire()).expect("our own bytes"), signed);
        let mut directory = world::directory().clone();
        let before = directory.head();
        if directory.apply(signed).is_err() {
            assert_eq!(directory.head(), before, "what is refused changes nothing");
        }
    }
    let Some((&[who, act], payload)) = data.split_first_chunk() else { return };
    let act = u16::from(act);
    let parsed = Act::parse(act, payload).ok().flatten();
    if let Some(parsed) = &parsed {
        let again = Act::parse(act, &parsed.payload()).expect("our own bytes");
        assert_eq!(again.as_ref(), Some(parsed));
    }
    let mut directory = world::directory().clone();
    let key = world::key(if who & 1 == 0 { ADMIN } else { world::ROOT });
    let statement = Statement {
        federation: directory.federation(),
        epoch: directory.epoch() + 1,
        previous: directory.head(),
        author: world::id(if who & 1 == 0 { ADMIN } else { world::ROOT }),
        time_ms: 0,
        act,
        payload: payload.to_vec(),
    };
    let before = directory.clone();
    if directory.apply(Signed::sign(&key, &statement)).is_err() {
        assert!(directory == before, "what is refused changes nothing");
    }
}
