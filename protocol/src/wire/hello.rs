//! The first message each way: enough to know that nothing is new.

use super::StateSum;
use crate::id::{FederationId, Hash};
use minicbor::{Decode, Encode};

/// Sent by both sides as soon as the link is up, without waiting for the other's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// Lowest and highest wire version spoken.
    #[n(0)]
    pub version_min: u16,
    #[n(1)]
    pub version_max: u16,
    #[n(2)]
    pub federation: FederationId,
    /// Length and head of the sender's directory.
    #[n(3)]
    pub epoch: u64,
    #[n(4)]
    pub directory: Hash,
    /// One log digest over all spaces both sides carry, as the sender's directory has it. Equal
    /// digests end the conversation: there is nothing to fetch. Zero towards a stranger.
    #[n(5)]
    pub digest: Hash,
    /// Software and version, for `peers`.
    #[n(6)]
    pub agent: String,
    /// What the sender's records come to, if all entries that `digest` stands for have been made
    /// into records.
    #[n(7)]
    pub state: Option<StateSum>,
}
