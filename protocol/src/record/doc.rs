//! A record: an Automerge document seen through its schema.

use super::create::{Created, create};
use super::edits::{Edit, EditError, Edits};
use super::gate::guarded;
use super::genesis::genesis;
use super::materialise::heads_of;
use super::schema::{Field, Merge, Schema};
use super::snapshot::extended;
use super::writing::Writing;
use crate::id::hex;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_MESSAGE_BYTES_MAX, CHANGE_OPS_MAX, OP_COUNTER_MAX};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ROOT, ReadDoc};
use automerge::{ScalarValue, Value as Read};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Why saved bytes are not a record of the kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the saved document cannot be read; rebuild it from the logs")]
    Unreadable,
    #[error("the saved document is not a {0}; rebuild it from the logs")]
    Kind(&'static str),
    #[error("the saved document holds changes this program would not have admitted; rebuild it")]
    Foreign,
}

/// One cell of a view row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
}

/// Scalars of a map by key, and whether each has concurrent values.
type Scalars = BTreeMap<String, (Value, bool)>;

/// What lists and filters show of a record: one cell for each of the schema's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Registers give the winning value, texts their text, sets and lists a JSON array, maps a JSON
    /// object.
    pub cells: Vec<Cell>,
    /// Smallest time of any change, in milliseconds since 1970; 0 for an empty record.
    pub created_ms: u64,
    /// Greatest time of any change.
    pub updated_ms: u64,
    /// Contested fields, and keys of contested maps, that hold several values.
    pub conflicts: u32,
}

/// A document and what it means.
#[derive(Debug, Clone)]
pub struct Record {
    schema: &'static Schema,
    /// Built when first looked at; until then `first` is the whole record.
    document: OnceLock<Automerge>,
    first: Option<First>,
}

/// A record just created.
#[derive(Debug, Clone)]
struct First {
    created: Created,
    time_ms: u64,
    edits: Edits,
}

impl Record {
    /// An empty record: the genesis change alone.
    pub fn new(schema: &'static Schema) -> Self {
        Self { schema, document: OnceLock::new(), first: None }
    }

    /// Reads what [`Self::save`] wrote. Never for bytes from elsewhere: those come through
    /// [`super::materialise`].
    ///
    /// # Errors
    /// If the bytes are damaged or of another kind; the logs still hold the record.
    pub fn load(schema: &'static Schema, bytes: &[u8]) -> Result<Self, LoadError> {
        let document = guarded(|| Automerge::load(bytes).ok()).ok_or(LoadError::Unreadable)?;
        if document.get_change_meta_by_hash(&ChangeHash(genesis(schema).hash)).is_none() {
            return Err(LoadError::Kind(schema.name));
        }
        Ok(Self::of(schema, document))
    }

    pub(super) fn of(schema: &'static Schema, document: Automerge) -> Self {
        Self { schema, document: OnceLock::from(document), first: None }
    }

    pub(super) fn document(&self) -> &Automerge {
        self.document.get_or_init(|| {
            let mut document = genesis(self.schema).document.clone();
            if let Some(first) = &self.first {
                // INVARIANT: we made this change ourselves, on the genesis alone.
                let change = Change::try_from(&first.created.body[..]).expect("a sound change");
                document.apply_changes([change]).expect("our own first change");
            }
            document
        })
    }

    fn document_mut(&mut self) -> &mut Automerge {
        self.document();
        self.first = None;
        // INVARIANT: the line before the last has built it.
        self.document.get_mut().expect("a document")
    }

    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The whole document. Not deflated: for a record of a kilobyte that takes 3 µs where deflating
    /// takes 20, and saves happen at each write.
    pub fn save(&self) -> Vec<u8> {
        self.document().save_nocompress()
    }

    /// The saved form after [`Self::edit`] returned `body`, where `before` was the saved form until
    /// then. Mostly `before` with the change behind it, which costs a copy.
    pub fn saved_after(&self, before: Option<&[u8]>, body: &[u8]) -> Vec<u8> {
        extended(self.schema, before, [body]).unwrap_or_else(|| self.save())
    }

    /// Hashes of the changes nothing builds on yet, ascending.
    pub fn heads(&self) -> Vec<[u8; 32]> {
        match (self.document.get(), &self.first) {
            (Some(document), _) => heads_of(document),
            (None, Some(first)) => vec![first.created.hash],
            (None, None) => vec![genesis(self.schema).hash],
        }
    }

    /// Whether nobody has written anything yet.
    pub fn is_new(&self) -> bool {
        self.heads() == [genesis(self.schema).hash]
    }

    /// Makes one change at the current heads and returns its bytes, which are an entry's body;
    /// `None` if the record already says all this. `time_ms` is the clock in milliseconds since
    /// 1970, `account` an opaque id of at most [`CHANGE_MESSAGE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// The record is then as it was before.
    pub fn edit(
        &mut self,
        actor: [u8; 16],
        time_ms: u64,
        account: &str,
        edits: &Edits,
    ) -> Result<Option<Vec<u8>>, EditError> {
        if account.len() > CHANGE_MESSAGE_BYTES_MAX {
            return Err(EditError::TooLarge);
        }
        self.check_required(edits)?;
        let time = i64::try_from(time_ms).unwrap_or(i64::MAX);
        if self.is_new() {
            let Some(created) = create(self.schema, actor, time, account, edits)? else {
                return Ok(None);
            };
            let body = created.body.clone();
            self.document = OnceLock::new();
            self.first =
                Some(First { created, time_ms: time.unsigned_abs(), edits: edits.clone() });
            return Ok(Some(body));
        }
        let document = self.document_mut();
        document.set_actor(ActorId::from(actor));
        let before = document.get_heads();
        let mut options = CommitOptions::default();
        options.set_time(time);
        if !account.is_empty() {
            options.set_message(account);
        }
        if !self.commit(edits, options)? {
            return Ok(None);
        }
        let document = self.document_mut();
        let change = document.get_last_local_change();
        let fits =
            |c: &Change| c.raw_bytes().len() <= CHANGE_BYTES_MAX && c.max_op() <= OP_COUNTER_MAX;
        match change {
            Some(change) if fits(&change) => Ok(Some(change.raw_bytes().to_vec())),
            change => {
                let undone = document.fork_at(&before);
                *document = undone.map_err(|e| EditError::Document(e.to_string()))?;
                let full = change.is_some_and(|c| c.max_op() > OP_COUNTER_MAX);
                Err(if full { EditError::Full } else { EditError::TooLarge })
            }
        }
    }

    /// Applies edits in one transaction; false if there was nothing to do.
    fn commit(&mut self, edits: &Edits, options: CommitOptions) -> Result<bool, EditError> {
        let schema = self.schema;
        let mut writing = Writing { schema, tx: self.document_mut().transaction() };
        let written = edits.edits.iter().try_for_each(|(field, edit)| writing.apply(field, edit));
        let tx = writing.tx;
        if let Err(e) = written {
            tx.rollback();
            return Err(EditError::Document(e.to_string()));
        }
        if tx.pending_ops() as u64 > CHANGE_OPS_MAX {
            tx.rollback();
            return Err(EditError::TooLarge);
        }
        Ok(tx.commit_with(options).0.is_some())
    }

    fn check_required(&self, edits: &Edits) -> Result<(), EditError> {
        let mut required = self.schema.fields.iter().filter(|f| f.required);
        match required.find(|f| !edits.names(f.name)) {
            Some(field) if self.is_new() => {
                Err(EditError::Required { kind: self.schema.name, field: field.name })
            }
            _ => Ok(()),
        }
    }

    /// The record as JSON: its fields in schema order; under `other`, where there are any, fields of
    /// a newer version; and under `conflicts` every contested field (`field`, or `field/key` in a
    /// map) with all concurrent values, the one shown first, each with its author's actor.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let mut conflicts = Map::new();
        let mut root = self.scalars(&ROOT);
        for field in self.schema.fields {
            let value = if let Some(container) = genesis(self.schema).container(field.name) {
                self.container(field, &container.id, &mut conflicts)
            } else {
                match root.remove(field.name) {
                    Some((value, conflict)) => {
                        if conflict && field.merge == Merge::Contested {
                            let values = self.concurrent(&ROOT, field.name);
                            conflicts.insert(field.name.to_owned(), values);
                        }
                        value
                    }
                    None => field.default.map_or(Value::Null, Value::from),
                }
            };
            out.insert(field.name.to_owned(), value);
        }
        root.retain(|key, _| !key.starts_with('@'));
        if !root.is_empty() {
            let other = root.into_iter().map(|(key, (value, _))| (key, value)).collect();
            out.insert("other".to_owned(), Value::Object(other));
        }
        out.insert("conflicts".to_owned(), Value::Object(conflicts));
        Value::Object(out)
    }

    /// The scalars of a map, and whether each has concurrent values.
    fn scalars(&self, object: &ObjId) -> Scalars {
        let items = self.document().map_range(object, ..);
        items
            .filter_map(|item| {
                let key = item.key.into_owned();
                let value = json_of(&item.value.into_value())?;
                Some((key, (value, item.conflict)))
            })
            .collect()
    }

    /// All concurrent values at a key, the shown one first.
    fn concurrent(&self, object: &ObjId, key: &str) -> Value {
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
        values
            .into_iter()
            .map(|(_, actor, value)| json!({ "value": value, "actor": hex(&actor) }))
            .collect()
    }

    fn container(&self, field: &Field, id: &ObjId, conflicts: &mut Map<String, Value>) -> Value {
        match field.merge {
            Merge::Text => Value::String(self.document().text(id).unwrap_or_default()),
            Merge::List => {
                self.document().values(id).filter_map(|(v, _)| json_of(&v.into_owned())).collect()
            }
            Merge::Set => self.document().keys(id).map(Value::String).collect(),
            _ => {
                let entries = self.scalars(id);
                for (key, _) in entries.iter().filter(|(_, (_, conflict))| *conflict) {
                    let values = self.concurrent(id, key);
                    conflicts.insert(format!("{}/{key}", field.name), values);
                }
                entries.into_iter().map(|(key, (value, _))| (key, value)).collect()
            }
        }
    }

    /// The record's row in its kind's view.
    pub fn row(&self) -> Row {
        match (&self.first, self.document.get()) {
            (Some(first), None) => self.first_row(first),
            _ => self.document_row(),
        }
    }

    /// The row of a record just created, from what was written.
    fn first_row(&self, first: &First) -> Row {
        let cell = |name: &&str| {
            let field = self.schema.field(name)?;
            let written = first.edits.edits.iter().find(|(f, _)| f == &field).map(|(_, e)| e);
            Some(first_cell(field, written))
        };
        let time = first.time_ms;
        let cells = self.schema.columns.iter().filter_map(cell).collect();
        Row { cells, created_ms: time, updated_ms: time, conflicts: 0 }
    }

    fn document_row(&self) -> Row {
        let genesis = genesis(self.schema);
        let mut root = self.scalars(&ROOT);
        let conflicts = self.count_conflicts(&root);
        let mut ignored = Map::new();
        let cell = |name: &&str| {
            let field = self.schema.field(name)?;
            Some(match genesis.container(name) {
                Some(container) => cell_of(self.container(field, &container.id, &mut ignored)),
                None => match root.remove(*name) {
                    Some((value, _)) => cell_of(value),
                    None => field.default.map_or(Cell::Null, |d| Cell::Text(d.to_owned())),
                },
            })
        };
        let cells = self.schema.columns.iter().filter_map(cell).collect();
        let times = self.document().get_changes_meta(&[]).into_iter();
        let times = times.filter(|m| m.hash.0 != genesis.hash).map(|m| m.timestamp.max(0) as u64);
        let (created, updated) = times.fold((u64::MAX, 0), |(a, b), t| (a.min(t), b.max(t)));
        Row { cells, created_ms: created.min(updated), updated_ms: updated, conflicts }
    }

    fn count_conflicts(&self, root: &Scalars) -> u32 {
        let genesis = genesis(self.schema);
        let count = self.schema.fields.iter().map(|field| match field.merge {
            Merge::Contested => usize::from(root.get(field.name).is_some_and(|(_, c)| *c)),
            Merge::Map => genesis.container(field.name).map_or(0, |container| {
                self.scalars(&container.id).values().filter(|(_, c)| *c).count()
            }),
            _ => 0,
        });
        count.sum::<usize>() as u32
    }
}

/// What a cell shows of a field that only one edit, or none, has touched.
fn first_cell(field: &Field, written: Option<&Edit>) -> Cell {
    let shown = |s: &ScalarValue| json_of(&Read::from(s.clone())).unwrap_or(Value::Null);
    let value = match (written, field.merge) {
        (Some(Edit::Register(Some(value))), _) => shown(value),
        (Some(Edit::Text(text)), _) => Value::String(text.clone()),
        (Some(Edit::Members(members) | Edit::AddRemove { add: members, .. }), _) => {
            members.iter().cloned().map(Value::String).collect()
        }
        (Some(Edit::List(items)), _) => items.iter().map(shown).collect(),
        (Some(Edit::Entries(entries)), _) => {
            let some = entries.iter().filter_map(|(k, v)| Some((k.clone(), shown(v.as_ref()?))));
            some.collect::<BTreeMap<_, _>>().into_iter().collect()
        }
        (_, Merge::Text) => Value::String(String::new()),
        (None, Merge::List | Merge::Set) => Value::Array(Vec::new()),
        (None, Merge::Map) => Value::Object(Map::new()),
        _ => field.default.map_or(Value::Null, Value::from),
    };
    cell_of(value)
}

fn cell_of(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::String(text) => Cell::Text(text),
        Value::Bool(flag) => Cell::Int(i64::from(flag)),
        Value::Number(n) if n.is_i64() => Cell::Int(n.as_i64().unwrap_or_default()),
        other => Cell::Text(other.to_string()),
    }
}

/// A scalar as JSON; objects, which only the genesis change makes, are `None`.
fn json_of(value: &Read<'_>) -> Option<Value> {
    let Read::Scalar(scalar) = value else { return None };
    Some(match scalar.as_ref() {
        ScalarValue::Str(text) => Value::String(text.to_string()),
        ScalarValue::Int(n) | ScalarValue::Timestamp(n) => json!(n),
        ScalarValue::Uint(n) => json!(n),
        ScalarValue::F64(n) => json!(n),
        ScalarValue::Boolean(flag) => json!(flag),
        ScalarValue::Bytes(bytes) => Value::String(hex(bytes)),
        _ => Value::Null,
    })
}
