//! Bodies made by hand: honest changes twisted, and chunks put together byte by byte, always with a
//! right checksum, so that they get as far as they can.

use automerge::legacy::{ObjectId, Op, OpId, OpType};
use automerge::{Change, ExpandedChange, ObjType};
use fenbu_protocol::record::{Edits, Record, Schema, schema_named};
use serde_json::json;
use sha2::{Digest, Sha256};

fn topic() -> &'static Schema {
    schema_named("topic").expect("there are topics")
}

/// A new topic, as an honest node writes it; `n` tells it from others.
pub fn honest(schema: &'static Schema, actor: [u8; 16], n: u64) -> Vec<u8> {
    let mut record = Record::new(schema);
    let fields = json!({ "title": format!("标题 {n}"), "column": "news" });
    edit(&mut record, actor, &fields)
}

/// One save, and the bytes of its change.
///
/// # Panics
/// If the fields are not the schema's, or change nothing.
pub fn edit(record: &mut Record, actor: [u8; 16], fields: &serde_json::Value) -> Vec<u8> {
    let edits = Edits::from_json(record.schema(), fields).expect("fields of the schema");
    let change = record.edit(actor, 1_700_000_000_000, "e", &edits).expect("it can be edited");
    change.expect("something changed")
}

/// A change with something else done to it, encoded and summed up again.
///
/// # Panics
/// If `body` is no change.
pub fn twisted(body: &[u8], twist: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut change = Change::try_from(body).expect("a change").decode();
    twist(&mut change);
    Change::from(change).raw_bytes().to_vec()
}

fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A chunk on top of the genesis change, of an actor's first change, with these columns.
fn chunk(actor: [u8; 16], columns: &[(u8, &[u8])]) -> Vec<u8> {
    let mut data = vec![1];
    data.extend_from_slice(&Record::new(topic()).heads()[0]);
    data.push(16);
    data.extend_from_slice(&actor);
    let start_op = start_of_first();
    data.push(1);
    unsigned(&mut data, start_op);
    data.extend_from_slice(&[0, 0, 0, columns.len() as u8]);
    for (spec, bytes) in columns {
        data.push(*spec);
        unsigned(&mut data, bytes.len() as u64);
    }
    columns.iter().for_each(|(_, bytes)| data.extend_from_slice(bytes));
    summed(1, &data)
}

/// The operation counter an honest first change of a topic begins with.
fn start_of_first() -> u64 {
    let change = Change::try_from(&honest(topic(), [1; 16], 0)[..]).expect("a change");
    change.start_op().get()
}

fn summed(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    unsigned(&mut hashed, data.len() as u64);
    hashed.extend_from_slice(data);
    let sum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83][..], &sum[..4], &hashed].concat()
}

/// Ten million puts in twenty bytes of columns.
pub fn op_bomb(actor: [u8; 16]) -> Vec<u8> {
    let run = [0x80, 0xad, 0xe2, 0x04];
    let item = |value: &[u8]| [&run[..], value].concat();
    let (key, one, zero) = (item(&[1, b'a']), item(&[1]), item(&[0]));
    chunk(actor, &[(0x15, &key), (0x34, &run), (0x42, &one), (0x56, &zero), (0x70, &zero)])
}

/// Two puts, which `action` may spell in one way or in another.
fn two_puts(actor: [u8; 16], action: &[u8], value: u8) -> Vec<u8> {
    let values = [value, b'y'];
    chunk(
        actor,
        &[
            (0x15, &[0x7e, 1, b'a', 1, b'b']),
            (0x34, &[2]),
            (0x42, action),
            (0x56, &[2, 0x16]),
            (0x57, &values),
            (0x70, &[2, 0]),
        ],
    )
}

/// The meaning of [`canonical`] in one of four other spellings.
pub fn non_canonical(actor: [u8; 16], n: u64) -> Vec<u8> {
    let spellings: [&[u8]; 4] =
        [&[1, 1, 1, 1], &[0x7e, 1, 1], &[0x7f, 1, 0x7f, 1], &[0x7f, 1, 1, 1]];
    two_puts(actor, spellings[n as usize % spellings.len()], b'a' + (n % 26) as u8)
}

/// Two puts as an encoder writes them.
pub fn canonical(actor: [u8; 16], n: u64) -> Vec<u8> {
    two_puts(actor, &[2, 1], b'a' + (n % 26) as u8)
}

/// A change as Automerge would compress it.
///
/// # Panics
/// If Automerge does not.
pub fn deflated(schema: &'static Schema, actor: [u8; 16]) -> Vec<u8> {
    let mut record = Record::new(schema);
    let text = if schema.field("body").is_some() { "body" } else { "brief" };
    let long = json!({ "title": "t", text: "党".repeat(2000) });
    let body = edit(&mut record, actor, &long);
    Change::try_from(&body[..]).expect("a change").bytes().to_vec()
}

/// An honest first change that begins at another operation counter.
///
/// # Panics
/// If the counter is 0.
pub fn start_op(actor: [u8; 16], n: u64, start_op: u64) -> Vec<u8> {
    twisted(&honest(topic(), actor, n), |change| {
        change.operations.truncate(1);
        change.start_op = std::num::NonZeroU64::new(start_op).expect("counters begin at 1");
    })
}

/// Three hundred maps, each within the one before.
pub fn nested(actor: [u8; 16], n: u64) -> Vec<u8> {
    twisted(&honest(topic(), actor, n), |change| {
        let (start, first) = (change.start_op.get(), change.operations[0].clone());
        let map = |depth: u64| {
            let mut op: Op = first.clone();
            op.action = OpType::Make(ObjType::Map);
            if depth > 0 {
                op.obj = ObjectId::Id(OpId(start + depth - 1, change.actor_id.clone()));
            }
            op
        };
        change.operations = (0..300).map(map).collect();
    })
}

/// An honest change on top of one nobody has.
pub fn orphan(actor: [u8; 16], n: u64) -> Vec<u8> {
    twisted(&honest(topic(), actor, n), |change| {
        let nobodys = Sha256::digest(n.to_be_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(&nobodys);
        change.deps = vec![automerge::ChangeHash(hash)];
    })
}
