//! What the fuzzer begins from: one honest input or a few for each target.

use crate::world::{self, PEERS};
use fenbu_protocol::directory::{Act, RevokeNode};
use fenbu_protocol::id::{DocId, Hash};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Opening, Run, Shape, Tip};
use fenbu_protocol::record::{Edits, Record, schema_named};
use fenbu_protocol::wire::{Digests, Have, Message, SpaceDigest, SpacePositions, Statements};
use serde_json::json;

fn change() -> Vec<u8> {
    let schema = schema_named("post").expect("there are posts");
    let mut record = Record::new(schema);
    let fields = json!({ "title": "标题", "body": "党建", "tags": { "add": ["a"] } });
    let edits = Edits::from_json(schema, &fields).expect("fields of a post");
    record.edit([1; 16], 1, "e", &edits).expect("it can be edited").expect("something changed")
}

fn run() -> Run {
    let (key, schema) = (world::key(PEERS[0]), schema_named("post").expect("there are posts"));
    let opening = Opening::sign(&key, world::space(), 0);
    let mut pen = Author::new(opening, Tip::start(opening.log()), 0);
    for n in 0..2 {
        pen.append(&Draft {
            epoch: world::directory().epoch(),
            directory: world::directory().head_prefix(),
            now_ms: 1,
            shape: Shape {
                version: HEADER_VERSION,
                lane: schema.lane,
                kind: schema.kind,
                genesis: schema.genesis,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document: DocId([n; 16]),
            body: &change(),
        });
    }
    pen.close(&key).expect("something was written")
}

fn framed(out: &mut Vec<u8>, step: u8, frame: &[u8]) {
    out.push(step);
    out.extend_from_slice(&(frame.len() as u16).to_be_bytes());
    out.extend_from_slice(frame);
}

/// Targets, names and bytes.
pub fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let run = run();
    let space = world::space();
    let position = Tip { seq: 2, ..Tip::start(run.log()) }.position(run.log());
    let positions = SpacePositions { space, positions: vec![position], whole: true };
    let digest = SpaceDigest { space, digest: Hash([1; 32]) };
    let statements = world::directory().statements_after(0).to_vec();
    let messages = [
        Message::Batch(run.clone()),
        Message::Have(Have { spaces: vec![positions] }),
        Message::Digests(Digests { spaces: vec![digest] }),
        Message::Statements(Statements { statements: statements.clone() }),
    ];
    let mut out = vec![("run", "two-entries".to_owned(), run.as_bytes().to_vec())];
    let mut session = vec![0x00, 0x10, 0x02, 0x00];
    for message in &messages {
        let frame = message.to_frame();
        out.push(("frame", message.name().to_lowercase(), frame.to_vec()));
        out.push(("message", message.name().to_lowercase(), frame.to_vec()));
        framed(&mut session, 0x03, &frame);
        session.extend_from_slice(&[0x09, 0x0b, 0x0c, 0x0f, 20]);
    }
    session.extend_from_slice(&[0x07, 1, 0x07, 1, 0x07, 0x81, 0x09, 0x0a]);
    out.push(("session", "greeting".to_owned(), session));
    for (signed, n) in statements.iter().zip(1..) {
        out.push(("statement", format!("{n}"), signed.to_wire()));
        let said = signed.open().expect("a statement");
        out.push((
            "statement",
            format!("act-{n}"),
            [&[0, said.act as u8][..], &said.payload].concat(),
        ));
    }
    let revoke = Act::RevokeNode(RevokeNode { node: world::id(PEERS[0]), cuts: Vec::new() });
    out.push(("statement", "revoke".to_owned(), [&[0, 6][..], &revoke.payload()].concat()));
    let body = change();
    for (name, head) in [("as-it-is", &[0][..]), ("summed", &[1])] {
        let contents = if head == [0] { &body[..] } else { &body[body.len().min(10)..] };
        let mut input = vec![0];
        framed(&mut input, 0, &[head, contents].concat());
        out.push(("gate", name.to_owned(), input));
    }
    out
}
