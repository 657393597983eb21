//! Who stands behind the actors of a space: what the state of a record depends on beside its document.
//!
//! A log's opening says whose it is, the directory which unit that node belongs to, once and for good;
//! so what is known of an actor is never wrong, only lacking while its log is new.

use crate::shared::{Readers, lock};
use crate::store::StoreError;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{NodeId, SpaceId};
use fenbu_protocol::record::{Authors, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The authors of each space, as far as they have been asked for.
#[derive(Debug, Default)]
pub(crate) struct KnownAuthors(Mutex<BTreeMap<SpaceId, Arc<Authors>>>);

impl KnownAuthors {
    /// The record with all its authors known; `also` are actors whose logs may not be stored yet, and
    /// their nodes.
    pub(crate) fn name(
        &self,
        record: Record,
        space: SpaceId,
        directory: &Directory,
        readers: &Readers,
        also: &[([u8; 16], NodeId)],
    ) -> Result<Record, StoreError> {
        if !record.schema().looks_at_authors() {
            return Ok(record);
        }
        let mut behind = record.behind();
        behind.extend(also.iter().map(|(actor, _)| *actor));
        let known = self.knowing(space, &behind);
        if let Some(known) = known {
            return Ok(record.by(&known));
        }
        Ok(record.by(&self.look(space, directory, readers, also)?))
    }

    /// All authors of a space, those among them of whose logs this is the first that is heard.
    pub(crate) fn of(
        &self,
        space: SpaceId,
        directory: &Directory,
        readers: &Readers,
        also: &[([u8; 16], NodeId)],
    ) -> Result<Arc<Authors>, StoreError> {
        let behind = also.iter().map(|(actor, _)| *actor).collect();
        match self.knowing(space, &behind) {
            Some(known) => Ok(known),
            None => self.look(space, directory, readers, also),
        }
    }

    /// What is known of a space, if all of these are.
    fn knowing(&self, space: SpaceId, actors: &BTreeSet<[u8; 16]>) -> Option<Arc<Authors>> {
        let known = lock(&self.0).get(&space).cloned()?;
        actors.iter().all(|actor| known.units.contains_key(actor)).then_some(known)
    }

    fn look(
        &self,
        space: SpaceId,
        directory: &Directory,
        readers: &Readers,
        also: &[([u8; 16], NodeId)],
    ) -> Result<Arc<Authors>, StoreError> {
        let mut authors = authors(space, directory, readers)?;
        for (actor, node) in also {
            if let Some(info) = directory.node(node) {
                authors.units.insert(*actor, info.unit.clone());
            }
        }
        let authors = Arc::new(authors);
        lock(&self.0).insert(space, authors.clone());
        Ok(authors)
    }
}

fn authors(
    space: SpaceId,
    directory: &Directory,
    readers: &Readers,
) -> Result<Authors, StoreError> {
    let logs = readers.with(|reader| reader.logs(space))?;
    let unit = |node: &NodeId| directory.node(node).map(|info| info.unit.clone());
    let units = logs.iter().filter_map(|log| Some((log.log.actor(), unit(&log.opening.node)?)));
    Ok(Authors {
        units: units.collect(),
        head_office: directory.head_office().to_owned(),
        home: directory.space(&space).and_then(|s| s.unit.clone()),
        everyones: directory.everyones() == Some(space),
    })
}
