//! What contradicts itself within one record.

use super::{Case, Change, Conflict, Of, Said, Side, Way};
use crate::record::course::{Course, Happened};
use crate::record::doc::Record;
use crate::record::personal::masked;
use crate::record::schema::{Field, Merge};
use crate::record::workflow::{By, SETTLE};
use serde_json::{Map, Value, json};

/// Where contents that were reviewed are told from newer ones, and the step that reviews those: kind,
/// field, states, step.
const REVIEWED: &[(&str, &str, &[&str], &str)] = &[
    ("post", "status", &["approved", "published", "archived"], "review"),
    ("meeting", "status", &["confirmed", "archived"], "confirm"),
    ("document", "status", &["in_force"], "issue"),
    ("adoption", "status", &["verified"], "verify"),
    ("honour", "status", &["verified"], "verify"),
];

/// The step that reviews a revision of what a course has approved.
fn reviewing(record: &Record, field: &Field, course: &Course) -> Option<&'static str> {
    let of = |r: &&(&str, &str, &[&str], &str)| r.0 == record.schema().name && r.1 == field.name;
    let (_, _, states, step) = REVIEWED.iter().find(of)?;
    states.contains(&course.state.as_str()).then_some(*step)
}

impl Record {
    /// Whether a state is one that another of the record's workflows hides.
    pub(in crate::record) fn is_hidden(&self, field: &Field, state: &str) -> bool {
        let Some(hidden) = field.hidden_by.filter(|h| h.among.contains(&state)) else {
            return false;
        };
        let other = self.schema().field(hidden.by).and_then(|f| self.course(f));
        other.is_some_and(|course| hidden.when.contains(&course.state.as_str()))
    }

    /// What a workflow's field leaves open; at most one thing at a time.
    pub(in crate::record) fn open_case(&self, field: &Field, course: &Course) -> Option<Case> {
        if !course.rivals.is_empty() {
            let among = |state: &str| course.rivals.iter().any(|rival| rival.state == state);
            return Some(match self.schema().name {
                "post" if among("published") && among("withdrawn") => Case::PublishedWithdrawn,
                "post" if field.name == "secrecy" || among("returned") => Case::ReviewersDisagree,
                // The source froze it because of the member's standing while the target received it.
                "transfer" if among("frozen") && among("received") => Case::TransferOfSuspended,
                _ => Case::StepsApart,
            });
        }
        if self.is_hidden(field, &course.state) {
            return Some(Case::PublishedNotPublic);
        }
        let revised = course.revised && reviewing(self, field, course).is_some();
        revised.then_some(match self.schema().name {
            "meeting" => Case::AmendedMinutes,
            _ => Case::RevisedAfterApproval,
        })
    }
}

/// Everything one record leaves open: as many as its row counts.
pub fn within(of: Of, record: &Record) -> Vec<Conflict> {
    let mut out = Vec::new();
    if record.is_publication() {
        return out;
    }
    for field in record.schema().fields {
        if let Some(course) = record.course(field) {
            if let Some(case) = record.open_case(field, &course) {
                out.push(of_course(case, of, record, field, &course));
            }
        } else if matches!(field.merge, Merge::Contested | Merge::Map) {
            let contested = record.contested(field);
            out.extend(contested.into_iter().map(|(key, v)| several(of, record, field, key, v)));
        }
    }
    out
}

/// The conflict about a field with several values, or one of its keys.
fn several(
    of: Of,
    record: &Record,
    field: &'static Field,
    key: Option<String>,
    values: Vec<(Value, Option<Said>)>,
) -> Conflict {
    let name = key.as_ref().map_or(field.name.to_owned(), |key| format!("{}/{key}", field.name));
    let by = field.written_by.unwrap_or(record.schema().written_by);
    let mut conflict = Conflict::new(Case::SeveralValues, of.space, vec![of], &name, by);
    for (n, (value, said)) in (1..).zip(values) {
        let fields = match &key {
            Some(key) => json!({ field.name: { key: value } }),
            None => json!({ field.name: value }),
        };
        let value = discreet(field, value);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let label = |zh: bool| {
            let known = field.code(&text).map(|c| if zh { c.zh } else { c.en });
            known.unwrap_or(&text).to_owned()
        };
        let way =
            Way::new(&n.to_string(), label(true), label(false), vec![edit(of, record, fields)]);
        conflict.ways.push(way);
        conflict.sides.push(Side { record: 0, value, said });
    }
    conflict
}

fn edit(of: Of, record: &Record, fields: Value) -> Change {
    Change { schema: record.schema(), space: of.space, document: of.document, fields }
}

fn said(step: &Happened) -> Option<Said> {
    Some(Said { actor: step.actor, account: step.account.clone(), time_ms: step.time_ms })
}

fn of_course(
    case: Case,
    of: Of,
    record: &Record,
    field: &'static Field,
    course: &Course,
) -> Conflict {
    let by = match (case, field.workflow()) {
        (Case::PublishedNotPublic, _) => By::OwnerOrHeadOffice,
        (Case::RevisedAfterApproval | Case::AmendedMinutes, Some(workflow)) => {
            let step = reviewing(record, field, course).and_then(|op| workflow.step(op));
            step.map_or(workflow.settled_by, |step| step.by)
        }
        (_, Some(workflow)) => workflow.settled_by,
        (_, None) => By::Anyone,
    };
    let mut conflict = Conflict::new(case, of.space, vec![of], field.name, by);
    match case {
        Case::PublishedNotPublic => hidden(&mut conflict, of, record, field, course),
        Case::RevisedAfterApproval | Case::AmendedMinutes => {
            revised(&mut conflict, of, record, field, course);
        }
        _ => rivals(&mut conflict, of, record, field, course),
    }
    conflict
}

/// Steps that lead apart: the state that stands first.
fn rivals(
    conflict: &mut Conflict,
    of: Of,
    record: &Record,
    field: &'static Field,
    course: &Course,
) {
    let (first, rest): (Vec<_>, Vec<_>) =
        course.rivals.iter().partition(|rival| rival.state == course.state);
    for rival in first.into_iter().chain(rest) {
        let said = said(&course.steps[rival.step]);
        conflict.sides.push(Side { record: 0, value: rival.state.as_str().into(), said });
        if conflict.ways.iter().any(|way| way.code == rival.state) {
            continue;
        }
        let (zh, en) = field.code(&rival.state).map_or(("", ""), |c| (c.zh, c.en));
        let fields = json!({ field.name: { "op": SETTLE, "to": rival.state } });
        conflict.ways.push(Way::new(&rival.state, zh, en, vec![edit(of, record, fields)]));
    }
}

/// What is published against what secrecy says.
fn hidden(
    conflict: &mut Conflict,
    of: Of,
    record: &Record,
    field: &'static Field,
    course: &Course,
) {
    let last = |course: &Course| {
        let step = course.steps.iter().rfind(|s| s.outcome.as_ref() == Ok(&course.state));
        let said = step.and_then(said);
        Side { record: 0, value: course.state.as_str().into(), said }
    };
    conflict.sides.push(last(course));
    let steps = |state: &str| {
        let secrecy: (&str, &str, &str) = match state {
            "escalate" => ("clear", "定为可公开", "clear it: public"),
            _ => ("reopen", "重新审查", "review its secrecy again"),
        };
        [(field.name, ("withdraw", "撤稿", "withdraw it")), ("secrecy", secrecy)]
    };
    let by = field.hidden_by.and_then(|h| record.schema().field(h.by));
    let Some(secrecy) = by.and_then(|f| record.course(f)) else { return };
    conflict.sides.push(last(&secrecy));
    for (name, (op, zh, en)) in steps(&secrecy.state) {
        let change = edit(of, record, json!({ name: { "op": op } }));
        conflict.ways.push(Way::new(op, zh, en, vec![change]));
    }
}

/// Contents that came beside or after an approval.
fn revised(
    conflict: &mut Conflict,
    of: Of,
    record: &Record,
    field: &'static Field,
    course: &Course,
) {
    let (Some(version), Some(op)) = (course.version, reviewing(record, field, course)) else {
        return;
    };
    let Some(approved) = record.at(version) else { return };
    let (mut old, mut new, mut back) = (Map::new(), Map::new(), Map::new());
    let (before, after) = (approved.to_json(), record.to_json());
    for field in record.schema().fields.iter().filter(|f| is_content(f)) {
        let (was, is) = (&before[field.name], &after[field.name]);
        if was != is {
            old.insert(field.name.into(), discreet(field, was.clone()));
            new.insert(field.name.into(), discreet(field, is.clone()));
            back.insert(field.name.into(), restoring(field, was, is));
        }
    }
    let approval = course.steps.iter().find(|step| step.change == version);
    conflict.sides = vec![
        Side { record: 0, value: Value::Object(old), said: approval.and_then(said) },
        Side { record: 0, value: Value::Object(new), said: record.revised_by(version) },
    ];
    let step = json!({ "op": op });
    let accept = json!({ field.name: step });
    back.insert(field.name.into(), step);
    conflict.ways = vec![
        Way::new(
            "accept",
            "采纳修改后的内容",
            "accept the newer contents",
            vec![edit(of, record, accept)],
        ),
        Way::new(
            "decline",
            "不采纳，恢复审定的内容",
            "decline: put the approved contents back",
            vec![edit(of, record, Value::Object(back))],
        ),
    ];
}

/// Whether approvals speak of it.
fn is_content(field: &Field) -> bool {
    !field.aside && !matches!(field.merge, Merge::Log | Merge::Notes | Merge::Tally)
}

/// What brings a field from `is` back to `was`.
fn restoring(field: &Field, was: &Value, is: &Value) -> Value {
    if field.merge != Merge::Map {
        return was.clone();
    }
    let (Some(was), Some(is)) = (was.as_object(), is.as_object()) else { return was.clone() };
    let mut out = Map::new();
    for key in was.keys().chain(is.keys()) {
        if was.get(key) != is.get(key) {
            out.insert(key.clone(), was.get(key).cloned().unwrap_or_default());
        }
    }
    Value::Object(out)
}

/// A value as a list may show it.
fn discreet(field: &Field, value: Value) -> Value {
    if field.personal { masked(&value) } else { value }
}
