//! The keys one node holds, and what it can do with them.

use super::body::{OpenError, Place, open};
use super::key::{SpaceKey, WrapError, WrapPlace};
use crate::directory::{Directory, Space};
use crate::id::{Hash, NodeId, SpaceId};
use crate::log::{Encoding, Header};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Space keys by space and key epoch. Plain data: it follows from the directory and the node's own
/// secret, and is kept in memory alone.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<(SpaceId, u32), Held>,
    unusable: BTreeMap<(SpaceId, u32), WrapError>,
}

/// A key, and what the directory named it by.
#[derive(Debug, Clone)]
struct Held {
    check: Hash,
    key: SpaceKey,
}

impl Keyring {
    /// Unwraps what the directory has wrapped for `me` and is not held yet; returns whether there was
    /// any. `secret` is [`sealing_secret`](super::sealing_secret) of the same node.
    pub fn learn(&mut self, directory: &Directory, me: &NodeId, secret: &[u8; 32]) -> bool {
        let mut learned = false;
        for space in directory.spaces() {
            for key_epoch in 1..=space.key_epoch() {
                let Some(wrapped) = space.wrap(key_epoch, me) else { continue };
                let Some(check) = space.key_check(key_epoch) else { continue };
                if self.key(space, key_epoch).is_some() {
                    continue;
                }
                let (federation, at) = (directory.federation(), (space.id, key_epoch));
                let place = WrapPlace { federation, space: space.id, key_epoch, node: *me };
                match SpaceKey::unwrap(&place, secret, wrapped, &check) {
                    Ok(key) => {
                        self.unusable.remove(&at);
                        self.keys.insert(at, Held { check, key });
                    }
                    Err(error) => {
                        self.unusable.insert(at, error);
                    }
                }
                learned = true;
            }
        }
        learned
    }

    /// A key of a space, if it is held and is the one the directory names.
    pub fn key(&self, space: &Space, key_epoch: u32) -> Option<&SpaceKey> {
        let held = self.keys.get(&(space.id, key_epoch))?;
        (space.key_check(key_epoch)? == held.check).then_some(&held.key)
    }

    /// The latest key held of those the directory names, which may be older than its latest.
    pub fn newest(&self, space: &Space) -> Option<(u32, &SpaceKey)> {
        let epochs = (1..=space.key_epoch()).rev();
        epochs.flat_map(|n| self.key(space, n).map(|key| (n, key))).next()
    }

    /// Keys held that follow the directory's last: those a recovery has made void.
    pub(super) fn voided(&self, space: &Space) -> impl Iterator<Item = (u32, &SpaceKey)> {
        let next = space.key_epoch() + 1;
        (next..).map_while(|n| Some((n, &self.keys.get(&(space.id, n))?.key)))
    }

    /// Keys that were wrapped for this node and cannot be used, and why.
    pub fn unusable(&self) -> impl Iterator<Item = (SpaceId, u32, WrapError)> {
        self.unusable.iter().map(|((space, key_epoch), error)| (*space, *key_epoch, *error))
    }

    /// How a body written to `space` now is to be stored.
    ///
    /// # Errors
    /// In a sealed space whose latest key is not held. An older one will not do: whoever the latest was
    /// made to leave out could still read.
    pub fn sealing(&self, directory: &Directory, space: &SpaceId) -> Result<Sealing<'_>, NoKey> {
        let is_sealed = |s: &&Space| s.is_sealed() && !planted!(SealingSkipped);
        let Some(space) = directory.space(space).filter(is_sealed) else {
            return Ok(Sealing::Plain);
        };
        let key_epoch = space.key_epoch();
        let key = self
            .key(space, key_epoch)
            .ok_or_else(|| NoKey { label: space.label.clone(), key_epoch })?;
        Ok(Sealing::Under { key_epoch, key })
    }

    /// The plain body of a stored one, as far as this node can tell.
    pub fn read<'a>(
        &self,
        directory: &Directory,
        space: &SpaceId,
        header: &Header,
        stored: &'a [u8],
    ) -> Reading<'a> {
        let Some(defined) = directory.space(space) else { return Reading::Waits };
        match (header.shape.encoding, defined.is_sealed()) {
            (Encoding::CHANGE, sealed) if !sealed || planted!(SealUnchecked) => {
                Reading::Plain(Cow::Borrowed(stored))
            }
            (Encoding::CHANGE, _) => Reading::Refused(BodyError::Unsealed),
            (Encoding::SEALED, false) => Reading::Refused(BodyError::Sealed),
            (Encoding::SEALED, true) => match self.key(defined, header.shape.key_epoch) {
                None => Reading::Waits,
                Some(key) => match open(key, &Place::of(*space, header), stored) {
                    Ok(plain) => Reading::Plain(Cow::Owned(plain)),
                    Err(error) => Reading::Refused(BodyError::Seal(error)),
                },
            },
            // A newer version's.
            _ => Reading::Waits,
        }
    }
}

/// How a new body is stored.
#[derive(Debug, Clone, Copy)]
pub enum Sealing<'a> {
    /// As it is: every node reads the space.
    Plain,
    Under {
        key_epoch: u32,
        key: &'a SpaceKey,
    },
}

/// A sealed space cannot be written for want of its latest key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this node has no key to seal records of space '{label}' with: start the admin node and let this \
     one sync with it, it hands out what is missing"
)]
pub struct NoKey {
    /// The space's.
    pub label: String,
    /// Of its latest key; 0 if the space has none at all.
    pub key_epoch: u32,
}

/// What a stored body comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<'a> {
    Plain(Cow<'a, [u8]>),
    /// For a key the directory has not brought, or a newer version of this program.
    Waits,
    Refused(BodyError),
}

/// Why a body does not count whatever is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("its body is not sealed, and those of this space must be")]
    Unsealed,
    #[error("its body is sealed, and this space has no keys: every node reads it")]
    Sealed,
    #[error(transparent)]
    Seal(#[from] OpenError),
}

impl BodyError {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsealed => "unsealed",
            Self::Sealed => "sealed",
            Self::Seal(_) => "seal",
        }
    }
}
