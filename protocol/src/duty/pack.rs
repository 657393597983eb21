//! Rule packs: what is due how often, who should attend, which reviews a post needs.
//!
//! The pack of the program is [`RulePack::standard`]. A federation edits it by `rule-pack` records: from a
//! pack's effective date on, what it says stands instead, kind by kind and set by set; what it leaves out
//! stays as it was.

use super::calendar::Day;
use crate::id::DocId;
use crate::record::{Edits, ROUNDS_MAX, Record, Reviewer, Reviews};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How often something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Month,
    Quarter,
    Half,
    Year,
}

impl Per {
    pub fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Half => 6,
            Self::Year => 12,
        }
    }

    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "half" => Self::Half,
            "year" => Self::Year,
            _ => return None,
        })
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Half => "half",
            Self::Year => "year",
        }
    }
}

/// What a branch must have for a meeting to be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Committee,
    Groups,
}

impl Needs {
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "nothing" => Self::Nothing,
            "committee" => Self::Committee,
            "groups" => Self::Groups,
            _ => return None,
        })
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Committee => "committee",
            Self::Groups => "groups",
        }
    }
}

/// A kind of meeting that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty {
    /// Meetings in each period; 0: not due.
    pub times: u32,
    pub per: Per,
    pub needs: Needs,
    /// Kinds of branches it is due in.
    pub branches: BTreeSet<String>,
}

/// Who should attend (应到), and what counts as having done so. All are codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    pub stages: BTreeSet<String>,
    pub standings: BTreeSet<String>,
    pub attended: BTreeSet<String>,
    pub made_up: BTreeSet<String>,
    pub excluded: BTreeSet<String>,
}

/// What a post goes through before it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// 1: 初审; 2: and 复审; 3: and 终审.
    pub rounds: u32,
    pub secrecy: bool,
    /// Who reviews: `own`, the author's unit; `head`, head office. Where both do, head office does the last
    /// round, if that is not the only one.
    pub by: BTreeSet<String>,
}

impl Review {
    /// What a submission carries of it.
    pub fn asked(&self) -> Reviews {
        let rounds = self.rounds as usize;
        let (own, head) = (self.by.contains("own"), self.by.contains("head"));
        let reviewer = |round: usize| match head && (!own || (round > 1 && round == rounds)) {
            true => Reviewer::HeadOffice,
            false => Reviewer::Own,
        };
        Reviews::new((1..=rounds).map(reviewer).collect(), self.secrecy).unwrap_or_default()
    }
}

/// A rule pack, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePack {
    /// The record it is from; none for the program's own.
    pub id: Option<DocId>,
    pub title: String,
    /// First day it is in force; none: always was.
    pub effective: Option<Day>,
    /// By kind of meeting.
    pub duties: BTreeMap<String, Duty>,
    pub counting: Counting,
    /// By kind of post, by column, and under `*` for all others.
    pub reviews: BTreeMap<String, Review>,
}

/// Why a pack is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    #[error("rule pack '{title}' has no effective date")]
    NoDate { title: String },
    #[error(
        "rule pack '{title}', duty '{kind}': times is 0 to 31, per is month, quarter, half or year"
    )]
    Duty { title: String, kind: String },
    #[error("rule pack '{title}', review '{kind}': rounds is 1 to 3, by is own, head or both")]
    Review { title: String, kind: String },
}

/// Most meetings of a kind in a period.
const TIMES_MAX: i64 = 31;

fn codes(codes: &[&str]) -> BTreeSet<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

impl RulePack {
    /// The pack of the program: 三会一课 and what goes with it.
    pub fn standard() -> Self {
        use Needs::{Committee, Groups, Nothing};
        let duty = |times, per, needs, branches: &[&str]| Duty {
            times,
            per,
            needs,
            branches: codes(branches),
        };
        // A temporary branch meets as others do, but neither appraises its members nor reports on a year.
        let all = &["branch", "temporary"][..];
        let standing = &["branch"][..];
        let duties = [
            ("general", duty(1, Per::Quarter, Nothing, all)),
            ("committee", duty(1, Per::Month, Committee, &["branch", "general", "committee"])),
            ("group", duty(1, Per::Month, Groups, standing)),
            ("theme_day", duty(1, Per::Month, Nothing, all)),
            ("lecture", duty(1, Per::Quarter, Nothing, all)),
            ("org_life", duty(1, Per::Year, Nothing, standing)),
            ("appraisal", duty(1, Per::Year, Nothing, standing)),
        ];
        let review = |rounds, secrecy, by: &[&str]| Review { rounds, secrecy, by: codes(by) };
        let reviews = [
            ("clipping", review(1, false, &["own"])),
            ("work", review(2, false, &["own", "head"])),
            ("*", review(3, true, &["own", "head"])),
        ];
        let own = |(kind, rule): (&str, _)| (kind.to_owned(), rule);
        Self {
            id: None,
            title: "三会一课".to_owned(),
            effective: None,
            duties: duties.into_iter().map(own).collect(),
            counting: Counting {
                stages: codes(&["probationary", "full"]),
                standings: codes(&["normal", "on_probation_discipline"]),
                attended: codes(&["present", "late", "online"]),
                made_up: codes(&["makeup"]),
                excluded: codes(&["excluded"]),
            },
            reviews: reviews.into_iter().map(|(kind, r)| (kind.to_owned(), r)).collect(),
        }
    }

    /// This pack, changed by a record's fields.
    pub fn changed_by(&self, id: DocId, fields: &Value) -> Result<Self, PackError> {
        let title = fields["title"].as_str().unwrap_or_default().to_owned();
        let no_date = || PackError::NoDate { title: title.clone() };
        let effective = fields["effective"].as_str().and_then(Day::parse).ok_or_else(no_date)?;
        let mut pack =
            Self { id: Some(id), title: title.clone(), effective: Some(effective), ..self.clone() };
        for (kind, stated) in fields["duties"].as_object().into_iter().flatten() {
            let error = || PackError::Duty { title: title.clone(), kind: kind.clone() };
            let duty = pack.duty(kind, stated).ok_or_else(error)?;
            pack.duties.insert(kind.clone(), duty);
        }
        for (kind, stated) in fields["reviews"].as_object().into_iter().flatten() {
            let error = || PackError::Review { title: title.clone(), kind: kind.clone() };
            let review = pack.review(kind, stated).ok_or_else(error)?;
            pack.reviews.insert(kind.clone(), review);
        }
        let counting = &mut pack.counting;
        let sets = [
            ("stages", &mut counting.stages),
            ("standings", &mut counting.standings),
            ("attended", &mut counting.attended),
            ("made_up", &mut counting.made_up),
            ("excluded", &mut counting.excluded),
        ];
        for (name, set) in sets {
            if let Some(stated) = texts(&fields[name]) {
                *set = stated;
            }
        }
        Ok(pack)
    }

    fn duty(&self, kind: &str, stated: &Value) -> Option<Duty> {
        let before = self.duties.get(kind);
        let times = stated["times"].as_i64().filter(|n| (0..=TIMES_MAX).contains(n))?;
        let needs = match stated["needs"].as_str() {
            Some(code) => Needs::of(code)?,
            None => before.map_or(Needs::Nothing, |duty| duty.needs),
        };
        let branches = texts(&stated["branches"])
            .or_else(|| before.map(|duty| duty.branches.clone()))
            .unwrap_or_else(|| codes(&["branch"]));
        Some(Duty { times: times as u32, per: Per::of(stated["per"].as_str()?)?, needs, branches })
    }

    fn review(&self, kind: &str, stated: &Value) -> Option<Review> {
        let before = self.reviews.get(kind).or_else(|| self.reviews.get("*"));
        let rounds = stated["rounds"].as_i64().filter(|n| (1..=ROUNDS_MAX as i64).contains(n))?;
        let secrecy = stated["secrecy"].as_bool().or(before.map(|r| r.secrecy));
        let by = texts(&stated["by"]).or_else(|| before.map(|r| r.by.clone())).unwrap_or_default();
        if by.iter().any(|unit| Reviewer::of(unit).is_none()) {
            return None;
        }
        Some(Review { rounds: rounds as u32, secrecy: secrecy.unwrap_or(false), by })
    }

    /// The reviews a post goes through: those of its kind, else of its column, else of all others.
    pub fn review_of(&self, kind: &str, column: &str) -> Option<&Review> {
        [kind, column, "*"].into_iter().find_map(|key| self.reviews.get(key))
    }

    /// The reviews a post goes through that is submitted with these edits.
    pub fn asked_of(&self, post: &Record, edits: &Edits) -> Reviews {
        let text = |field| edits.text_after(post, field);
        self.review_of(&text("kind"), &text("column")).map(Review::asked).unwrap_or_default()
    }

    pub fn to_json(&self) -> Value {
        let duties = self.duties.iter().map(|(kind, duty)| {
            let value = json!({
                "times": duty.times,
                "per": duty.per.code(),
                "needs": duty.needs.code(),
                "branches": duty.branches,
            });
            (kind.clone(), value)
        });
        let reviews = self.reviews.iter().map(|(kind, review)| {
            let value =
                json!({ "rounds": review.rounds, "secrecy": review.secrecy, "by": review.by });
            (kind.clone(), value)
        });
        json!({
            "id": self.id,
            "title": self.title,
            "effective": self.effective.map(|day| day.to_string()),
            "duties": duties.collect::<serde_json::Map<_, _>>(),
            "reviews": reviews.collect::<serde_json::Map<_, _>>(),
            "stages": self.counting.stages,
            "standings": self.counting.standings,
            "attended": self.counting.attended,
            "made_up": self.counting.made_up,
            "excluded": self.counting.excluded,
        })
    }
}

/// A set that says something.
fn texts(value: &Value) -> Option<BTreeSet<String>> {
    let texts = value.as_array().filter(|items| !items.is_empty())?;
    Some(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The packs of a federation, each in force from its day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packs {
    /// By effective day, the program's own first.
    packs: Vec<RulePack>,
    /// Records that make no pack, and why: they are left out and shown.
    pub errors: Vec<PackError>,
}

impl Packs {
    /// From `rule-pack` records. Each changes the one in force before it; of two effective on one day the
    /// one with the greater id comes later.
    pub fn of(records: impl IntoIterator<Item = (DocId, Value)>) -> Self {
        let mut records: Vec<_> = records.into_iter().collect();
        records.sort_by(|(a, x), (b, y)| {
            (x["effective"].as_str(), a).cmp(&(y["effective"].as_str(), b))
        });
        let mut out = Self { packs: vec![RulePack::standard()], errors: Vec::new() };
        for (id, fields) in records {
            // INVARIANT: the program's own is always there.
            let before = out.packs.last().expect("a first pack");
            match before.changed_by(id, &fields) {
                Ok(pack) => out.packs.push(pack),
                Err(error) => out.errors.push(error),
            }
        }
        out
    }

    /// The pack in force on a day.
    pub fn on(&self, day: Day) -> &RulePack {
        let later = self.packs.partition_point(|pack| pack.effective <= Some(day));
        &self.packs[later.saturating_sub(1)]
    }

    /// Kinds of meetings that any of them asks for.
    pub fn kinds(&self) -> BTreeSet<&str> {
        let duties = self.packs.iter().flat_map(|pack| &pack.duties);
        duties.filter(|(_, duty)| duty.times > 0).map(|(kind, _)| kind.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(records: &[Value]) -> Packs {
        Packs::of(records.iter().enumerate().map(|(i, v)| (DocId([i as u8; 16]), v.clone())))
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_pack_stands_from_its_day_on_and_says_only_what_it_changes() {
        let packs = packs(&[
            json!({
                "title": "b", "effective": "2018-07-01",
                "duties": { "general": { "times": 2, "per": "quarter" } },
            }),
            json!({
                "title": "a", "effective": "2018-01-01",
                "duties": { "lecture": { "times": 0, "per": "quarter" } },
                "excluded": ["excluded", "leave"],
            }),
        ]);
        assert_eq!(packs.on(day("2017-12-31")), &RulePack::standard());
        let (first, second) = (packs.on(day("2018-01-01")), packs.on(day("2018-07-01")));
        assert_eq!((first.title.as_str(), second.title.as_str()), ("a", "b"));
        assert_eq!((first.duties["general"].times, second.duties["general"].times), (1, 2));
        assert_eq!(second.duties["general"].branches, first.duties["general"].branches);
        assert_eq!(second.duties["lecture"].times, 0, "what came before stays");
        assert!(second.counting.excluded.contains("leave"));
        assert!(packs.kinds().contains("lecture"), "it was due once");
    }

    #[test]
    fn a_pack_that_is_none_is_left_out_and_told() {
        let bad_duty = json!({ "general": { "times": 1, "per": "week" } });
        let packs = packs(&[
            json!({ "title": "x" }),
            json!({ "title": "y", "effective": "2018-01-01", "duties": bad_duty }),
            json!({ "title": "z", "effective": "2018-01-01", "reviews": { "*": { "rounds": 9 } } }),
            json!({ "title": "z", "effective": "2018-01-01", "reviews": { "*": { "rounds": 0 } } }),
            json!({ "title": "z", "effective": "2018-01-01",
                "reviews": { "*": { "rounds": 1, "by": ["yancheng"] } } }),
        ]);
        assert_eq!(packs.on(day("2019-01-01")), &RulePack::standard());
        assert_eq!(packs.errors.len(), 5);
    }

    #[test]
    fn a_post_is_reviewed_by_its_kind_then_its_column_then_as_all_others() {
        let packs = packs(&[json!({
            "title": "r", "effective": "2018-01-01",
            "reviews": { "news": { "rounds": 2 }, "culture": { "rounds": 1, "by": ["head"] } },
        })]);
        let pack = packs.on(day("2018-01-01"));
        let rounds = |kind, column| pack.review_of(kind, column).map(|r| r.rounds);
        assert_eq!(rounds("clipping", "news"), Some(1));
        assert_eq!(rounds("policy", "news"), Some(2));
        assert_eq!(rounds("policy", "style"), Some(3));
        let asked = |kind, column| pack.review_of(kind, column).unwrap().asked().to_json();
        let says = |rounds: &[&str], secrecy| json!({ "rounds": rounds, "secrecy": secrecy });
        assert_eq!(asked("clipping", "news"), says(&["own"], false));
        assert_eq!(
            asked("policy", "news"),
            says(&["own", "head"], true),
            "as all others but for this"
        );
        assert_eq!(asked("policy", "culture"), says(&["head"], true));
        assert_eq!(asked("policy", "style"), says(&["own", "own", "head"], true));
    }

    #[test]
    fn a_pack_reads_back() {
        let standard = RulePack::standard();
        let mut fields = standard.to_json();
        fields["effective"] = json!("2018-01-01");
        let read = standard.changed_by(DocId([1; 16]), &fields).unwrap();
        assert_eq!((&read.duties, &read.counting), (&standard.duties, &standard.counting));
        assert_eq!(read.reviews, standard.reviews);
    }
}
