//! The keys of sealed spaces, as the directory has them: wrapped, one for each reader.

use super::act::{GrantKey, Template};
use super::fold::{Directory, DirectoryError, NodeInfo};
use super::space::Space;
use crate::id::{Hash, NodeId, SpaceId};
use crate::limits::{WRAP_BYTES_MAX, WRAPS_PER_STATEMENT_MAX};
use std::collections::BTreeMap;

/// One key of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpaceKey {
    check: Hash,
    wraps: BTreeMap<NodeId, Vec<u8>>,
}

impl Space {
    /// Whether bodies are sealed: in every space but a federation's, which all nodes read.
    pub fn is_sealed(&self) -> bool {
        self.template != Template::FEDERATION
    }

    /// Number of the key that bodies are sealed with now; 0 while the space has none.
    pub fn key_epoch(&self) -> u32 {
        self.keys.len() as u32
    }

    fn key(&self, key_epoch: u32) -> Option<&SpaceKey> {
        self.keys.get((key_epoch as usize).checked_sub(1)?)
    }

    /// What a key of the space is known by: [`crate::seal::SpaceKey::check`].
    pub fn key_check(&self, key_epoch: u32) -> Option<Hash> {
        self.key(key_epoch).map(|key| key.check)
    }

    /// A key of the space, wrapped for `node`; `None` if it was not given that key.
    pub fn wrap(&self, key_epoch: u32, node: &NodeId) -> Option<&[u8]> {
        self.key(key_epoch)?.wraps.get(node).map(Vec::as_slice)
    }

    /// The nodes that were given a key, ascending.
    pub fn wrapped_for(&self, key_epoch: u32) -> impl Iterator<Item = &NodeId> {
        self.key(key_epoch).into_iter().flat_map(|key| key.wraps.keys())
    }
}

impl Directory {
    /// The members that read `space` now, ascending: those its keys are wrapped for.
    pub fn readers_of(&self, space: &SpaceId) -> impl Iterator<Item = &NodeInfo> {
        self.nodes().filter(move |n| self.may_read(&n.node, space))
    }

    pub(super) fn grant(&mut self, grant: GrantKey) -> Result<(), DirectoryError> {
        let senseless = |why| Err(DirectoryError::Senseless(why));
        let wraps = &grant.wraps;
        let ascending = wraps.windows(2).all(|pair| pair[0].node < pair[1].node);
        if wraps.is_empty() || wraps.len() > WRAPS_PER_STATEMENT_MAX || !ascending {
            return senseless("a key is given to nobody, to too many, or out of order");
        }
        if wraps.iter().any(|w| w.bytes.is_empty() || w.bytes.len() > WRAP_BYTES_MAX) {
            return senseless("a wrapped key is empty or too long");
        }
        if wraps.iter().any(|w| !self.may_read(&w.node, &grant.space)) {
            return senseless("a key is given to a node that may not read the space");
        }
        let space =
            self.spaces.get_mut(&grant.space).ok_or(DirectoryError::Senseless("no such space"))?;
        if !space.is_sealed() {
            return senseless("a space that every node reads has no keys");
        }
        let at = grant.key_epoch as usize;
        if at == 0 || at > space.keys.len() + 1 {
            return senseless("the keys of a space are numbered from 1 without gaps");
        }
        if let Some(key) = space.keys.get(at - 1) {
            if key.check != grant.check {
                return senseless("another key has that number");
            }
            if wraps.iter().any(|w| key.wraps.contains_key(&w.node)) {
                return senseless("a node has that key already");
            }
        } else {
            space.keys.push(SpaceKey { check: grant.check, wraps: BTreeMap::new() });
        }
        let given = grant.wraps.into_iter().map(|w| (w.node, w.bytes));
        space.keys[at - 1].wraps.extend(given);
        Ok(())
    }
}
