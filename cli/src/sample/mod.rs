//! The sample federation: the founding picture of 2018-12-11 as data nobody has to protect.
//!
//! [`Sample::generate`] draws up a plan from a seed: units, branches, rosters, who posts when.
//! [`Sample::records_of`] writes the records out one by one, so that a sample costs little memory.
//! [`Sample::expected`] says from the plan alone how many of each there are; what a node's views
//! show is compared with it. The same seed and number of units give the same bytes on every
//! machine. [`workload()`] is the uniform load that benches measure with.
//!
//! Sixteen units from any seed: 40 branches, 352 terms of their leaders, 600 members, 6,984 meetings,
//! 459 posts ([`POSTS_BY_COLUMN`]). With other numbers of units the posts are spread over them, and
//! members and meetings follow the branches.

mod calendar;
mod ledgers;
mod meetings;
mod phrases;
mod posts;
mod prose;
mod rng;
mod roster;
mod tree;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use fenbu_protocol::id::DocId;
use serde_json::{Map, Value, json};

pub use posts::{POSTS, POSTS_BY_COLUMN, POSTS_DRAFT, POSTS_SUBMITTED};
pub use rng::Rng;
pub use roster::{SampleBranch, SampleUnit};
pub use workload::{Splice, WorkRecord, workload};

use roster::Person;

/// Units in the founding picture: head office and fifteen sub-bureaus.
pub const UNITS: usize = 16;
/// More units than this are not drawn: a node's directory is made for offices, not for crowds.
pub const UNITS_MAX: usize = 64;

/// A sample federation's plan.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Head office first.
    pub units: Vec<SampleUnit>,
    /// By unit, then number.
    pub branches: Vec<SampleBranch>,
    seed: u64,
    /// The people of each branch, in the order of `branches`.
    people: Vec<Vec<Person>>,
    /// In order of time.
    posts: Vec<posts::Plan>,
}

/// One record to be written by a unit's node.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    /// Name of its kind.
    pub kind: &'static str,
    pub id: DocId,
    pub fields: Map<String, Value>,
}

impl SampleRecord {
    /// `{"kind":"post","id":"<32 hex digits>","fields":{…}}`, without a line end.
    pub fn to_jsonl_line(&self) -> String {
        json!({ "kind": self.kind, "id": self.id, "fields": self.fields }).to_string()
    }
}

/// How many records of each sort a complete node must show.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Expected {
    pub branches: usize,
    pub terms: usize,
    /// Those that are published, which everybody reads.
    pub posts: usize,
    pub posts_by_column: BTreeMap<String, usize>,
    pub posts_by_status: BTreeMap<String, usize>,
    pub members: usize,
    pub members_by_stage: BTreeMap<String, usize>,
    pub meetings: usize,
    pub meetings_by_kind: BTreeMap<String, usize>,
    /// Everything else, by kind.
    pub ledgers: BTreeMap<String, usize>,
    /// By unit code.
    pub by_unit: BTreeMap<String, ExpectedOfUnit>,
}

/// One unit's share of [`Expected`]; branches and terms are head office's to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExpectedOfUnit {
    pub posts: usize,
    pub members: usize,
    pub meetings: usize,
    /// Posts that are not published, and stay in the unit.
    pub unpublished: usize,
    /// Care visits, which stay in the unit.
    pub care_visits: usize,
}

impl ExpectedOfUnit {
    pub fn records(&self) -> usize {
        self.posts + self.unpublished + self.members + self.meetings
    }
}

impl Expected {
    /// Posts that are not published, of all units.
    pub fn unpublished(&self) -> usize {
        self.by_unit.values().map(|own| own.unpublished).sum()
    }

    pub fn records(&self) -> usize {
        let posts = self.posts + self.unpublished();
        let main = self.branches + self.terms + posts + self.members + self.meetings;
        main + self.ledgers.values().sum::<usize>()
    }
}

impl Sample {
    /// The plan for a number of units, taken as 1 if it is 0 and as [`UNITS_MAX`] if it is more.
    pub fn generate(seed: u64, units: usize) -> Self {
        let units: Vec<SampleUnit> = (0..units.clamp(1, UNITS_MAX)).map(roster::unit).collect();
        let branches: Vec<SampleBranch> =
            units.iter().enumerate().flat_map(|(i, unit)| roster::branches(i, unit)).collect();
        let mut taken = BTreeSet::new();
        let people = branches
            .iter()
            .enumerate()
            .map(|(i, branch)| roster::people(seed, i, branch, &mut taken))
            .collect();
        let posts = posts::plan(&mut Rng::derive(seed, "posts", 0), units.len());
        Self { units, branches, seed, people, posts }
    }

    /// A unit's records: its members, then its meetings branch by branch, then its posts, each in
    /// order of time; head office's begin with the branches of all units and their leaders' terms.
    /// Nothing for a code that is no unit's.
    pub fn records_of<'a>(
        &'a self,
        unit_code: &str,
    ) -> impl Iterator<Item = SampleRecord> + use<'a> {
        let unit = self.units.iter().position(|unit| unit.code == unit_code);
        let branches = move || {
            let is_ours = move |(_, branch): &(usize, &SampleBranch)| Some(branch.unit) == unit;
            self.branches.iter().enumerate().filter(is_ours).map(|(index, _)| index)
        };
        let posts = self.posts.iter().enumerate().filter(move |(_, p)| Some(p.unit) == unit);
        let head = if unit == Some(0) { 0..self.branches.len() } else { 0..0 };
        head.flat_map(|branch| self.tree_of(branch))
            .chain(branches().flat_map(|branch| self.members_of(branch)))
            .chain(branches().flat_map(|branch| self.meetings_of(branch)))
            .chain(posts.map(|(index, plan)| self.post(index, plan)))
            .chain(unit.into_iter().flat_map(|unit| ledgers::of_unit(self, unit)))
    }

    /// Every unit's records, head office first.
    pub fn records(&self) -> impl Iterator<Item = SampleRecord> + use<'_> {
        self.units.iter().flat_map(|unit| self.records_of(&unit.code))
    }

    /// How many records there are, from the plan alone.
    pub fn expected(&self) -> Expected {
        let published = || self.posts.iter().filter(|post| post.is_published());
        let mut expected = Expected {
            branches: self.branches.len(),
            terms: self.branches.iter().map(tree::terms_count).sum(),
            posts: published().count(),
            posts_by_column: count(published().map(|post| post.column)),
            posts_by_status: posts::by_status(),
            members: self.branches.iter().map(|branch| branch.members).sum(),
            members_by_stage: count(self.people.iter().flatten().map(|person| person.stage)),
            meetings: 0,
            meetings_by_kind: BTreeMap::new(),
            ledgers: ledgers::kinds()
                .map(|kind| (kind.to_owned(), ledgers::count(kind, self.units.len())))
                .filter(|(_, count)| *count > 0)
                .collect(),
            by_unit: BTreeMap::new(),
        };
        for (index, unit) in self.units.iter().enumerate() {
            let mut of_unit = ExpectedOfUnit {
                posts: published().filter(|post| post.unit == index).count(),
                unpublished: self
                    .posts
                    .iter()
                    .filter(|p| p.unit == index && !p.is_published())
                    .count(),
                care_visits: ledgers::AT_HOME.1,
                ..ExpectedOfUnit::default()
            };
            for (i, branch) in self.branches.iter().enumerate().filter(|(_, b)| b.unit == index) {
                of_unit.members += branch.members;
                for (kind, times) in meetings::counts(branch, self.is_first(i)) {
                    of_unit.meetings += times;
                    *expected.meetings_by_kind.entry(kind.into()).or_default() += times;
                }
            }
            expected.meetings += of_unit.meetings;
            expected.by_unit.insert(unit.code.clone(), of_unit);
        }
        expected
    }

    /// Whether a branch is its unit's first, which holds the unit's own meetings.
    fn is_first(&self, branch: usize) -> bool {
        branch == 0 || self.branches[branch - 1].unit != self.branches[branch].unit
    }

    /// A branch, and the terms of those who lead it.
    fn tree_of(&self, index: usize) -> impl Iterator<Item = SampleRecord> + use<> {
        let mut rng = Rng::derive(self.seed, "tree", index as u64);
        let branch = &self.branches[index];
        let id = rng.doc_id();
        let fields = tree::branch(&mut rng, branch, &self.units[branch.unit].code);
        let terms = tree::terms(&mut rng, branch, &self.people[index]).into_iter();
        let terms = terms.map(|(id, fields)| SampleRecord { kind: "term", id, fields });
        std::iter::once(SampleRecord { kind: "branch", id, fields }).chain(terms)
    }

    fn members_of(&self, branch: usize) -> impl Iterator<Item = SampleRecord> + use<'_> {
        self.people[branch].iter().map(move |person| SampleRecord {
            kind: "member",
            id: person.id,
            fields: person.fields(&self.branches[branch]),
        })
    }

    fn meetings_of(&self, branch: usize) -> impl Iterator<Item = SampleRecord> + use<'_> {
        let mut rng = Rng::derive(self.seed, "meetings", branch as u64);
        let scene = meetings::Scene {
            unit_name: &self.units[self.branches[branch].unit].name_zh,
            branch: &self.branches[branch],
            people: &self.people[branch],
        };
        let slots = meetings::slots(&mut rng, scene.branch, self.is_first(branch));
        slots.into_iter().map(move |slot| SampleRecord {
            kind: "meeting",
            id: rng.doc_id(),
            fields: scene.fields(&mut rng, slot),
        })
    }

    fn post(&self, index: usize, plan: &posts::Plan) -> SampleRecord {
        let mut rng = Rng::derive(self.seed, "post", index as u64);
        let ours: Vec<usize> = (0..self.branches.len())
            .filter(|branch| self.branches[*branch].unit == plan.unit)
            .collect();
        let branch = rng.pick(&ours);
        let scene = posts::Scene {
            unit_name: &self.units[plan.unit].name_zh,
            branch: &self.branches[branch],
            people: &self.people[branch],
        };
        SampleRecord { kind: "post", id: rng.doc_id(), fields: scene.fields(&mut rng, plan) }
    }
}

fn count<'a>(codes: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for code in codes {
        *counts.entry(String::from(code)).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
