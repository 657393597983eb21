//! Where a directory has been, to find out where two parted.

use crate::id::Hash;
use minicbor::{Decode, Encode};

/// "I cannot go on from what you know of the directory: these are heads of mine." Answered by the
/// statements after the last of them that the receiver's chain has had too.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Parted {
    /// Falling by epoch: the last, and those 1, 2, 4 … before it.
    #[n(0)]
    pub heads: Vec<DirectoryHead>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DirectoryHead {
    #[n(0)]
    pub epoch: u64,
    #[n(1)]
    pub hash: Hash,
}
