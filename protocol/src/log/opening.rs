//! The first item of every log: who writes it, where, and which incarnation this is.

use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::limits::INCARNATION_STEP_MAX;
use crate::log::checkpoint::{signature_of, verify};
use ed25519_dalek::SigningKey;

const DOMAIN: &str = "fenbu/opening/1";

/// A signed statement of what a log id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    pub space: SpaceId,
    pub node: NodeId,
    /// The first is 0; a node starts a new one whenever its old seqs might be used twice, see
    /// [`Opening::incarnation_after`].
    pub incarnation: u32,
    pub signature: [u8; 64],
}

impl Opening {
    /// Encoded length: space 16, node 32, incarnation 4, signature 64.
    pub const LEN: usize = 116;

    pub fn sign(key: &SigningKey, space: SpaceId, incarnation: u32) -> Self {
        let node = NodeId(key.verifying_key().to_bytes());
        let signature = signature_of(key, DOMAIN, &statement(space, node, incarnation));
        Self { space, node, incarnation, signature }
    }

    /// The incarnation a node goes on in that has known none above `highest`, which may not be the
    /// highest it ever had: one backup can be restored twice, and each time its disk knows nothing of
    /// the time before. So the next is not the next number but one of the [`INCARNATION_STEP_MAX`] above
    /// it, picked by `random`. The top of the range is reached after 4,096 at the earliest, four times as
    /// many as a space may have logs.
    pub fn incarnation_after(highest: u32, random: u32) -> u32 {
        highest.saturating_add(1 + random % INCARNATION_STEP_MAX)
    }

    /// The log this opens.
    pub fn log(&self) -> LogId {
        let hash = Hash::of(
            "fenbu/log/1",
            &[self.space.as_bytes(), self.node.as_bytes(), &self.incarnation.to_be_bytes()],
        );
        LogId(hash.0)
    }

    pub fn verify(&self) -> bool {
        let message = statement(self.space, self.node, self.incarnation);
        verify(&self.node, DOMAIN, &message, &self.signature)
    }

    pub fn to_wire(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..52].copy_from_slice(&statement(self.space, self.node, self.incarnation));
        out[52..].copy_from_slice(&self.signature);
        out
    }

    pub fn from_wire(bytes: &[u8; Self::LEN]) -> Self {
        let mut space = [0; 16];
        let mut node = [0; 32];
        let mut incarnation = [0; 4];
        let mut signature = [0; 64];
        space.copy_from_slice(&bytes[..16]);
        node.copy_from_slice(&bytes[16..48]);
        incarnation.copy_from_slice(&bytes[48..52]);
        signature.copy_from_slice(&bytes[52..]);
        Self {
            space: SpaceId(space),
            node: NodeId(node),
            incarnation: u32::from_be_bytes(incarnation),
            signature,
        }
    }
}

fn statement(space: SpaceId, node: NodeId, incarnation: u32) -> [u8; 52] {
    let mut out = [0; 52];
    out[..16].copy_from_slice(space.as_bytes());
    out[16..48].copy_from_slice(node.as_bytes());
    out[48..].copy_from_slice(&incarnation.to_be_bytes());
    out
}
