//! Writing anew what no longer counts: a change that was made on a branch of a log which was lost, or that
//! builds on one.
//!
//! What a change came to is taken from the document as it was with it ([`Record::amendments`]), kept, and
//! made again at the heads of the document as it is without ([`Record::amend`]): values and steps as they
//! were said, a tally by how much it moved, texts and lists merged with what has become of them. The
//! change's message names the original.

use super::chunk::{Chunk, DELETE, Key, Value as Stored};
use super::doc::Record;
use super::edits::{Edit, EditError, Edits};
use super::genesis::{Container, genesis};
use super::schema::{Field, Merge};
use super::writing::Writing;
use crate::id::{hex, unhex};
use crate::limits::CHANGE_MESSAGE_BYTES_MAX;
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ChangeHash, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Beginning of the message of a change that was written anew.
const AGAIN: &str = "re/";

/// A change to be written anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Amendment {
    /// Hash of the original.
    pub change: [u8; 32],
    /// Of the original.
    pub account: String,
    /// By field: what the change said, see `said`.
    fields: Vec<(String, Value)>,
}

/// The account of a change's message, and the change it is written anew for, if it is.
pub(super) fn read_message(message: &str) -> (&str, Option<[u8; 32]>) {
    let read = || {
        let (original, account) = message.strip_prefix(AGAIN)?.split_once('/')?;
        Some((account, Some(unhex(original).ok()?)))
    };
    read().unwrap_or((message, None))
}

impl Amendment {
    /// The change's message: the original, and as much of its account as there is room for.
    fn message(&self) -> String {
        let mut message = format!("{AGAIN}{}/", hex(&self.change));
        for character in self.account.chars() {
            if message.len() + character.len_utf8() > CHANGE_MESSAGE_BYTES_MAX {
                break;
            }
            message.push(character);
        }
        message
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let fields: Vec<Value> = self.fields.iter().map(|(n, v)| json!([n, v])).collect();
        json!({ "change": hex(&self.change), "account": self.account, "fields": fields })
            .to_string()
            .into_bytes()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let one = |field: &Value| Some((field[0].as_str()?.to_owned(), field[1].clone()));
        Some(Self {
            change: unhex(value["change"].as_str()?).ok()?,
            account: value["account"].as_str()?.to_owned(),
            fields: value["fields"].as_array()?.iter().map(one).collect::<Option<_>>()?,
        })
    }
}

/// The hash under which a document knows a body; `None` if it is no change.
pub fn change_hash(body: &[u8]) -> Option<[u8; 32]> {
    Chunk::parse(body).ok().map(|chunk| chunk.hash())
}

impl Record {
    /// What changes came to that no longer count without those in `lost`, causes first: those of `lost`
    /// and those that build on them, as far as `ours` says of actor and hash that they are to be
    /// written anew here.
    pub fn amendments(
        &self,
        lost: &BTreeSet<[u8; 32]>,
        ours: impl Fn(&[u8; 16], &[u8; 32]) -> bool,
    ) -> Vec<Amendment> {
        let mut gone: BTreeSet<[u8; 32]> = BTreeSet::new();
        let mut out = Vec::new();
        for change in self.document().get_changes(&[]) {
            let hash = change.hash().0;
            let builds = change.deps().iter().any(|ChangeHash(dep)| gone.contains(dep));
            if !builds && !lost.contains(&hash) {
                continue;
            }
            gone.insert(hash);
            let actor = change.actor_id().to_bytes().try_into().ok();
            if actor.is_some_and(|actor| ours(&actor, &hash)) {
                out.extend(self.amendment(hash, change.raw_bytes()));
            }
        }
        out
    }

    fn amendment(&self, hash: [u8; 32], body: &[u8]) -> Option<Amendment> {
        let chunk = Chunk::parse(body).ok()?;
        let before: Vec<ChangeHash> = chunk.dependencies().map(ChangeHash).collect();
        let genesis = genesis(self.schema());
        let mut fields: BTreeMap<usize, Value> = BTreeMap::new();
        let (mut ops, mut preds) = (chunk.ops(), Vec::new());
        while let Ok(Some(op)) = ops.next(&mut preds) {
            let at = op.object.and_then(|id| genesis.container_at(id.counter));
            let container = at.map(|at| &genesis.containers[at]);
            let name = match (container, op.key) {
                (Some(container), _) => container.name.as_str(),
                (None, Key::Property(name)) => name,
                (None, _) => continue,
            };
            let known = self.schema().fields.iter().position(|f| f.name == name);
            let Some((rank, field)) = known.map(|rank| (rank, &self.schema().fields[rank])) else {
                continue;
            };
            let value = if op.action == DELETE { Value::Null } else { json_of(&op.value) };
            let said = fields.entry(rank).or_insert(Value::Null);
            match (container, op.key) {
                (None, _) => *said = value,
                (Some(container), Key::Property(key)) => {
                    let value = self.entry(field, container, key, value, &before);
                    let said = match said {
                        Value::Object(said) => said,
                        other => {
                            *other = Value::Object(Map::new());
                            match other {
                                Value::Object(said) => said,
                                _ => continue,
                            }
                        }
                    };
                    said.insert(key.to_owned(), value);
                }
                (Some(container), _) if said.is_null() => {
                    *said = self.sequence(container, &before, hash);
                }
                _ => {}
            }
        }
        let named =
            |(rank, said): (usize, Value)| (self.schema().fields[rank].name.to_owned(), said);
        Some(Amendment {
            change: hash,
            account: read_message(chunk.message).0.to_owned(),
            fields: fields.into_iter().map(named).collect(),
        })
    }

    /// One entry of a map; of a tally, by how much it moved.
    fn entry(
        &self,
        field: &Field,
        container: &Container,
        key: &str,
        value: Value,
        before: &[ChangeHash],
    ) -> Value {
        if field.merge != Merge::Tally {
            return value;
        }
        let was = self.document().get_at(&container.id, key, before).ok().flatten();
        let was = was.and_then(|(v, _)| v.as_i64()).unwrap_or(0);
        json!(value.as_i64().unwrap_or(0).saturating_sub(was))
    }

    /// A text or list before and after a change.
    fn sequence(&self, container: &Container, before: &[ChangeHash], after: [u8; 32]) -> Value {
        let document = self.document();
        let at = |heads: &[ChangeHash]| match document.object_type(&container.id) {
            Ok(ObjType::Text) => json!(document.text_at(&container.id, heads).unwrap_or_default()),
            _ => {
                let items = document.values_at(&container.id, heads);
                items.filter_map(|(v, _)| super::show::json_of(&v.into_owned())).collect()
            }
        };
        json!({ "before": at(before), "after": at(&[ChangeHash(after)]) })
    }

    /// Writes a change anew at the current heads; `None` if the record already says all this. As
    /// [`Record::edit`], which see.
    ///
    /// # Errors
    /// The record is then as it was before. A record that no longer exists is made by the change that
    /// names what it must have; until then this is [`EditError::Required`].
    pub fn amend(
        &mut self,
        actor: [u8; 16],
        time_ms: u64,
        amendment: &Amendment,
    ) -> Result<Option<Vec<u8>>, EditError> {
        let mut edits = Vec::new();
        for (name, said) in &amendment.fields {
            if let Some(field) = self.schema().field(name) {
                edits.push((field, self.again(field, actor, said)));
            }
        }
        edits.retain(|(_, edit)| !matches!(edit, Edit::Entries(entries) if entries.is_empty()));
        self.edit(actor, time_ms, &amendment.message(), &Edits { edits })
    }

    /// The edit that says it again here.
    fn again(&self, field: &'static Field, actor: [u8; 16], said: &Value) -> Edit {
        let empty = Map::new();
        let entries = said.as_object().unwrap_or(&empty);
        match field.merge {
            Merge::Register | Merge::Contested => Edit::Register(scalar(said)),
            Merge::Text | Merge::List => self.revised(field, &said["before"], &said["after"]),
            Merge::Set => {
                let of = |removed: bool| {
                    let found = entries.iter().filter(|(_, v)| v.is_null() == removed);
                    found.map(|(member, _)| member.clone()).collect()
                };
                Edit::AddRemove { add: of(false), remove: of(true) }
            }
            Merge::Map => {
                Edit::Entries(entries.iter().map(|(k, v)| (k.clone(), scalar(v))).collect())
            }
            Merge::Tally => {
                let moved: i64 = entries.values().filter_map(Value::as_i64).sum();
                let now = self.now_in(field)[hex(&actor)].as_i64().unwrap_or(0);
                let number = ScalarValue::Int(now.saturating_add(moved));
                Edit::Entries(vec![(hex(&actor), Some(number))])
            }
            // Whether a step may be taken is judged where it is read, as for anybody's.
            Merge::Log | Merge::Notes => {
                let from = self.own_keys(field, actor);
                let key = |n: usize| format!("{}.{n}", hex(&actor));
                let steps = entries.values().enumerate();
                Edit::Entries(steps.map(|(n, step)| (key(from + n), scalar(step))).collect())
            }
        }
    }

    /// A text or list that somebody took from `before` to `after`, merged with what it has become here.
    pub(super) fn revised(&self, field: &Field, before: &Value, after: &Value) -> Edit {
        let now = match self.is_new() {
            true => before.clone(),
            false => self.now_in(field),
        };
        if field.merge == Merge::Text {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            return Edit::Text(merged_text(&text(before), &text(after), &text(&now)));
        }
        let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let merged = merged_list(&items(before), &items(after), items(&now));
        Edit::List(merged.iter().filter_map(scalar).collect())
    }

    /// What a container holds now, as plain JSON: a tally or map by key.
    fn now_in(&self, field: &Field) -> Value {
        let Some(container) = genesis(self.schema()).container(field.name) else {
            return Value::Null;
        };
        let (document, id) = (self.document(), &container.id);
        match document.object_type(id) {
            Ok(ObjType::Text) => json!(document.text(id).unwrap_or_default()),
            Ok(ObjType::Map) => {
                let one = |key: String| {
                    let (value, _) = document.get(id, key.as_str()).ok().flatten()?;
                    Some((key, super::show::json_of(&value)?))
                };
                document.keys(id).filter_map(one).collect()
            }
            _ => {
                let items = document.values(id);
                items.filter_map(|(v, _)| super::show::json_of(&v.into_owned())).collect()
            }
        }
    }
}

/// Scalars of records are texts, whole numbers and truth values.
fn scalar(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(flag) => Some((*flag).into()),
        Value::Number(number) => number.as_i64().map(ScalarValue::Int),
        _ => None,
    }
}

fn json_of(value: &Stored<'_>) -> Value {
    match *value {
        Stored::Bool(flag) => json!(flag),
        Stored::Unsigned(n) => json!(n),
        Stored::Signed(n) | Stored::Timestamp(n) => json!(n),
        Stored::Float(n) => json!(n),
        Stored::Text(text) => json!(text),
        Stored::Null | Stored::Bytes(_) => Value::Null,
    }
}

/// A text that became `now` and, elsewhere, went from `before` to `after`: merged as Automerge merges
/// what two people typed.
fn merged_text(before: &str, after: &str, now: &str) -> String {
    if now == before || after == now {
        return after.to_owned();
    }
    let merge = || {
        let mut one = Automerge::new().with_actor(ActorId::from([1; 16]));
        let mut tx = one.transaction();
        let text = tx.put_object(ROOT, "text", ObjType::Text).ok()?;
        tx.splice_text(&text, 0, 0, before).ok()?;
        tx.commit();
        let mut two = one.fork().with_actor(ActorId::from([2; 16]));
        for (document, to) in [(&mut one, now), (&mut two, after)] {
            let schema = super::schema::ALL[0];
            let mut writing = Writing { schema, tx: document.transaction() };
            writing.text(&text, to).ok()?;
            writing.tx.commit();
        }
        one.merge(&mut two).ok()?;
        one.text(&text).ok()
    };
    merge().unwrap_or_else(|| after.to_owned())
}

/// What was taken out of a list goes, what was put in comes at its end.
fn merged_list(before: &[Value], after: &[Value], now: Vec<Value>) -> Vec<Value> {
    if now == before {
        return after.to_vec();
    }
    let gone = |item: &Value| before.contains(item) && !after.contains(item);
    let mut merged: Vec<Value> = now.into_iter().filter(|item| !gone(item)).collect();
    for item in after.iter().filter(|item| !before.contains(item)) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogId;
    use crate::record::{Incoming, materialise, schema_named};

    const ALICE: [u8; 16] = [0xa; 16];
    const BOB: [u8; 16] = [0xb; 16];
    const ANEW: [u8; 16] = [0xc; 16];

    fn edit(record: &mut Record, actor: [u8; 16], fields: &Value) -> Vec<u8> {
        let edits = Edits::from_json(record.schema(), fields).unwrap();
        record.edit(actor, 1, "li", &edits).unwrap().unwrap()
    }

    fn log(actor: [u8; 16]) -> LogId {
        LogId([actor, actor].concat().try_into().unwrap())
    }

    fn hash(body: &[u8]) -> [u8; 32] {
        Chunk::parse(body).unwrap().hash()
    }

    /// A post by Alice, lost from `lost` on, and the record without.
    fn without(lost: &[Vec<u8>], kept: &[(LogId, u64, &[u8])]) -> (BTreeSet<[u8; 32]>, Record) {
        let incoming: Vec<_> =
            kept.iter().map(|(log, seq, body)| Incoming { log: *log, seq: *seq, body }).collect();
        let outcome = materialise(schema_named("post").unwrap(), None, None, &incoming).unwrap();
        (lost.iter().map(|body| hash(body)).collect(), outcome.record)
    }

    #[test]
    fn what_builds_on_a_lost_change_is_said_again_once_and_names_the_original() {
        let mut record = Record::new(schema_named("post").unwrap());
        let first = edit(&mut record, ALICE, &json!({"title": "t", "body": "one two three"}));
        let lost = edit(&mut record, ALICE, &json!({"title": "lost", "tags": ["x"]}));
        let built = edit(
            &mut record,
            BOB,
            &json!({"body": "one 2 three", "tags": {"add": ["y"], "remove": ["x"]}}),
        );
        let (gone, mut now) = without(&[lost], &[(log(ALICE), 1, &first)]);
        edit(&mut now, ALICE, &json!({"body": "one two three four"}));
        let ours = record.amendments(&gone, |actor, _| *actor == BOB);
        assert_eq!(ours.len(), 1);
        assert_eq!(Amendment::from_bytes(&ours[0].to_bytes()), Some(ours[0].clone()));
        let body = now.amend(ANEW, 2, &ours[0]).unwrap().unwrap();
        let shown = now.to_json();
        assert_eq!(shown["body"], "one 2 three four");
        assert_eq!((&shown["title"], &shown["tags"]), (&json!("t"), &json!(["y"])));
        let item = now.history().into_iter().find(|i| i.hash == hash(&body)).unwrap();
        assert_eq!((item.account.as_str(), item.anew_of), ("li", Some(hash(&built))));
    }

    #[test]
    fn a_lost_record_is_made_again_by_the_change_that_made_it() {
        let mut record = Record::new(schema_named("post").unwrap());
        let first = edit(&mut record, ALICE, &json!({"title": "t", "body": "text"}));
        let more = edit(&mut record, BOB, &json!({"body": "text, and more"}));
        let gone = BTreeSet::from([hash(&first)]);
        let all = record.amendments(&gone, |_, _| true);
        assert_eq!(all.iter().map(|a| a.change).collect::<Vec<_>>(), [hash(&first), hash(&more)]);
        let mut now = Record::new(schema_named("post").unwrap());
        assert!(matches!(now.amend(ANEW, 1, &all[1]), Err(EditError::Required { .. })), "not yet");
        now.amend(ANEW, 1, &all[0]).unwrap().unwrap();
        now.amend(BOB, 1, &all[1]).unwrap().unwrap();
        let shown = now.to_json();
        assert_eq!((&shown["title"], &shown["body"]), (&json!("t"), &json!("text, and more")));
    }

    #[test]
    fn messages_name_the_original_and_keep_the_account() {
        let amendment = |account: &str| Amendment {
            change: [7; 32],
            account: account.into(),
            fields: Vec::new(),
        };
        let message = amendment("王").message();
        assert_eq!(read_message(&message), ("王", Some([7; 32])));
        assert_eq!(read_message("re/none/x"), ("re/none/x", None));
        assert_eq!(read_message("王"), ("王", None));
        let long = amendment(&"党".repeat(60)).message();
        assert!(long.len() <= CHANGE_MESSAGE_BYTES_MAX && read_message(&long).1.is_some());
    }

    #[test]
    fn texts_and_lists_merge_with_what_became_of_them() {
        assert_eq!(merged_text("a", "b", "a"), "b");
        assert_eq!(merged_text("红旗 渠", "红旗渠精神", "大红旗 渠"), "大红旗渠精神");
        let list = |text: &str| text.chars().map(|c| json!(c.to_string())).collect::<Vec<_>>();
        assert_eq!(merged_list(&list("abc"), &list("acd"), list("xabc")), list("xacd"));
    }
}
