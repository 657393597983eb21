//! Space keys, and how one travels: wrapped for each reader in the directory.
//!
//! A wrap is a [letter](super::letter): whoever signs the directory proves where it comes from, so that
//! the wrap itself need not.

use super::letter::{open_letter, seal_letter};
use crate::id::{FederationId, Hash, NodeId, SealingKey, SpaceId};
use std::fmt;
use zeroize::Zeroizing;

const WRAP_DOMAIN: &[u8] = b"fenbu/space-key/1\0";
const CHECK_DOMAIN: &str = "fenbu/space-key-check/1";

/// Length of a wrapped key: encapsulated X25519 key 32, key 32, tag 16.
pub const WRAP_BYTES: usize = 32 + 32 + 16;

/// The key that seals a space's bodies for one key epoch. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SpaceKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SpaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpaceKey(…)")
    }
}

/// Which key of which space, for whom: what a wrap is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapPlace {
    pub federation: FederationId,
    pub space: SpaceId,
    /// From 1.
    pub key_epoch: u32,
    pub node: NodeId,
}

impl WrapPlace {
    /// HPKE's `info`: domain ‖ 00 ‖ federation ‖ space ‖ key epoch ‖ node.
    fn info(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(WRAP_DOMAIN.len() + 32 + 16 + 4 + 32);
        out.extend_from_slice(WRAP_DOMAIN);
        out.extend_from_slice(self.federation.as_bytes());
        out.extend_from_slice(self.space.as_bytes());
        out.extend_from_slice(&self.key_epoch.to_be_bytes());
        out.extend_from_slice(self.node.as_bytes());
        out
    }
}

/// Why a key cannot be wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    #[error("the reader's sealing key is not one that can be sealed for")]
    Recipient,
    #[error("a wrapped key has {WRAP_BYTES} bytes, this one {0}")]
    Length(usize),
    #[error("the wrapped key is not for this node, space and key epoch, or was altered")]
    Altered,
    #[error("the wrapped key is not the one the directory names")]
    OtherKey,
}

impl SpaceKey {
    /// A key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the directory says of a key beside its wraps, so that every reader knows to hold the same
    /// one. It gives nothing away: the key has 256 bits of chance.
    pub fn check(&self, space: &SpaceId, key_epoch: u32) -> Hash {
        Hash::of(CHECK_DOMAIN, &[space.as_bytes(), &key_epoch.to_be_bytes(), &self.0[..]])
    }

    /// Wraps the key for one reader. `chance` must be 32 random bytes used for nothing else: the
    /// ephemeral key is made from them.
    pub fn wrap(
        &self,
        place: &WrapPlace,
        reader: &SealingKey,
        chance: [u8; 32],
    ) -> Result<Vec<u8>, WrapError> {
        seal_letter(&place.info(), reader, &self.0[..], chance).map_err(|_| WrapError::Recipient)
    }

    /// The key inside a wrap for us, if it is the one `check` names.
    pub fn unwrap(
        place: &WrapPlace,
        secret: &[u8; 32],
        wrapped: &[u8],
        check: &Hash,
    ) -> Result<Self, WrapError> {
        if wrapped.len() != WRAP_BYTES {
            return Err(WrapError::Length(wrapped.len()));
        }
        let plain = open_letter(&place.info(), secret, wrapped).map_err(|_| WrapError::Altered)?;
        let mut key = Self(Zeroizing::new([0; 32]));
        key.0.copy_from_slice(&plain);
        if key.check(&place.space, place.key_epoch) == *check {
            Ok(key)
        } else {
            Err(WrapError::OtherKey)
        }
    }
}
