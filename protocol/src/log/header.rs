//! The header of one entry: everything about it but its content.

use crate::id::{DocId, Hash, HashPrefix, LogId};
use minicbor::{Decode, Encode};

/// The gate rules and limits an entry is judged by. An unknown version is pending, never rejected.
pub const HEADER_VERSION: u8 = 1;

/// Which stream an entry travels on; lower goes first, so today's minutes never wait behind photos.
/// Open: unknown lanes travel last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Lane(#[n(0)] pub u8);

impl Lane {
    pub const DIRECTORY: Self = Self(0);
    pub const CONTROL: Self = Self(1);
    /// Meetings and rosters.
    pub const RECORDS: Self = Self(2);
    pub const POSTS: Self = Self(3);
    pub const BLOBS: Self = Self(4);
    /// Number of lanes this version opens streams for.
    pub const COUNT: usize = 5;
}

/// What an entry is about. Open: an unknown kind is stored and relayed untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Kind(#[n(0)] pub u16);

/// How the stored body is encoded. Open, as kinds are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Encoding(#[n(0)] pub u8);

impl Encoding {
    /// One uncompressed Automerge change chunk.
    pub const CHANGE: Self = Self(0);
    /// The same, sealed for the space's readers.
    pub const SEALED: Self = Self(1);
}

/// The fields that neighbouring entries usually share; a run states them only where they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub version: u8,
    pub lane: Lane,
    pub kind: Kind,
    /// Version of the kind's genesis change the document begins from.
    pub genesis: u16,
    pub encoding: Encoding,
    /// Which space key sealed the body; 0 for plain bodies.
    pub key_epoch: u32,
}

/// One entry's header. Its hash, not its encoding, is what the next entry points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub log: LogId,
    /// Position in the log, from 1, without gaps.
    pub seq: u64,
    /// Hash of the header before; of the log id itself for the first.
    pub previous: Hash,
    /// Length of the directory chain the author knew; never falls within a log.
    pub epoch: u64,
    /// First bytes of that directory's head.
    pub directory: HashPrefix,
    /// Hybrid logical clock: milliseconds since 1970 in the upper 48 bits, a counter in the lower
    /// 16. For display and ordering of lists; decides nothing.
    pub clock: u64,
    pub shape: Shape,
    pub document: DocId,
    /// Length of the stored body, also when it has been erased.
    pub body_len: u32,
    /// Hash of the stored body bytes, sealed or not.
    pub body_hash: Hash,
}

impl Header {
    /// The hash of this header, over a fixed layout (integers big-endian). `WIRE.md`, "Header hash".
    pub fn hash(&self) -> Hash {
        let s = &self.shape;
        Hash::of(
            "fenbu/header/1",
            &[
                &[s.version],
                self.log.as_bytes(),
                &self.seq.to_be_bytes(),
                self.previous.as_bytes(),
                &self.epoch.to_be_bytes(),
                self.directory.as_bytes(),
                &self.clock.to_be_bytes(),
                &[s.lane.0],
                &s.kind.0.to_be_bytes(),
                if planted!(HeaderHashLeavesOut) { &[0; 16] } else { self.document.as_bytes() },
                &s.genesis.to_be_bytes(),
                &[s.encoding.0],
                &s.key_epoch.to_be_bytes(),
                &self.body_len.to_be_bytes(),
                self.body_hash.as_bytes(),
            ],
        )
    }

    /// Milliseconds since 1970 of [`Self::clock`].
    pub fn time_ms(&self) -> u64 {
        self.clock >> 16
    }
}

/// The hash of a stored body.
pub fn body_hash(body: &[u8]) -> Hash {
    let body = if planted!(BodyHashOfBeginning) { &body[..body.len().min(16)] } else { body };
    Hash::of("fenbu/body/1", &[body])
}
