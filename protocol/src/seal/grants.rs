//! Who lacks which key, and what the admin node says about it.

use super::key::{SpaceKey, WrapPlace};
use super::keyring::Keyring;
use crate::directory::{Act, Directory, GrantKey, NodeInfo, Space, Wrap};
use crate::id::{NodeId, SpaceId};
use crate::limits::WRAPS_PER_STATEMENT_MAX;

/// A reader that a key was not wrapped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub space: SpaceId,
    pub key_epoch: u32,
    pub node: NodeId,
}

/// Why a space needs a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It has none.
    First,
    /// The latest was wrapped for this node, which reads the space no more.
    ReaderLeft(NodeId),
    /// Later ones were granted in statements that a recovery has made void. What was sealed with them
    /// stays readable, and nothing more is sealed with them.
    Voided,
    /// This reader lacks the latest, and whoever signs the directory does not hold it to pass it on.
    OutOfReach(NodeId),
}

fn sealed(directory: &Directory) -> impl Iterator<Item = &Space> {
    directory.spaces().filter(|s| s.is_sealed())
}

/// The readers of a space that a key was not wrapped for.
fn without<'a>(directory: &'a Directory, space: &Space, key_epoch: u32) -> Vec<&'a NodeInfo> {
    let readers = directory.readers_of(&space.id);
    readers.filter(|n| space.wrap(key_epoch, &n.node).is_none()).collect()
}

/// Which readers lack which keys: a new reader is owed the old ones too, or it could not read what was
/// written before it came. In the order of spaces, key epochs and nodes.
pub fn missing(directory: &Directory) -> Vec<Missing> {
    let mut out = Vec::new();
    for space in sealed(directory) {
        for key_epoch in 1..=space.key_epoch() {
            let without = without(directory, space, key_epoch);
            let lacks = |n: &NodeInfo| Missing { space: space.id, key_epoch, node: n.node };
            out.extend(without.into_iter().map(lacks));
        }
    }
    out
}

/// Whether a space needs a new key, for a signer that holds `keyring`. A space that nobody reads
/// needs none.
pub fn rotation(directory: &Directory, keyring: &Keyring, space: &Space) -> Option<Rotation> {
    if !space.is_sealed() || directory.readers_of(&space.id).next().is_none() {
        return None;
    }
    if keyring.voided(space).next().is_some() {
        return Some(Rotation::Voided);
    }
    let latest = space.key_epoch();
    if latest == 0 {
        return Some(Rotation::First);
    }
    let left = |node: &&NodeId| !directory.may_read(node, &space.id);
    if !planted!(KeyNotRotated)
        && let Some(node) = space.wrapped_for(latest).find(left)
    {
        return Some(Rotation::ReaderLeft(*node));
    }
    if keyring.key(space, latest).is_some() {
        return None;
    }
    without(directory, space, latest).first().map(|reader| Rotation::OutOfReach(reader.node))
}

/// Everything the signer of the directory should say about keys, as the directory now is: a new key
/// where [`rotation`] asks for one, and wraps of the keys in `keyring` for readers that lack them.
/// Nothing if nothing is due, and nothing more once it is said.
///
/// Statements that change who reads are made first, and these follow them in one go. `chance` gives 32
/// random bytes at each call.
pub fn due(
    directory: &Directory,
    keyring: &Keyring,
    chance: &mut impl FnMut() -> [u8; 32],
) -> Vec<Act> {
    let mut acts = Vec::new();
    for space in sealed(directory) {
        let readers: Vec<_> = directory.readers_of(&space.id).collect();
        let mut latest = space.key_epoch();
        let mut say = |key_epoch, key: &SpaceKey, readers: &[&NodeInfo]| {
            acts.extend(grants(directory, space, key_epoch, key, readers, chance));
        };
        for key_epoch in 1..=latest {
            if let Some(key) = keyring.key(space, key_epoch) {
                say(key_epoch, key, &without(directory, space, key_epoch));
            }
        }
        for (key_epoch, key) in keyring.voided(space) {
            latest = key_epoch;
            say(key_epoch, key, &readers);
        }
        if rotation(directory, keyring, space).is_some() {
            // Four thousand million are not reached: each is a statement.
            let key = SpaceKey::new(chance());
            acts.extend(grants(directory, space, latest + 1, &key, &readers, chance));
        }
    }
    acts
}

/// A key for these readers, in as few statements as they fit.
fn grants(
    directory: &Directory,
    space: &Space,
    key_epoch: u32,
    key: &SpaceKey,
    readers: &[&NodeInfo],
    chance: &mut impl FnMut() -> [u8; 32],
) -> Vec<Act> {
    let mut acts = Vec::new();
    for readers in readers.chunks(WRAPS_PER_STATEMENT_MAX) {
        let mut wraps = Vec::with_capacity(readers.len());
        for reader in readers {
            let place = WrapPlace {
                federation: directory.federation(),
                space: space.id,
                key_epoch,
                node: reader.node,
            };
            // INVARIANT: the directory admits no node whose sealing key is unsound.
            let bytes = key.wrap(&place, &reader.sealing, chance()).expect("a sound sealing key");
            wraps.push(Wrap { node: reader.node, bytes });
        }
        let check = key.check(&space.id, key_epoch);
        acts.push(Act::GrantKey(GrantKey { space: space.id, key_epoch, check, wraps }));
    }
    acts
}
