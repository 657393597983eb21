//! Whether records that share a key contradict each other, and the ways out.
//!
//! | case | contradiction |
//! |---|---|
//! | two in one office | terms of one branch and post, of different people, that overlap: both proposed or both approved. A proposal that begins after an approved term is its succession |
//! | two transfers | of one member from one unit, one issued before the other was received |
//! | transfer of a suspended member | its source holds the member as suspended, expelled and the like |
//! | the same person twice | in one unit, or, as a case of its own, in two: one id number, or one name with the same birth or joining date, unless two id numbers differ |
//! | aliases in a circle | of the same two cases and of meetings: records that are said to be each other, however many, so that none is left to be shown |
//! | two records of one meeting | of one branch and kind on one day; not talks, of which there are many |
//! | a number taken twice | by two meetings of one branch |
//! | a dissolved branch's meeting | first written after the temporary branch was dissolved |

use super::matching::{begins, day, plain};
use super::{Case, Change, Conflict, Of, Side, Way};
use crate::record::doc::Record;
use crate::record::record_summary;
use crate::record::workflow::By;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A record and where it is.
#[derive(Debug, Clone)]
pub struct Subject {
    pub of: Of,
    pub record: Record,
}

impl Subject {
    fn text(&self, field: &str) -> String {
        self.record.scalar_text(field).unwrap_or_default()
    }

    fn status(&self) -> String {
        let field = self.record.schema().field("status");
        field.and_then(|f| self.record.course(f)).map(|c| c.state).unwrap_or_default()
    }

    fn change(&self, fields: Value) -> Change {
        let schema = self.record.schema();
        Change { schema, space: self.of.space, document: self.of.document, fields }
    }

    fn side(&self, record: usize) -> Side {
        Side { record, value: record_summary(&self.record), said: self.record.made() }
    }
}

/// Documents that share keys of a case, directly or through others.
pub fn clusters(groups: impl IntoIterator<Item = (Case, Vec<Of>)>) -> Vec<(Case, Vec<Of>)> {
    let mut out: Vec<(Case, BTreeSet<Of>)> = Vec::new();
    for (case, group) in groups {
        let mut joined: BTreeSet<Of> = group.into_iter().collect();
        out.retain(|(other, held)| {
            let apart = *other != case || held.is_disjoint(&joined);
            if !apart {
                joined.extend(held.iter().copied());
            }
            apart
        });
        out.push((case, joined));
    }
    let listed = out.into_iter().map(|(case, joined)| (case, joined.into_iter().collect()));
    listed.collect()
}

/// The conflicts among records that share keys of a case, in whatever order they come.
pub fn across(case: Case, mut subjects: Vec<Subject>) -> Vec<Conflict> {
    subjects.sort_by_key(|subject| subject.of);
    match case {
        Case::TransferOfSuspended => pairs(&subjects, "member", suspended),
        Case::LateMeeting => pairs(&subjects, "temporary-branch", late),
        _ => {
            let (aliases, own): (Vec<&Subject>, Vec<&Subject>) =
                subjects.iter().partition(|subject| !subject.text("same_as").is_empty());
            let mut found = circles(case, &aliases);
            found.extend(related(case, &own));
            found.into_iter().map(|among| conflict(case, &among)).collect()
        }
    }
}

/// Records that are said to be each other in a circle, however long; each circle once, in the order of their
/// ids. What only leads into one is the same as whatever the circle is settled to.
fn circles<'a>(case: Case, aliases: &[&'a Subject]) -> Vec<Vec<&'a Subject>> {
    let named = |subject: &Subject| {
        let other = subject.text("same_as");
        aliases.iter().position(|a| a.of.document.to_string() == other)
    };
    let next: Vec<Option<usize>> = aliases.iter().map(|subject| named(subject)).collect();
    let mut found = Vec::new();
    for start in 0..aliases.len() {
        let mut circle = vec![start];
        while let Some(at) = next[circle[circle.len() - 1]].filter(|at| *at != start) {
            // It leads into a circle without being part of it.
            if circle.contains(&at) {
                circle.clear();
                break;
            }
            circle.push(at);
        }
        let closed = circle.last().is_some_and(|last| next[*last] == Some(start));
        // Told from where its lowest id is.
        if closed && circle.len() > 1 && circle.iter().all(|at| *at >= start) {
            circle.sort_unstable();
            found.push(circle.into_iter().map(|at| aliases[at]).collect());
        }
    }
    found.retain(|circle: &Vec<&Subject>| is_of(case, circle));
    found
}

/// One unit's records are its own to settle, those of several head office's.
fn is_of(case: Case, records: &[&Subject]) -> bool {
    let several = records.iter().any(|r| r.of.space != records[0].of.space);
    match case {
        Case::SamePerson => !several,
        Case::SamePersonElsewhere => several,
        _ => true,
    }
}

/// A number taken twice by two records of one meeting is one conflict.
pub fn without_repeats(conflicts: &mut Vec<Conflict>) {
    let meetings: Vec<BTreeSet<Of>> = conflicts
        .iter()
        .filter(|c| c.case == Case::SameMeeting)
        .map(|c| c.records.iter().copied().collect())
        .collect();
    conflicts.retain(|c| {
        let within = |held: &BTreeSet<Of>| c.records.iter().all(|of| held.contains(of));
        c.case != Case::SameNumber || !meetings.iter().any(within)
    });
}

/// Those of one kind against each of the others.
fn pairs(
    subjects: &[Subject],
    kind: &str,
    judge: fn(&Subject, &Subject) -> Option<Conflict>,
) -> Vec<Conflict> {
    let (ones, others): (Vec<_>, Vec<_>) =
        subjects.iter().partition(|s| s.record.schema().name == kind);
    ones.iter().flat_map(|one| others.iter().filter_map(|other| judge(one, other))).collect()
}

/// Records that contradict each other, directly or through others; each at least two.
fn related<'a>(case: Case, subjects: &[&'a Subject]) -> Vec<Vec<&'a Subject>> {
    let mut parts: Vec<Vec<&Subject>> = Vec::new();
    for &subject in subjects {
        let (mut mine, others): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| part.iter().any(|other| contradict(case, other, subject)));
        mine.push(vec![subject]);
        parts = others;
        parts.push(mine.concat());
    }
    parts.retain(|part| part.len() > 1);
    parts.iter_mut().for_each(|part| part.sort_by_key(|subject| subject.of));
    parts.sort_by_key(|part| part[0].of);
    parts
}

fn contradict(case: Case, a: &Subject, b: &Subject) -> bool {
    let same = |field: &str| a.text(field) == b.text(field);
    match case {
        Case::TwoInOffice => same("branch") && same("post") && overlap(a, b),
        Case::TwoTransfers => same("member") && same("from_unit") && at_once(a, b),
        Case::SamePerson => one_person(a, b),
        // A record that was handed over is in two spaces, and one.
        Case::SamePersonElsewhere => {
            a.of.space != b.of.space && a.of.document != b.of.document && one_person(a, b)
        }
        Case::SameMeeting => one_meeting(a, b),
        Case::SameNumber => same("branch") && plain(&a.text("number")) == plain(&b.text("number")),
        _ => false,
    }
}

/// Whether two terms overlap, and neither is the other's succession.
fn overlap(a: &Subject, b: &Subject) -> bool {
    let from = |s: &Subject| s.text("from");
    let to = |s: &Subject| Some(s.text("to")).filter(|t| !t.is_empty()).unwrap_or("9999".into());
    let meet =
        from(a) < to(b) && from(b) < to(a) && plain(&a.text("person")) != plain(&b.text("person"));
    let earlier = |proposed: &Subject, approved: &Subject| {
        !from(proposed).is_empty() && from(proposed) <= from(approved)
    };
    meet && match (a.status().as_str(), b.status().as_str()) {
        ("proposed", "approved") => earlier(a, b),
        ("approved", "proposed") => earlier(b, a),
        (one, other) => one == other,
    }
}

/// Whether each of two transfers was issued before the other had come to its end.
fn at_once(a: &Subject, b: &Subject) -> bool {
    let life = |s: &Subject| {
        let row = s.record.row();
        (row.created_ms, if s.status() == "received" { row.updated_ms } else { u64::MAX })
    };
    let ((a_from, a_to), (b_from, b_to)) = (life(a), life(b));
    a_from <= b_to && b_from <= a_to
}

fn one_person(a: &Subject, b: &Subject) -> bool {
    let both = |field: &str| {
        let (x, y) = (plain(&a.text(field)), plain(&b.text(field)));
        (!x.is_empty() && !y.is_empty()).then(|| x == y)
    };
    match both("id_number") {
        Some(same) => same,
        None => {
            both("name") == Some(true)
                && (both("birth") == Some(true) || both("joined") == Some(true))
        }
    }
}

fn one_meeting(a: &Subject, b: &Subject) -> bool {
    a.text("branch") == b.text("branch")
        && a.text("kind") == b.text("kind")
        && day(&a.record) == day(&b.record)
}

/// The conflict among records of one kind: keeping one of them, or something for all.
fn conflict(case: Case, among: &[&Subject]) -> Conflict {
    let by = match case {
        Case::TwoInOffice | Case::TwoTransfers | Case::SamePersonElsewhere => By::HeadOffice,
        _ => By::SpaceOrHeadOffice,
    };
    let records = among.iter().map(|subject| subject.of).collect();
    let mut conflict = Conflict::new(case, among[0].of.space, records, "", by);
    conflict.sides = (0..).zip(among).map(|(i, subject)| subject.side(i)).collect();
    if case == Case::SameNumber {
        number(&mut conflict, among);
        return conflict;
    }
    for (i, kept) in among.iter().enumerate() {
        let changes = among.iter().filter_map(|subject| match subject.of == kept.of {
            true => keeping(case, subject),
            false => yielding(case, subject, kept),
        });
        let (zh, en) = match case {
            Case::TwoInOffice => ("选定此人", "this one; the others yield"),
            Case::TwoTransfers => ("按此转接", "this transfer; the others are taken back"),
            _ => ("保留此份，其余并入", "keep this one; the others are the same as it"),
        };
        conflict.ways.push(Way::new(&(i + 1).to_string(), zh, en, changes.collect()));
    }
    let stand = match case {
        Case::TwoInOffice => ("各自任职，并不冲突", "both hold office: there is no contradiction"),
        Case::TwoTransfers => ("两次转接均有效", "both transfers are as they should be"),
        Case::SamePerson | Case::SamePersonElsewhere => ("不是同一人", "they are different people"),
        _ => ("是两次会议", "they are different meetings"),
    };
    if among.iter().all(|subject| subject.text("same_as").is_empty()) {
        conflict.ways.push(conflict.stand(stand.0, stand.1));
    }
    conflict
}

/// What becomes of the record that is kept.
fn keeping(case: Case, kept: &Subject) -> Option<Change> {
    let proposed = case == Case::TwoInOffice && kept.status() == "proposed";
    let alias = !kept.text("same_as").is_empty();
    let fields = match (proposed, alias) {
        (true, _) => json!({ "status": { "op": "approve" } }),
        (_, true) => json!({ "same_as": null }),
        _ => return None,
    };
    Some(kept.change(fields))
}

/// What becomes of one that is not.
fn yielding(case: Case, subject: &Subject, kept: &Subject) -> Option<Change> {
    let op = match (case, subject.status().as_str()) {
        (Case::TwoInOffice, "approved") => "end",
        (Case::TwoInOffice, _) => "refuse",
        (Case::TwoTransfers, "received") => "annul",
        (Case::TwoTransfers, _) => "revoke",
        _ => {
            let kept = kept.of.document.to_string();
            let said = subject.text("same_as") == kept;
            return (!said).then(|| subject.change(json!({ "same_as": kept })));
        }
    };
    Some(subject.change(json!({ "status": { "op": op } })))
}

/// All but the first carry a suffix, in the order of their ids: the same on every node.
fn number(conflict: &mut Conflict, among: &[&Subject]) {
    let mut changes = Vec::new();
    for (i, subject) in among.iter().enumerate().skip(1) {
        let suffixed = format!("{}-{}", subject.text("number"), i + 1);
        conflict.sides[i].value["number"] = suffixed.as_str().into();
        changes.push(subject.change(json!({ "number": suffixed })));
    }
    conflict.sides[0].value["number"] = among[0].text("number").into();
    conflict.ways = vec![
        Way::new("suffix", "按所示后缀编号", "number them as shown, with the suffix", changes),
        conflict.stand("编号照旧", "the numbers stay as they are"),
    ];
}

fn suspended(member: &Subject, transfer: &Subject) -> Option<Conflict> {
    let state = transfer.status();
    let source = By::UnitInOrHeadOffice("from_unit");
    let records = vec![member.of, transfer.of];
    let case = Case::TransferOfSuspended;
    let mut conflict = Conflict::new(case, transfer.of.space, records, "", source);
    conflict.sides = sides(&conflict, &[member, transfer]);
    let step = |op: &str, zh: &str, en: &str| {
        Way::new(op, zh, en, vec![transfer.change(json!({ "status": { "op": op } }))])
    };
    conflict.ways = match state.as_str() {
        "received" => vec![step("annul", "撤销接收", "annul the receipt")],
        "issued" => vec![
            step("freeze", "冻结转接", "freeze the transfer"),
            step("revoke", "撤回转接", "take the transfer back"),
        ],
        _ => return None,
    };
    conflict.ways.push(conflict.stand("转接照常", "the transfer goes on"));
    Some(conflict)
}

/// When a temporary branch was dissolved, by the clock of whoever did: what is first written later is late.
pub fn dissolved_ms(branch: &Record) -> Option<u64> {
    let course = branch.course(branch.schema().field("status")?)?;
    let step = course.steps.iter().rfind(|s| s.outcome.as_deref() == Ok("dissolved"))?;
    Some(step.time_ms)
}

fn late(branch: &Subject, meeting: &Subject) -> Option<Conflict> {
    let dissolved_ms = dissolved_ms(&branch.record)?;
    if meeting.record.row().created_ms <= dissolved_ms {
        return None;
    }
    let records = vec![branch.of, meeting.of];
    let by = By::SpaceOrHeadOffice;
    let mut conflict = Conflict::new(Case::LateMeeting, meeting.of.space, records, "", by);
    conflict.sides = sides(&conflict, &[branch, meeting]);
    let before = i64::try_from(dissolved_ms).unwrap_or(i64::MAX);
    let in_time = begins(&meeting.record).is_some_and(|began| began <= before);
    let (zh, en) = match in_time {
        true => ("撤销前召开，按补记接受", "it began before the dissolution: accept it as late"),
        false => ("撤销后召开，仍予接受", "it began after the dissolution: accept it all the same"),
    };
    conflict.ways = vec![conflict.stand(zh, en)];
    if ["planned", "postponed"].contains(&meeting.status().as_str()) {
        let cancel = meeting.change(json!({ "status": { "op": "cancel" } }));
        conflict.ways.push(Way::new("cancel", "取消会议", "cancel the meeting", vec![cancel]));
    }
    Some(conflict)
}

/// Each record's side, the records in the conflict's order.
fn sides(conflict: &Conflict, subjects: &[&Subject]) -> Vec<Side> {
    let found = conflict.records.iter().enumerate().filter_map(|(i, of)| {
        let subject = subjects.iter().find(|subject| subject.of == *of)?;
        Some(subject.side(i))
    });
    found.collect()
}
