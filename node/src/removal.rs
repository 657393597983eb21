//! When a right was taken: what counted and no longer does is made again without it.
//!
//! A revocation cuts its node's logs, and documents here may hold entries past the cut. They are made
//! again from the logs, where every entry is judged by the directory of the moment. How far the
//! directory's removals were carried out is kept in the store, so that a crash in between costs nothing
//! but doing it again.

use crate::making::{hash_at, place_of};
use crate::rebuild::Rebuilder;
use crate::shared::Shared;
use crate::store::{Place, Reader, StoreError, StoredLog};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::SpaceId;
use std::collections::{BTreeMap, BTreeSet};

/// Name of the setting that holds the epoch up to which removals were carried out, in 8 bytes, and the
/// directory's head there.
const SETTING: &str = "removals";
/// Bytes of runs read at a time.
const READ_BYTES: usize = 4 << 20;

/// A setting and its value.
type Setting = (String, Option<Vec<u8>>);

/// Carries out what was taken since the store last remembered, and returns the setting that remembers
/// it; `None` if there was nothing new.
pub(crate) fn carry_out(
    shared: &Shared,
    rebuilder: &Rebuilder,
) -> Result<Option<Setting>, StoreError> {
    let directory = shared.directory.now();
    let now = [&directory.epoch().to_be_bytes()[..], directory.head().as_bytes()].concat();
    let done = shared.readers.with(|r| r.setting(SETTING))?;
    if done.as_ref() == Some(&now) {
        return Ok(None);
    }
    match done.map_or(Some(0), |done| reached(&directory, &done)) {
        Some(epoch) => make_again(shared, rebuilder, &directory, epoch)?,
        // Rights that were given are void as well as rights that were taken.
        None => {
            for space in shared.readable() {
                tracing::warn!(
                    space = %space.short(),
                    "the directory was recovered: making all documents again"
                );
                rebuilder.documents(space, None)?;
            }
        }
    }
    Ok(Some((SETTING.to_owned(), Some(now))))
}

/// The epoch that was remembered, if the directory has had that head there.
fn reached(directory: &Directory, done: &[u8]) -> Option<u64> {
    let (epoch, head) = done.split_first_chunk()?;
    let epoch = u64::from_be_bytes(*epoch);
    (directory.head_at(epoch)?.as_bytes() == head).then_some(epoch)
}

/// Makes documents again that hold what a removal after `epoch` has cut.
fn make_again(
    shared: &Shared,
    rebuilder: &Rebuilder,
    directory: &Directory,
    epoch: u64,
) -> Result<(), StoreError> {
    let mut by_space: BTreeMap<SpaceId, BTreeSet<Place>> = BTreeMap::new();
    for place in shared.readers.with(|r| affected(r, directory, epoch))? {
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
    Ok(())
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
        let hash_at = |seq| hash_at(reader, *log, seq);
        let last = directory.cut_after(&opening.node, &opening.space, log, epoch, hash_at)?;
        let Some(last) = last else { continue };
        let mut from = last + 1;
        while from <= tip.seq {
            let Some(run) = reader.run(*log, from, READ_BYTES)? else { break };
            places.extend(run.entries().map(|e| place_of(opening.space, &e.header)));
            from = run.last() + 1;
        }
    }
    Ok(places)
}
