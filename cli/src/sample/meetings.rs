//! Four years of meetings by the default rule pack, and a few beyond it.
//!
//! Every required meeting of 2015 to 2018 was held by 2018-12-11, so a complete node shows a
//! complete matrix, and the number of meetings is arithmetic, not chance.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::calendar::{FIRST_YEAR, LAST_DAY, LAST_YEAR, days_between, instant, workday};
use super::phrases as p;
use super::prose::{Facts, draw, minutes};
use super::rng::Rng;
use super::roster::{Person, SampleBranch};

/// How often a kind of meeting is held.
#[derive(Debug, Clone, Copy)]
enum Cadence {
    Monthly,
    /// In one month of each quarter.
    Quarterly,
    /// In this month of each year.
    Yearly(usize),
    /// In this month of one year.
    Once(i16, usize),
}

/// Which branches hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    /// Not where a branch has no committee and no groups.
    WithCommittee,
    /// In a unit's first branch, for all of the unit.
    FirstBranch,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    kind: &'static str,
    title: &'static str,
    cadence: Cadence,
    held: Where,
    /// Days of the month it usually falls on, clear of the holidays that open one.
    days: (usize, usize),
}

const fn rule(
    kind: &'static str,
    title: &'static str,
    cadence: Cadence,
    held: Where,
    days: (usize, usize),
) -> Rule {
    Rule { kind, title, cadence, held, days }
}

/// The first seven are the default rule pack; the others are what offices do besides.
const RULES: [Rule; 12] = [
    rule("general", "党员大会", Cadence::Quarterly, Where::Everywhere, (8, 24)),
    rule("committee", "支部委员会会议", Cadence::Monthly, Where::WithCommittee, (8, 12)),
    rule("group", "党小组会", Cadence::Monthly, Where::WithCommittee, (13, 20)),
    rule("theme_day", "主题党日", Cadence::Monthly, Where::Everywhere, (8, 24)),
    rule("lecture", "专题党课", Cadence::Quarterly, Where::Everywhere, (8, 24)),
    rule("org_life", "组织生活会", Cadence::Yearly(11), Where::Everywhere, (12, 24)),
    rule("appraisal", "民主评议党员", Cadence::Yearly(12), Where::Everywhere, (3, 9)),
    rule("talk", "谈心谈话", Cadence::Yearly(6), Where::Everywhere, (8, 24)),
    rule("rally", "誓师动员大会", Cadence::Yearly(3), Where::FirstBranch, (1, 10)),
    rule("study", "座谈讨论", Cadence::Yearly(8), Where::FirstBranch, (8, 24)),
    rule("seminar", "党建品牌研讨会", Cadence::Yearly(9), Where::FirstBranch, (8, 24)),
    rule("election", "换届选举大会", Cadence::Once(2016, 7), Where::Everywhere, (12, 24)),
];

const YEARS: usize = (LAST_YEAR - FIRST_YEAR + 1) as usize;

impl Cadence {
    /// How often in the sample's four years.
    const fn times(self) -> usize {
        match self {
            Self::Monthly => 12 * YEARS,
            Self::Quarterly => 4 * YEARS,
            Self::Yearly(_) => YEARS,
            Self::Once(..) => 1,
        }
    }

    fn falls_in(self, rng: &mut Rng) -> Vec<(i16, usize)> {
        let years = FIRST_YEAR..=LAST_YEAR;
        match self {
            Self::Monthly => years.flat_map(|y| (1..=12).map(move |m| (y, m))).collect(),
            Self::Quarterly => years
                .flat_map(|y| (0..4).map(move |q| (y, q)))
                // The last December is cut short, so the fourth quarter's is held before it.
                .map(|(y, q)| (y, q * 3 + 1 + rng.below(if q == 3 { 2 } else { 3 })))
                .collect(),
            Self::Yearly(month) => years.map(|y| (y, month)).collect(),
            Self::Once(year, month) => vec![(year, month)],
        }
    }
}

impl Rule {
    fn is_held_in(&self, branch: &SampleBranch, is_first: bool) -> bool {
        match self.held {
            Where::Everywhere => true,
            Where::WithCommittee => branch.has_committee(),
            Where::FirstBranch => is_first,
        }
    }

    fn day(&self, rng: &mut Rng, year: i16, month: usize) -> Date {
        let is_cut_short = (year, month) == (LAST_DAY.year(), LAST_DAY.month() as usize);
        let (first, last) = if is_cut_short { (3, 10) } else { self.days };
        workday(rng, year, month, first, last)
    }
}

/// How many meetings of each kind a branch holds from 2015 to 2018, in the order of the rules.
pub(super) fn counts(
    branch: &SampleBranch,
    is_first: bool,
) -> impl Iterator<Item = (&'static str, usize)> + use<'_> {
    RULES
        .iter()
        .filter(move |rule| rule.is_held_in(branch, is_first))
        .map(|rule| (rule.kind, rule.cadence.times()))
}

/// One meeting to be told: which rule, which day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    day: Date,
    rule: &'static Rule,
}

/// A branch's meetings in order of time.
pub(super) fn slots(rng: &mut Rng, branch: &SampleBranch, is_first: bool) -> Vec<Slot> {
    let mut slots = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.is_held_in(branch, is_first)) {
        for (year, month) in rule.cadence.falls_in(rng) {
            slots.push(Slot { day: rule.day(rng, year, month), rule });
        }
    }
    slots.sort_by_key(|slot| slot.day);
    slots
}

/// Everything a meeting is told from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) unit_name: &'a str,
    pub(super) branch: &'a SampleBranch,
    /// The branch's people; the first ones lead it.
    pub(super) people: &'a [Person],
}

impl Scene<'_> {
    pub(super) fn fields(&self, rng: &mut Rng, slot: Slot) -> Map<String, Value> {
        let Slot { day, rule } = slot;
        let kind = rule.kind;
        let topic = rng.pick(p::LECTURE_TOPICS);
        let activity = rng.pick(p::THEME_DAYS);
        let (host, recorder) = (&self.people[0], &self.people[2]);
        let attendance = self.attendance(rng, slot);
        let facts = Facts {
            unit: self.unit_name,
            branch: &self.branch.name_zh,
            author: &host.name,
            author_is_female: host.is_female,
            day,
            theme: p::THEMES[usize::from(day.year().abs_diff(FIRST_YEAR))],
            activity,
            topic,
        };
        let opening = opening(&facts, &attendance);

        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.into(), value);
        set("kind", json!(kind));
        set("branch", json!(self.branch.code));
        set("title", json!(title(self, day, rule, activity)));
        if matches!(kind, "lecture" | "theme_day" | "study") {
            set("topic", json!(if kind == "theme_day" { activity } else { topic }));
        }
        if kind == "lecture" {
            set("lecturer", json!(self.people[rng.below(2)].name));
        }
        let place = rng.pick(p::PLACES);
        set("place", json!(place));
        set("host", json!(host.name));
        set("recorder", json!(recorder.name));
        let planned = rng.pick(&[540, 570, 840, 870, 900, 930]);
        let start = planned + rng.below(6);
        set("planned", json!(instant(day, planned)));
        set("start", json!(instant(day, start)));
        set("end", json!(instant(day, start + rng.between(40, 150))));
        set("agenda", json!(agenda(rng, &facts, kind)));
        let minutes = minutes(rng, &facts, kind, &opening);
        set("attendance", Value::Object(attendance));
        set("minutes", json!(minutes));
        set("status", json!(status(rng, day)));
        fields
    }

    /// Who should be there and how it went, by member id. Leaders who host, record or lecture are
    /// always present.
    fn attendance(&self, rng: &mut Rng, slot: Slot) -> Map<String, Value> {
        let Slot { day, rule } = slot;
        let kind = rule.kind;
        let wide = matches!(kind, "theme_day" | "lecture" | "rally" | "study");
        // The groups meet in turns, each with the leaders it has.
        let group = usize::from(day.month().unsigned_abs()) % self.branch.groups.max(1);
        let mut attendance = Map::new();
        for (place, person) in self.people.iter().enumerate() {
            let expected = match kind {
                "committee" => place < 5,
                "talk" => place < 4,
                "group" => place < 3 || place % self.branch.groups.max(1) == group,
                _ => person.takes_part(day, wide),
            };
            if expected && person.takes_part(day, wide) {
                let value = if place < 3 { "present" } else { how(rng) };
                attendance.insert(person.id.to_string(), json!(value));
            }
        }
        attendance
    }
}

fn how(rng: &mut Rng) -> &'static str {
    const HOW: [&str; 7] = ["present", "late", "leave", "absent", "excluded", "makeup", "online"];
    HOW[rng.weighted(&[860, 15, 50, 5, 20, 25, 25])]
}

fn opening(facts: &Facts<'_>, attendance: &Map<String, Value>) -> String {
    let count = |codes: &[&str]| {
        attendance.values().filter(|v| v.as_str().is_some_and(|v| codes.contains(&v))).count()
    };
    let expected = attendance.len() - count(&["excluded"]);
    let present = count(&["present", "late", "online"]);
    format!("会议由{}同志主持，应到{expected}人，实到{present}人。", facts.author)
}

fn title(scene: &Scene<'_>, day: Date, rule: &Rule, activity: &str) -> String {
    let branch = &scene.branch.name_zh;
    let (year, month) = (day.year(), day.month());
    match rule.cadence {
        Cadence::Monthly if rule.kind == "theme_day" => {
            format!("{branch}{year}年{month}月{}：{activity}", rule.title)
        }
        Cadence::Monthly => format!("{branch}{year}年{month}月{}", rule.title),
        Cadence::Quarterly => {
            format!("{branch}{year}年第{}季度{}", (month - 1) / 3 + 1, rule.title)
        }
        Cadence::Yearly(_) if rule.held == Where::FirstBranch => {
            format!("{}{year}年{}", scene.unit_name, rule.title)
        }
        Cadence::Yearly(_) | Cadence::Once(..) => format!("{branch}{year}年度{}", rule.title),
    }
}

fn agenda(rng: &mut Rng, facts: &Facts<'_>, kind: &str) -> Vec<String> {
    let count = rng.between(2, 4);
    let mut templates = draw(rng, p::AGENDA, count);
    if matches!(kind, "committee" | "general") {
        templates.extend(draw(rng, p::AGENDA_BUSINESS, 1));
        templates.extend(draw(rng, p::AGENDA_INTEGRITY, 1));
    }
    templates.into_iter().map(|template| facts.tell(rng, template)).collect()
}

/// Older minutes are archived, this autumn's confirmed, the last fortnight's not yet; a few of
/// this year's were forgotten, which is what head office looks for.
fn status(rng: &mut Rng, day: Date) -> &'static str {
    let forgotten = rng.chance(20);
    match days_between(day, LAST_DAY) {
        ..=14 => "held",
        15..=300 if forgotten => "held",
        15..=90 => "confirmed",
        _ => "archived",
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::calendar::plus_days;
    use super::*;

    fn branch(groups: usize) -> SampleBranch {
        SampleBranch {
            code: "nantong-1".into(),
            name_zh: "第一党支部".into(),
            unit: 1,
            members: 10,
            groups,
        }
    }

    #[test]
    fn slots_are_as_many_as_counted_and_in_time() {
        for (groups, is_first, expected) in [(2, true, 201), (2, false, 189), (0, false, 93)] {
            let branch = branch(groups);
            let slots = slots(&mut Rng::new(9), &branch, is_first);
            let counted: usize = counts(&branch, is_first).map(|(_, n)| n).sum();
            assert_eq!((slots.len(), counted), (expected, expected));
            assert!(slots.is_sorted_by_key(|slot| slot.day));
            assert!(slots[0].day >= date(2015, 1, 1));
            assert!(slots[slots.len() - 1].day <= LAST_DAY);
        }
    }

    #[test]
    fn every_period_has_what_is_due() {
        let slots = slots(&mut Rng::new(2), &branch(2), true);
        for year in FIRST_YEAR..=LAST_YEAR {
            let of = |kind: &str, months: std::ops::RangeInclusive<i8>| {
                let here = |s: &&Slot| s.day.year() == year && months.contains(&s.day.month());
                slots.iter().filter(here).filter(|s| s.rule.kind == kind).count()
            };
            for month in 1..=12 {
                for kind in ["committee", "group", "theme_day"] {
                    assert_eq!(of(kind, month..=month), 1, "{kind} in {year}-{month}");
                }
            }
            for first in [1, 4, 7, 10] {
                for kind in ["general", "lecture"] {
                    assert_eq!(of(kind, first..=first + 2), 1, "{kind} from {year}-{first}");
                }
            }
            assert_eq!((of("org_life", 1..=12), of("appraisal", 1..=12)), (1, 1));
        }
    }

    #[test]
    fn fresh_minutes_are_unconfirmed_and_old_ones_archived() {
        let mut rng = Rng::new(1);
        assert_eq!(status(&mut rng, plus_days(LAST_DAY, -3)), "held");
        assert_eq!(status(&mut rng, date(2016, 3, 1)), "archived");
    }
}
