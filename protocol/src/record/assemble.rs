//! From the changes of a document to its saved form, without applying them one by one.
//!
//! Automerge's document chunk is every operation in document order, with what replaced or deleted
//! it, and the changes' headers. For changes that passed the gate that order is simple, because their
//! objects are those of the genesis change: keys in order; elements as a tree in which each hangs
//! below the one it was inserted after, younger before older (RGA: Roh et al. 2011, which Automerge
//! follows). Putting the chunk together takes a tenth of applying the changes, and loading it a third.
//! Automerge, when it loads the chunk, works out every change's hash from it and compares the heads:
//! nothing can be missing or altered. That the order is Automerge's own, too, is held by tests that
//! compare bytes, and in debug builds by [`super::materialise`] at every use.

use super::chunk::{Chunk, DELETE, Key, Op, OpId};
use super::encode::{self, Booleans, Deltas, Runs, table, unsigned};
use super::genesis::{ACTOR, Shape, genesis};
use super::schema::Schema;
use std::collections::BTreeMap;

/// Type of a document chunk.
const DOCUMENT: u8 = 0;
/// A value of no bytes: what a change has behind its columns.
const NO_BYTES: u64 = 7;

/// A change and its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed<'a> {
    pub(super) hash: [u8; 32],
    pub(super) body: &'a [u8],
}

/// The document of the genesis change and `changes`, which passed the gate, each behind those it
/// builds on; `heads` are those nothing builds on, ascending. `None` if that is not so.
pub(super) fn assembled(
    schema: &Schema,
    changes: &[Hashed<'_>],
    heads: &[[u8; 32]],
) -> Option<Vec<u8>> {
    let genesis = genesis(schema);
    let first = Hashed { hash: genesis.hash, body: schema.genesis_bytes };
    let mut assembly = Assembly::new(&first, changes)?;
    for change in std::iter::once(&first).chain(changes) {
        assembly.read(schema, change.body)?;
    }
    let mut contents =
        Vec::with_capacity(changes.iter().map(|c| c.body.len()).sum::<usize>() + 1024);
    unsigned(&mut contents, assembly.actors.len() as u64);
    for actor in &assembly.actors {
        unsigned(&mut contents, actor.len() as u64);
        contents.extend_from_slice(actor);
    }
    unsigned(&mut contents, heads.len() as u64);
    heads.iter().for_each(|head| contents.extend_from_slice(head));
    let headers = assembly.headers()?;
    let operations = assembly.operations(schema);
    table(&mut contents, &headers);
    table(&mut contents, &operations);
    headers.iter().for_each(|(_, data)| contents.extend_from_slice(data));
    operations.iter().for_each(|(_, data)| contents.extend_from_slice(data));
    for head in heads {
        unsigned(&mut contents, *assembly.by_hash.get(head)?);
    }
    Some(encode::chunk(DOCUMENT, &contents).0)
}

/// An operation id with the actor's place among all actors. Orders as Automerge does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    counter: u64,
    actor: u32,
}

/// Where an operation acts; elements by the place of the operation that inserted them.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Property(&'a str),
    Head,
    After(u32),
}

#[derive(Debug, Clone, Copy)]
struct Stored<'a> {
    id: Id,
    /// Index of the genesis container, or the root.
    object: Option<usize>,
    place: Place<'a>,
    insert: bool,
    action: u64,
    raw: (u64, &'a [u8]),
}

/// A change whose operations were read.
#[derive(Debug)]
struct Read<'a> {
    chunk: Chunk<'a>,
    actor: u32,
    max_op: u64,
}

/// No operation, in the links between elements.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Assembly<'a> {
    /// Every author, ascending.
    actors: Vec<[u8; 16]>,
    by_hash: BTreeMap<[u8; 32], u64>,
    changes: Vec<Read<'a>>,
    ops: Vec<Stored<'a>>,
    /// For each actor its changes: counter of the first operation, and that one's place in `ops`.
    starts: Vec<Vec<(u64, u32)>>,
    /// (replaced or deleted, by which), as places in `ops`.
    replaced: Vec<(u32, u32)>,
}

impl<'a> Assembly<'a> {
    fn new(first: &Hashed<'a>, changes: &[Hashed<'a>]) -> Option<Self> {
        let mut actors = vec![ACTOR];
        let mut by_hash = BTreeMap::from([(first.hash, 0)]);
        for (change, at) in changes.iter().zip(1..) {
            actors.push(Chunk::parse(change.body).ok()?.actor);
            by_hash.insert(change.hash, at);
        }
        actors.sort_unstable();
        actors.dedup();
        let starts = vec![Vec::new(); actors.len()];
        let (changes, ops, replaced) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self { actors, by_hash, changes, ops, starts, replaced })
    }

    fn read(&mut self, schema: &Schema, body: &'a [u8]) -> Option<()> {
        let genesis = genesis(schema);
        let chunk = Chunk::parse(body).ok()?;
        let actor = u32::try_from(self.actors.binary_search(&chunk.actor).ok()?).ok()?;
        let base = u32::try_from(self.ops.len()).ok()?;
        self.starts[actor as usize].push((chunk.start_op, base));
        let (mut ops, mut preds, mut counter) = (chunk.ops(), Vec::new(), chunk.start_op);
        while let Some(op) = ops.next(&mut preds).ok()? {
            let here = u32::try_from(self.ops.len()).ok()?;
            for pred in &preds {
                self.replaced.push((self.find(&chunk, base, *pred)?, here));
            }
            let object = match op.object {
                None => None,
                Some(id) => Some(genesis.container_at(id.counter)?),
            };
            let place = match op.key {
                Key::Property(key) => Place::Property(key),
                Key::Head => Place::Head,
                Key::Element(id) => Place::After(self.find(&chunk, base, id)?),
            };
            let Op { insert, action, raw, .. } = op;
            self.ops.push(Stored { id: Id { counter, actor }, object, place, insert, action, raw });
            counter += 1;
        }
        self.changes.push(Read { chunk, actor, max_op: counter - 1 });
        Some(())
    }

    /// The place of the operation an id in `chunk` names.
    fn find(&self, chunk: &Chunk<'_>, base: u32, id: OpId) -> Option<u32> {
        if id.actor == 0 && id.counter >= chunk.start_op {
            return u32::try_from(id.counter - chunk.start_op).ok()?.checked_add(base);
        }
        let actor = self.actors.binary_search(&chunk.actor_at(id.actor)?).ok()?;
        let starts = &self.starts[actor];
        let after = starts.partition_point(|(start, _)| *start <= id.counter);
        let (start, at) = starts[after.checked_sub(1)?];
        at.checked_add(u32::try_from(id.counter - start).ok()?)
    }

    /// The columns of the changes' headers.
    fn headers(&self) -> Option<[(u32, Vec<u8>); 8]> {
        let (mut actor, mut seq, mut max_op, mut time) =
            (Runs::new(), Deltas::new(), Deltas::new(), Deltas::new());
        let (mut message, mut count, mut deps, mut behind) =
            (Runs::new(), Runs::new(), Deltas::new(), Runs::new());
        for change in &self.changes {
            let chunk = &change.chunk;
            actor.push(Some(u64::from(change.actor)));
            seq.push(i64::try_from(chunk.seq).ok());
            max_op.push(i64::try_from(change.max_op).ok());
            time.push(Some(chunk.time));
            message.push((!chunk.message.is_empty()).then_some(chunk.message));
            count.push(Some(chunk.dependencies().len() as u64));
            for dep in chunk.dependencies() {
                deps.push(Some(i64::try_from(*self.by_hash.get(&dep)?).ok()?));
            }
            behind.push(Some(NO_BYTES));
        }
        Some([
            (0x01, actor.finish()),
            (0x03, seq.finish()),
            (0x13, max_op.finish()),
            (0x23, time.finish()),
            (0x35, message.finish()),
            (0x40, count.finish()),
            (0x43, deps.finish()),
            (0x56, behind.finish()),
        ])
    }

    /// The columns of the operations, in document order.
    fn operations(&mut self, schema: &Schema) -> [(u32, Vec<u8>); 14] {
        let order = self.order(schema);
        let (ops, replaced) = (&self.ops, &mut self.replaced);
        replaced.sort_unstable_by_key(|(old, by)| (*old, ops[*by as usize].id));
        let genesis = genesis(schema);
        let mut out = Columns::default();
        for at in order {
            let op = &self.ops[at as usize];
            let element = match op.place {
                Place::Property(_) => None,
                Place::Head => Some(Id { counter: 0, actor: 0 }),
                Place::After(after) => Some(self.ops[after as usize].id),
            };
            let object = op.object.map(|o| genesis.containers[o].counter);
            out.push(op, object, element);
            let from = self.replaced.partition_point(|(old, _)| *old < at);
            let by = self.replaced[from..].iter().take_while(|(old, _)| *old == at);
            out.succeed(by.map(|(_, by)| self.ops[*by as usize].id));
        }
        out.finish()
    }

    /// Places of the operations a document keeps (all but deletions), in document order.
    fn order(&self, schema: &Schema) -> Vec<u32> {
        let containers = &genesis(schema).containers;
        let mut by_object: Vec<Vec<u32>> = vec![Vec::new(); containers.len() + 1];
        for (op, at) in self.ops.iter().zip(0..) {
            if op.action != DELETE {
                by_object[op.object.map_or(0, |o| o + 1)].push(at);
            }
        }
        let mut objects: Vec<usize> = (0..containers.len()).collect();
        objects.sort_by_key(|o| containers[*o].counter);
        let mut order = Vec::with_capacity(self.ops.len());
        self.order_map(&mut by_object[0], &mut order);
        for object in objects {
            match containers[object].shape {
                Shape::Map => self.order_map(&mut by_object[object + 1], &mut order),
                _ => self.order_sequence(&mut by_object[object + 1], &mut order),
            }
        }
        order
    }

    fn order_map(&self, ops: &mut [u32], order: &mut Vec<u32>) {
        let key = |at: &u32| {
            let op = &self.ops[*at as usize];
            match op.place {
                Place::Property(key) => (key, op.id),
                _ => ("", op.id),
            }
        };
        ops.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        order.extend_from_slice(ops);
    }

    /// Each element, then what was inserted after it, youngest first.
    fn order_sequence(&self, ops: &mut [u32], order: &mut Vec<u32>) {
        let Some(least) = ops.iter().min().copied() else { return };
        ops.sort_unstable_by_key(|at| self.ops[*at as usize].id);
        let span = self.ops.len() - least as usize;
        // The youngest child of each element, and each element's next older sibling.
        let (mut child, mut sibling) = (vec![NONE; span], vec![NONE; span]);
        let mut top = NONE;
        for at in ops.iter().copied() {
            let slot = match self.ops[at as usize].place {
                Place::After(parent) => &mut child[(parent - least) as usize],
                _ => &mut top,
            };
            sibling[(at - least) as usize] = std::mem::replace(slot, at);
        }
        let mut stack = vec![top];
        while let Some(at) = stack.pop() {
            if at != NONE {
                order.push(at);
                stack.push(sibling[(at - least) as usize]);
                stack.push(child[(at - least) as usize]);
            }
        }
    }
}

/// The operation columns of a document chunk in the making.
#[derive(Debug)]
struct Columns<'a> {
    object_actor: Runs<u64>,
    object_counter: Runs<u64>,
    key_actor: Runs<u64>,
    key_counter: Deltas,
    key_text: Runs<&'a str>,
    id_actor: Runs<u64>,
    id_counter: Deltas,
    insert: Booleans,
    action: Runs<u64>,
    value_meta: Runs<u64>,
    value: Vec<u8>,
    successors: Runs<u64>,
    successor_actor: Runs<u64>,
    successor_counter: Deltas,
}

impl Default for Columns<'_> {
    fn default() -> Self {
        Self {
            object_actor: Runs::new(),
            object_counter: Runs::new(),
            key_actor: Runs::new(),
            key_counter: Deltas::new(),
            key_text: Runs::new(),
            id_actor: Runs::new(),
            id_counter: Deltas::new(),
            insert: Booleans::default(),
            action: Runs::new(),
            value_meta: Runs::new(),
            value: Vec::new(),
            successors: Runs::new(),
            successor_actor: Runs::new(),
            successor_counter: Deltas::new(),
        }
    }
}

impl<'a> Columns<'a> {
    /// `object` is the counter of the genesis operation that made it, whose actor is the first of all;
    /// an `element` of counter 0 is the front.
    fn push(&mut self, op: &Stored<'a>, object: Option<u64>, element: Option<Id>) {
        self.object_actor.push(object.map(|_| 0));
        self.object_counter.push(object);
        self.key_actor.push(element.filter(|e| e.counter > 0).map(|e| u64::from(e.actor)));
        self.key_counter.push(element.map(|e| e.counter.cast_signed()));
        self.key_text.push(match op.place {
            Place::Property(key) => Some(key),
            _ => None,
        });
        self.id_actor.push(Some(u64::from(op.id.actor)));
        self.id_counter.push(Some(op.id.counter.cast_signed()));
        self.insert.push(op.insert);
        self.action.push(Some(op.action));
        self.value_meta.push(Some(op.raw.0));
        self.value.extend_from_slice(op.raw.1);
    }

    fn succeed(&mut self, by: impl Iterator<Item = Id>) {
        let mut count = 0;
        for id in by {
            self.successor_actor.push(Some(u64::from(id.actor)));
            self.successor_counter.push(Some(id.counter.cast_signed()));
            count += 1;
        }
        self.successors.push(Some(count));
    }

    fn finish(self) -> [(u32, Vec<u8>); 14] {
        [
            (0x01, self.object_actor.finish()),
            (0x02, self.object_counter.finish()),
            (0x11, self.key_actor.finish()),
            (0x13, self.key_counter.finish()),
            (0x15, self.key_text.finish()),
            (0x21, self.id_actor.finish()),
            (0x23, self.id_counter.finish()),
            (0x34, self.insert.finish()),
            (0x42, self.action.finish()),
            (0x56, self.value_meta.finish()),
            (0x57, self.value),
            (0x80, self.successors.finish()),
            (0x81, self.successor_actor.finish()),
            (0x83, self.successor_counter.finish()),
        ]
    }
}
