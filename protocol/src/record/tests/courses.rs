//! Steps of workflows: which count, what happens when several are taken at once.

use super::*;
use crate::record::authors::Authors;
use std::sync::Arc;

pub(super) const CAROL: u8 = 3;
pub(super) const DAN: u8 = 4;
/// And the next is another node of head office.
pub(super) const HEAD: u8 = 9;

/// Alice, Bob and Dan of one unit, Carol of another, and head office.
pub(super) fn authors() -> Arc<Authors> {
    let unit = |who: u8, unit: &str| (log(who).actor(), unit.to_owned());
    let units = [
        unit(ALICE, "nt"),
        unit(BOB, "nt"),
        unit(DAN, "nt"),
        unit(CAROL, "sz"),
        unit(HEAD, "head"),
        unit(HEAD + 1, "head"),
    ];
    Arc::new(Authors {
        units: BTreeMap::from(units),
        head_office: "head".into(),
        ..Authors::default()
    })
}

pub(super) struct Office {
    pub(super) record: Record,
    pub(super) entries: Vec<(u8, u64, Vec<u8>)>,
}

impl Office {
    pub(super) fn new(schema: &'static Schema, by: u8, json: Value) -> Self {
        let mut office = Self { record: Record::new(schema).by(&authors()), entries: Vec::new() };
        office.writes(by, json).unwrap();
        office
    }

    pub(super) fn writes(&mut self, by: u8, json: Value) -> Result<(), EditError> {
        let edits = Edits::from_json(self.record.schema(), &json)?;
        let account = format!("a{by}");
        let body = self.record.edit(log(by).actor(), u64::from(by), &account, &edits)?;
        let seq = self.entries.iter().filter(|e| e.0 == by).count() as u64 + 1;
        self.entries.push((by, seq, body.expect("something changed")));
        Ok(())
    }

    pub(super) fn takes(&mut self, by: u8, op: &str) -> Result<(), EditError> {
        let field = self.record.schema().step(op).expect("a step").0.name;
        self.writes(by, json!({ field: {"op": op, "note": "n"} }))
    }

    /// What comes of two replicas that went on apart.
    pub(super) fn met(&self, other: &Self) -> Self {
        let mut entries = self.entries.clone();
        entries.extend(other.entries.iter().filter(|e| !self.entries.contains(e)).cloned());
        let schema = self.record.schema();
        let of = |entries: &[(u8, u64, Vec<u8>)]| {
            let incoming: Vec<_> = entries
                .iter()
                .map(|(a, seq, body)| Incoming { log: log(*a), seq: *seq, body })
                .collect();
            let outcome = materialise(schema, None, None, &incoming).unwrap();
            assert_eq!((outcome.refused, outcome.waiting), (vec![], vec![]));
            outcome.record.by(&authors())
        };
        let record = of(&entries);
        let mut back = entries.clone();
        back.reverse();
        assert_eq!(of(&back).to_json(), record.to_json(), "whatever comes first");
        Self { record, entries }
    }

    pub(super) fn fork(&self) -> Self {
        let record = Record::load(self.record.schema(), &self.record.save()).unwrap();
        Self { record: record.by(&authors()), entries: self.entries.clone() }
    }

    pub(super) fn status(&self) -> Value {
        self.record.to_json()["status"].clone()
    }

    pub(super) fn conflict(&self) -> Vec<String> {
        let json = self.record.to_json();
        let values = json["conflicts"]["status"].as_array().cloned().unwrap_or_default();
        assert_eq!(
            self.record.row().conflicts as usize,
            json["conflicts"].as_object().unwrap().len()
        );
        values.iter().map(|v| v["value"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn course(&self) -> Course {
        self.record.course(self.record.schema().field("status").unwrap()).unwrap()
    }
}

fn draft() -> Office {
    Office::new(post(), ALICE, json!({"title": "题", "body": "正文"}))
}

fn submitted() -> Office {
    let mut office = draft();
    office.takes(ALICE, "submit").unwrap();
    office
}

#[test]
fn a_post_goes_its_way_and_nobody_approves_their_own() {
    let mut office = submitted();
    let own = office.takes(ALICE, "approve").unwrap_err().to_string();
    assert!(own.contains("somebody else"), "{own}");
    let strange = office.takes(CAROL, "approve").unwrap_err().to_string();
    assert!(strange.contains("the unit it belongs to, or head office"), "{strange}");
    office.takes(BOB, "approve").unwrap();
    office.takes(HEAD, "publish").unwrap();
    assert_eq!(office.status(), "published");
    let back = office.writes(ALICE, json!({"status": "draft"})).unwrap_err().to_string();
    assert!(
        back.contains("archived, not_public") || back.contains("archived, withdrawn"),
        "{back}"
    );
    let unsaid =
        office.writes(HEAD, json!({"status": {"op": "withdraw"}})).unwrap_err().to_string();
    assert!(unsaid.contains("note"), "{unsaid}");
    office.takes(HEAD, "withdraw").unwrap();
    assert_eq!((office.status(), office.conflict()), (json!("withdrawn"), vec![]));
    assert_eq!(office.course().steps.len(), 4);
}

#[test]
fn a_step_that_was_not_allowed_stays_and_changes_nothing() {
    let mut office = submitted();
    let honest = office.fork();
    // Carol's program does not know the rules: nobody stands behind anybody there.
    office.record = Record::load(post(), &office.record.save()).unwrap();
    office.writes(CAROL, json!({"status": {"op": "approve"}})).unwrap();
    let met = honest.met(&office);
    assert_eq!(met.status(), "submitted");
    let course = met.course();
    let by = By::OwnerOrHeadOffice.label_en();
    assert_eq!(course.steps[1].outcome, Err(Ignored::NotAllowed { by }));
    assert_eq!(met.conflict(), Vec::<String>::new());
}

#[test]
fn published_and_withdrawn_at_once_is_withdrawn() {
    let mut base = submitted();
    base.takes(BOB, "approve").unwrap();
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "publish").unwrap();
    right.takes(HEAD, "withdraw").unwrap();
    let mut met = left.met(&right);
    assert_eq!(met.status(), "withdrawn");
    assert_eq!(met.conflict(), ["withdrawn", "published"]);
    let meddling = met.writes(ALICE, json!({"status": {"op": "settle", "to": "withdrawn"}}));
    assert!(meddling.unwrap_err().to_string().contains("head office"));
    met.writes(HEAD, json!({"status": {"op": "settle", "to": "published"}})).unwrap();
    assert_eq!((met.status(), met.conflict()), (json!("published"), vec![]));
}

#[test]
fn of_two_reviewers_the_stricter_holds_until_somebody_goes_on() {
    let base = submitted();
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(BOB, "approve").unwrap();
    right.takes(HEAD, "return").unwrap();
    let mut met = left.met(&right);
    assert_eq!(met.status(), "returned");
    assert_eq!(met.conflict(), ["returned", "approved"]);
    met.takes(ALICE, "submit").unwrap();
    assert_eq!((met.status(), met.conflict()), (json!("submitted"), vec![]));
}

#[test]
fn the_same_step_twice_at_once_is_no_conflict() {
    let mut base = submitted();
    base.takes(BOB, "approve").unwrap();
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "publish").unwrap();
    right.takes(HEAD, "publish").unwrap();
    let met = left.met(&right);
    assert_eq!((met.status(), met.conflict()), (json!("published"), vec![]));
}

#[test]
fn text_edited_beside_an_approval_is_a_revision() {
    let base = submitted();
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(BOB, "approve").unwrap();
    assert!(!left.course().revised);
    right.writes(ALICE, json!({"body": "正文改了"})).unwrap();
    let mut met = left.met(&right);
    let course = met.course();
    assert_eq!(course.state, "approved");
    assert!(course.revised && course.version.is_some());
    met.takes(HEAD, "publish").unwrap();
    assert!(met.course().revised, "the approved version is what is published");
}

#[test]
fn what_stood_before_can_only_be_said_first() {
    let mut office = Office::new(post(), ALICE, json!({"title": "旧稿", "status": "published"}));
    assert_eq!(office.status(), "published");
    assert_eq!(office.record.row().cells[3], Cell::Text("published".into()));
    let late = office.writes(ALICE, json!({"status": {"op": "record", "to": "draft"}}));
    assert!(late.unwrap_err().to_string().contains("first"));
    let mut member =
        Office::new(schema_named("member").unwrap(), ALICE, json!({"name": "甲", "stage": "full"}));
    let fix = json!({"stage": {"op": "correct", "to": "probationary", "note": "录入有误"}});
    member.writes(BOB, fix).unwrap();
    assert_eq!(member.record.to_json()["stage"], "probationary");
}

#[test]
fn nobody_writes_events_under_another_name_or_takes_one_back() {
    let mut office = submitted();
    let body = office.entries[1].2.clone();
    let step = decoded(&body).operations.len() - 1;
    let twisted = |twist: &dyn Fn(&mut Op)| {
        let mut change = decoded(&body);
        twist(&mut change.operations[step]);
        encoded(change)
    };
    let other = format!("{}.0", hex(&log(BOB).actor()));
    let forged = twisted(&|op| op.key = Key::Map(other.clone().into()));
    let bare = twisted(&|op| op.key = Key::Map(hex(&log(ALICE).actor()).into()));
    for wrong in [forged, bare] {
        let why = verdict(ALICE, &wrong).unwrap_err().to_string();
        assert!(why.contains("only an author itself"), "{why}");
    }
    office.takes(ALICE, "recall").unwrap();
    let mut again = decoded(&office.entries[2].2);
    let first = again.start_op.get() - 1;
    again.operations[0].key = Key::Map(format!("{}.0", hex(&log(ALICE).actor())).into());
    again.operations[0].pred = vec![OpId(first, ActorId::from(log(ALICE).actor()))].into();
    let why = verdict(ALICE, &encoded(again)).unwrap_err().to_string();
    assert!(why.contains("taken back"), "{why}");
}
