//! How far a log goes: what version vectors are made of.

use crate::id::{Hash, HashPrefix, LogId};
use minicbor::{Decode, Encode};

/// The end of a log as we hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// 0 before the first entry.
    pub seq: u64,
    /// Header hash at `seq`; the log id's bytes at 0.
    pub hash: Hash,
    /// Sum of the body lengths of all entries up to `seq`: what a progress bar counts.
    pub body_bytes: u64,
    /// The directory epoch the entry at `seq` cites; what follows may not cite an earlier one.
    pub epoch: u64,
}

impl Tip {
    /// Where a log stands before its first entry.
    pub fn start(log: LogId) -> Self {
        Self { seq: 0, hash: Hash(log.0), body_bytes: 0, epoch: 0 }
    }

    pub fn position(&self, log: LogId) -> Position {
        Position {
            log,
            seq: self.seq,
            prefix: self.hash.prefix(),
            body_bytes: self.body_bytes,
            fork: None,
        }
    }
}

/// One item of a version vector, as told to peers: "I hold this log durably up to here".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Position {
    #[n(0)]
    pub log: LogId,
    #[n(1)]
    pub seq: u64,
    /// Tells a fork: two nodes at one seq with different prefixes hold different histories.
    #[n(2)]
    pub prefix: HashPrefix,
    #[n(3)]
    pub body_bytes: u64,
    /// The first seq its author is proven to have used twice; `None` if the sender holds no proof.
    #[n(4)]
    pub fork: Option<u64>,
}
