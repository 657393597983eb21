//! Who stands behind a record's actors, and so which unit it belongs to.

use super::doc::Record;
use super::genesis::genesis;
use super::schema::Field;
use super::workflow::By;
use crate::id::unhex;
use automerge::{ChangeHash, ReadDoc};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Who stands behind the actors of one space, as the directory and the logs' openings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authors {
    /// Code of each actor's unit.
    pub units: BTreeMap<[u8; 16], String>,
    /// Code of the unit that is head office.
    pub head_office: String,
    /// The unit whose space this is; none for the federation's.
    pub home: Option<String>,
    /// Whether this is the space that every node reads.
    pub everyones: bool,
}

impl Authors {
    /// Whether an actor is one of those; `owner` is the unit the record belongs to, `named` the unit a
    /// field names.
    pub(super) fn may(
        &self,
        by: By,
        actor: [u8; 16],
        owner: Option<&str>,
        named: impl FnOnce(&'static str) -> Option<String>,
    ) -> bool {
        let unit = self.units.get(&actor).map(String::as_str);
        let is_head = unit.is_some_and(|unit| unit == self.head_office);
        match by {
            By::Anyone => true,
            By::HeadOffice => is_head,
            By::Owner => unit == owner,
            By::OwnerOrHeadOffice => is_head || unit == owner,
            By::SpaceOrHeadOffice => is_head || (unit.is_some() && unit == self.home.as_deref()),
            By::UnitIn(field) => unit.is_some() && named(field).as_deref() == unit,
            By::UnitInOrHeadOffice(field) => {
                is_head || (unit.is_some() && named(field).as_deref() == unit)
            }
        }
    }
}

pub(super) static NOBODY: Authors =
    Authors { units: BTreeMap::new(), head_office: String::new(), home: None, everyones: false };

impl Record {
    /// Says who stands behind the record's actors; without it no unit is known.
    pub fn by(mut self, authors: &Arc<Authors>) -> Self {
        self.authors = Some(authors.clone());
        self
    }

    /// Whether an actor is one of those who may change something of the record.
    pub(super) fn may(
        &self,
        by: By,
        actor: [u8; 16],
        owner: Option<&str>,
        named: impl FnOnce(&'static str) -> Option<String>,
    ) -> bool {
        self.authors.as_deref().unwrap_or(&NOBODY).may(by, actor, owner, named)
    }

    /// Actors whose units its states depend on: whoever took a step, and whoever made it if anybody did.
    pub fn behind(&self) -> BTreeSet<[u8; 16]> {
        let taken = self.schema().workflows().flat_map(|(field, _)| self.step_actors(field));
        let mut out: BTreeSet<_> = taken.collect();
        if !out.is_empty() || self.schema().written_by != By::Anyone {
            out.extend(self.maker());
        }
        out
    }

    /// Whoever took a step, from the keys alone.
    fn step_actors(&self, field: &Field) -> Vec<[u8; 16]> {
        if let Some(events) = self.first_events(field) {
            return events.into_iter().map(|e| e.actor).collect();
        }
        let Some(container) = genesis(self.schema()).container(field.name) else {
            return Vec::new();
        };
        let keys = self.document().keys(&container.id);
        keys.filter_map(|key| unhex(key.get(..32)?).ok()).collect()
    }

    /// The unit the record belongs to: its space's, or the one that made it; of a publication the one it
    /// names.
    pub fn owner(&self) -> Option<String> {
        let authors = self.authors.as_deref()?;
        if self.is_publication() {
            return self.publisher();
        }
        authors.home.clone().or_else(|| authors.units.get(&self.maker()?).cloned())
    }

    /// Who made the first change; of several made apart, the one with the lowest hash.
    pub(super) fn maker(&self) -> Option<[u8; 16]> {
        if let Some(actor) = self.first_actor() {
            return Some(actor);
        }
        let start = ChangeHash(genesis(self.schema()).hash);
        let changes = self.document().get_changes_meta(&[]).into_iter();
        let first = changes.filter(|c| c.deps == [start]).min_by_key(|c| c.hash.0)?;
        first.actor.to_bytes().try_into().ok()
    }
}
