//! What a change must survive before Automerge may see it: the part that needs only the change.
//!
//! Automerge does not defend itself, so a change is read by [`super::chunk`] first, then its
//! operations are held to what records do: put and delete scalars in the root and in the maps of
//! the genesis change, insert and delete in its lists and texts. Objects are made by the genesis
//! change alone, so documents cannot nest. Only then does Automerge decode it, and its encoding of
//! what it decoded must be the very bytes that were signed. What depends on the change's causal past
//! is judged in [`super::materialise`].

use super::chunk::{Chunk, ChunkError, DELETE, Key, Op, OpId, PUT, Value};
use super::genesis::{ACTOR, Genesis, Keys, Shape, genesis};
use super::schema::Schema;
use crate::id::hex;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_MESSAGE_BYTES_MAX, OP_COUNTER_MAX};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest key in a map, and longest member of a set. Runs repeat keys, so that this and the limit
/// on operations bound what a change unfolds to: 5 MiB.
pub const KEY_BYTES_MAX: usize = 256;

/// Why a change does not count. The signed bytes are stored and relayed all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the change has {0} bytes; at most {CHANGE_BYTES_MAX} are allowed")]
    Size(usize),
    #[error("not one plain change: {0}")]
    Chunk(#[from] ChunkError),
    #[error("the change's actor is not that of the log it came in")]
    Actor,
    #[error("the account id has {0} bytes; at most {CHANGE_MESSAGE_BYTES_MAX} are allowed")]
    Message(usize),
    #[error("sequence number or operation counter out of range")]
    Counter,
    #[error("the change does nothing")]
    Empty,
    #[error("the change does not build on the genesis change of its kind")]
    Genesis,
    #[error("operation {index}: {why}")]
    Operation { index: u64, why: &'static str },
    #[error("the checksum does not match")]
    Checksum,
    #[error("this author's change {expected} of the document was due, not {found}")]
    Sequence { expected: u64, found: u64 },
    #[error("the author already made another change {0} of this document")]
    Taken(u64),
    #[error("operations must begin at {expected}, not {found}")]
    StartOp { expected: u64, found: u64 },
    #[error("operation {index} refers to something outside the change's past")]
    Reference { index: u64 },
    #[error("field '{field}' is written by {by} alone")]
    NotYours { field: String, by: &'static str },
    #[error("the document could not be saved and read back with this change")]
    Trial,
}

impl Refusal {
    /// A short stable name, for logs, metrics and the interface.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size(_) => "size",
            Self::Chunk(_) => "chunk",
            Self::Actor => "actor",
            Self::Message(_) => "message",
            Self::Counter => "counter",
            Self::Empty => "empty",
            Self::Genesis => "genesis",
            Self::Operation { .. } => "operation",
            Self::Checksum => "checksum",
            Self::Sequence { .. } => "sequence",
            Self::Taken(_) => "taken",
            Self::StartOp { .. } => "start_op",
            Self::Reference { .. } => "reference",
            Self::NotYours { .. } => "not_yours",
            Self::Trial => "trial",
        }
    }
}

/// Runs what touches Automerge; a panic inside becomes `None`. A seat belt, not the gate.
pub(super) fn guarded<T>(f: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok().flatten()
}

/// What an operation leaves behind that a later one may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trace {
    /// An element of the sequence with this index among the genesis containers.
    Element(usize),
    /// A value in the map with this container index (`None` is the root), under the key at this
    /// place of the change's bytes.
    Put(Option<usize>, Range<usize>),
    /// Nothing: a deletion only marks what it deletes.
    Nothing,
}

/// A reference to an operation of an earlier change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Index of the operation that refers.
    pub(super) index: usize,
    pub(super) actor: [u8; 16],
    pub(super) counter: u64,
    /// What must be found there.
    pub(super) wanted: Trace,
}

/// A change that passed the static part of the gate.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub hash: [u8; 32],
    /// Hashes of the changes this one builds on, ascending.
    pub deps: Vec<[u8; 32]>,
    pub actor: [u8; 16],
    /// Number of this change among its author's in the document, from 1.
    pub seq: u64,
    /// Counter of the first operation.
    pub start_op: u64,
    /// Counter of the last operation.
    pub max_op: u64,
    /// The author's clock in milliseconds since 1970; decides nothing.
    pub time_ms: i64,
    /// The opaque account id the author's node vouches for.
    pub account: String,
    pub(super) traces: Vec<Trace>,
    pub(super) references: Vec<Reference>,
}

/// Judges a change by itself.
///
/// # Errors
/// The first reason for which the change cannot count, whatever its past.
pub fn inspect(schema: &Schema, actor: [u8; 16], body: &[u8]) -> Result<Inspected, Refusal> {
    if body.len() > CHANGE_BYTES_MAX {
        return Err(Refusal::Size(body.len()));
    }
    let chunk = Chunk::parse(body)?;
    if (chunk.actor != actor && !planted!(ActorUnchecked)) || actor == ACTOR {
        return Err(Refusal::Actor);
    }
    if chunk.message.len() > CHANGE_MESSAGE_BYTES_MAX {
        return Err(Refusal::Message(chunk.message.len()));
    }
    if chunk.dependencies().len() == 0 && !planted!(GenesisUnchecked) {
        return Err(Refusal::Genesis);
    }
    let in_range = |n: u64| (1..=OP_COUNTER_MAX).contains(&n);
    if !in_range(chunk.seq) || !in_range(chunk.start_op) {
        return Err(Refusal::Counter);
    }
    let genesis = genesis(schema);
    let mut reading = Reading::new(genesis, chunk, body);
    reading.run()?;
    let max_op = chunk.start_op + reading.traces.len() as u64 - 1;
    if max_op > OP_COUNTER_MAX {
        return Err(Refusal::Counter);
    }
    let hash = chunk.hash();
    if hash[..4] != chunk.checksum {
        return Err(Refusal::Checksum);
    }
    Ok(Inspected {
        hash,
        deps: chunk.dependencies().collect(),
        actor,
        seq: chunk.seq,
        start_op: chunk.start_op,
        max_op,
        time_ms: chunk.time,
        account: chunk.message.to_owned(),
        traces: reading.traces,
        references: reading.references,
    })
}

/// What each operation of a change that passed the gate leaves behind.
pub(super) fn traces_of(schema: &Schema, body: &[u8]) -> Option<Vec<Trace>> {
    let chunk = Chunk::parse(body).ok()?;
    let genesis = genesis(schema);
    let mut reading = Reading::new(genesis, chunk, body);
    reading.run().ok()?;
    Some(reading.traces)
}

/// The walk over a change's operations.
struct Reading<'a> {
    genesis: &'static Genesis,
    /// The author's actor in hex: what its own keys begin with.
    own: String,
    chunk: Chunk<'a>,
    body: &'a [u8],
    traces: Vec<Trace>,
    references: Vec<Reference>,
}

impl<'a> Reading<'a> {
    fn new(genesis: &'static Genesis, chunk: Chunk<'a>, body: &'a [u8]) -> Self {
        let own = hex(&chunk.actor);
        Self { genesis, own, chunk, body, traces: Vec::new(), references: Vec::new() }
    }

    fn run(&mut self) -> Result<(), Refusal> {
        let mut ops = self.chunk.ops();
        let mut preds = Vec::new();
        while let Some(op) = ops.next(&mut preds)? {
            self.step(&op, &preds)?;
        }
        if self.traces.is_empty() { Err(Refusal::Empty) } else { Ok(()) }
    }

    fn refuse<T>(&self, why: &'static str) -> Result<T, Refusal> {
        Err(Refusal::Operation { index: self.traces.len() as u64, why })
    }

    fn step(&mut self, op: &Op<'a>, preds: &[OpId]) -> Result<(), Refusal> {
        let lamport = |id: &OpId| (id.counter, self.chunk.actor_at(id.actor));
        if !preds.is_sorted_by(|a, b| lamport(a) < lamport(b)) {
            return self.refuse("what it replaces is not in ascending order");
        }
        if op.action != PUT && op.action != DELETE {
            return self.refuse("only values may be put and deleted");
        }
        let container = match op.object {
            None => None,
            Some(id) if self.chunk.actor_at(id.actor) == Some(ACTOR) => {
                match self.genesis.container_at(id.counter) {
                    Some(at) => Some(at),
                    None => return self.refuse("unknown object"),
                }
            }
            Some(_) => return self.refuse("unknown object"),
        };
        let shape = container.map_or(Shape::Map, |at| self.genesis.containers[at].shape);
        let trace = match (op.key, container) {
            (Key::Property(key), _) if shape == Shape::Map => {
                self.property(op, preds, container, key)?
            }
            (Key::Head | Key::Element(_), Some(at)) if shape != Shape::Map => {
                self.element(op, preds, at)?
            }
            _ => return self.refuse("the key does not fit its object"),
        };
        self.traces.push(trace);
        Ok(())
    }

    /// A put or delete in a map.
    fn property(
        &mut self,
        op: &Op<'a>,
        preds: &[OpId],
        container: Option<usize>,
        key: &'a str,
    ) -> Result<Trace, Refusal> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return self.refuse("a key is empty or too long");
        }
        if container.is_none() && (key.starts_with('@') || self.genesis.container(key).is_some()) {
            return self.refuse("what the genesis change made cannot be replaced");
        }
        if op.insert || (op.action == DELETE && preds.is_empty()) {
            return self.refuse("a map holds values, and only a value can be deleted");
        }
        if let Some(keys) = container.map(|at| self.genesis.containers[at].keys) {
            self.own_key(keys, op, preds, key)?;
        }
        // The key is a slice of the body, so its place is the distance of the two addresses.
        let at = key.as_ptr() as usize - self.body.as_ptr() as usize;
        let trace = Trace::Put(container, at..at + key.len());
        for pred in preds {
            self.refer(*pred, trace.clone())?;
        }
        Ok(if op.action == PUT { trace } else { Trace::Nothing })
    }

    /// What was said under one's own name stays said, and nobody says it for another.
    fn own_key(&self, keys: Keys, op: &Op<'a>, preds: &[OpId], key: &str) -> Result<(), Refusal> {
        let of_own = match keys {
            Keys::Anyones => return Ok(()),
            Keys::Event => key.strip_prefix(&self.own).is_some_and(|rest| rest.starts_with('.')),
            Keys::Number => key == self.own,
        };
        if !of_own {
            return self.refuse("only an author itself writes under its name");
        }
        if op.action == DELETE || (keys == Keys::Event && !preds.is_empty()) {
            return self.refuse("what was said there cannot be taken back");
        }
        Ok(())
    }

    /// An insertion into or deletion from a sequence.
    fn element(&mut self, op: &Op<'a>, preds: &[OpId], at: usize) -> Result<Trace, Refusal> {
        let text = self.genesis.containers[at].shape == Shape::Text;
        match (op.key, op.action) {
            (key, PUT) if op.insert && preds.is_empty() => {
                let sound = match op.value {
                    Value::Text(s) => !text || !s.is_empty(),
                    _ => !text,
                };
                if !sound {
                    return self.refuse("a text holds characters only");
                }
                if let Key::Element(id) = key {
                    self.refer(id, Trace::Element(at))?;
                }
                Ok(Trace::Element(at))
            }
            (Key::Element(id), DELETE) if !op.insert && preds == [id] => {
                self.refer(id, Trace::Element(at))?;
                Ok(Trace::Nothing)
            }
            _ => self.refuse("a sequence takes insertions and deletions only"),
        }
    }

    /// Checks a reference into this change at once, and notes one into the past for later.
    fn refer(&mut self, id: OpId, wanted: Trace) -> Result<(), Refusal> {
        let index = self.traces.len();
        let dangling = Refusal::Reference { index: index as u64 };
        // INVARIANT: the chunk's reader has checked the index.
        let actor = self.chunk.actor_at(id.actor).expect("a listed actor");
        if id.actor == 0 && id.counter >= self.chunk.start_op {
            let own = usize::try_from(id.counter - self.chunk.start_op).ok();
            return match own.and_then(|at| self.traces.get(at)) {
                Some(found) if same(found, self.body, &wanted, self.body) => Ok(()),
                _ => Err(dangling),
            };
        }
        if actor == ACTOR {
            return Err(dangling);
        }
        self.references.push(Reference { index, actor, counter: id.counter, wanted });
        Ok(())
    }
}

/// Whether two traces mean one object and key, each with its key in its own change's bytes.
pub(super) fn same(a: &Trace, a_body: &[u8], b: &Trace, b_body: &[u8]) -> bool {
    match (a, b) {
        (Trace::Element(a), Trace::Element(b)) => a == b,
        (Trace::Put(a, ak), Trace::Put(b, bk)) => {
            a == b && a_body.get(ak.clone()) == b_body.get(bk.clone())
        }
        _ => false,
    }
}
