//! What a record shows: its fields as JSON, its row in lists, and what stands in conflict.

use super::conflict::Said;
use super::course::{Course, Event, Rival};
use super::doc::{First, Record};
use super::edits::Edit;
use super::genesis::genesis;
use super::schema::{Field, HIDDEN, Merge, ValueType};
use super::steps::Taken;
use crate::id::hex;
use automerge::{ObjId, ROOT, ReadDoc, ScalarValue, Value as Read};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One cell of a view row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
}

/// Scalars of a map by key, and whether each has concurrent values.
pub(super) type Scalars = BTreeMap<String, (Value, bool)>;

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
    /// What the record leaves open by itself: see [`super::conflict::within()`].
    pub conflicts: u32,
    /// Who made the record, as [`Record::owner`] looks at it.
    pub maker: Option<[u8; 16]>,
    /// Of a publication, the unit whose record it says it is; empty while it is not out.
    pub publisher: Option<String>,
}

impl Record {
    /// The record as JSON: its fields in schema order; under `other`, where there are any, fields of
    /// a newer version; under `courses` for each workflow's field what was done; and under `conflicts`
    /// every contested field (`field`, or `field/key` in a map) with all concurrent values, the one shown
    /// first, each with its author's actor, and every state that stands against another.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let (mut conflicts, mut courses) = (Map::new(), Map::new());
        if self.is_publication() {
            return self.publication_json();
        }
        let mut root = self.scalars(&ROOT);
        for field in self.schema().fields {
            let value = if let Some(course) = self.course(field) {
                let state = Value::from(course.state.as_str());
                if let Some(values) = course.conflict() {
                    conflicts.insert(field.name.to_owned(), values);
                }
                let mut shown = course.to_json();
                shown["hidden"] = self.is_hidden(field, &course.state).into();
                courses.insert(field.name.to_owned(), shown);
                state
            } else if let Some(container) = genesis(self.schema()).container(field.name) {
                self.container(field, &container.id, &mut conflicts)
            } else {
                match root.remove(field.name) {
                    Some((value, conflict)) => {
                        if conflict && field.merge == Merge::Contested {
                            let values = self.concurrent(field, &ROOT, field.name);
                            conflicts.insert(field.name.to_owned(), values);
                        }
                        shown(field, value)
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
        if !courses.is_empty() {
            out.insert("courses".to_owned(), Value::Object(courses));
        }
        out.insert("conflicts".to_owned(), Value::Object(conflicts));
        Value::Object(out)
    }

    /// The scalars of a map, and whether each has concurrent values.
    pub(super) fn scalars(&self, object: &ObjId) -> Scalars {
        let items = self.document().map_range(object, ..);
        items
            .filter_map(|item| {
                let key = item.key.into_owned();
                let value = json_of(&item.value.into_value())?;
                Some((key, (value, item.conflict)))
            })
            .collect()
    }

    fn concurrent(&self, field: &Field, object: &ObjId, key: &str) -> Value {
        let values = self.values(field, object, key).into_iter();
        let json = |(value, said): (Value, Option<Said>)| {
            let (actor, account, time_ms) =
                said.map(|s| (hex(&s.actor), s.account, s.time_ms)).unwrap_or_default();
            json!({ "value": value, "actor": actor, "account": account, "time_ms": time_ms })
        };
        values.map(json).collect()
    }

    fn container(&self, field: &Field, id: &ObjId, conflicts: &mut Map<String, Value>) -> Value {
        match field.merge {
            Merge::Text => Value::String(self.document().text(id).unwrap_or_default()),
            Merge::List => {
                let values = self.document().values(id);
                let values = values.filter_map(|(v, _)| json_of(&v.into_owned()));
                values.map(|value| shown(field, value)).collect()
            }
            Merge::Set => self.document().keys(id).map(Value::String).collect(),
            Merge::Notes => self.notes(field, id),
            _ => {
                let entries = self.scalars(id);
                for (key, _) in entries.iter().filter(|(_, (_, conflict))| *conflict) {
                    let values = self.concurrent(field, id, key);
                    conflicts.insert(format!("{}/{key}", field.name), values);
                }
                entries.into_iter().map(|(key, (value, _))| (key, shown(field, value))).collect()
            }
        }
    }

    /// Remarks in the order they were made: that of their operations.
    fn notes(&self, field: &Field, id: &ObjId) -> Value {
        let document = self.document();
        let mut notes = Vec::new();
        for key in document.keys(id) {
            for (value, at) in document.get_all(id, &key).unwrap_or_default() {
                if let (ObjId::Id(counter, actor, _), Some(value)) = (at, json_of(&value)) {
                    notes.push((counter, actor.to_bytes().to_vec(), shown(field, value)));
                }
            }
        }
        notes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        notes.into_iter().map(|(_, _, value)| value).collect()
    }

    /// The winning value of a root register.
    pub(super) fn scalar(&self, name: &str) -> Option<Value> {
        if let Some(first) = &self.first {
            let written = first.edits.edits.iter().find(|(f, _)| f.name == name);
            return match written {
                Some((_, Edit::Register(Some(value)))) => json_of(&Read::from(value.clone())),
                _ => None,
            };
        }
        json_of(&self.document().get(ROOT, name).ok().flatten()?.0)
    }

    /// The winning value of a root register, as text.
    pub(super) fn scalar_text(&self, name: &str) -> Option<String> {
        match self.scalar(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether all there is of the record is its first change, made here.
    pub(super) fn is_first(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn first_actor(&self) -> Option<[u8; 16]> {
        self.first.as_ref().map(|first| first.actor)
    }

    /// The steps of a record just created.
    pub(super) fn first_events(&self, field: &Field) -> Option<Vec<Event>> {
        let first = self.first.as_ref()?;
        let written = first.edits.edits.iter().find(|(f, _)| f.name == field.name);
        let Some((_, Edit::Entries(entries))) = written else { return Some(Vec::new()) };
        let taken = entries.iter().filter_map(|(_, value)| Taken::read(value.as_ref()?.as_str()?));
        let event = |(counter, taken)| Event {
            counter,
            actor: first.actor,
            change: first.created.hash,
            time_ms: first.time_ms,
            account: first.account.clone(),
            taken,
            cleared: false,
        };
        Some((1..).zip(taken).map(event).collect())
    }

    /// The record's row in its kind's view.
    pub fn row(&self) -> Row {
        if self.is_publication() {
            return self.publication_row();
        }
        self.first.as_ref().map_or_else(|| self.document_row(), |first| self.first_row(first))
    }

    /// The row of a record just created, from what was written.
    fn first_row(&self, first: &First) -> Row {
        let courses = self.courses();
        let cell = |name: &&str| {
            let field = self.schema().field(name)?;
            if let Some(course) = courses.get(field.name) {
                return Some(self.state_cell(field, course));
            }
            let written = first.edits.edits.iter().find(|(f, _)| f.name == field.name);
            Some(first_cell(field, written.map(|(_, edit)| edit)))
        };
        let (time, maker) = (first.time_ms, self.first_actor());
        let cells = self.schema().columns.iter().filter_map(cell).collect();
        let conflicts = self.count_open(&courses);
        Row { cells, created_ms: time, updated_ms: time, conflicts, maker, publisher: None }
    }

    fn courses(&self) -> BTreeMap<&'static str, Course> {
        let workflows = self.schema().workflows();
        workflows.filter_map(|(field, _)| Some((field.name, self.course(field)?))).collect()
    }

    /// Workflows that leave something open.
    fn count_open(&self, courses: &BTreeMap<&str, Course>) -> u32 {
        let is_open = |(field, _): &(&'static Field, _)| {
            courses.get(field.name).is_some_and(|c| self.open_case(field, c).is_some())
        };
        self.schema().workflows().filter(is_open).count() as u32
    }

    /// What lists show of a workflow's field.
    fn state_cell(&self, field: &Field, course: &Course) -> Cell {
        let hidden = self.is_hidden(field, &course.state);
        Cell::Text(if hidden { HIDDEN.to_owned() } else { course.state.clone() })
    }

    fn document_row(&self) -> Row {
        let genesis = genesis(self.schema());
        let mut root = self.scalars(&ROOT);
        let courses = self.courses();
        let conflicts = self.count_conflicts(&root) + self.count_open(&courses);
        let mut ignored = Map::new();
        let cell = |name: &&str| {
            let field = self.schema().field(name)?;
            if let Some(course) = courses.get(field.name) {
                return Some(self.state_cell(field, course));
            }
            Some(match genesis.container(name) {
                Some(container) => {
                    cell_of(field, self.container(field, &container.id, &mut ignored))
                }
                None => match root.remove(*name) {
                    Some((value, _)) => cell_of(field, shown(field, value)),
                    None => field.default.map_or(Cell::Null, |d| Cell::Text(d.to_owned())),
                },
            })
        };
        let cells = self.schema().columns.iter().filter_map(cell).collect();
        let (created_ms, updated_ms) = self.times();
        let maker = self.maker();
        Row { cells, created_ms, updated_ms, conflicts, maker, publisher: None }
    }

    /// Smallest and greatest time of any change.
    fn times(&self) -> (u64, u64) {
        let start = genesis(self.schema()).hash;
        let times = self.document().get_changes_meta(&[]).into_iter();
        let times = times.filter(|m| m.hash.0 != start).map(|m| m.timestamp.max(0) as u64);
        let (created, updated) = times.fold((u64::MAX, 0), |(a, b), t| (a.min(t), b.max(t)));
        (created.min(updated), updated)
    }

    /// A publication as JSON: what was released, and what was done. It contradicts nothing.
    fn publication_json(&self) -> Value {
        let (mut out, mut courses) = (Map::new(), Map::new());
        let mut released = self.released();
        for field in self.schema().fields {
            let value = match field.workflow() {
                None => released.remove(field.name).unwrap_or_else(|| nothing(field)),
                // Of the draft's other workflows nothing is told.
                Some(_) => self.publication_course(field).map_or(Value::Null, |course| {
                    let mut shown = course.to_json();
                    shown["hidden"] = false.into();
                    courses.insert(field.name.to_owned(), shown);
                    course.state.into()
                }),
            };
            out.insert(field.name.to_owned(), value);
        }
        out.insert("courses".to_owned(), Value::Object(courses));
        out.insert("conflicts".to_owned(), Value::Object(Map::new()));
        Value::Object(out)
    }

    fn publication_row(&self) -> Row {
        let mut json = self.publication_json();
        let fields = self.schema().columns.iter().filter_map(|name| self.schema().field(name));
        let cells = fields.map(|field| cell_of(field, json[field.name].take())).collect();
        let (created_ms, updated_ms) = self.times();
        let publisher = self.publisher().filter(|_| self.is_out()).unwrap_or_default();
        let (maker, publisher) = (self.maker(), Some(publisher));
        Row { cells, created_ms, updated_ms, conflicts: 0, maker, publisher }
    }

    fn count_conflicts(&self, root: &Scalars) -> u32 {
        let genesis = genesis(self.schema());
        let count = self.schema().fields.iter().map(|field| match field.merge {
            Merge::Contested => usize::from(root.get(field.name).is_some_and(|(_, c)| *c)),
            Merge::Map => genesis.container(field.name).map_or(0, |container| {
                self.scalars(&container.id).values().filter(|(_, c)| *c).count()
            }),
            _ => 0,
        });
        count.sum::<usize>() as u32
    }
}

impl Course {
    /// The states that stand against each other, the one shown first, each with its author's actor.
    fn conflict(&self) -> Option<Value> {
        let value = |rival: &Rival| json!({ "value": rival.state, "actor": hex(&self.steps[rival.step].actor) });
        let (first, rest): (Vec<_>, Vec<_>) =
            self.rivals.iter().partition(|rival| rival.state == self.state);
        let values: Vec<Value> = first.into_iter().chain(rest).map(value).collect();
        (!values.is_empty()).then_some(Value::Array(values))
    }

    /// What was done, and what of it counts.
    fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            let mut out = step.taken.to_json();
            // What was released is shown as the record.
            out.as_object_mut().map(|says| says.remove("fields"));
            out["actor"] = hex(&step.actor).into();
            out["account"] = step.account.as_str().into();
            out["time_ms"] = step.time_ms.into();
            match &step.outcome {
                Ok(state) => out["state"] = state.as_str().into(),
                Err(why) => out["ignored"] = why.to_string().into(),
            }
            out
        });
        let mut out = json!({
            "state": self.state,
            "steps": steps.collect::<Vec<_>>(),
            "version": self.version.map(|hash| hex(&hash)),
            "revised": self.revised,
        });
        if let Some(progress) = &self.progress {
            out["reviews"] = progress.to_json();
        }
        out
    }
}

/// What a person recognises a record by: what lists show of it.
pub fn record_summary(record: &Record) -> Value {
    let mut fields = record.to_json();
    let schema = record.schema();
    let listed =
        schema.listed.iter().filter(|name| schema.field(name).is_some_and(|f| !f.personal));
    let part = |name: &&str| ((*name).to_owned(), fields[*name].take());
    Value::Object(listed.map(part).filter(|(_, value)| !value.is_null()).collect())
}

/// What a field shows that says nothing.
fn nothing(field: &Field) -> Value {
    match field.merge {
        Merge::Text => Value::String(String::new()),
        Merge::List | Merge::Set | Merge::Notes => Value::Array(Vec::new()),
        Merge::Map | Merge::Tally => Value::Object(Map::new()),
        _ => field.default.map_or(Value::Null, Value::from),
    }
}

/// What a cell shows of a field that only one edit, or none, has touched.
fn first_cell(field: &Field, written: Option<&Edit>) -> Cell {
    let shown =
        |s: &ScalarValue| shown(field, json_of(&Read::from(s.clone())).unwrap_or(Value::Null));
    let value = match (written, field.merge) {
        (Some(Edit::Register(Some(value))), _) => shown(value),
        (Some(Edit::Text(text)), _) => Value::String(text.clone()),
        (Some(Edit::Members(members) | Edit::AddRemove { add: members, .. }), _) => {
            members.iter().cloned().map(Value::String).collect()
        }
        (Some(Edit::List(items)), _) => items.iter().map(shown).collect(),
        (Some(Edit::Entries(entries)), Merge::Notes) => {
            entries.iter().filter_map(|(_, v)| Some(shown(v.as_ref()?))).collect()
        }
        (Some(Edit::Entries(entries)), _) => {
            let some = entries.iter().filter_map(|(k, v)| Some((k.clone(), shown(v.as_ref()?))));
            some.collect::<BTreeMap<_, _>>().into_iter().collect()
        }
        _ => nothing(field),
    };
    cell_of(field, value)
}

/// A value as a reader sees it: what is stored as JSON text is JSON.
pub(super) fn shown(field: &Field, value: Value) -> Value {
    match (field.value, &value) {
        (ValueType::Object(_), Value::String(text)) => match serde_json::from_str(text) {
            Ok(parts @ Value::Object(_)) => parts,
            // Not ours, or of a newer version.
            _ => value,
        },
        _ => value,
    }
}

fn cell_of(field: &Field, value: Value) -> Cell {
    match value {
        Value::Object(numbers) if field.merge == Merge::Tally => {
            let sum = numbers.values().filter_map(Value::as_i64).fold(0, i64::saturating_add);
            Cell::Int(sum)
        }
        Value::Null => Cell::Null,
        Value::String(text) => Cell::Text(text),
        Value::Bool(flag) => Cell::Int(i64::from(flag)),
        Value::Number(n) if n.is_i64() => Cell::Int(n.as_i64().unwrap_or_default()),
        other => Cell::Text(other.to_string()),
    }
}

/// A scalar as JSON; objects, which only the genesis change makes, are `None`.
pub(super) fn json_of(value: &Read<'_>) -> Option<Value> {
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
