//! Who said what in a record: concurrent values with their authors, and how it was at a version.

use super::conflict::Said;
use super::doc::Record;
use super::genesis::genesis;
use super::schema::Field;
use super::show::{json_of, shown};
use super::steps::touches_contents;
use automerge::{ChangeHash, ChangeMetadata, ObjId, ROOT, ReadDoc};
use serde_json::Value;

/// A key, if the field is a map, and its values.
pub(super) type Contested = (Option<String>, Vec<(Value, Option<Said>)>);

impl Record {
    /// All concurrent values at a key, the shown one first, and who wrote each.
    pub(super) fn values(
        &self,
        field: &Field,
        object: &ObjId,
        key: &str,
    ) -> Vec<(Value, Option<Said>)> {
        let mut values: Vec<_> = self
            .document()
            .get_all(object, key)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(value, id)| match id {
                ObjId::Id(counter, actor, _) => {
                    Some((counter, actor.to_bytes().to_vec(), json_of(&value)?))
                }
                ObjId::Root => None,
            })
            .collect();
        values.sort_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        let found = values.into_iter().map(|(counter, actor, value)| {
            let said = actor.try_into().ok().and_then(|actor| self.said(actor, counter));
            (shown(field, value), said)
        });
        found.collect()
    }

    /// Whoever wrote an operation.
    fn said(&self, actor: [u8; 16], counter: u64) -> Option<Said> {
        let changes = self.document().get_changes_meta(&[]).into_iter();
        let meta = changes
            .filter(|m| m.actor.to_bytes() == actor && m.start_op <= counter)
            .max_by_key(|m| m.start_op)?;
        Some(said(actor, &meta))
    }

    /// Whoever made the first change; see [`Self::maker`].
    pub(super) fn made(&self) -> Option<Said> {
        let maker = self.maker()?;
        let changes = self.document().get_changes_meta(&[]).into_iter();
        let first = changes.filter(|m| m.actor.to_bytes() == maker).min_by_key(|m| m.start_op)?;
        Some(said(maker, &first))
    }

    /// Whoever made the change with the latest time.
    pub(super) fn latest(&self) -> Option<Said> {
        let start = genesis(self.schema()).hash;
        let changes = self.document().get_changes_meta(&[]).into_iter();
        let last = changes.filter(|m| m.hash.0 != start).max_by_key(|m| (m.timestamp, m.hash.0))?;
        Some(said(last.actor.to_bytes().try_into().ok()?, &last))
    }

    /// Contested keys with several values; the field itself has no key.
    pub(super) fn contested(&self, field: &Field) -> Vec<Contested> {
        if self.is_first() {
            return Vec::new();
        }
        let several = |object: &ObjId, key: String| {
            let values = self.values(field, object, &key);
            (values.len() > 1).then_some((key, values))
        };
        let Some(container) = genesis(self.schema()).container(field.name) else {
            let found = several(&ROOT, field.name.to_owned());
            return found.into_iter().map(|(_, values)| (None, values)).collect();
        };
        let contested = self.scalars(&container.id).into_iter().filter(|(_, (_, c))| *c);
        let found = contested.filter_map(|(key, _)| several(&container.id, key));
        found.map(|(key, values)| (Some(key), values)).collect()
    }

    /// Whoever last changed contents beside or after a version.
    pub(super) fn revised_by(&self, version: [u8; 32]) -> Option<Said> {
        let since = self.document().get_changes(&[ChangeHash(version)]).into_iter();
        let last = since
            .filter(|change| touches_contents(self.schema(), change.raw_bytes()))
            .max_by_key(|change| (change.max_op(), change.hash().0))?;
        Some(Said {
            actor: last.actor_id().to_bytes().try_into().ok()?,
            account: last.message().unwrap_or_default().to_owned(),
            time_ms: last.timestamp().max(0).unsigned_abs(),
        })
    }
}

fn said(actor: [u8; 16], meta: &ChangeMetadata<'_>) -> Said {
    let account = meta.message.as_deref().unwrap_or_default().to_owned();
    Said { actor, account, time_ms: meta.timestamp.max(0).unsigned_abs() }
}
