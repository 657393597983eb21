//! When a right was taken: what counted and no longer does is made again without it.
//!
//! A revocation cuts its node's logs, and documents here may hold entries past the cut. They are made
//! again from the logs, where every entry is judged by the directory of the moment. How far the
//! directory's removals were carried out is kept in the store, so that a crash in between costs nothing
//! but doing it again.

use crate::making::place_of;
use crate::rebuild::Rebuilder;
use crate::shared::Shared;
use crate::store::{Place, Reader, StoreError, StoredLog};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::SpaceId;
use std::collections::{BTreeMap, BTreeSet};

/// Name of the setting that holds the epoch up to which removals were carried out, in 8 bytes.
pub(crate) const SETTING: &str = "removals";
/// Bytes of runs read at a time.
const READ_BYTES: usize = 4 << 20;

/// Carries out what was taken after the epoch that the store remembers, and returns the epoch to
/// remember now; `None` if that is the same.
pub(crate) fn carry_out(shared: &Shared, rebuilder: &Rebuilder) -> Result<Option<u64>, StoreError> {
    let directory = shared.directory.now();
    let done = shared.readers.with(|r| r.setting(SETTING))?;
    let done = done.and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
    if done == directory.epoch() {
        return Ok(None);
    }
    // Another chain may have taken over since: then everything is looked at.
    let done = if done > directory.epoch() { 0 } else { done };
    let mut by_space: BTreeMap<SpaceId, BTreeSet<Place>> = BTreeMap::new();
    for place in shared.readers.with(|r| affected(r, &directory, done))? {
        by_space.entry(place.space).or_default().insert(place);
    }
    let readable = shared.readable();
    for (space, places) in by_space.into_iter().filter(|(space, _)| readable.contains(space)) {
        tracing::warn!(
            space = %space.short(), documents = places.len(),
            "a right to write was taken: making again what was written past the cut"
        );
        rebuilder.documents(space, Some(&places))?;
    }
    Ok(Some(directory.epoch()))
}

/// Documents with entries past the cut of a removal after `epoch`.
fn affected(
    reader: &dyn Reader,
    directory: &Directory,
    epoch: u64,
) -> Result<BTreeSet<Place>, StoreError> {
    let mut places = BTreeSet::new();
    for log in reader.tips()?.keys() {
        let Some(stored) = reader.log(*log)? else { continue };
        let StoredLog { opening, tip, .. } = stored;
        let Some(last) = directory.cut_after(&opening.node, &opening.space, log, epoch) else {
            continue;
        };
        let mut from = last + 1;
        while from <= tip.seq {
            let Some(run) = reader.run(*log, from, READ_BYTES)? else { break };
            places.extend(run.entries().map(|e| place_of(opening.space, &e.header)));
            from = run.last() + 1;
        }
    }
    Ok(places)
}
