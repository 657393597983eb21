//! What a reader's records come to, so that equal entries which made different records are noticed.

use crate::id::{Hash, HashPrefix, SpaceId};
use crate::log::StateDigest;
use minicbor::{Decode, Encode};

/// What the records of several spaces come to, short: it guards against accident alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StateSum {
    /// Which entries count, and as what: comparable only where both go by the same rules.
    #[n(0)]
    pub rules: u16,
    /// Of a hash over each space read by both and its state digest.
    #[n(1)]
    pub sum: HashPrefix,
}

impl StateSum {
    /// Of the spaces both sides read, ascending.
    pub fn of(rules: u16, spaces: impl IntoIterator<Item = (SpaceId, StateDigest)>) -> Self {
        let mut bytes = Vec::new();
        for (space, state) in spaces {
            bytes.extend_from_slice(space.as_bytes());
            bytes.extend_from_slice(state.0.to_hash().as_bytes());
        }
        Self { rules, sum: Hash::of("fenbu/state/1", &[&bytes]).prefix() }
    }
}

/// The sender's records, made of all the entries that `digest` stands for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct State {
    /// The digest a Hello sent at this moment would carry.
    #[n(0)]
    pub digest: Hash,
    #[n(1)]
    pub state: StateSum,
    /// Space by space, in an answer to a sum that differs; else empty.
    #[n(2)]
    pub spaces: Vec<SpaceSum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SpaceSum {
    #[n(0)]
    pub space: SpaceId,
    /// The beginning of its state digest.
    #[n(1)]
    pub sum: HashPrefix,
}
