//! Who changes what of a record: every node holds every author to it.
//!
//! A kind says by [`super::Schema::written_by`] whose its contents are, and a field may say otherwise. A
//! change to contents whose author they are not is refused whole, as one that breaks a rule of the gate
//! is: it is kept, relayed and listed with the reason, and the document is as if it were not there; so is
//! what only its author built on it. Steps are not contents: each stays in the document, and the course
//! says whether it counts.
//!
//! The verdict looks at the change and its causal past alone, like the rest of the gate, so that it is
//! the same whatever arrives when. A record belongs to the unit whose space it lies in; in the
//! federation's space to the unit that made it, which is that of whoever wrote a first change the author
//! has seen. Two units that make a record under one id own it both. Where a field names the unit, its
//! value in the past is asked, and of a first change the value it gives itself.

use super::authors::Authors;
use super::chunk::{Chunk, Key};
use super::gate::{Inspected, Refusal, guarded};
use super::genesis::{ACTOR, genesis};
use super::materialise::{Incoming, Sorting};
use super::schema::{Merge, Schema};
use super::show::json_of;
use super::workflow::By;
use automerge::{Automerge, Change, ChangeHash, ROOT, ReadDoc};
use serde_json::Value;
use std::collections::BTreeMap;

/// Place of the genesis change among a document's.
const GENESIS: usize = 0;

impl Schema {
    /// Who changes a field; of one this version does not know, whoever changes the record.
    fn writers_of(&self, name: &str) -> By {
        self.field(name).and_then(|f| f.written_by).unwrap_or(self.written_by)
    }

    /// Whether contents are not just anybody's who may write the space.
    pub fn guards_contents(&self) -> bool {
        self.written_by != By::Anyone || self.fields.iter().any(|f| f.written_by.is_some())
    }

    /// The fields a change touches that not anybody may, and who may.
    fn guarded_in(&self, body: &[u8]) -> BTreeMap<String, By> {
        let Ok(chunk) = Chunk::parse(body) else { return BTreeMap::new() };
        let genesis = genesis(self);
        let (mut ops, mut preds, mut out) = (chunk.ops(), Vec::new(), BTreeMap::new());
        while let Ok(Some(op)) = ops.next(&mut preds) {
            let container = op.object.and_then(|id| genesis.container_at(id.counter));
            let name = match (container, op.key) {
                (Some(at), _) => genesis.containers[at].name.as_str(),
                (None, Key::Property(name)) => name,
                (None, _) => continue,
            };
            let is_step = self.field(name).is_some_and(|f| f.merge == Merge::Log);
            let by = self.writers_of(name);
            if !is_step && by != By::Anyone && !out.contains_key(name) {
                out.insert(name.to_owned(), by);
            }
        }
        out
    }
}

impl Sorting<'_, '_> {
    /// Whether the contents a change touches are its author's to change; `clock` is its causal past.
    pub(super) fn check_writer(
        &self,
        authors: &Authors,
        entry: &Incoming<'_>,
        inspected: &Inspected,
        deps: &[usize],
        clock: &[u64],
    ) -> Result<(), Refusal> {
        if !self.schema.guards_contents() {
            return Ok(());
        }
        let is_first = deps == [GENESIS];
        let actor = inspected.actor;
        let owners = self.owners(authors, actor, is_first, clock);
        let named = |name: &'static str| self.unit_named(name, entry, inspected, is_first);
        let may = |by: By| owners.iter().any(|owner| authors.may(by, actor, *owner, named));
        match self.schema.guarded_in(entry.body).into_iter().find(|(_, by)| !may(*by)) {
            Some((field, by)) => Err(Refusal::NotYours { field, by: by.label_en() }),
            None => Ok(()),
        }
    }

    /// The units a record belongs to, for whoever has seen this much; never none.
    fn owners<'a>(
        &self,
        authors: &'a Authors,
        actor: [u8; 16],
        is_first: bool,
        clock: &[u64],
    ) -> Vec<Option<&'a str>> {
        let unit = |actor: &[u8; 16]| authors.units.get(actor).map(String::as_str);
        if authors.home.is_some() {
            return vec![authors.home.as_deref()];
        }
        if is_first {
            return vec![unit(&actor)];
        }
        let seen = |at: usize| clock.get(at).is_some_and(|seq| *seq > 0);
        let made =
            self.past.actors.iter().filter(|(actor, at)| {
                **actor != ACTOR && seen(**at) && self.past.makers.contains(*at)
            });
        made.map(|(actor, _)| unit(actor)).collect()
    }

    /// The unit a field names where a change is made.
    fn unit_named(
        &self,
        field: &str,
        entry: &Incoming<'_>,
        inspected: &Inspected,
        is_first: bool,
    ) -> Option<String> {
        let base = self.document.unwrap_or(&genesis(self.schema).document);
        // Causes come first among what was accepted, and this change has passed all else.
        let fresh = self.accepted.iter().map(|a| a.entry.body);
        let fresh: Vec<&[u8]> = fresh.chain(is_first.then_some(entry.body)).collect();
        let heads: Vec<ChangeHash> = match is_first {
            true => vec![ChangeHash(inspected.hash)],
            false => inspected.deps.iter().map(|dep| ChangeHash(*dep)).collect(),
        };
        guarded(|| {
            let document = with(base, &fresh)?;
            match json_of(&document.get_at(ROOT, field, &heads).ok()??.0)? {
                Value::String(unit) => Some(unit),
                _ => None,
            }
        })
    }
}

/// A copy of the document with some more changes.
fn with(base: &Automerge, changes: &[&[u8]]) -> Option<Automerge> {
    let changes: Option<Vec<Change>> = changes.iter().map(|c| Change::try_from(*c).ok()).collect();
    let mut copy = base.clone();
    copy.apply_changes(changes?).ok()?;
    Some(copy)
}
