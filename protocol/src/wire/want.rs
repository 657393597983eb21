//! Asking for entries, refusing to give them, and asking to be spared them.

use crate::id::LogId;
use minicbor::{Decode, Encode};

/// Asks for ranges; answered by batches that cover them up to the next checkpoint, or a `Decline`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Want {
    #[n(0)]
    pub ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Range {
    #[n(0)]
    pub log: LogId,
    /// First seq wanted; the asker holds everything before it.
    #[n(1)]
    pub from: u64,
    /// Last seq wanted, inclusive.
    #[n(2)]
    pub to: u64,
}

/// A range will not be served; the asker turns elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Decline {
    #[n(0)]
    pub log: LogId,
    #[n(1)]
    pub from: u64,
    #[n(2)]
    pub reason: DeclineReason,
}

/// Why. Open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct DeclineReason(#[n(0)] pub u8);

impl DeclineReason {
    /// Not held, or not from that seq.
    pub const NOT_HELD: Self = Self(1);
    /// The asker does not carry that space, as the sender's directory has it.
    pub const NOT_ENTITLED: Self = Self(2);
    /// The disk refused.
    pub const UNREADABLE: Self = Self(3);

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NOT_HELD => "does not hold it",
            Self::NOT_ENTITLED => "says this node may not carry that space",
            Self::UNREADABLE => "cannot read its disk",
            _ => "declined for a reason this version does not know",
        }
    }
}

/// "You pushed me an entry of this log that I had: announce it from now on instead." (Plumtree,
/// Leitão et al. 2007.) A later `Want` for the log undoes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Prune {
    #[n(0)]
    pub log: LogId,
}
