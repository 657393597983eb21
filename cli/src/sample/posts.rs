//! The 459 posts of the founding picture: which column, which unit, which day, and the text.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use serde_json::{Map, Value, json};

use super::calendar::{FIRST_YEAR, LAST_DAY, days_between, iso, plus_days};
use super::phrases as p;
use super::prose::{CULTURE, Facts, Genre, NEWS, PIONEER, STYLE, draw};
use super::rng::Rng;
use super::roster::{Person, SampleBranch};

/// Published posts in the whole federation, however many units share them.
pub const POSTS: usize = 459;
/// Posts in each column; they sum to [`POSTS`].
pub const POSTS_BY_COLUMN: [(&str, usize); 4] =
    [("news", 293), ("style", 70), ("culture", 66), ("pioneer", 30)];
/// And those that wait for review, and those not handed in yet, written on the last day: each unit's own
/// and head office's to read.
pub const POSTS_SUBMITTED: usize = 6;
pub const POSTS_DRAFT: usize = 3;

const _: () = {
    let [a, b, c, d] = POSTS_BY_COLUMN;
    assert!(a.1 + b.1 + c.1 + d.1 == POSTS);
};

/// One post to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) unit: usize,
    pub(super) column: &'static str,
    pub(super) status: &'static str,
    written: Date,
}

impl Plan {
    pub(super) fn is_published(&self) -> bool {
        self.status == "published"
    }
}

/// All posts in order of time, the published ones first. Every unit has at least one of those.
pub(super) fn plan(rng: &mut Rng, units: usize) -> Vec<Plan> {
    let mut columns: Vec<&'static str> = POSTS_BY_COLUMN
        .iter()
        .flat_map(|(column, count)| std::iter::repeat_n(*column, *count))
        .collect();
    rng.shuffle(&mut columns);

    // Head office writes about as much as three sub-bureaus; those differ among themselves.
    let weights: Vec<u32> =
        (0..units).map(|unit| if unit == 0 { 45 } else { rng.between(8, 22) as u32 }).collect();
    let mut authors: Vec<usize> = (0..units).collect();
    authors.resize_with(POSTS, || rng.weighted(&weights));
    rng.shuffle(&mut authors);

    // The later of two days: each year brings more posts than the one before.
    let first_day = date(FIRST_YEAR, 1, 5);
    let days_in_all = days_between(first_day, LAST_DAY).unsigned_abs() as usize;
    let mut days: Vec<usize> =
        (0..POSTS).map(|_| rng.below(days_in_all + 1).max(rng.below(days_in_all + 1))).collect();
    days.sort_unstable();

    let plan_of = |(i, (column, (unit, day)))| Plan {
        unit,
        column,
        status: status(i),
        written: plus_days(first_day, day as i32),
    };
    let mut all: Vec<Plan> =
        columns.into_iter().zip(authors.into_iter().zip(days)).enumerate().map(plan_of).collect();
    for index in POSTS..POSTS + POSTS_SUBMITTED + POSTS_DRAFT {
        let (column, _) = POSTS_BY_COLUMN[index % POSTS_BY_COLUMN.len()];
        let (unit, status) = (rng.weighted(&weights), status(index));
        all.push(Plan { unit, column, status, written: LAST_DAY });
    }
    all
}

fn status(index: usize) -> &'static str {
    match index {
        0..POSTS => "published",
        _ if index < POSTS + POSTS_SUBMITTED => "submitted",
        _ => "draft",
    }
}

/// Posts by status, of the whole federation.
pub(super) fn by_status() -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for index in 0..POSTS + POSTS_SUBMITTED + POSTS_DRAFT {
        *counts.entry(String::from(status(index))).or_default() += 1;
    }
    counts
}

/// Who a post is written by and about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) unit_name: &'a str,
    pub(super) branch: &'a SampleBranch,
    pub(super) people: &'a [Person],
}

impl Scene<'_> {
    pub(super) fn fields(&self, rng: &mut Rng, plan: &Plan) -> Map<String, Value> {
        let (genre, kinds, weights): (Genre, _, _) = match plan.column {
            "news" => (NEWS, ["policy", "deeds", "clipping"], [60, 22, 18]),
            "style" => (STYLE, ["case", "deeds", "clipping"], [35, 55, 10]),
            "pioneer" => (PIONEER, ["deeds", "deeds", "clipping"], [60, 30, 10]),
            _ => (CULTURE, ["work", "work", "work"], [1, 1, 1]),
        };
        let kind = kinds[rng.weighted(&weights)];
        let bylines = self.bylines(rng);
        // A work tells of its author, every other text of somebody else.
        let subject = if kind == "work" { bylines[0] } else { self.subject(rng, &bylines) };
        let facts = Facts {
            unit: self.unit_name,
            branch: &self.branch.name_zh,
            author: &subject.name,
            author_is_female: subject.is_female,
            day: plan.written,
            theme: p::THEMES[usize::from(plan.written.year().abs_diff(FIRST_YEAR))],
            activity: rng.pick(p::THEME_DAYS),
            topic: rng.pick(p::LECTURE_TOPICS),
        };
        let title = rng.pick(genre.titles);
        let names: Vec<&str> = bylines.iter().map(|person| person.name.as_str()).collect();

        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.into(), value);
        set("title", json!(facts.tell(rng, title)));
        set("body", json!(genre.body(rng, &facts, kind == "clipping")));
        set("column", json!(plan.column));
        set("kind", json!(kind));
        set("status", json!(plan.status));
        set("bylines", json!(names));
        let tags = rng.between(1, 3);
        set("tags", json!(draw(rng, p::TAGS, tags)));
        set("written", json!(iso(plan.written)));
        if kind == "clipping" {
            set("source_url", json!(source_url(rng, plan.written)));
        }
        if let Some(programme) = programme(rng, plan.column) {
            set("programme", json!(programme));
        }
        fields
    }

    fn bylines(&self, rng: &mut Rng) -> Vec<&Person> {
        let first = rng.below(self.people.len());
        let mut bylines = vec![&self.people[first]];
        if rng.chance(250) {
            bylines.push(&self.people[(first + 1) % self.people.len()]);
        }
        bylines
    }

    fn subject(&self, rng: &mut Rng, bylines: &[&Person]) -> &Person {
        loop {
            let person = &self.people[rng.below(self.people.len())];
            if bylines.iter().all(|author| author.id != person.id) {
                return person;
            }
        }
    }
}

/// A page of a newspaper that cannot exist: `.example` is reserved.
fn source_url(rng: &mut Rng, written: Date) -> String {
    const PAPERS: [&str; 3] = ["port-news", "coast-daily", "dangjian"];
    let paper = rng.pick(&PAPERS);
    let page = rng.between(1000, 9999);
    format!("https://{paper}.example/{}/{:02}/{page}.html", written.year(), written.month())
}

fn programme(rng: &mut Rng, column: &str) -> Option<&'static str> {
    let programme = match column {
        "culture" => ["culture", "union", "youth"][rng.weighted(&[50, 25, 25])],
        _ if rng.chance(120) => "integrity",
        _ => return None,
    };
    Some(programme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_hold_for_any_number_of_units() {
        for units in [1, 2, 3, 16, 64] {
            let plan = plan(&mut Rng::new(5), units);
            let (published, own) = plan.split_at(POSTS);
            assert!(published.iter().all(|p| p.status == "published"));
            assert_eq!(own.len(), POSTS_SUBMITTED + POSTS_DRAFT);
            for (column, count) in POSTS_BY_COLUMN {
                assert_eq!(published.iter().filter(|p| p.column == column).count(), count);
            }
            for unit in 0..units {
                assert!(
                    published.iter().any(|p| p.unit == unit),
                    "unit {unit} of {units} is silent"
                );
            }
            assert!(plan.is_sorted_by_key(|p| p.written));
            assert!(published[POSTS - 1].written <= LAST_DAY);
        }
    }

    #[test]
    fn statuses_sum_up() {
        let counts = by_status();
        assert_eq!(counts["draft"], POSTS_DRAFT);
        assert_eq!(counts["submitted"], POSTS_SUBMITTED);
        assert_eq!(counts["published"], POSTS);
    }
}
