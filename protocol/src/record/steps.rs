//! Steps of a workflow on their way in: what a person says, checked, and the event it becomes.

use super::chunk::{Chunk, Key};
use super::course::{Event, Ignored, Sees};
use super::doc::Record;
use super::edits::{Edit, EditError, Edits};
use super::genesis::genesis;
use super::publication::Publication;
use super::reviews::Reviews;
use super::schema::{Field, Merge, Schema};
use super::workflow::{By, CORRECT, Part, RECORD, SETTLE, Workflow};
use crate::id::hex;
use automerge::{ReadDoc, ScalarValue};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest note of a step, in bytes.
pub const NOTE_BYTES_MAX: usize = 4096;

/// A step as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Code of the step.
    pub op: String,
    /// The state, where the step does not say it by itself.
    pub to: Option<String>,
    /// Why, or under which number.
    pub note: Option<String>,
    /// The day it really happened on, where that is not the day it was written down.
    pub on: Option<String>,
    /// What a step of a publication says beside that.
    pub publication: Option<Box<Publication>>,
    /// Of a step that submits: the reviews that apply.
    pub reviews: Option<Reviews>,
}

impl Taken {
    pub(super) fn plain(op: &str) -> Self {
        let op = op.to_owned();
        Self { op, to: None, note: None, on: None, publication: None, reviews: None }
    }

    /// Reads what [`Self::written`] wrote; `None` for what no version writes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let part = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            op: part("op")?,
            to: part("to"),
            note: part("note"),
            on: part("on"),
            publication: Publication::read(&value).map(Box::new),
            reviews: Reviews::read(&value["reviews"]),
        })
    }

    /// The event's text.
    pub(super) fn written(&self) -> String {
        self.to_json().to_string()
    }

    /// As it is stored: without what is not said.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("op".into(), self.op.as_str().into());
        for (name, value) in [("to", &self.to), ("note", &self.note), ("on", &self.on)] {
            if let Some(value) = value {
                out.insert(name.into(), value.as_str().into());
            }
        }
        if let Some(reviews) = &self.reviews {
            out.insert("reviews".into(), reviews.to_json());
        }
        if let Some(Value::Object(says)) = self.publication.as_ref().map(|says| says.to_json()) {
            out.extend(says);
        }
        Value::Object(out)
    }
}

/// What a person wants of a workflow's field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    /// To be in this state, by whatever step leads there.
    State(String),
    Step(Taken),
}

impl Want {
    /// A state's code, or an object of `op` and, if wanted, `to`, `note` and `on`.
    pub(super) fn from_json(field: &Field, value: &Value) -> Result<Self, EditError> {
        let wrong = |expected| EditError::Type { field: field.name.to_owned(), expected };
        match value {
            Value::String(state) => match field.reachable(state) {
                Some(_) => Ok(Self::State(state.clone())),
                None => Err(EditError::unknown_code(field, field.name, state)),
            },
            Value::Object(parts) => {
                if let Some(name) =
                    parts.keys().find(|k| !["op", "to", "note", "on"].contains(&k.as_str()))
                {
                    return Err(EditError::UnknownField {
                        kind: "step",
                        field: name.clone(),
                        known: "op, to, note, on".into(),
                    });
                }
                let part = |name: &str| match parts.get(name) {
                    None | Some(Value::Null) => Ok(None),
                    Some(Value::String(text)) if text.is_empty() => Ok(None),
                    Some(Value::String(text)) => Ok(Some(text.clone())),
                    Some(_) => Err(wrong("texts under 'op', 'to', 'note' and 'on'")),
                };
                let Some(op) = part("op")? else {
                    return Err(wrong("a step under 'op'"));
                };
                let (to, note, on) = (part("to")?, part("note")?, part("on")?);
                let taken = Taken { op, to, note, on, publication: None, reviews: None };
                check(field, &taken)?;
                Ok(Self::Step(taken))
            }
            _ => Err(wrong("a state, or an object with the step under 'op'")),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::State(state) => 64 + state.len(),
            Self::Step(taken) => taken.written().len(),
        }
    }
}

/// What can be told of a step without the record.
fn check(field: &Field, taken: &Taken) -> Result<(), EditError> {
    let Some(workflow) = field.workflow() else { return Ok(()) };
    let general = [RECORD, CORRECT, SETTLE].contains(&taken.op.as_str());
    if !general && workflow.step(&taken.op).is_none() {
        return Err(EditError::UnknownCode {
            field: field.name.to_owned(),
            code: taken.op.clone(),
            known: ops(workflow.steps.iter().map(|s| s.op)),
        });
    }
    match (&taken.to, general) {
        (Some(to), true) if field.reachable(to).is_none() => {
            return Err(EditError::unknown_code(field, field.name, to));
        }
        (None, true) => {
            return Err(EditError::Type {
                field: field.name.to_owned(),
                expected: "the state under 'to'",
            });
        }
        (Some(_), false) => {
            let expected = "no 'to': the step itself says where it leads";
            return Err(EditError::Type { field: field.name.to_owned(), expected });
        }
        _ => {}
    }
    if taken.note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
        return Err(EditError::Note { field: field.name.to_owned() });
    }
    if let Some(on) = &taken.on
        && super::edits::days_of(on).is_none()
    {
        return Err(EditError::Date { field: format!("{}/on", field.name), text: on.clone() });
    }
    Ok(())
}

/// A number this author reports, under a key of its own.
fn own_number(actor: [u8; 16], number: i64) -> Edit {
    Edit::Entries(vec![(hex(&actor), Some(ScalarValue::Int(number)))])
}

fn no_way(field: &Field, workflow: &Workflow, from: &str, to: &str) -> EditError {
    let ways: BTreeSet<_> = workflow.from(from).filter_map(|s| s.to).collect();
    EditError::NoStep {
        field: field.name.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        known: ops(ways.into_iter()),
    }
}

fn ops<'a>(steps: impl Iterator<Item = &'a str>) -> String {
    steps.collect::<Vec<_>>().join(", ")
}

impl Record {
    /// The edits as values under keys of their author's own: steps become events, numbers of a tally
    /// the author's entry.
    pub(super) fn keyed(
        &self,
        actor: [u8; 16],
        account: &str,
        edits: &Edits,
    ) -> Result<Edits, EditError> {
        let mut out = edits.clone();
        for (field, edit) in &mut out.edits {
            match edit {
                Edit::Want(want) => {
                    let taken = self.wanted(actor, account, field, want)?;
                    let entries = taken.into_iter().map(|taken| {
                        let key = format!("{}.{}", hex(&actor), self.own_keys(field, actor));
                        (key, Some(ScalarValue::from(taken.written())))
                    });
                    *edit = Edit::Entries(entries.collect());
                }
                Edit::Revision { was, now } => *edit = self.revised(field, was, now),
                Edit::Tally(number) => *edit = own_number(actor, *number),
                Edit::Total(total) if self.is_new() => *edit = own_number(actor, *total),
                Edit::Total(_) => *edit = Edit::Entries(Vec::new()),
                Edit::Shown(_) if !self.is_new() => *edit = Edit::Entries(Vec::new()),
                Edit::Notes(notes) | Edit::Shown(notes) => {
                    let first = self.own_keys(field, actor);
                    let keys = (first..).map(|n| format!("{}.{n}", hex(&actor)));
                    *edit = Edit::Entries(keys.zip(notes.iter().cloned().map(Some)).collect());
                }
                _ => {}
            }
        }
        // A first change says something, so what says nothing may not be in it.
        out.edits.retain(|(_, edit)| !matches!(edit, Edit::Entries(entries) if entries.is_empty()));
        Ok(out)
    }

    /// The unit the record belongs to, or will once this author has made it.
    fn owner_for(&self, actor: [u8; 16]) -> Option<String> {
        if !self.is_new() {
            return self.owner();
        }
        let authors = self.authors.as_deref()?;
        authors.home.clone().or_else(|| authors.units.get(&actor).cloned())
    }

    /// Whether this author changes such fields of the record.
    pub(super) fn check_writer(&self, actor: [u8; 16], edits: &Edits) -> Result<(), EditError> {
        let contents = edits.edits.iter().filter(|(_, edit)| !matches!(edit, Edit::Want(_)));
        let by = |field: &Field| field.written_by.unwrap_or(self.schema().written_by);
        let mut guarded = contents.filter(|(field, _)| by(field) != By::Anyone).peekable();
        if guarded.peek().is_none() {
            return Ok(());
        }
        let owner = self.owner_for(actor);
        let named = |field: &'static str| match self.is_new() {
            true => edits.text_of(field),
            false => self.scalar_text(field),
        };
        match guarded.find(|(field, _)| !self.may(by(field), actor, owner.as_deref(), named)) {
            Some((field, _)) => {
                Err(EditError::NotYours { field: field.name, by: by(field).label_en() })
            }
            None => Ok(()),
        }
    }

    /// How many events of this author the field holds.
    pub(super) fn own_keys(&self, field: &Field, actor: [u8; 16]) -> usize {
        if self.is_new() {
            return 0;
        }
        let own = format!("{}.", hex(&actor));
        let container = genesis(self.schema()).container(field.name);
        container.map_or(0, |c| self.document().keys(&c.id).filter(|k| k.starts_with(&own)).count())
    }

    /// The step that does what is wanted, if anything has to be done.
    fn wanted(
        &self,
        actor: [u8; 16],
        account: &str,
        field: &'static Field,
        want: &Want,
    ) -> Result<Option<Taken>, EditError> {
        let Some(workflow) = field.workflow() else { return Ok(None) };
        let Some(course) = self.course(field) else { return Ok(None) };
        let settle = |state: &String| Taken { to: Some(state.clone()), ..Taken::plain(SETTLE) };
        let taken = match want {
            Want::State(state) if *state == course.state && course.rivals.is_empty() => {
                return Ok(None);
            }
            Want::State(state) if self.is_new() => {
                Taken { to: Some(state.clone()), ..Taken::plain(RECORD) }
            }
            Want::State(state) => {
                let step = workflow.between(&course.state, state).next();
                let in_question = course.rivals.iter().any(|rival| rival.state == *state);
                match step {
                    Some(step) => Taken::plain(step.op),
                    None if in_question => settle(state),
                    None => return Err(no_way(field, workflow, &course.state, state)),
                }
            }
            Want::Step(taken) => taken.clone(),
        };
        let taken = self.with_reviews(workflow, taken);
        self.allowed(actor, account, field, &taken)?;
        Ok(Some(taken))
    }

    /// Whether the step would count if it were taken now.
    fn allowed(
        &self,
        actor: [u8; 16],
        account: &str,
        field: &'static Field,
        taken: &Taken,
    ) -> Result<(), EditError> {
        match self.would(actor, account, field, taken) {
            Ok(_) => Ok(()),
            Err(why) => Err(EditError::Step {
                field: field.name.to_owned(),
                op: taken.op.clone(),
                why: why.to_string(),
            }),
        }
    }

    /// The state a step would lead to.
    ///
    /// # Errors
    /// Why it would not count.
    pub fn would(
        &self,
        actor: [u8; 16],
        account: &str,
        field: &'static Field,
        taken: &Taken,
    ) -> Result<String, Ignored> {
        let Some(workflow) = field.workflow() else { return Err(Ignored::Unknown) };
        let owner = self.owner_for(actor);
        let judge = self.judge(workflow, owner.as_deref());
        let mut events = self.events(field);
        self.weigh_secrecy(workflow, &mut events);
        let publishes = workflow.step(&taken.op).is_some_and(|s| s.part == Some(Part::Publishes));
        let (sees, at) = (Sees::of(self, &events).and_one_more(), events.len());
        events.push(Event {
            counter: u64::MAX,
            actor,
            change: [0; 32],
            time_ms: 0,
            account: account.to_owned(),
            taken: taken.clone(),
            cleared: publishes && self.is_cleared(),
        });
        judge.run(&events, &sees).0.remove(at)
    }
}

/// Whether a change that passed the gate does more than take steps, report numbers and keep up what
/// nobody reviews.
pub(super) fn touches_contents(schema: &Schema, body: &[u8]) -> bool {
    let Ok(chunk) = Chunk::parse(body) else { return false };
    let genesis = genesis(schema);
    let (mut ops, mut preds) = (chunk.ops(), Vec::new());
    while let Ok(Some(op)) = ops.next(&mut preds) {
        let container = op.object.and_then(|id| genesis.container_at(id.counter));
        let name = match (container, op.key) {
            (Some(at), _) => genesis.containers[at].name.as_str(),
            (None, Key::Property(name)) => name,
            (None, _) => continue,
        };
        let kept = schema.field(name).is_some_and(|f| {
            f.aside || matches!(f.merge, Merge::Log | Merge::Notes | Merge::Tally)
        });
        if !kept {
            return true;
        }
    }
    false
}
