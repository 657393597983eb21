//! What everybody reads of a record whose draft stays with its unit.
//!
//! A post is written, commented and reviewed in its unit's space, which that unit and head office read.
//! What is published lies in the federation's space under the same id, as a document of the same kind
//! with nothing in it but steps of its status. A *release* carries the approved version whole, so what
//! is read is exactly what was approved: never two versions merged, never an edit that came later. A
//! *retraction* takes back. Whoever changes the draft writes both in one commit, wherever the draft's
//! steps ask for it; so nobody else's node has to.
//!
//! A release counts unless a retraction stands that it does not *answer*: it names those steps of the
//! draft that took the record back and that its author had seen, and a retraction names the step it
//! comes from. So withdrawing wins over a release made at the same time, also where the draft's entries
//! and the publication's arrive in another order, and what is returned, recalled or withheld never stays
//! out. A retraction is written even before anything is out, as somebody may be releasing it right now;
//! such a document says no more than an id and a unit.
//!
//! The first unit that names itself there, or is named by head office, is the record's; nobody but it and
//! head office releases or retracts. What others write there is kept, changes nothing, and is shown with
//! the reason. So is what is written to the other fields: they are not read.

use super::course::{Course, Event, Happened, Ignored};
use super::doc::Record;
use super::edits::{Edit, EditError, Edits};
use super::schema::{Field, Home, Merge};
use super::steps::Taken;
use super::workflow::By;
use crate::id::hex;
use automerge::ScalarValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Codes of the two steps.
pub(super) const RELEASE: &str = "release";
pub(super) const RETRACT: &str = "retract";

/// The field whose steps they are.
const STATUS: &str = "status";
/// States of a draft that is out.
const OUT: [&str; 2] = ["published", "archived"];
/// States on the way there: a step to any other takes back what somebody may be publishing.
const ON_THE_WAY: [&str; 2] = ["submitted", "approved"];

/// What a release or a retraction says beside its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Code of the unit whose record it is.
    pub unit: String,
    /// Hash of the draft's change, in hex: of a release the approved version's, of a retraction that of
    /// the step that took it back.
    pub of: String,
    /// Of a release: the steps that took the draft back before, in hex.
    pub after: BTreeSet<String>,
    /// Of a release: the approved contents.
    pub fields: Map<String, Value>,
}

impl Publication {
    pub(super) fn read(value: &Value) -> Option<Self> {
        let after = value["after"].as_array().into_iter().flatten();
        Some(Self {
            unit: value["unit"].as_str()?.to_owned(),
            of: value["of"].as_str()?.to_owned(),
            after: after.filter_map(Value::as_str).map(str::to_owned).collect(),
            fields: value["fields"].as_object().cloned().unwrap_or_default(),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let mut out = json!({ "unit": self.unit, "of": self.of });
        if !self.after.is_empty() {
            out["after"] = self.after.iter().map(String::as_str).collect();
        }
        if !self.fields.is_empty() {
            out["fields"] = self.fields.clone().into();
        }
        out
    }
}

/// What a publication comes to.
struct Standing<'a> {
    owner: Option<&'a str>,
    /// The release that is read.
    shown: Option<&'a Publication>,
    course: Course,
}

impl Record {
    /// Whether this is what everybody reads of a record, and not the draft.
    pub fn is_publication(&self) -> bool {
        self.schema().home == Home::Published && self.authors.as_ref().is_some_and(|a| a.everyones)
    }

    /// Whether any step of a workflow was taken.
    pub fn has_steps(&self) -> bool {
        self.schema().workflows().any(|(field, _)| !self.events(field).is_empty())
    }

    /// Whether a publication is out: everybody reads it.
    pub fn is_out(&self) -> bool {
        let events = self.schema().field(STATUS).map(|field| self.events(field));
        events.is_some_and(|events| self.standing(&events).shown.is_some())
    }

    /// The code of the unit whose record a publication says it is.
    pub(super) fn publisher(&self) -> Option<String> {
        let events = self.events(self.schema().field(STATUS)?);
        self.standing(&events).owner.map(str::to_owned)
    }

    /// What is read of a publication, by field; nothing while it is not out.
    pub(super) fn released(&self) -> Map<String, Value> {
        let Some(field) = self.schema().field(STATUS) else { return Map::new() };
        let events = self.events(field);
        self.standing(&events).shown.map(|shown| shown.fields.clone()).unwrap_or_default()
    }

    /// What the steps of a publication come to; its other workflows are the draft's alone.
    pub(super) fn publication_course(&self, field: &'static Field) -> Option<Course> {
        if field.name != STATUS {
            return None;
        }
        let events = self.events(field);
        Some(self.standing(&events).course)
    }

    fn standing<'a>(&self, events: &'a [Event]) -> Standing<'a> {
        let says = |event: &'a Event| event.taken.publication.as_deref();
        let allowed = |event: &Event, owner: &str| {
            self.may(By::OwnerOrHeadOffice, event.actor, Some(owner), |_| None)
        };
        let claims = events.iter().filter_map(|e| Some((e, says(e)?.unit.as_str())));
        let owner = claims.filter(|(e, unit)| allowed(e, unit)).map(|(_, unit)| unit).next();
        let counts = |event: &Event| -> bool {
            let named = event.taken.publication.as_ref().map(|p| p.unit.as_str());
            owner.is_some_and(|owner| named == Some(owner) && allowed(event, owner))
        };
        let retracted: BTreeSet<&str> = events
            .iter()
            .filter(|e| e.taken.op == RETRACT && counts(e))
            .filter_map(|e| Some(says(e)?.of.as_str()))
            .collect();
        let answers = |p: &Publication| retracted.iter().all(|of| p.after.contains(*of));
        let (mut shown, mut steps) = (None, Vec::with_capacity(events.len()));
        for event in events {
            let outcome = match (event.taken.op.as_str(), says(event)) {
                (RELEASE | RETRACT, Some(_)) if !counts(event) => {
                    Err(Ignored::NotAllowed { by: By::OwnerOrHeadOffice.label_en() })
                }
                (RELEASE, Some(says)) if answers(says) => {
                    shown = Some(says);
                    Ok("published".to_owned())
                }
                (RELEASE, Some(_)) => Err(Ignored::TakenBack),
                (RETRACT, Some(_)) => Ok("withdrawn".to_owned()),
                _ => Err(Ignored::Unknown),
            };
            steps.push(happened(event, outcome));
        }
        let state = if shown.is_some() { "published" } else { "withdrawn" };
        let course = Course {
            state: state.to_owned(),
            steps,
            rivals: Vec::new(),
            version: None,
            revised: false,
            progress: None,
        };
        Standing { owner, shown, course }
    }

    /// What has to be written to the `publication` of this draft, if anything: what is approved and not
    /// out yet, or what was taken back and may be out.
    pub fn due(&self, publication: &Self) -> Option<Taken> {
        let (status, secrecy) = (self.schema().field(STATUS)?, self.schema().field("secrecy"));
        let course = self.course(status)?;
        let backs = |course: &Course, takes_back: &dyn Fn(&str) -> bool| -> Vec<[u8; 32]> {
            let counted = course.steps.iter().filter_map(|s| Some((s, s.outcome.as_ref().ok()?)));
            counted.filter(|(_, state)| takes_back(state)).map(|(s, _)| s.change).collect()
        };
        let off = |state: &str| !OUT.contains(&state) && !ON_THE_WAY.contains(&state);
        let mut taken_back = backs(&course, &off);
        if let (Some(hidden), Some(secrecy)) = (status.hidden_by, secrecy) {
            let refused = |state: &str| hidden.when.contains(&state);
            taken_back.extend(self.course(secrecy).iter().flat_map(|c| backs(c, &refused)));
        }
        let after: BTreeSet<String> = taken_back.iter().map(|hash| hex(hash)).collect();
        let events = publication.events(status);
        let said =
            || events.iter().filter_map(|e| Some((&e.taken.op, e.taken.publication.as_deref()?)));
        let unit = self.owner()?;
        if OUT.contains(&course.state.as_str()) && !self.is_hidden(status, &course.state) {
            let of = course.version.or_else(|| course.steps.first().map(|s| s.change))?;
            let release = Publication { unit, of: hex(&of), after, fields: self.approved(&course) };
            let shown = publication.standing(&events).shown;
            return (shown != Some(&release)).then(|| taken(RELEASE, release));
        }
        let lacking = |of: &String| !said().any(|(op, p)| op == RETRACT && p.of == *of);
        let of = taken_back.iter().map(|hash| hex(hash)).rfind(lacking)?;
        let (after, fields) = (BTreeSet::new(), Map::new());
        Some(taken(RETRACT, Publication { unit, of, after, fields }))
    }

    /// The approved contents, and what is kept up without review.
    fn approved(&self, course: &Course) -> Map<String, Value> {
        let now = self.to_json();
        let at = course.version.filter(|_| course.revised).and_then(|version| self.at(version));
        let then = at.as_ref().map(Self::to_json);
        let fields = self.schema().fields.iter();
        let public =
            fields.filter(|f| !matches!(f.merge, Merge::Log | Merge::Notes) && !f.personal);
        let value = |f: &Field| match &then {
            Some(then) if !f.aside => then[f.name].clone(),
            _ => now[f.name].clone(),
        };
        let says = |value: &Value| !(value.is_null() || value == "" || *value == json!([]));
        let all = public.map(|f| (f.name.to_owned(), value(f)));
        all.filter(|(_, value)| says(value)).collect()
    }

    /// Writes a step that was [`Self::due`] to this publication; returns an entry's body as
    /// [`Self::edit`] does.
    ///
    /// # Errors
    /// If the contents are too long for one entry.
    pub fn publish(
        &mut self,
        actor: [u8; 16],
        time_ms: u64,
        account: &str,
        step: &Taken,
    ) -> Result<Option<Vec<u8>>, EditError> {
        // INVARIANT: every kind that is published has a status.
        let field = self.schema().field(STATUS).expect("a status");
        let key = format!("{}.{}", hex(&actor), self.own_keys(field, actor));
        let entries = vec![(key, Some(ScalarValue::from(step.written())))];
        let edits = Edits { edits: vec![(field, Edit::Entries(entries))] };
        self.write(actor, time_ms, account, &edits).map_err(|error| match error {
            EditError::TooLarge => EditError::TooLong,
            other => other,
        })
    }
}

fn taken(op: &str, publication: Publication) -> Taken {
    Taken { publication: Some(Box::new(publication)), ..Taken::plain(op) }
}

fn happened(event: &Event, outcome: Result<String, Ignored>) -> Happened {
    let Event { actor, change, time_ms, account, taken, .. } = event.clone();
    Happened { taken, actor, change, time_ms, account, outcome }
}
