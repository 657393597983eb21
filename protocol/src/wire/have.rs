//! What a node holds durably. One message serves as offer and as acknowledgement.

use crate::id::{Hash, SpaceId};
use crate::log::Position;
use minicbor::{Decode, Encode};

/// Per-space log digests, sent only when the one in `Hello` differs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Digests {
    #[n(0)]
    pub spaces: Vec<SpaceDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SpaceDigest {
    #[n(0)]
    pub space: SpaceId,
    #[n(1)]
    pub digest: Hash,
}

/// Positions the sender holds durably: of whole spaces after their digests differed, and of single
/// logs whenever they grow. Since nothing is offered that is not on disk, it acknowledges too.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Have {
    #[n(0)]
    pub spaces: Vec<SpacePositions>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SpacePositions {
    #[n(0)]
    pub space: SpaceId,
    #[n(1)]
    pub positions: Vec<Position>,
    /// Every log of the space is listed; what is not is not held.
    #[n(2)]
    pub whole: bool,
}
