//! A bounded reader of one Automerge change chunk.
//!
//! It walks bytes a stranger wrote without believing any count in them: nothing is allocated in
//! proportion to a claimed number, and reading stops at the first byte out of place. It accepts the
//! columns Automerge 0.12 writes for plain changes; marks are refused, as no record uses them. What
//! it accepts is canonical: decoding it and encoding it again gives the same bytes (a test holds this
//! against Automerge itself), so that the signed bytes can always be given back.
//! What the operations may *do* is [`super::gate`]'s business.

use super::column::{Booleans, Deltas, Reader, Runs};
use crate::limits::{CHANGE_ACTORS_MAX, CHANGE_COLUMNS_MAX, CHANGE_DEPS_MAX, CHANGE_OPS_MAX};
use sha2::{Digest, Sha256};

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
pub(super) const CHANGE: u8 = 1;
/// Bit of a column specification that says its data is deflated.
const DEFLATED: u32 = 0b1000;

/// Why bytes are not one plain change chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("the chunk ends early")]
    Truncated,
    #[error("the chunk does not begin with Automerge's magic bytes")]
    Magic,
    #[error("chunk type {0} where only an uncompressed change (1) is allowed")]
    Type(u8),
    #[error("bytes follow the chunk")]
    Trailing,
    #[error("a number is not in its shortest form, or too large")]
    Number,
    #[error("{0} dependencies, or not in ascending order")]
    Dependencies(u64),
    #[error("{0} other actors, not in ascending order, or the author among them")]
    Actors(u64),
    #[error("an actor of {0} bytes where 16 are required")]
    ActorLength(u64),
    #[error("text that is not UTF-8")]
    Utf8,
    #[error("{0} columns")]
    Columns(u64),
    #[error("column {0:#x} is unknown, deflated, empty or out of order")]
    Column(u32),
    #[error("runs claim more than {CHANGE_OPS_MAX} items")]
    Runs,
    #[error("a column is longer or shorter than the operations")]
    Ragged,
    #[error("a value of unknown or forbidden type, or of the wrong length")]
    Value,
    #[error("an operation names an actor the change does not list")]
    ActorIndex,
    #[error("not in the one form an encoder writes")]
    Canonical,
}

/// The id of an operation: a counter, and an index into the change's actors (0 is its author).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpId {
    pub(super) actor: usize,
    pub(super) counter: u64,
}

/// Where in its object an operation acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Property(&'a str),
    /// The front of a sequence.
    Head,
    /// The element that operation inserted.
    Element(OpId),
}

/// A scalar as its bytes state it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Milliseconds since 1970.
    Timestamp(i64),
}

impl<'a> Value<'a> {
    /// The scalar of a type number and the bytes of that value.
    fn read(kind: u64, data: &'a [u8]) -> Result<Self, ChunkError> {
        let mut number = Reader(data);
        let value = match kind {
            0 => Self::Null,
            1 => Self::Bool(false),
            2 => Self::Bool(true),
            3 => Self::Unsigned(number.unsigned()?),
            4 => Self::Signed(number.signed()?),
            9 => Self::Timestamp(number.signed()?),
            5 => {
                let bytes = data.try_into().map_err(|_| ChunkError::Value)?;
                return Ok(Self::Float(f64::from_le_bytes(bytes)));
            }
            6 => {
                let text = std::str::from_utf8(data).map_err(|_| ChunkError::Utf8)?;
                return Ok(Self::Text(text));
            }
            7 => return Ok(Self::Bytes(data)),
            _ => return Err(ChunkError::Value),
        };
        if number.0.is_empty() { Ok(value) } else { Err(ChunkError::Value) }
    }
}

/// One operation. `action` is Automerge's number: 0, 2, 4, 6 make objects, 1 puts, 3 deletes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Op<'a> {
    /// `None` is the root.
    pub(super) object: Option<OpId>,
    pub(super) key: Key<'a>,
    pub(super) insert: bool,
    pub(super) action: u64,
    pub(super) value: Value<'a>,
    /// The value as its column has it: length and type, and the bytes.
    pub(super) raw: (u64, &'a [u8]),
}

pub(super) const MAKE_MAP: u64 = 0;
pub(super) const PUT: u64 = 1;
pub(super) const MAKE_LIST: u64 = 2;
pub(super) const DELETE: u64 = 3;
pub(super) const MAKE_TEXT: u64 = 4;

/// A change chunk whose header is sound; its operations are read by [`Self::ops`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) checksum: [u8; 4],
    dependencies: &'a [u8],
    pub(super) actor: [u8; 16],
    pub(super) seq: u64,
    pub(super) start_op: u64,
    pub(super) time: i64,
    pub(super) message: &'a str,
    /// Other actors, 17 bytes each: a length that is always 16, then the actor.
    others: &'a [u8],
    pub(super) columns: Columns<'a>,
    /// Type, length and contents: what the hash is over.
    hashed: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Reads the header of the one chunk `body` must be.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ChunkError> {
        let mut r = Reader(body);
        if r.take(4)? != MAGIC {
            return Err(ChunkError::Magic);
        }
        let mut checksum = [0; 4];
        checksum.copy_from_slice(r.take(4)?);
        let hashed = r.0;
        let kind = r.byte()?;
        if kind != CHANGE {
            return Err(ChunkError::Type(kind));
        }
        let length = r.unsigned()?;
        let mut d = Reader(r.take(length)?);
        if !r.0.is_empty() {
            return Err(ChunkError::Trailing);
        }
        let dependencies = Self::dependencies_of(&mut d)?;
        let actor = d.actor()?;
        let seq = d.unsigned()?;
        let start_op = d.unsigned()?;
        let time = d.signed()?;
        let message = d.text()?;
        let others = Self::others_of(&mut d, actor)?;
        let columns = Columns::parse(&mut d)?;
        if !d.0.is_empty() {
            return Err(ChunkError::Trailing);
        }
        Ok(Self {
            checksum,
            dependencies,
            actor,
            seq,
            start_op,
            time,
            message,
            others,
            columns,
            hashed,
        })
    }

    fn dependencies_of(r: &mut Reader<'a>) -> Result<&'a [u8], ChunkError> {
        let count = r.unsigned()?;
        if count > CHANGE_DEPS_MAX as u64 {
            return Err(ChunkError::Dependencies(count));
        }
        let bytes = r.take(count * 32)?;
        let mut hashes = bytes.chunks_exact(32);
        if !hashes.clone().zip(hashes.by_ref().skip(1)).all(|(a, b)| a < b) {
            return Err(ChunkError::Dependencies(count));
        }
        Ok(bytes)
    }

    fn others_of(r: &mut Reader<'a>, author: [u8; 16]) -> Result<&'a [u8], ChunkError> {
        let count = r.unsigned()?;
        if count > CHANGE_ACTORS_MAX as u64 {
            return Err(ChunkError::Actors(count));
        }
        let start = r.0;
        let mut before = None;
        for _ in 0..count {
            let actor = r.actor()?;
            if before.is_some_and(|b| b >= actor) || actor == author {
                return Err(ChunkError::Actors(count));
            }
            before = Some(actor);
        }
        Ok(&start[..start.len() - r.0.len()])
    }

    pub(super) fn dependencies(&self) -> impl ExactSizeIterator<Item = [u8; 32]> + 'a {
        self.dependencies.chunks_exact(32).map(|c| {
            let mut hash = [0; 32];
            hash.copy_from_slice(c);
            hash
        })
    }

    /// The change's hash; its first four bytes are the checksum.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.hashed).into()
    }

    /// The actor an operation id names by index.
    pub(super) fn actor_at(&self, index: usize) -> Option<[u8; 16]> {
        if index == 0 {
            return Some(self.actor);
        }
        let at = index.checked_sub(1)?.checked_mul(17)?;
        self.others.get(at + 1..at + 17)?.try_into().ok()
    }

    /// The operations, in order.
    pub(super) fn ops(&self) -> Ops<'a> {
        Ops::new(&self.columns, self.others.len() / 17 + 1)
    }
}

/// The column data of a chunk; an absent column is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns<'a> {
    pub(super) data: [&'a [u8]; SPECS.len()],
}

/// Specifications (id and type) of the columns a change may have, in their one order.
pub(super) const SPECS: [u32; 12] =
    [0x01, 0x02, 0x11, 0x13, 0x15, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73];

impl<'a> Columns<'a> {
    fn parse(r: &mut Reader<'a>) -> Result<Self, ChunkError> {
        let count = r.unsigned()?;
        if count > CHANGE_COLUMNS_MAX as u64 {
            return Err(ChunkError::Columns(count));
        }
        let mut lengths = [0u64; SPECS.len()];
        let mut next = 0;
        for _ in 0..count {
            let spec = u32::try_from(r.unsigned()?).map_err(|_| ChunkError::Number)?;
            let length = r.unsigned()?;
            let known = SPECS[next..].iter().position(|s| *s == spec);
            let (Some(skip), false) = (known, length == 0 || spec & DEFLATED != 0) else {
                return Err(ChunkError::Column(spec));
            };
            next += skip;
            lengths[next] = length;
            next += 1;
        }
        let mut columns = Self::default();
        for (data, length) in columns.data.iter_mut().zip(lengths) {
            *data = r.take(length)?;
        }
        Ok(columns)
    }
}

/// Reads operations from columns.
#[derive(Debug, Clone)]
pub(super) struct Ops<'a> {
    object_actor: Runs<'a, u64>,
    object_counter: Runs<'a, u64>,
    key_actor: Runs<'a, u64>,
    key_counter: Deltas<'a>,
    key_text: Runs<'a, &'a str>,
    insert: Booleans<'a>,
    action: Runs<'a, u64>,
    value_meta: Runs<'a, u64>,
    value: Reader<'a>,
    pred_count: Runs<'a, u64>,
    pred_actor: Runs<'a, u64>,
    pred_counter: Deltas<'a>,
    /// Which of the other actors an operation has named.
    named: Vec<bool>,
}

impl<'a> Ops<'a> {
    fn new(columns: &Columns<'a>, actors: usize) -> Self {
        let d = &columns.data;
        Self {
            object_actor: Runs::new(d[0]),
            object_counter: Runs::new(d[1]),
            key_actor: Runs::new(d[2]),
            key_counter: Deltas::new(d[3]),
            key_text: Runs::new(d[4]),
            insert: Booleans::new(d[5]),
            action: Runs::new(d[6]),
            value_meta: Runs::new(d[7]),
            value: Reader(d[8]),
            pred_count: Runs::new(d[9]),
            pred_actor: Runs::new(d[10]),
            pred_counter: Deltas::new(d[11]),
            named: vec![false; actors - 1],
        }
    }

    /// The next operation, its predecessors put into `preds`. `None` once every column has ended
    /// together.
    pub(super) fn next(&mut self, preds: &mut Vec<OpId>) -> Result<Option<Op<'a>>, ChunkError> {
        if self.action.is_done() {
            return self.end().map(|()| None);
        }
        let action = self.action.next()?.ok_or(ChunkError::Ragged)?;
        let object = match (self.object_actor.next()?, self.object_counter.next()?) {
            (None, None) => None,
            (Some(actor), Some(counter)) => Some(self.id(actor, counter)?),
            _ => return Err(ChunkError::Ragged),
        };
        let key = self.key()?;
        let insert = self.insert.next()?;
        let (value, raw) = self.value()?;
        preds.clear();
        for _ in 0..self.pred_count.next()?.ok_or(ChunkError::Ragged)? {
            let actor = self.pred_actor.next()?.ok_or(ChunkError::Ragged)?;
            let counter = self.pred_counter.next()?.ok_or(ChunkError::Ragged)?;
            preds.push(self.id(actor, counter)?);
        }
        Ok(Some(Op { object, key, insert, action, value, raw }))
    }

    /// Every column has ended, none holds nulls alone, and every listed actor was named.
    fn end(&self) -> Result<(), ChunkError> {
        let done = self.object_actor.is_done()
            && self.object_counter.is_done()
            && self.key_actor.is_done()
            && self.key_counter.runs.is_done()
            && self.key_text.is_done()
            && self.insert.is_done()
            && self.value_meta.is_done()
            && self.value.0.is_empty()
            && self.pred_count.is_done()
            && self.pred_actor.is_done()
            && self.pred_counter.runs.is_done();
        let idle = self.object_actor.is_idle()
            || self.object_counter.is_idle()
            || self.key_actor.is_idle()
            || self.key_counter.runs.is_idle()
            || self.key_text.is_idle();
        match done {
            false => Err(ChunkError::Ragged),
            true if idle || self.named.contains(&false) => Err(ChunkError::Canonical),
            true => Ok(()),
        }
    }

    fn id(&mut self, actor: u64, counter: u64) -> Result<OpId, ChunkError> {
        let actor = usize::try_from(actor).map_err(|_| ChunkError::ActorIndex)?;
        if counter == 0 {
            return Err(ChunkError::ActorIndex);
        }
        if let Some(other) = actor.checked_sub(1) {
            *self.named.get_mut(other).ok_or(ChunkError::ActorIndex)? = true;
        }
        Ok(OpId { actor, counter })
    }

    fn key(&mut self) -> Result<Key<'a>, ChunkError> {
        match (self.key_text.next()?, self.key_actor.next()?, self.key_counter.next()?) {
            (Some(text), None, None) => Ok(Key::Property(text)),
            (None, None, Some(0)) => Ok(Key::Head),
            (None, Some(actor), Some(counter)) => Ok(Key::Element(self.id(actor, counter)?)),
            _ => Err(ChunkError::Ragged),
        }
    }

    fn value(&mut self) -> Result<(Value<'a>, (u64, &'a [u8])), ChunkError> {
        let meta = self.value_meta.next()?.ok_or(ChunkError::Ragged)?;
        let data = self.value.take(meta >> 4)?;
        Ok((Value::read(meta & 15, data)?, (meta, data)))
    }
}
