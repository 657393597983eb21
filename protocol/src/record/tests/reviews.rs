//! The rounds a post goes through, and what publishing waits for.

use super::courses::{CAROL, DAN, HEAD, Office};
use super::*;
use crate::record::edits::Edit;
use automerge::ScalarValue;

fn own_own_head() -> Reviews {
    Reviews::new(vec![Reviewer::Own, Reviewer::Own, Reviewer::HeadOffice], true).unwrap()
}

fn submitted(reviews: Reviews) -> Office {
    let mut office = Office::new(post(), ALICE, json!({"title": "题", "body": "正文"}));
    submit(&mut office, reviews);
    office
}

fn submit(office: &mut Office, reviews: Reviews) {
    let fork = office.fork();
    office.record = fork.record.asking(reviews);
    office.takes(ALICE, "submit").unwrap();
}

fn why(office: &mut Office, by: u8, op: &str) -> String {
    office.takes(by, op).unwrap_err().to_string()
}

fn progress(office: &Office) -> Option<(usize, Option<Reviewer>)> {
    office.course().progress.map(|p| (p.passed, p.next()))
}

#[test]
fn rounds_are_passed_in_order_by_different_people_of_the_units_asked() {
    let mut office = submitted(own_own_head());
    assert_eq!(progress(&office), Some((0, Some(Reviewer::Own))));
    assert!(why(&mut office, BOB, "approve").contains("round 1 of 3 comes first"));
    assert!(why(&mut office, ALICE, "pass").contains("who took 'submit'"));
    assert!(why(&mut office, CAROL, "pass").contains("the unit it belongs to, or head office"));
    office.takes(BOB, "pass").unwrap();
    assert!(why(&mut office, BOB, "pass").contains("who took 'pass'"));
    office.takes(DAN, "pass").unwrap();
    assert_eq!(progress(&office), Some((2, Some(Reviewer::HeadOffice))));
    assert_eq!(office.record.to_json()["courses"]["status"]["reviews"]["passed"], 2);
    let told = office.course().progress.unwrap();
    assert_eq!(
        told.told(true),
        "初审：已通过；复审：已通过；终审：待审（局机关）；保密审查定为可公开后发布"
    );
    assert_eq!(Progress::read(&told.to_json()), Some(told.clone()));
    let offered = |head| {
        ["pass", "approve", "return"].map(|op| told.offers(post().step(op).unwrap().1, head))
    };
    assert_eq!((offered(true), offered(false)), ([false, true, true], [false, false, true]));
    assert!(why(&mut office, HEAD, "pass").contains("the last round"));
    assert!(why(&mut office, DAN, "approve").contains("only head office"));
    office.takes(HEAD, "approve").unwrap();
    assert_eq!((office.status(), progress(&office)), (json!("approved"), Some((3, None))));
    office.writes(ALICE, json!({"title": "改题"})).unwrap();
    assert!(why(&mut office, BOB, "review").contains("only head office"), "as strict as the last");
    assert!(why(&mut office, ALICE, "publish").contains("secrecy review comes first"));
    office.takes(BOB, "clear").unwrap();
    office.takes(ALICE, "publish").unwrap();
    assert_eq!(office.status(), "published");
    assert_eq!(office.met(&office.fork()).status(), "published", "on every node");
}

#[test]
fn what_is_returned_begins_anew_and_what_says_nothing_is_held_to_one_review() {
    let mut office = submitted(own_own_head());
    office.takes(BOB, "pass").unwrap();
    office.takes(DAN, "return").unwrap();
    assert_eq!((office.status(), progress(&office)), (json!("returned"), None));
    submit(&mut office, own_own_head());
    assert_eq!(progress(&office), Some((0, Some(Reviewer::Own))));
    office.takes(BOB, "pass").unwrap();
    // Head office does it in the unit's stead.
    office.takes(HEAD, "pass").unwrap();
    assert!(office.takes(HEAD, "approve").is_err(), "but not twice");

    let mut silent = Office::new(post(), ALICE, json!({"title": "题"}));
    silent.takes(ALICE, "submit").unwrap();
    assert!(why(&mut silent, ALICE, "approve").contains("somebody else"));
    assert!(why(&mut silent, BOB, "pass").contains("the last round"));
    silent.takes(BOB, "approve").unwrap();
    silent.takes(BOB, "publish").unwrap();
    for said in [json!({}), json!({"rounds": [], "secrecy": false}), json!({"rounds": ["x"]})] {
        assert_eq!(Reviews::read(&said), None, "{said}");
    }
    let four = vec![Reviewer::Own; ROUNDS_MAX + 1];
    assert_eq!((Reviews::new(four, true), Reviews::new(vec![], true)), (None, None));
    assert_eq!(Reviews::read(&own_own_head().to_json()), Some(own_own_head()));
}

/// A program that knows no rules writes the step anyway.
#[test]
fn a_round_that_is_left_out_changes_nothing_on_any_node() {
    let mut office = submitted(own_own_head());
    let honest = office.fork();
    let taken = Taken::plain("approve").written();
    let key = format!("{}.0", hex(&log(BOB).actor()));
    let edits = vec![(key, Some(ScalarValue::from(taken)))];
    let field = post().field("status").unwrap();
    let edits = Edits { edits: vec![(field, Edit::Entries(edits))] };
    let body = office.record.write(log(BOB).actor(), 2, "a2", &edits).unwrap().unwrap();
    office.entries.push((BOB, 1, body));
    let mut met = honest.met(&office);
    assert_eq!((met.status(), met.conflict()), (json!("submitted"), vec![]));
    let first = Ignored::RoundFirst { round: 1, of: 3 };
    assert_eq!(met.course().steps[1].outcome, Err(first));
    met.takes(BOB, "pass").unwrap();
    assert_eq!(progress(&met), Some((1, Some(Reviewer::Own))));
}

#[test]
fn the_same_round_passed_twice_at_once_is_one_round_and_no_conflict() {
    let base = submitted(own_own_head());
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(BOB, "pass").unwrap();
    right.takes(DAN, "pass").unwrap();
    let met = left.met(&right);
    assert_eq!(progress(&met), Some((1, Some(Reviewer::Own))));
    assert_eq!(met.conflict(), Vec::<String>::new());
    // Nor does a round undo what went on from the other while it was on its way.
    left.takes(HEAD, "pass").unwrap();
    left.takes(HEAD + 1, "approve").unwrap();
    for met in [left.met(&right), right.met(&left)] {
        assert_eq!((met.status(), met.conflict()), (json!("approved"), vec![]));
    }
}

#[test]
fn one_passes_and_another_returns_at_once_is_for_the_next_level() {
    let base = submitted(own_own_head());
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(BOB, "pass").unwrap();
    right.takes(DAN, "return").unwrap();
    let met = left.met(&right);
    assert_eq!((met.status(), met.conflict().len()), (json!("returned"), 2));
}

#[test]
fn who_had_not_heard_of_a_new_submission_reviews_nothing_of_it() {
    let base = submitted(Reviews::default());
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "recall").unwrap();
    submit(&mut left, Reviews::default());
    right.writes(BOB, json!({"tags": ["a"]})).unwrap();
    right.writes(BOB, json!({"tags": ["b"]})).unwrap();
    right.writes(BOB, json!({"tags": ["c"]})).unwrap();
    right.takes(BOB, "approve").unwrap();
    let met = left.met(&right);
    assert_eq!(met.status(), "submitted");
    let why = met.course().steps.last().unwrap().outcome.clone();
    assert_eq!(why, Err(Ignored::SubmittedAnew));
}

#[test]
fn published_once_cleared_stays_published_whatever_the_secrecy_review_says_at_once() {
    let mut base = submitted(Reviews::new(vec![Reviewer::Own], true).unwrap());
    base.takes(BOB, "approve").unwrap();
    assert!(base.takes(ALICE, "publish").is_err());
    base.takes(BOB, "clear").unwrap();
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(HEAD, "publish").unwrap();
    right.takes(ALICE, "withhold").unwrap();
    let met = left.met(&right);
    assert_eq!(met.course().state, "published", "the state stands, and it is hidden");
    assert_eq!(met.record.row().cells[3], Cell::Text("hidden".into()));
}
