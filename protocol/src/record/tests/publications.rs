//! What everybody reads of a post: the approved version, until it is taken back.

use super::courses::{CAROL, HEAD, authors};
use super::*;
use crate::record::authors::Authors;
use std::sync::Arc;

/// The authors of the unit's space, where drafts are, or of everybody's.
fn of(everyones: bool) -> Arc<Authors> {
    let home = (!everyones).then(|| "nt".to_owned());
    Arc::new(Authors { home, everyones, ..Authors::clone(&authors()) })
}

type Entries = Vec<(u8, u64, Vec<u8>)>;

/// A replica of a post's draft and of what is published of it.
#[derive(Clone)]
struct Desk {
    draft: Entries,
    publication: Entries,
}

fn made(entries: &Entries, everyones: bool) -> Record {
    let incoming = |(a, seq, body): &'_ (u8, u64, Vec<u8>)| (log(*a), *seq, body.clone());
    let owned: Vec<_> = entries.iter().map(incoming).collect();
    let make = |order: &[usize]| {
        let one = |at: &usize| {
            let (log, seq, body) = &owned[*at];
            Incoming { log: *log, seq: *seq, body }
        };
        let incoming: Vec<_> = order.iter().map(one).collect();
        let outcome = materialise(post(), None, None, &incoming).unwrap();
        assert_eq!((outcome.refused, outcome.waiting), (vec![], vec![]));
        outcome.record.by(&of(everyones))
    };
    let there: Vec<usize> = (0..owned.len()).collect();
    let back: Vec<usize> = there.iter().rev().copied().collect();
    let record = make(&there);
    assert_eq!(make(&back).to_json(), record.to_json(), "whatever comes first");
    assert_eq!(make(&back).row(), record.row());
    record
}

impl Desk {
    fn new(json: Value) -> Self {
        let mut desk = Self { draft: vec![], publication: vec![] };
        desk.writes(ALICE, json);
        desk
    }

    fn publication(&self) -> Record {
        made(&self.publication, true)
    }

    /// As a node does: the draft, and what is due to everybody then.
    fn writes(&mut self, by: u8, json: Value) {
        let mut draft = made(&self.draft, false);
        let edits = Edits::from_json(post(), &json).unwrap();
        let account = format!("a{by}");
        let body = draft.edit(log(by).actor(), u64::from(by), &account, &edits).unwrap();
        push(&mut self.draft, by, body.expect("something changed"));
        let mut publication = self.publication();
        if let Some(step) = draft.due(&publication) {
            let body = publication.publish(log(by).actor(), u64::from(by), &account, &step);
            push(&mut self.publication, by, body.unwrap().expect("a step"));
            assert_eq!(draft.due(&publication), None, "it was said");
        }
    }

    fn takes(&mut self, by: u8, op: &str) {
        let field = post().step(op).unwrap().0.name;
        self.writes(by, json!({ field: { "op": op, "note": "n" } }));
    }

    fn out(mut self) -> Self {
        for (by, op) in [(ALICE, "submit"), (BOB, "approve"), (ALICE, "publish")] {
            self.takes(by, op);
        }
        self
    }

    fn met(&self, other: &Self) -> Self {
        let merged = |a: &Entries, b: &Entries| {
            let mut all = a.clone();
            all.extend(b.iter().filter(|e| !a.contains(e)).cloned());
            all
        };
        let draft = merged(&self.draft, &other.draft);
        Self { draft, publication: merged(&self.publication, &other.publication) }
    }

    /// The title everybody reads; nothing while nothing is out.
    fn read(&self) -> Option<String> {
        let publication = self.publication();
        let row = publication.row();
        let json = publication.to_json();
        let out = publication.is_out();
        assert_eq!(row.publisher.as_deref() == Some("nt"), out, "{row:?}");
        assert_eq!(publication.findable().is_some(), out);
        assert_eq!(json["status"] == "published", out);
        json["title"].as_str().map(str::to_owned)
    }
}

fn push(entries: &mut Entries, by: u8, body: Vec<u8>) {
    let seq = entries.iter().filter(|e| e.0 == by).count() as u64 + 1;
    entries.push((by, seq, body));
}

fn draft() -> Desk {
    Desk::new(json!({"title": "甲题", "body": "正文", "column": "news", "tags": ["a"]}))
}

#[test]
fn what_is_out_is_the_approved_version_and_nothing_newer() {
    let mut desk = draft();
    desk.writes(ALICE, json!({"comments": {"text": "内部意见"}}));
    desk.takes(ALICE, "submit");
    desk.takes(BOB, "approve");
    assert_eq!(desk.publication, vec![], "nothing is said before it is published");
    desk.writes(ALICE, json!({"title": "乙题", "body": "改过的正文"}));
    desk.takes(ALICE, "publish");
    let json = desk.publication().to_json();
    assert_eq!((&json["title"], &json["body"]), (&json!("甲题"), &json!("正文")));
    assert_eq!((&json["comments"], &json["secrecy"]), (&json!([]), &Value::Null));
    assert_eq!(desk.publication().owner().as_deref(), Some("nt"));
    desk.takes(BOB, "review");
    assert_eq!(desk.read().as_deref(), Some("乙题"), "a reviewed revision takes its place");
    desk.writes(ALICE, json!({"title": "丙题", "tags": ["b"]}));
    let json = desk.publication().to_json();
    assert_eq!((&json["title"], &json["tags"]), (&json!("乙题"), &json!(["b"])), "tags need none");
    desk.takes(ALICE, "archive");
    assert_eq!(desk.read().as_deref(), Some("乙题"), "what is archived stays out");
}

#[test]
fn withdrawing_wins_over_publishing_at_once_until_it_is_reviewed_again() {
    let base = draft().out();
    let (mut left, mut right) = (base.clone(), base.clone());
    left.takes(HEAD, "withdraw");
    right.writes(ALICE, json!({"tags": ["b"]}));
    assert_eq!(right.read().as_deref(), Some("甲题"));
    let mut met = left.met(&right);
    assert_eq!(met.read(), None);
    let steps = met.publication().to_json()["courses"]["status"]["steps"].clone();
    let ignored: Vec<_> = steps.as_array().unwrap().iter().map(|s| s["ignored"].clone()).collect();
    assert!(ignored.contains(&json!("what it published had been taken back")), "{steps}");
    for (by, op) in [(ALICE, "submit"), (BOB, "approve"), (ALICE, "publish")] {
        assert_eq!(met.read(), None);
        met.takes(by, op);
    }
    assert_eq!(met.read().as_deref(), Some("甲题"));
    // One that had not seen it stays taken back, and so does everything older.
    assert_eq!(met.met(&right).read().as_deref(), Some("甲题"));
}

/// Whoever takes back what somebody else is publishing right now has nothing in hand to take back.
#[test]
fn what_is_taken_back_before_it_is_out_does_not_come_out() {
    for (op, by) in [("withhold", HEAD), ("escalate", HEAD), ("return", BOB), ("withdraw", HEAD)] {
        let mut base = draft();
        base.takes(ALICE, "submit");
        if op == "withdraw" {
            base.takes(BOB, "approve");
        }
        let (mut left, mut right) = (base.clone(), base.clone());
        left.takes(by, op);
        assert_eq!(left.read(), None, "{op}");
        assert_eq!(left.publication().row().publisher.as_deref(), Some(""), "{op}");
        if op != "withdraw" {
            right.takes(BOB + 7, "approve");
        }
        right.takes(ALICE, "publish");
        assert_eq!(right.read().as_deref(), Some("甲题"));
        assert_eq!(left.met(&right).read(), None, "{op}");
    }
    let mut desk = draft().out();
    desk.takes(HEAD, "withhold");
    assert_eq!(desk.read(), None);
    desk.takes(HEAD, "reopen");
    desk.takes(HEAD, "clear");
    assert_eq!(desk.read().as_deref(), Some("甲题"), "cleared, it is out again");
}

#[test]
fn nobody_else_releases_retracts_or_writes_into_what_is_published() {
    let base = draft().out();
    let strange = |step: &str, says: Value| {
        let mut desk = base.clone();
        let mut record = desk.publication();
        let says = Publication::read(&says).unwrap();
        let taken = Taken { publication: Some(Box::new(says)), ..Taken::plain(step) };
        let body = record.publish(log(CAROL).actor(), 9, "x", &taken).unwrap().unwrap();
        push(&mut desk.publication, CAROL, body);
        let steps = desk.publication().to_json()["courses"]["status"]["steps"].clone();
        let last = steps.as_array().unwrap().last().unwrap().clone();
        assert!(last["ignored"].as_str().unwrap().contains("head office"), "{last}");
        assert_eq!(desk.read().as_deref(), Some("甲题"), "{step}");
    };
    strange("retract", json!({"unit": "nt", "of": "00"}));
    strange("retract", json!({"unit": "sz", "of": "00"}));
    strange("release", json!({"unit": "nt", "of": "00", "fields": {"title": "假"}}));
    strange("release", json!({"unit": "sz", "of": "00", "fields": {"title": "假"}}));
    let mut desk = base.clone();
    let mut record = made(&desk.publication, false);
    let edits = Edits::from_json(post(), &json!({"title": "假", "body": "假"})).unwrap();
    let body = record.edit(log(CAROL).actor(), 9, "x", &edits).unwrap().unwrap();
    push(&mut desk.publication, CAROL, body);
    assert_eq!(desk.read().as_deref(), Some("甲题"));
    assert_eq!(desk.publication().row().conflicts, 0);
    // A document of a stranger's alone is no post.
    let mut strangers = Record::new(post());
    let body = strangers.edit(log(CAROL).actor(), 9, "x", &edits).unwrap().unwrap();
    let alone = made(&vec![(CAROL, 1, body)], true);
    assert_eq!((alone.is_out(), alone.findable()), (false, None));
}
