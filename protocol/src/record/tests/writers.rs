//! Contents whose author they are not: they change nothing on any node, whatever comes first.

use super::courses::{CAROL, HEAD, authors};
use super::*;
use proptest::prelude::*;

type Entry = (u8, u64, Vec<u8>);

fn kind(name: &str) -> &'static Schema {
    schema_named(name).unwrap()
}

/// One replica's document, written by nodes that hold themselves to nothing.
#[derive(Clone)]
struct Desk {
    schema: &'static Schema,
    record: Record,
    entries: Vec<Entry>,
}

impl Desk {
    fn new(name: &str, by: u8, json: Value) -> Self {
        let schema = kind(name);
        let mut desk = Self { schema, record: Record::new(schema), entries: vec![] };
        desk.writes(by, json);
        desk
    }

    fn writes(&mut self, by: u8, json: Value) {
        let edits = Edits::from_json(self.schema, &json).unwrap();
        let body = self.record.write(log(by).actor(), u64::from(by), "a", &edits).unwrap();
        let seq = self.entries.iter().filter(|e| e.0 == by).count() as u64 + 1;
        self.entries.push((by, seq, body.expect("something changed")));
    }

    /// What an honest node makes of the entries in this order, and whom it refused.
    fn judged(&self, order: &[usize]) -> (Value, Vec<(u8, String)>) {
        let authors = authors();
        let (mut snapshot, mut refused, mut record) = (None, vec![], Record::new(self.schema));
        let mut waiting: Vec<usize> = vec![];
        for at in order {
            waiting.push(*at);
            let incoming = |at: &usize| {
                let (author, seq, body) = &self.entries[*at];
                Incoming { log: log(*author), seq: *seq, body }
            };
            let entries: Vec<_> = waiting.iter().map(incoming).collect();
            let outcome =
                materialise(self.schema, Some(&authors), snapshot.as_deref(), &entries).unwrap();
            let who = |log: &LogId| (0..=u8::MAX).find(|who| super::log(*who) == *log).unwrap();
            refused.extend(outcome.refused.iter().map(|(log, _, why)| (who(log), why.to_string())));
            waiting.retain(|at| {
                let (author, seq, _) = &self.entries[*at];
                outcome.waiting.contains(&(log(*author), *seq))
            });
            (snapshot, record) = (Some(outcome.snapshot), outcome.record);
        }
        refused.sort();
        (record.by(&authors).to_json(), refused)
    }

    fn shown(&self) -> (Value, Vec<(u8, String)>) {
        let there: Vec<usize> = (0..self.entries.len()).collect();
        let back: Vec<usize> = there.iter().rev().copied().collect();
        let shown = self.judged(&there);
        assert_eq!(self.judged(&back), shown, "whatever comes first");
        shown
    }

    fn counts(&self) -> Value {
        let (json, refused) = self.shown();
        assert_eq!(refused, vec![]);
        json
    }

    /// The document as it is, and that one was refused.
    fn refuses(&self, who: u8, by: &str) -> Value {
        let (json, refused) = self.shown();
        let told = refused.iter().any(|(author, why)| *author == who && why.contains(by));
        assert!(told && refused.len() == 1, "{refused:?}");
        json
    }
}

#[test]
fn what_head_office_writes_nobody_else_does() {
    let mut desk = Desk::new("directive", HEAD, json!({"title": "通知", "text": "原文"}));
    desk.writes(CAROL, json!({"receipts": {"sz-1": {"on": "2018-03-05"}}}));
    assert_eq!(desk.counts()["receipts"]["sz-1"]["on"], "2018-03-05", "its branch's receipt");
    let mut forged = desk.clone();
    forged.writes(CAROL, json!({"title": "假通知", "text": "假"}));
    let json = forged.refuses(CAROL, "head office");
    assert_eq!((&json["title"], &json["text"]), (&json!("通知"), &json!("原文")));
    // What an honest node wrote beside it counts, and a record of a stranger's alone is none.
    let mut honest = desk.clone();
    honest.writes(HEAD, json!({"text": "原文，补充"}));
    forged.entries.push(honest.entries.last().unwrap().clone());
    assert_eq!(forged.refuses(CAROL, "head office")["text"], "原文，补充");
    let alone = Desk::new("directive", CAROL, json!({"title": "假通知"}));
    assert_eq!(alone.refuses(CAROL, "head office")["title"], Value::Null);
}

#[test]
fn a_record_is_its_units_and_a_refused_change_takes_its_authors_later_ones_along() {
    let fields = json!({"title": "采用", "outlet": "日报", "kind": "taken"});
    let mut desk = Desk::new("adoption", ALICE, fields);
    desk.writes(BOB, json!({"outlet": "晚报"}));
    desk.writes(HEAD, json!({"title": "采用情况"}));
    assert_eq!(desk.counts()["outlet"], "晚报");
    let before = desk.counts();
    desk.writes(CAROL, json!({"outlet": "假"}));
    desk.writes(CAROL, json!({"url": "https://x.example"}));
    let (json, refused) = desk.shown();
    assert_eq!((&json, refused.len()), (&before, 1), "{refused:?}");
}

#[test]
fn a_unit_that_a_field_names_writes_as_long_as_it_is_named() {
    let fields = json!({"code": "b1", "name": "一支部", "unit": "nt", "kind": "branch"});
    let mut desk = Desk::new("branch", HEAD, fields);
    desk.writes(ALICE, json!({"contact": "王海"}));
    assert_eq!(desk.counts()["contact"], "王海");
    let mut forged = desk.clone();
    forged.writes(CAROL, json!({"contact": "假"}));
    assert_eq!(forged.refuses(CAROL, "the unit it names")["contact"], "王海");
    desk.writes(HEAD, json!({"unit": "sz"}));
    desk.writes(CAROL, json!({"contact": "李"}));
    assert_eq!(desk.counts()["contact"], "李", "who has seen the move writes");
    let mut late = desk.clone();
    late.writes(BOB, json!({"contact": "旧"}));
    assert_eq!(late.refuses(BOB, "the unit it names")["contact"], "李");
    let made = Desk::new(
        "temporary-branch",
        CAROL,
        json!({"code": "t", "name": "临时", "host_unit": "sz"}),
    );
    assert_eq!(made.counts()["host_unit"], "sz", "what a first change says of itself");
    let forged = Desk::new(
        "temporary-branch",
        CAROL,
        json!({"code": "t", "name": "临时", "host_unit": "nt"}),
    );
    assert_eq!(forged.refuses(CAROL, "the unit it names")["code"], Value::Null);
}

/// A stranger cannot take a record from its unit by making it once more under the same id.
#[test]
fn making_a_record_again_takes_it_from_nobody() {
    for n in 0..6 {
        let mut desk = Desk::new("honour", ALICE, json!({"title": "先进", "of": "branch"}));
        let forged = json!({"title": format!("假{n}"), "of": "branch"});
        let again = Desk::new("honour", CAROL, forged);
        desk.entries.extend(again.entries);
        desk.writes(BOB, json!({"level": "city"}));
        let (json, refused) = desk.shown();
        assert_eq!((&json["level"], refused.len()), (&json!("city"), 0), "{refused:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever writes what, in whatever order it arrives, every node shows the same.
    #[test]
    fn every_order_shows_the_same(
        steps in prop::collection::vec((0usize..4, 0usize..3), 1..8),
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let fields = json!({"code": "b1", "name": "一支部", "unit": "nt", "kind": "branch"});
        let base = Desk::new("branch", HEAD, fields);
        let mut sides = [base.clone(), base];
        for (n, (who, field)) in steps.into_iter().enumerate() {
            // Two by two they go on apart.
            let side = &mut sides[who % 2];
            let unit = if n % 2 == 0 { "nt" } else { "sz" };
            let json = match field {
                0 => json!({"contact": format!("c{n}")}),
                1 => json!({"unit": unit, "name": format!("n{n}")}),
                _ => json!({"name": format!("m{n}")}),
            };
            side.writes([ALICE, BOB, CAROL, HEAD][who], json);
        }
        let [mut all, other] = sides;
        all.entries.extend(other.entries.into_iter().skip(1));
        let order: Vec<usize> = order.into_iter().filter(|at| *at < all.entries.len()).collect();
        let there: Vec<usize> = (0..all.entries.len()).collect();
        prop_assume!(order.len() == there.len());
        prop_assert_eq!(all.judged(&order), all.judged(&there));
    }
}
