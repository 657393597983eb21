//! Rows as records: which record each stands for, and what it changes.
//!
//! Everything is checked before anything is written, as if it were written: a sheet with a mistake in
//! row 400 leaves nothing half done unless partial import was asked for. The same sheet in again changes
//! nothing.

use super::places::{Places, Told};
use super::table::{Line, Table};
use crate::import::{ERRORS_MAX, ImportOptions, groups};
use crate::records::{RecordError, Records, Save, home_name};
use crate::words;
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::{ATTENDANCE_ROWS, EditError, Schema};
use fenbu_protocol::sheet::{
    Before, Change, Column, Heading, Key, Lang, Row, RowError, Says, mask, natural_keys, version_of,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of the preview; the rest are only counted.
pub(super) const PREVIEW_MAX: usize = 2000;

/// What is wrong with a cell; row and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellReport {
    pub line: usize,
    pub column: usize,
    /// The column's name in the sheet.
    pub name: String,
    pub message: String,
}

/// What a row does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowReport {
    pub line: usize,
    pub id: DocId,
    /// `new` or `changed`.
    pub outcome: &'static str,
    /// What people know the record by.
    pub title: String,
    pub changes: Vec<ChangeReport>,
}

/// Cells before and after; personal values are masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    pub field: &'static str,
    pub label: &'static str,
    pub before: String,
    pub after: String,
}

/// What becomes of a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SheetReport {
    /// Rows that are, or with a dry run would be, taken.
    pub good: usize,
    /// Of these, records not here yet.
    pub new: usize,
    /// Of these, records that change.
    pub changed: usize,
    /// Of these, rows that say nothing new.
    pub unchanged: usize,
    /// Records written.
    pub imported: usize,
    /// Rows with mistakes.
    pub bad: usize,
    pub errors: Vec<CellReport>,
    /// New and changed records, the first ones.
    pub rows: Vec<RowReport>,
    /// Of a document: pictures that are not in what was taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub pictures_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why a row cannot be placed.
#[derive(Debug, thiserror::Error)]
enum RowProblem {
    #[error("it could be any of {ids}: put the id of the one that is meant into the id column")]
    Several { ids: String },
    #[error("row {row} stands for the same record; leave one out, or tell them apart by their ids")]
    Again { row: usize },
    #[error("the record belongs to unit '{unit}': it moves by a transfer, not by a sheet")]
    OtherUnit { unit: String },
}

/// Takes a sheet of records of one kind.
///
/// # Errors
/// When the store or the writer fails; mistakes of the sheet are in the report.
pub fn import(
    records: &Records,
    schema: &'static Schema,
    table: &Table,
    options: ImportOptions,
    account: &str,
    lang: words::Lang,
) -> Result<SheetReport, RecordError> {
    if schema == ATTENDANCE_ROWS {
        return super::attendance::import(records, table, options, account, lang);
    }
    let mut plan = Plan::new(records, schema, account, lang);
    let saves = plan.make(table)?;
    let mut report = plan.report;
    if options.dry_run || (report.bad > 0 && !options.partial) {
        return Ok(report);
    }
    for group in groups(saves) {
        let saved = records.save_all(&group, account)?;
        report.imported += saved.iter().filter(|saved| saved.entry.is_some()).count();
    }
    Ok(report)
}

/// A column, counted from 0, and what is wrong there.
type Mistake = (usize, String);

/// Why a row is not taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// The sheet's mistakes.
    Mistakes(Vec<Mistake>),
    /// Ours, and the whole import's end.
    Failed(RecordError),
}

impl Stop {
    pub(super) fn at(column: usize, why: impl std::fmt::Display) -> Self {
        Self::Mistakes(vec![(column, why.to_string())])
    }
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Self {
        Self::Failed(error)
    }
}

impl From<Vec<RowError>> for Stop {
    fn from(errors: Vec<RowError>) -> Self {
        Self::Mistakes(errors.into_iter().map(|e| (e.column, e.why.to_string())).collect())
    }
}

/// A write that would be refused: a mistake of the cell it is about, if it is one of the sheet's.
pub(super) fn refused(error: RecordError, column_of: impl Fn(&EditError) -> usize) -> Stop {
    match error {
        RecordError::Edit(error) => Stop::at(column_of(&error), error),
        error @ (RecordError::NotAllowed(_) | RecordError::NoKey(_)) => Stop::at(0, error),
        error => Stop::Failed(error),
    }
}

/// Cells of known columns that a spreadsheet has spoilt.
pub(super) fn check_cells(heading: &Heading, line: &Line) -> Result<(), Stop> {
    let known = |at: &usize| heading.columns.get(*at).is_some_and(Option::is_some);
    let wrong = line.wrong.iter().filter(|(at, _)| known(at));
    let wrong: Vec<_> = wrong.map(|(at, why)| (*at, why.to_string())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Stop::Mistakes(wrong)) }
}

impl SheetReport {
    /// The sheet's heading, if it is understood.
    pub(super) fn heading(
        &mut self,
        schema: &'static Schema,
        table: &Table,
        lang: words::Lang,
    ) -> Option<Heading> {
        match Heading::read(schema, &table.names, lang.into()) {
            Ok(heading) => Some(heading),
            Err((at, error)) => {
                self.mistakes(table, 1, vec![(at, error.to_string())], lang);
                None
            }
        }
    }

    /// Takes down the mistakes of a row.
    pub(super) fn mistakes(
        &mut self,
        table: &Table,
        line: usize,
        mistakes: Vec<Mistake>,
        lang: words::Lang,
    ) {
        self.bad += 1;
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        for (at, message) in mistakes.into_iter().take(room) {
            let name = table.names.get(at).map(|name| name.trim().to_owned()).unwrap_or_default();
            let message = lang.say(&message);
            self.errors.push(CellReport { line, column: at + 1, name, message });
        }
    }
}

/// A record by where it is.
type Spot = (SpaceId, DocId);

struct Plan<'a> {
    records: &'a Records,
    schema: &'static Schema,
    account: &'a str,
    lang: words::Lang,
    report: SheetReport,
    /// Records that are here; looked for once a row needs it.
    here: Option<Places<Spot>>,
    /// Rows before, of new records and of those here.
    rows: Places<usize>,
    spots: BTreeMap<Spot, usize>,
}

impl<'a> Plan<'a> {
    fn new(
        records: &'a Records,
        schema: &'static Schema,
        account: &'a str,
        lang: words::Lang,
    ) -> Self {
        let (here, rows) = (None, Places::new());
        let report = SheetReport::default();
        Self { records, schema, account, lang, report, here, rows, spots: BTreeMap::new() }
    }

    fn labels(&self) -> Lang {
        self.lang.into()
    }

    fn make(&mut self, table: &Table) -> Result<Vec<Save>, RecordError> {
        let Some(heading) = self.report.heading(self.schema, table, self.lang) else {
            return Ok(Vec::new());
        };
        let mut saves = Vec::new();
        for line in &table.lines {
            match self.line(&heading, line) {
                Ok(save) => {
                    self.report.good += 1;
                    saves.extend(save);
                }
                Err(Stop::Mistakes(mistakes)) => {
                    self.report.mistakes(table, line.row, mistakes, self.lang);
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(saves)
    }

    /// What a row is to write, if anything.
    fn line(&mut self, heading: &Heading, line: &Line) -> Result<Option<Save>, Stop> {
        check_cells(heading, line)?;
        let Some(row) = Row::read(heading, &line.cells).map_err(|e| vec![e])? else {
            return Ok(None);
        };
        let (there, spot) = self.place(heading, &row, line.row)?;
        let says = self.says(&row, there)??;
        let (space, document) = spot;
        let save = Save { schema: self.schema, space, document, edits: says.edits };
        let says_nothing = says.changes.is_empty() && there.is_some();
        let checked = || self.records.check(&save, self.account);
        if says_nothing || !checked().map_err(|e| refused(e, |e| row.column_of(e)))? {
            self.report.unchanged += 1;
            return Ok(None);
        }
        let title = self.title(heading, &line.cells);
        self.preview(line.row, document, there.is_none(), title, says.changes);
        Ok(Some(save))
    }

    /// The record a row stands for, if it is here, and where what the row says goes.
    fn place(
        &mut self,
        heading: &Heading,
        row: &Row<'_>,
        number: usize,
    ) -> Result<(Option<Spot>, Spot), Stop> {
        let at = |column: Column| heading.at(column.name()).unwrap_or(0);
        let key = if row.id.is_none() { Some(row.key()?) } else { None };
        let there = match self.spot_of(row.id, key.as_ref())? {
            Told::One(spot) => Some(spot),
            Told::None => None,
            Told::Several(spots) => {
                let ids = spots.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>();
                return Err(Stop::at(at(Column::Id), RowProblem::Several { ids: ids.join(", ") }));
            }
        };
        let spot = match there {
            Some(spot) => spot,
            None => {
                let home = self.records.home(self.schema, row.unit.as_deref());
                let home = home.map_err(|error| Stop::at(at(Column::Unit), error))?;
                (home, row.id.unwrap_or_else(Records::new_id))
            }
        };
        // Two rows of one id, or two new ones that nothing tells apart.
        let again = |row| Stop::at(at(Column::Id), RowProblem::Again { row });
        if let Some(row) = self.spots.insert(spot, number) {
            return Err(again(row));
        }
        if let (Some(key), None) = (key, there) {
            if let Told::One(row) = self.rows.find(&key) {
                return Err(again(row));
            }
            self.rows.add(key, number);
        }
        self.check_unit(spot, row).map_err(|problem| Stop::at(at(Column::Unit), problem))?;
        Ok((there, spot))
    }

    /// A record stays in its unit.
    fn check_unit(&self, (space, _): Spot, row: &Row<'_>) -> Result<(), RowProblem> {
        let Some(wanted) = &row.unit else { return Ok(()) };
        let directory = self.records.shared.directory.now();
        if directory.everyones() == Some(space) {
            return Ok(());
        }
        let unit = home_name(&directory, &space).unwrap_or_default();
        if unit == *wanted { Ok(()) } else { Err(RowProblem::OtherUnit { unit }) }
    }

    fn says(
        &self,
        row: &Row<'_>,
        there: Option<Spot>,
    ) -> Result<Result<Says, Vec<RowError>>, RecordError> {
        let Some((_, document)) = there else { return Ok(row.says(None, self.labels())) };
        let shown = self.records.show(self.schema, &document.to_string())?;
        let json = shown.record.to_json();
        let none = serde_json::Map::new();
        let fields = json.as_object().unwrap_or(&none);
        let version = version_of(&shown.record.heads());
        Ok(row.says(Some(Before { fields, version: &version }), self.labels()))
    }

    fn spot_of(&mut self, id: Option<DocId>, key: Option<&Key>) -> Result<Told<Spot>, RecordError> {
        if let Some(id) = id {
            return match self.records.resolve(self.schema, &id.to_string()) {
                Ok(spot) => Ok(Told::One(spot)),
                Err(RecordError::NotFound { .. }) => Ok(Told::None),
                Err(error) => Err(error),
            };
        }
        if self.here.is_none() {
            let mut here = Places::new();
            self.records.each(self.schema, |shown| {
                let json = shown.record.to_json();
                if let Some(fields) = json.as_object() {
                    here.add(Key::of(self.schema, fields), (shown.space, shown.document));
                }
            })?;
            self.here = Some(here);
        }
        let found = self.here.as_ref().zip(key).map(|(here, key)| here.find(key));
        Ok(found.unwrap_or(Told::None))
    }

    /// What people know the record by: its key's cells.
    fn title(&self, heading: &Heading, cells: &[String]) -> String {
        let keys = natural_keys(self.schema);
        let names = keys.last().into_iter().flatten();
        let texts = names.filter_map(|name| {
            let text = cells.get(heading.at(name)?)?.trim();
            let personal = self.schema.field(name).is_some_and(|f| f.personal);
            Some(if personal { mask(text) } else { text.to_owned() })
        });
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn preview(
        &mut self,
        line: usize,
        id: DocId,
        is_new: bool,
        title: String,
        changes: Vec<Change>,
    ) {
        let (count, outcome) = match is_new {
            true => (&mut self.report.new, "new"),
            false => (&mut self.report.changed, "changed"),
        };
        *count += 1;
        if self.report.rows.len() < PREVIEW_MAX {
            let labels: Lang = self.lang.into();
            let changes = changes.into_iter().map(|c| ChangeReport {
                field: c.field.name,
                label: labels.pick(c.field.label_zh, c.field.label_en),
                before: c.before,
                after: c.after,
            });
            let changes = changes.collect();
            self.report.rows.push(RowReport { line, id, outcome, title, changes });
        }
    }
}
