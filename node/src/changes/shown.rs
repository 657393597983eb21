//! Which spaces this node shows, as far as whoever follows the changes was told.
//!
//! A right to read that comes or goes changes no document, but what is shown of it: then all documents
//! of that space are told of once more.

use crate::shared::Shared;
use crate::store::{StoreError, WriteBatch};
use fenbu_protocol::id::SpaceId;
use std::collections::BTreeSet;

/// Name of the setting that holds the ids of the spaces, in order.
pub(crate) const SETTING: &str = "shown";
/// Documents told of in one commit.
const GROUP: usize = 4096;

/// What has to be written, in order, so that followers meet every document again that can be read since
/// the last time, or no longer can; nothing if no right has turned. The last of it says that it was done.
pub(crate) fn turned(shared: &Shared) -> Result<Vec<WriteBatch>, StoreError> {
    let now: BTreeSet<SpaceId> = shared.readable().into_iter().collect();
    let stored = shared.readers.with(|r| r.setting(SETTING))?;
    let before: BTreeSet<SpaceId> = stored
        .as_deref()
        .unwrap_or_default()
        .chunks_exact(SpaceId::LEN)
        .filter_map(|bytes| Some(SpaceId(bytes.try_into().ok()?)))
        .collect();
    if stored.is_some() && before == now {
        return Ok(Vec::new());
    }
    let mut batches = Vec::new();
    for &space in now.symmetric_difference(&before) {
        let mut after = None;
        loop {
            let touched = shared.readers.with(|r| r.places(Some(space), after, GROUP))?;
            let Some(last) = touched.last() else { break };
            after = Some(*last);
            batches.push(WriteBatch { touched, ..WriteBatch::default() });
        }
    }
    let spaces = now.iter().flat_map(|space| space.0).collect();
    let settings = vec![(SETTING.to_owned(), Some(spaces))];
    batches.push(WriteBatch { settings, ..WriteBatch::default() });
    Ok(batches)
}
