//! The first change of a record, written without a document.
//!
//! A transaction costs Automerge a microsecond for each character, and it keeps no bytes of the
//! change it commits. What a first change says follows from the edits alone, so it is put together
//! here and handed to Automerge's encoder; the document is built when somebody first looks.

use super::edits::{Edit, EditError, Edits};
use super::genesis::{ACTOR, Container, Genesis, genesis};
use super::schema::Schema;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX};
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ScalarValue};
use std::num::NonZeroU64;

/// The change that makes a record of `edits`; `None` if they say nothing.
pub(super) fn create(
    schema: &'static Schema,
    actor: [u8; 16],
    time: i64,
    account: &str,
    edits: &Edits,
) -> Result<Option<Change>, EditError> {
    let genesis = genesis(schema);
    let mut writing = Writing { genesis, actor: ActorId::from(actor), ops: Vec::new() };
    for (field, edit) in &edits.edits {
        writing.apply(field.name, edit);
    }
    if writing.ops.is_empty() {
        return Ok(None);
    }
    if writing.ops.len() as u64 > CHANGE_OPS_MAX {
        return Err(EditError::TooLarge);
    }
    let change = Change::from(ExpandedChange {
        operations: writing.ops,
        actor_id: writing.actor,
        hash: None,
        seq: 1,
        start_op: NonZeroU64::MIN.saturating_add(genesis.max_op),
        time,
        message: (!account.is_empty()).then(|| account.to_owned()),
        deps: vec![ChangeHash(genesis.hash)],
        extra_bytes: Vec::new(),
        author: None,
    });
    if change.raw_bytes().len() > CHANGE_BYTES_MAX {
        return Err(EditError::TooLarge);
    }
    Ok(Some(change))
}

struct Writing {
    genesis: &'static Genesis,
    actor: ActorId,
    ops: Vec<Op>,
}

impl Writing {
    fn apply(&mut self, field: &str, edit: &Edit) {
        let container = self.genesis.container(field);
        match edit {
            Edit::Register(value) => self.put(None, field, value.as_ref()),
            Edit::Text(text) => self.insert(container, text.chars().map(ScalarValue::from)),
            Edit::List(items) => self.insert(container, items.iter().cloned()),
            Edit::Members(members) | Edit::AddRemove { add: members, .. } => {
                let present = ScalarValue::Boolean(true);
                members.iter().for_each(|m| self.put(container, m, Some(&present)));
            }
            Edit::Entries(entries) => {
                entries.iter().for_each(|(key, value)| self.put(container, key, value.as_ref()));
            }
        }
    }

    fn object(container: Option<&Container>) -> ObjectId {
        container.map_or(ObjectId::Root, |c| ObjectId::Id(OpId(c.counter, ActorId::from(ACTOR))))
    }

    fn put(&mut self, container: Option<&Container>, key: &str, value: Option<&ScalarValue>) {
        self.ops.extend(value.map(|value| Op {
            action: OpType::Put(value.clone()),
            obj: Self::object(container),
            key: Key::Map(key.into()),
            pred: Vec::new().into(),
            insert: false,
        }));
    }

    /// Inserts one item after another from the front.
    fn insert(&mut self, container: Option<&Container>, items: impl Iterator<Item = ScalarValue>) {
        let mut after = ElementId::Head;
        for item in items {
            let id = self.genesis.max_op + 1 + self.ops.len() as u64;
            self.ops.push(Op {
                action: OpType::Put(item),
                obj: Self::object(container),
                key: Key::Seq(after),
                pred: Vec::new().into(),
                insert: true,
            });
            after = ElementId::Id(OpId(id, self.actor.clone()));
        }
    }
}
