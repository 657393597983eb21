//! Head office's figures: rows of the views and the freshness of units, handed to [`fenbu_protocol::duty`].
//!
//! Everything in this file blocks on disk, as [`crate::records`] does.

mod marks;
mod matters;
mod rows;

use crate::records::{RecordError, Records, Save, Saved};
use crate::store::StoreError;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::duty::{
    Day, Difference, Figures, Gathered, Grouping, Packs, Period, PeriodError, PostsBy, RulePack,
    SealError, Sealed, Table, Unit, attendance, directives, ledgers, matrix, overdue, posts,
    programmes, roster, temporary,
};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::{Edits, Schema, schema, schema_named};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

pub use marks::{keep_marks, mark_if_due, mark_now};
pub(crate) use rows::{Row, packs};

/// The reports there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Matrix,
    Posts,
    Attendance,
    Roster,
    Overdue,
    Temporary,
    Programmes,
    Directives,
    Ledgers,
}

impl Report {
    pub const ALL: [(&'static str, Self); 9] = [
        ("matrix", Self::Matrix),
        ("posts", Self::Posts),
        ("attendance", Self::Attendance),
        ("roster", Self::Roster),
        ("overdue", Self::Overdue),
        ("temporary", Self::Temporary),
        ("programmes", Self::Programmes),
        ("directives", Self::Directives),
        ("ledgers", Self::Ledgers),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, report)| report)
    }

    pub fn name(self) -> &'static str {
        // INVARIANT: all of them are listed.
        Self::ALL.into_iter().find(|(_, report)| *report == self).expect("a listed report").0
    }

    /// Whether its figures are made of records that only a unit's own readers read.
    fn looks_into_units(self) -> bool {
        matches!(self, Self::Matrix | Self::Attendance | Self::Roster | Self::Overdue)
    }

    /// What its lines can stand for, the usual first.
    pub(crate) fn groupings(self) -> &'static [&'static str] {
        match self {
            Self::Posts => &["unit", "month", "author"],
            Self::Attendance | Self::Roster => &["unit", "branch"],
            _ => &[],
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// As [`Period::parse`] takes it; this year if not given.
    pub period: Option<String>,
    /// Only this unit's lines.
    pub unit: Option<String>,
    /// What the lines stand for, where a report knows several.
    pub by: Option<String>,
    /// `LINE/COLUMN`: also the records behind this cell.
    pub explain: Option<String>,
}

/// Why there is no report; each says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReportError {
    #[error("there is no report '{0}'; there are: {1}")]
    Unknown(String, String),
    #[error(transparent)]
    Period(#[from] PeriodError),
    #[error("there is no unit '{0}'; see `fenbu directory`")]
    Unit(String),
    #[error(
        "this node does not read what unit '{0}' keeps for itself; ask that unit, or head office"
    )]
    Unreadable(String),
    #[error("this report has no lines by '{by}'; there are: {known}")]
    Grouping { by: String, known: String },
    #[error("there is no cell '{0}': say LINE/COLUMN, as -o json names them, or total/COLUMN")]
    Cell(String),
    #[error("{period} is not over before {end}: figures are sealed after it")]
    NotOver { period: String, end: String },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        Self::Record(error.into())
    }
}

/// A record behind a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    pub id: DocId,
    /// Singular name of its kind.
    pub kind: &'static str,
    pub unit: Option<String>,
}

/// A report, and what it rests on.
#[derive(Debug)]
pub struct Made {
    pub report: Report,
    pub period: Period,
    pub table: Table,
    pub units: Vec<Unit>,
    /// The rules in force at the period's end.
    pub rules: RulePack,
    /// What a reader should know of the figures, in English.
    pub remarks: Vec<String>,
    pub now_ms: u64,
}

/// A sealed report beside what the same question gives now.
#[derive(Debug)]
pub struct Compared {
    pub sealed: Sealed,
    pub now: Made,
    pub differences: Vec<Difference>,
}

/// One look at the records.
struct Look<'a> {
    records: &'a Records,
    directory: Arc<Directory>,
    readable: Vec<SpaceId>,
    now_ms: u64,
    period: Period,
    /// The only unit that is asked for.
    wanted: Option<&'a str>,
    /// Up to when things are looked at: today, or the period's last day.
    today: Day,
    remarks: Vec<String>,
}

impl Records {
    /// Makes a report.
    ///
    /// # Errors
    /// What was asked makes no sense, or the store fails.
    pub fn report(&self, report: Report, query: &ReportQuery) -> Result<Made, ReportError> {
        self.report_at(report, query, self.shared.clock.now_ms())
    }

    /// Likewise as of a time, which says what is over.
    fn report_at(
        &self,
        report: Report,
        query: &ReportQuery,
        now_ms: u64,
    ) -> Result<Made, ReportError> {
        let today = Day::of_ms(now_ms as i64);
        let period = Period::parse(query.period.as_deref().unwrap_or("this-year"), today)?;
        let by = grouping(report, query.by.as_deref())?;
        let mut look = Look {
            records: self,
            directory: self.shared.directory.now(),
            readable: self.shared.readable(),
            now_ms,
            period,
            wanted: query.unit.as_deref(),
            today: today.min(period.end().plus(-1)),
            remarks: Vec::new(),
        };
        let units = look.units(report)?;
        let packs = look.packs()?;
        look.remarks.extend(packs.errors.iter().map(ToString::to_string));
        let mut table = look.table(report, by, &units, &packs)?;
        if report != Report::Matrix {
            table.mark_unsynced(&units, period, now_ms);
        }
        let rules = packs.on(period.end().plus(-1)).clone();
        Ok(Made { report, period, table, units, rules, remarks: look.remarks, now_ms })
    }

    /// The records behind a cell of a report.
    pub fn explain(&self, made: &Made, cell: &str) -> Result<Vec<Behind>, ReportError> {
        let found = made.table.cell(cell).ok_or_else(|| ReportError::Cell(cell.to_owned()))?;
        let ids: BTreeSet<DocId> = found.ids.iter().copied().collect();
        let directory = self.shared.directory.now();
        let readable = self.shared.readable();
        let mut out = Vec::new();
        for id in ids {
            let places = self.shared.readers.with(|r| r.find_document(None, &id.to_string()))?;
            for place in places.into_iter().filter(|place| readable.contains(&place.space)) {
                let unit = directory.space(&place.space).and_then(|space| space.unit.clone());
                out.extend(schema(place.kind).map(|s| Behind { id, kind: s.name, unit }));
            }
        }
        Ok(out)
    }

    /// Seals a report of a period that is over.
    pub fn seal(
        &self,
        report: Report,
        query: &ReportQuery,
        account: &str,
    ) -> Result<(Sealed, Saved), ReportError> {
        let made = self.report(report, query)?;
        let end = made.period.end();
        if Day::of_ms(made.now_ms as i64) < end {
            let (period, end) = (made.period.to_string(), end.to_string());
            return Err(ReportError::NotOver { period, end });
        }
        let unit = query.unit.as_deref().unwrap_or_default();
        let (name, period) = (report.name(), made.period.to_string());
        let sealed = Sealed::new(name, &period, unit, &made.table, &made.units, made.now_ms);
        let schema = sealed_schema();
        let edits = Edits::from_json(schema, &sealed.to_fields()).map_err(RecordError::from)?;
        let space = self.home(schema, None)?;
        let save = Save { schema, space, document: sealed.id(), edits };
        let saved = self.save_all(&[save], account)?.remove(0);
        Ok((sealed, saved))
    }

    /// What reads otherwise now than when a report was sealed (补报).
    pub fn compare(&self, prefix: &str) -> Result<Compared, ReportError> {
        let shown = self.show(sealed_schema(), prefix)?;
        let sealed = Sealed::of_fields(shown.document, &shown.record.to_json())?;
        let unknown = || SealError::Unreadable(shown.document);
        let report = Report::named(&sealed.report).ok_or_else(unknown)?;
        let query = ReportQuery {
            period: Some(sealed.period.clone()),
            unit: Some(sealed.unit.clone()).filter(|unit| !unit.is_empty()),
            ..ReportQuery::default()
        };
        let now = self.report(report, &query)?;
        let differences = sealed.figures.compare(&Figures::of(&now.table));
        Ok(Compared { sealed, now, differences })
    }
}

fn sealed_schema() -> &'static Schema {
    // INVARIANT: the kind is this version's own.
    schema_named("sealed-report").expect("a kind of ours")
}

/// What the lines shall stand for; the report's usual if nobody says.
fn grouping(report: Report, by: Option<&str>) -> Result<&'static str, ReportError> {
    let known = report.groupings();
    match by {
        None => Ok(known.first().copied().unwrap_or_default()),
        Some(by) => known.iter().find(|k| **k == by).copied().ok_or_else(|| {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            ReportError::Grouping { by: by.to_owned(), known }
        }),
    }
}

impl Records {
    /// Every unit this node reads, and how fresh its data is here.
    pub fn units(&self) -> Result<Vec<Unit>, StoreError> {
        let (directory, readable) = (self.shared.directory.now(), self.shared.readable());
        let mut fresh = marks::freshness_of_units(self, true, self.shared.clock.now_ms())?;
        let reads = |code: &str| {
            directory.unit_space(code).is_some_and(|space| readable.contains(&space.id))
        };
        let units = directory.units().filter(|unit| reads(&unit.code)).map(|unit| Unit {
            code: unit.code.clone(),
            name: unit.name.clone(),
            freshness: fresh.remove(&unit.code).unwrap_or_default(),
        });
        Ok(units.collect())
    }
}

impl Look<'_> {
    /// The units whose figures this node can tell, each with its freshness.
    fn units(&self, report: Report) -> Result<Vec<Unit>, ReportError> {
        let wanted = self.wanted;
        let into = report.looks_into_units();
        let reads = |code: &str| {
            self.directory.unit_space(code).is_some_and(|space| self.readable.contains(&space.id))
        };
        if let Some(code) = wanted {
            if self.directory.unit(code).is_none() {
                return Err(ReportError::Unit(code.to_owned()));
            }
            if into && !reads(code) {
                return Err(ReportError::Unreadable(code.to_owned()));
            }
        }
        let mut fresh = marks::freshness_of_units(self.records, into, self.now_ms)?;
        let shown = self.directory.units().filter(|u| wanted.is_none_or(|code| code == u.code));
        let shown = shown.filter(|unit| !into || reads(&unit.code));
        let mut units: Vec<Unit> = shown
            .map(|unit| Unit {
                code: unit.code.clone(),
                name: unit.name.clone(),
                freshness: fresh.remove(&unit.code).unwrap_or_default(),
            })
            .collect();
        // Head office comes first, wherever its code stands.
        let head = self.directory.head_office();
        units.sort_by_key(|unit| (unit.code != head, unit.code.clone()));
        Ok(units)
    }

    fn table(
        &mut self,
        report: Report,
        by: &str,
        units: &[Unit],
        packs: &Packs,
    ) -> Result<Table, ReportError> {
        let (period, today) = (self.period, self.today);
        let named: Vec<(String, String)> =
            units.iter().map(|u| (u.code.clone(), u.name.clone())).collect();
        Ok(match report {
            Report::Matrix => {
                let (branches, meetings) = (self.branches(units)?, self.meetings()?);
                self.remark_strays(&branches, meetings.iter().map(|m| m.branch.as_str()));
                matrix(&branches, &meetings, packs, period, units, self.now_ms)
            }
            Report::Posts => posts(&named, &self.posts(units)?, period, posts_by(by)),
            Report::Attendance => self.attendance(units, &named, packs, by)?,
            Report::Roster => {
                let lines = match by {
                    "branch" => self.branch_lines(units)?,
                    _ => named.iter().map(|(c, n)| (c.clone(), c.clone(), n.clone())).collect(),
                };
                roster(&lines, by == "branch", &self.members()?, &self.transfers()?, today)
            }
            Report::Overdue => overdue(&named, &self.matters()?, today),
            Report::Temporary => temporary(&self.temporary()?, &self.meetings()?, period, today),
            Report::Programmes => programmes(&self.activities(units)?, period),
            Report::Directives => {
                directives(&self.directives()?, &self.branches(units)?, period, today)
            }
            Report::Ledgers => ledgers(&named, &self.adoptions()?, &self.honours()?, period),
        })
    }

    fn attendance(
        &mut self,
        units: &[Unit],
        named: &[(String, String)],
        packs: &Packs,
        by: &str,
    ) -> Result<Table, ReportError> {
        let (branches, meetings) = (self.branches(units)?, self.attended()?);
        self.remark_strays(&branches, meetings.iter().map(|m| m.branch.as_str()));
        let (members, terms) = (self.members()?, self.terms()?);
        let (seconded, credited) = (self.records.secondments()?, self.credited()?);
        let from = Gathered {
            branches: &branches,
            units: named,
            meetings: &meetings,
            members: &members,
            terms: &terms,
            seconded: &seconded,
            credited: &credited,
        };
        let by = if by == "branch" { Grouping::Branch } else { Grouping::Unit };
        Ok(attendance(from, packs, self.period, by))
    }
}

fn posts_by(by: &str) -> PostsBy {
    match by {
        "month" => PostsBy::Month,
        "author" => PostsBy::Author,
        _ => PostsBy::Unit,
    }
}

#[cfg(test)]
mod tests;
