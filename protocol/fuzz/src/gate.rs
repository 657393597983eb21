//! Changes, with their lengths and checksums put right, through the whole gate.

use crate::let_panics_be_caught;
use crate::session::Script;
use fenbu_protocol::id::LogId;
use fenbu_protocol::record::{ALL, Incoming, Record, Schema, inspect, materialise};
use sha2::{Digest, Sha256};

/// Changes in one input, at most.
const CHANGES_MAX: usize = 4;

/// A first byte for the kind, then changes behind their lengths. Each is offered as the next entry of one
/// of two logs; those that are let in must come back from the saved document as they were.
pub fn gate(data: &[u8]) {
    let_panics_be_caught();
    let mut script = Script(data);
    let Some(kind) = script.byte() else { return };
    let schema = &ALL[usize::from(kind) % ALL.len()];
    let logs = [LogId([1; 32]), LogId([2; 32])];
    let mut bodies = Vec::new();
    while bodies.len() < CHANGES_MAX
        && let Some(which) = script.byte()
    {
        let log = logs[usize::from(which & 1)];
        bodies.push((log, chunk(schema, log.actor(), script.bytes())));
    }
    let incoming: Vec<_> = bodies
        .iter()
        .zip(1..)
        .map(|((log, body), seq)| Incoming { log: *log, seq, body })
        .collect();
    let outcome = materialise(schema, None, None, &incoming).expect("there is no snapshot");
    let again = Record::load(schema, &outcome.snapshot).expect("what was let in can be read back");
    assert_eq!(again.heads(), outcome.heads);
    assert_eq!(again.history().len(), outcome.accepted, "every change that counts is there");
    let _ = (again.to_json(), again.row());
    assert!(outcome.evicted.is_empty());
    for entry in &incoming {
        let _ = inspect(schema, entry.log.actor(), entry.body);
    }
}

/// A change chunk around these contents: magic, checksum and length are right. Where the first byte says
/// so, dependency, actor and counters are an honest first change's, so that the rest is looked at.
fn chunk(schema: &'static Schema, actor: [u8; 16], contents: &[u8]) -> Vec<u8> {
    let Some((&form, rest)) = contents.split_first() else { return Vec::new() };
    if form & 1 == 0 {
        return rest.to_vec();
    }
    let mut data = Vec::new();
    if form & 2 != 0 {
        let record = Record::new(schema);
        data.push(1);
        data.extend_from_slice(&record.heads()[0]);
        data.push(16);
        data.extend_from_slice(&actor);
        data.push(1);
        // The genesis change makes one object for each container, so what follows begins behind it.
        data.push((form >> 2).wrapping_add(1));
        data.extend_from_slice(&[0, 0, 0]);
    }
    data.extend_from_slice(rest);
    let mut hashed = vec![1];
    let mut len = data.len();
    while len > 0x7f {
        hashed.push(len as u8 | 0x80);
        len >>= 7;
    }
    hashed.push(len as u8);
    hashed.extend_from_slice(&data);
    let sum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83][..], &sum[..4], &hashed].concat()
}
