//! Workload W: the load that `tests/bench` and `fenbu bench` measure replication with.
//!
//! N posts, each with a title of about 20 characters, one of fifteen branches (as a tag), one of
//! four columns, a status, an author, a date and a body of about 600 bytes of Chinese; then three
//! edits of each: the status, the title, a splice in the body. Four changes a record.

use fenbu_protocol::id::DocId;
use jiff::civil::date;
use serde_json::{Value, json};

use super::calendar::{iso, plus_days};
use super::phrases::CLAUSES;
use super::rng::Rng;

/// Branches the workload's posts come from.
const BRANCHES: usize = 15;
/// A body ends with the first clause that reaches this many bytes.
const BODY_BYTES: usize = 580;
/// Characters of the body that the splice replaces.
const SPLICE_DELETES: usize = 4;

/// A record and its later life.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkRecord {
    pub id: DocId,
    /// All fields of the new post.
    pub create: Value,
    /// Three partial updates, to be saved one after the other: `{"status": …}`, `{"title": …}` and
    /// `{"body": …}` with the body's whole new text.
    pub edits: [Value; 3],
    /// The third edit as what it does to the text.
    pub splice: Splice,
}

/// Characters taken out of a text and put in; positions count Unicode scalar values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    pub at: usize,
    pub delete: usize,
    pub insert: String,
}

impl Splice {
    /// The text after the splice.
    pub fn apply(&self, text: &str) -> String {
        let mut chars = text.chars();
        let mut out: String = chars.by_ref().take(self.at).collect();
        out.push_str(&self.insert);
        out.extend(chars.skip(self.delete));
        out
    }
}

/// `count` records, the same for the same seed; the first of a longer workload are a shorter one.
pub fn workload(seed: u64, count: usize) -> impl Iterator<Item = WorkRecord> {
    (0..count).map(move |index| record(&mut Rng::derive(seed, "work", index as u64)))
}

fn record(rng: &mut Rng) -> WorkRecord {
    const COLUMNS: [&str; 4] = ["news", "style", "culture", "pioneer"];
    const AUTHORS: [&str; 8] = ["甲", "乙", "丙", "丁", "戊", "己", "庚", "辛"];
    let id = rng.doc_id();
    let body = body(rng);
    let splice = Splice {
        at: rng.below(body.chars().count() - SPLICE_DELETES),
        delete: SPLICE_DELETES,
        insert: String::from(rng.pick(CLAUSES)),
    };
    let created = plus_days(date(2015, 1, 1), rng.below(1440) as i32);
    let create = json!({
        "title": title(rng),
        "body": body,
        "column": rng.pick(&COLUMNS),
        "kind": "policy",
        "status": "draft",
        "bylines": [format!("通讯员{}", rng.pick(&AUTHORS))],
        "tags": [format!("branch-{}", rng.between(1, BRANCHES))],
        "written": iso(created),
    });
    let edits = [
        json!({ "status": "submitted" }),
        json!({ "title": title(rng) }),
        json!({ "body": splice.apply(&body) }),
    ];
    WorkRecord { id, create, edits, splice }
}

/// Two clauses: 16 to 26 characters.
fn title(rng: &mut Rng) -> String {
    format!("{}，{}", rng.pick(CLAUSES), rng.pick(CLAUSES))
}

fn body(rng: &mut Rng) -> String {
    let mut out = String::with_capacity(BODY_BYTES + 48);
    let mut clauses = 1;
    loop {
        out.push_str(rng.pick(CLAUSES));
        if out.len() >= BODY_BYTES {
            out.push('。');
            return out;
        }
        out.push(if clauses % 4 == 0 { '。' } else { '，' });
        clauses += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_workload_w() {
        let records: Vec<WorkRecord> = workload(1, 400).collect();
        assert_eq!(records.len(), 400);
        let bytes = |record: &WorkRecord, field: &str| record.create[field].as_str().map(str::len);
        for record in &records {
            let body = bytes(record, "body").expect("a body");
            assert!((560..=640).contains(&body), "{body} bytes");
            let title = record.create["title"].as_str().expect("a title").chars().count();
            assert!((13..=30).contains(&title), "{title} characters");
        }
        let tags: std::collections::BTreeSet<String> =
            records.iter().map(|r| r.create["tags"][0].to_string()).collect();
        assert_eq!(tags.len(), BRANCHES);
    }

    #[test]
    fn every_edit_changes_one_field() {
        for record in workload(2, 50) {
            let create = record.create.as_object().expect("fields");
            for (edit, field) in record.edits.iter().zip(["status", "title", "body"]) {
                let edit = edit.as_object().expect("fields");
                assert_eq!(edit.keys().collect::<Vec<_>>(), [field]);
                assert!(create.contains_key(field));
            }
            let before = create["body"].as_str().expect("a body");
            let after = record.edits[2]["body"].as_str().expect("a body");
            assert_eq!(record.splice.apply(before), after);
            assert_ne!(before, after);
        }
    }

    #[test]
    fn a_shorter_workload_begins_a_longer_one() {
        let short: Vec<WorkRecord> = workload(3, 5).collect();
        let long: Vec<WorkRecord> = workload(3, 50).take(5).collect();
        assert_eq!(short, long);
        assert_ne!(short, workload(4, 5).collect::<Vec<_>>());
    }

    #[test]
    fn a_splice_counts_characters() {
        let splice = Splice { at: 1, delete: 2, insert: "丁".into() };
        assert_eq!(splice.apply("甲乙丙己"), "甲丁己");
    }
}
