//! Runs: the unit in which entries are stored, sent, and put in bundles.
//!
//! A run is a stretch of one log that ends at a checkpoint. Its bytes are the same on disk, on the
//! wire and in a bundle (`WIRE.md`, "Run"), so serving one is a copy. What neighbours share (log,
//! seq, previous hash, and mostly shape and directory) is stated once.

use crate::id::{DocId, Hash, HashPrefix, LogId, NodeId};
use crate::limits::{
    BODY_BYTES_MAX, JOINED_RUN_BYTES_TARGET, JOINED_RUN_ENTRIES_MAX, RUN_BYTES_MAX,
};
use crate::log::header::body_hash;
use crate::log::{Checkpoint, Encoding, Header, Kind, Lane, Opening, Shape, Tip};
use std::sync::Arc;

const SHAPE: u8 = 1;
const DIRECTORY: u8 = 2;
const BODY: u8 = 4;

/// log 32, first seq 8, previous 32, count 4, opening flag 1.
const FIXED: usize = 32 + 8 + 32 + 4 + 1;

/// Why bytes are not a run, or a run is not its author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("run ends early")]
    Truncated,
    #[error("{0} bytes after the last entry")]
    Trailing(usize),
    #[error("run of {0} bytes is over the limit")]
    TooLarge(usize),
    #[error("run claims {0} entries")]
    Count(u32),
    #[error("sequence numbers overflow or begin at 0")]
    Seq,
    #[error("the first entry must state its shape and directory")]
    Implicit,
    #[error("unknown entry flags {0:#04x}")]
    Flags(u8),
    #[error("body of {0} bytes is over the limit")]
    Body(u32),
    #[error("a run has an opening exactly when it begins at seq 1")]
    Opening,
    #[error("the first entry of a log follows its id, and nothing else")]
    Previous,
    #[error("the opening does not match the log, or its signature is wrong")]
    OpeningInvalid,
    #[error("the checkpoint's signature is wrong")]
    Signature,
    #[error("the directory epoch falls from {0} to {1}")]
    EpochFalls(u64, u64),
    #[error("does not follow what we hold")]
    Detached,
    #[error("contradicts what we hold at seq {0}: the author signed two histories")]
    Fork(u64),
}

/// One entry of a run, with its place in the chain worked out.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub header: Header,
    /// [`Header::hash`], computed on the way.
    pub hash: Hash,
    /// The stored body; `None` once erased.
    pub body: Option<&'a [u8]>,
}

/// A well-formed stretch of one log. Parsed, not yet verified: see [`Run::verify`].
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    bytes: Arc<[u8]>,
    log: LogId,
    first: u64,
    previous: Hash,
    count: u32,
    opening: Option<Opening>,
    signature: [u8; 64],
    entries_at: usize,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({} {}..={})", self.log.short(), self.first, self.last())
    }
}

/// What verification established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The log's end after this run.
    pub tip: Tip,
    /// Entries that were new; 0 for a pure duplicate.
    pub fresh: u64,
}

impl Run {
    /// Checks the structure of `bytes`: bounds, counts, flags; hashes and signatures come later.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, RunError> {
        let bytes: Arc<[u8]> = bytes.into();
        if bytes.len() > RUN_BYTES_MAX {
            return Err(RunError::TooLarge(bytes.len()));
        }
        let mut r = Reader(&bytes);
        let log = LogId(r.array()?);
        let first = u64::from_be_bytes(r.array()?);
        let previous = Hash(r.array()?);
        let count = u32::from_be_bytes(r.array()?);
        let opening = match r.array::<1>()? {
            [0] => None,
            [1] => Some(Opening::from_wire(&r.array()?)),
            _ => return Err(RunError::Opening),
        };
        let signature = r.array()?;
        let entries_at = bytes.len() - r.0.len();
        if count == 0 || count as usize > JOINED_RUN_ENTRIES_MAX + crate::limits::RUN_ENTRIES_MAX {
            return Err(RunError::Count(count));
        }
        if first == 0 || first.checked_add(u64::from(count)).is_none() {
            return Err(RunError::Seq);
        }
        if opening.is_some() != (first == 1) {
            return Err(RunError::Opening);
        }
        if first == 1 && previous != Hash(log.0) {
            return Err(RunError::Previous);
        }
        let mut shared = None;
        for _ in 0..count {
            RawEntry::read(&mut r, &mut shared)?;
        }
        if !r.0.is_empty() {
            return Err(RunError::Trailing(r.0.len()));
        }
        Ok(Self { log, first, previous, count, opening, signature, entries_at, bytes })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn log(&self) -> LogId {
        self.log
    }

    /// Seq of the first entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Seq of the last entry, the checkpoint's.
    pub fn last(&self) -> u64 {
        self.first + u64::from(self.count) - 1
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Header hash before the first entry, as the run claims it.
    pub fn previous(&self) -> Hash {
        self.previous
    }

    /// Present exactly when the run begins at seq 1.
    pub fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// The entries with headers and hashes worked out: one body and one header hash each.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut seq = self.first;
        let mut previous = self.previous;
        self.raw_entries().map(move |raw| {
            let header = raw.header(self.log, seq, previous);
            let hash = header.hash();
            seq += 1;
            previous = hash;
            Entry { header, hash, body: raw.body }
        })
    }

    fn raw_entries(&self) -> impl Iterator<Item = RawEntry<'_>> {
        let mut r = Reader(&self.bytes[self.entries_at..]);
        let mut shared = None;
        // INVARIANT: `parse` read the same bytes with the same reader.
        (0..self.count).map(move |_| RawEntry::read(&mut r, &mut shared).expect("parsed before"))
    }

    /// Checks that this run is `author`'s and continues what is held up to `held` (its overlap, if
    /// any, must agree). Costs two hashes an entry and one signature (two with an opening).
    pub fn verify(&self, author: &NodeId, held: &Tip) -> Result<Verified, RunError> {
        if self.first > held.seq + 1 {
            return Err(RunError::Detached);
        }
        if let Some(opening) = &self.opening
            && held.seq == 0
            && (opening.log() != self.log || opening.node != *author || !opening.verify())
        {
            return Err(RunError::OpeningInvalid);
        }
        if self.first == held.seq + 1 && self.previous != held.hash {
            return Err(self.contradiction(author, held.seq));
        }
        let mut tip = *held;
        // In an overlap the entries before the tip state the epochs they must not fall from.
        let from = if self.first == held.seq + 1 { held.epoch } else { 0 };
        let (mut last, mut epoch, mut fresh) = (self.previous, from, 0);
        for entry in self.entries() {
            let header = &entry.header;
            if header.epoch < epoch && !planted!(EpochMayFall) {
                return Err(RunError::EpochFalls(epoch, header.epoch));
            }
            epoch = header.epoch;
            if header.seq == held.seq && entry.hash != held.hash {
                return Err(self.contradiction(author, held.seq));
            }
            if header.seq > held.seq {
                tip.seq = header.seq;
                tip.hash = entry.hash;
                tip.epoch = header.epoch;
                tip.body_bytes = tip.body_bytes.saturating_add(u64::from(header.body_len));
                fresh += 1;
            }
            last = entry.hash;
        }
        // A pure duplicate that ends before what we hold proves nothing new and costs no signature.
        if fresh > 0 && !planted!(CheckpointUnverified) && !self.checkpoint(last).verify(author) {
            return Err(RunError::Signature);
        }
        Ok(Verified { tip, fresh })
    }

    /// Checks that this run is `author`'s, whatever stands before it: bodies, chain, signatures. What its
    /// first entry follows is its word alone. Costs what [`Run::verify`] does.
    pub fn verify_alone(&self, author: &NodeId) -> Result<(), RunError> {
        let hash = if self.first == 1 { Tip::start(self.log).hash } else { self.previous };
        let before = Tip { seq: self.first - 1, hash, body_bytes: 0, epoch: 0 };
        self.verify(author, &before).map(drop)
    }

    /// Another history than ours: a fork if the author signed it, else just a bad run.
    fn contradiction(&self, author: &NodeId, seq: u64) -> RunError {
        if self.is_signed_by(author) { RunError::Fork(seq) } else { RunError::Signature }
    }

    /// Whether the checkpoint at its end is `author`'s. Costs a hash or two an entry and one signature.
    pub fn is_signed_by(&self, author: &NodeId) -> bool {
        let last = self.entries().last().map_or(self.previous, |e| e.hash);
        self.checkpoint(last).verify(author)
    }

    /// Header hash of the first entry.
    pub fn first_hash(&self) -> Hash {
        // INVARIANT: a run has at least one entry.
        self.entries().next().map_or(self.previous, |e| e.hash)
    }

    pub fn has_bodies(&self) -> bool {
        self.raw_entries().any(|raw| raw.body.is_some())
    }

    /// The same entries, each body replaced by its hash.
    pub fn without_bodies(&self) -> Self {
        let mut out = RunWriter::new(self.log, self.first, self.previous, self.opening);
        for mut raw in self.raw_entries() {
            if let Some(body) = raw.body.take() {
                raw.erased = body_hash(body);
            }
            out.push_raw(&raw);
        }
        out.finish(self.signature)
    }

    fn checkpoint(&self, hash: Hash) -> Checkpoint {
        Checkpoint { log: self.log, seq: self.last(), hash, signature: self.signature }
    }

    /// This run without its entries before `seq`; `None` if nothing remains.
    pub fn starting_at(&self, seq: u64) -> Option<Self> {
        if seq > self.last() {
            return None;
        }
        if seq <= self.first {
            return Some(self.clone());
        }
        let mut previous = self.previous;
        for entry in self.entries().take((seq - self.first) as usize) {
            previous = entry.hash;
        }
        let mut r = Reader(&self.bytes[self.entries_at..]);
        let mut shared = None;
        for _ in self.first..seq {
            RawEntry::read(&mut r, &mut shared).ok()?;
        }
        let first = RawEntry::read(&mut r, &mut shared).ok()?;
        let count = (self.last() - seq + 1) as u32;
        let mut out = RunWriter::new(self.log, seq, previous, None);
        out.push_raw(&first);
        out.bytes.extend_from_slice(r.0);
        out.count = count;
        Some(out.finish(self.signature))
    }

    /// Joins `next`, which must follow at once, under its later checkpoint. `None` where the result
    /// would pass the joined run's bounds.
    pub fn joined(&self, next: &Self) -> Option<Self> {
        let room = self.bytes.len() + next.bytes.len() <= JOINED_RUN_BYTES_TARGET
            && (self.count + next.count) as usize <= JOINED_RUN_ENTRIES_MAX;
        if !room || next.log != self.log || next.first != self.last() + 1 {
            return None;
        }
        let mut out = RunWriter::new(self.log, self.first, self.previous, self.opening);
        out.bytes.extend_from_slice(&self.bytes[self.entries_at..]);
        out.bytes.extend_from_slice(&next.bytes[next.entries_at..]);
        out.count = self.count + next.count;
        let early = planted!(JoinKeepsFirstSignature);
        Some(out.finish(if early { self.signature } else { next.signature }))
    }
}

/// Builds the bytes of a run.
#[derive(Debug, Clone)]
pub(super) struct RunWriter {
    bytes: Vec<u8>,
    count: u32,
    signature_at: usize,
    shared: Option<Shared>,
}

impl RunWriter {
    pub(super) fn new(log: LogId, first: u64, previous: Hash, opening: Option<Opening>) -> Self {
        let mut bytes = Vec::with_capacity(FIXED + 64 + 256);
        bytes.extend_from_slice(log.as_bytes());
        bytes.extend_from_slice(&first.to_be_bytes());
        bytes.extend_from_slice(previous.as_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(u8::from(opening.is_some()));
        if let Some(opening) = opening {
            bytes.extend_from_slice(&opening.to_wire());
        }
        let signature_at = bytes.len();
        bytes.extend_from_slice(&[0; 64]);
        Self { bytes, count: 0, signature_at, shared: None }
    }

    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, header: &Header, body: &[u8]) {
        let shared =
            Shared { shape: header.shape, epoch: header.epoch, directory: header.directory };
        self.push_raw(&RawEntry {
            shared,
            clock: header.clock,
            document: header.document,
            body_len: header.body_len,
            erased: header.body_hash,
            body: Some(body),
        });
    }

    fn push_raw(&mut self, entry: &RawEntry<'_>) {
        let same_shape = self.shared.is_some_and(|s| s.shape == entry.shared.shape);
        let same_directory = self.shared.is_some_and(|s| {
            s.epoch == entry.shared.epoch && s.directory == entry.shared.directory
        });
        let mut flags = 0;
        if !same_shape {
            flags |= SHAPE;
        }
        if !same_directory {
            flags |= DIRECTORY;
        }
        if entry.body.is_some() {
            flags |= BODY;
        }
        let out = &mut self.bytes;
        out.push(flags);
        if !same_shape {
            let s = &entry.shared.shape;
            out.extend_from_slice(&[s.version, s.lane.0]);
            out.extend_from_slice(&s.kind.0.to_be_bytes());
            out.extend_from_slice(&s.genesis.to_be_bytes());
            out.push(s.encoding.0);
            out.extend_from_slice(&s.key_epoch.to_be_bytes());
        }
        if !same_directory {
            out.extend_from_slice(&entry.shared.epoch.to_be_bytes());
            out.extend_from_slice(entry.shared.directory.as_bytes());
        }
        out.extend_from_slice(&entry.clock.to_be_bytes());
        out.extend_from_slice(entry.document.as_bytes());
        out.extend_from_slice(&entry.body_len.to_be_bytes());
        match entry.body {
            Some(body) => out.extend_from_slice(body),
            None => out.extend_from_slice(entry.erased.as_bytes()),
        }
        self.shared = Some(entry.shared);
        self.count += 1;
    }

    pub(super) fn finish(mut self, signature: [u8; 64]) -> Run {
        self.bytes[72..76].copy_from_slice(&self.count.to_be_bytes());
        self.bytes[self.signature_at..self.signature_at + 64].copy_from_slice(&signature);
        // INVARIANT: written by the functions above, which mirror the reader.
        Run::parse(self.bytes).expect("a run we wrote ourselves")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shared {
    shape: Shape,
    epoch: u64,
    directory: HashPrefix,
}

/// An entry as its bytes state it, not yet placed in a chain.
struct RawEntry<'a> {
    shared: Shared,
    clock: u64,
    document: DocId,
    body_len: u32,
    /// The body's hash where the body itself is gone.
    erased: Hash,
    body: Option<&'a [u8]>,
}

impl<'a> RawEntry<'a> {
    fn read(r: &mut Reader<'a>, shared: &mut Option<Shared>) -> Result<Self, RunError> {
        let [flags] = r.array()?;
        if flags & !(SHAPE | DIRECTORY | BODY) != 0 {
            return Err(RunError::Flags(flags));
        }
        let shape = if flags & SHAPE != 0 {
            let [version, lane] = r.array()?;
            Shape {
                version,
                lane: Lane(lane),
                kind: Kind(u16::from_be_bytes(r.array()?)),
                genesis: u16::from_be_bytes(r.array()?),
                encoding: Encoding(r.array::<1>()?[0]),
                key_epoch: u32::from_be_bytes(r.array()?),
            }
        } else {
            shared.ok_or(RunError::Implicit)?.shape
        };
        let (epoch, directory) = if flags & DIRECTORY != 0 {
            (u64::from_be_bytes(r.array()?), HashPrefix(r.array()?))
        } else {
            let s = shared.ok_or(RunError::Implicit)?;
            (s.epoch, s.directory)
        };
        let now = Shared { shape, epoch, directory };
        *shared = Some(now);
        let clock = u64::from_be_bytes(r.array()?);
        let document = DocId(r.array()?);
        let body_len = u32::from_be_bytes(r.array()?);
        if body_len as usize > BODY_BYTES_MAX {
            return Err(RunError::Body(body_len));
        }
        let (body, erased) = if flags & BODY != 0 {
            (Some(r.take(body_len as usize)?), Hash::ZERO)
        } else {
            (None, Hash(r.array()?))
        };
        Ok(Self { shared: now, clock, document, body_len, erased, body })
    }

    fn header(&self, log: LogId, seq: u64, previous: Hash) -> Header {
        Header {
            log,
            seq,
            previous,
            epoch: self.shared.epoch,
            directory: self.shared.directory,
            clock: self.clock,
            shape: self.shared.shape,
            document: self.document,
            body_len: self.body_len,
            body_hash: self.body.map_or(self.erased, body_hash),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], RunError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(RunError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RunError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(RunError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }
}
