//! The tree of branches and who leads them, which head office keeps for everyone.

use fenbu_protocol::id::DocId;
use jiff::civil::{Date, date};
use serde_json::{Map, Value, json};

use super::calendar::iso;
use super::rng::Rng;
use super::roster::{Person, SampleBranch};

/// Every branch was there before the sample begins.
const ESTABLISHED: (usize, usize) = (2003, 2013);

/// Two terms of three years; the branches elected anew in July 2016.
const TERMS: [(Date, Date, &str); 2] = [
    (date(2013, 8, 1), date(2016, 7, 31), "ended"),
    (date(2016, 8, 1), date(2019, 7, 31), "approved"),
];

/// What the first people of a branch are in its committee.
const POSTS: [&str; 5] =
    ["secretary", "deputy_secretary", "organisation", "publicity", "discipline"];
/// Leaders of a branch without a committee: secretary and deputy.
const LEADERS_WITHOUT_COMMITTEE: usize = 2;

fn leaders(branch: &SampleBranch) -> usize {
    if branch.has_committee() { POSTS.len() } else { LEADERS_WITHOUT_COMMITTEE }
}

/// Terms of a branch's leaders.
pub(super) fn terms_count(branch: &SampleBranch) -> usize {
    leaders(branch) * TERMS.len()
}

pub(super) fn branch(rng: &mut Rng, branch: &SampleBranch, unit: &str) -> Map<String, Value> {
    let established =
        date(rng.between(ESTABLISHED.0, ESTABLISHED.1) as i16, rng.between(1, 12) as i8, 1);
    let mut fields = Map::new();
    let mut set = |key: &str, value: Value| fields.insert(key.into(), value);
    set("code", json!(branch.code));
    set("name", json!(branch.name_zh));
    set("unit", json!(unit));
    set("kind", json!("branch"));
    set("established", json!(iso(established)));
    set("committee", json!(branch.has_committee()));
    set("groups", json!(branch.groups));
    fields
}

pub(super) fn terms(
    rng: &mut Rng,
    branch: &SampleBranch,
    people: &[Person],
) -> Vec<(DocId, Map<String, Value>)> {
    let mut terms = Vec::new();
    for (person, post) in people.iter().zip(POSTS).take(leaders(branch)) {
        for (from, to, status) in TERMS {
            let mut fields = Map::new();
            let mut set = |key: &str, value: Value| fields.insert(key.into(), value);
            set("person", json!(person.name));
            set("member", json!(person.id.to_string()));
            set("branch", json!(branch.code));
            set("post", json!(post));
            set("basis", json!("elected"));
            set("from", json!(iso(from)));
            set("to", json!(iso(to)));
            set("status", json!(status));
            terms.push((rng.doc_id(), fields));
        }
    }
    terms
}
