//! What this node's records come to, for the engine to compare with its peers': read where all is
//! made, and made again from the logs where peers differ.

use crate::materialiser::Progress;
use crate::shared::{Shared, lock};
use crate::store::{Digests, StoreError};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{Hash, SpaceId};
use fenbu_protocol::record::RULES;
use fenbu_protocol::sync::{Difference, SpaceState};
use std::collections::BTreeMap;

/// Name of the setting that says under which directory all entries were last made into records: the
/// rules' number, then the directory's head.
const SETTING: &str = "settled";

/// The setting that remembers it.
pub(crate) fn settled(head: &Hash) -> (String, Option<Vec<u8>>) {
    (SETTING.into(), Some([&RULES.to_be_bytes()[..], head.as_bytes()].concat()))
}

/// Under which directory the store's entries were last made into records, by this version's rules.
pub(crate) fn remembered(settings: &BTreeMap<String, Vec<u8>>) -> Option<Hash> {
    let (rules, head) = settings.get(SETTING)?.split_first_chunk()?;
    (u16::from_be_bytes(*rules) == RULES).then_some(())?;
    head.try_into().ok().map(Hash)
}

/// The records of the spaces of which it can be said now.
pub(crate) fn read(shared: &Shared, progress: &Progress) -> Result<Vec<SpaceState>, StoreError> {
    // Before the sums: what is judged meanwhile is judged under the same directory or a later one.
    let Some(directory) = *lock(&progress.settled) else { return Ok(Vec::new()) };
    let level = shared.readers.with(|r| r.level())?;
    let now = shared.directory.now();
    Ok(states(shared, &now, directory, &level))
}

fn states(
    shared: &Shared,
    now: &Directory,
    directory: Hash,
    level: &BTreeMap<SpaceId, Digests>,
) -> Vec<SpaceState> {
    let keyring = shared.keys.now();
    let mut states = Vec::new();
    for space in now.spaces().filter(|s| now.may_read(&shared.me, &s.id)) {
        // Not there: nobody has written in it, or it is behind. The sum of its logs tells the engine.
        let Digests { log, state } = level.get(&space.id).copied().unwrap_or_default();
        let whole = (1..=space.key_epoch()).all(|n| keyring.key(space, n).is_some());
        if !space.is_sealed() || whole {
            states.push(SpaceState { space: space.id, directory, log, state });
        }
    }
    states
}

/// A difference in words.
pub(crate) fn describe(directory: &Directory, difference: &Difference) -> String {
    let Difference { peer, space, rebuilding, confirmed, .. } = difference;
    let node = directory.node(peer).map_or_else(|| peer.short(), |n| n.name.clone());
    let space = directory.space(space).map_or_else(|| space.short(), |s| s.label.clone());
    if *rebuilding || !*confirmed {
        let why = format!(
            "records of space '{space}' are not those node '{node}' made of the same entries: they are being made again from the logs"
        );
        return why;
    }
    let why = format!(
        "records of space '{space}' are not those node '{node}' made of the same entries, and making them again from the logs has not changed that"
    );
    why
}
