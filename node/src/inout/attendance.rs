//! Attendance as a sheet of its own: a row for each meeting and member.
//!
//! A row names its meeting by id, or by kind, branch and start; the member by what the meeting keys them
//! with (their id), or by name, if one member of the meeting's branch has it.

use super::import::{
    ChangeReport, PREVIEW_MAX, RowReport, SheetReport, Stop, check_cells, refused,
};
use super::places::{Places, Told};
use super::table::{Line, Table};
use crate::import::{ImportOptions, groups};
use crate::records::{RecordError, Records, Save, home_name};
use crate::words;
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::{ATTENDANCE_ROWS, EditError, Edits, Schema, schema_named};
use fenbu_protocol::sheet::{Heading, Key, Lang, Row, show};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FIELD: &str = "attendance";

/// Why a row says nothing of anybody's attendance.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("there is no such meeting here: give its id, or kind, branch and start as it has them")]
    NoMeeting,
    #[error("it could be any of the meetings {ids}: give the id")]
    Meetings { ids: String },
    #[error("no member of branch '{branch}' is called '{name}': give the member's id")]
    NoMember { branch: String, name: String },
    #[error("{count} members of branch '{branch}' are called '{name}': give the member's id")]
    Members { branch: String, name: String, count: usize },
    #[error("whose attendance? give the member's id or name")]
    Nobody,
    #[error("row {row} says it of the same member and meeting; leave one out")]
    Again { row: usize },
}

/// A meeting's place, and what is said of it.
#[derive(Debug, Clone)]
struct Meeting {
    space: SpaceId,
    document: DocId,
    branch: String,
    title: String,
    fields: Map<String, Value>,
}

/// Ids by branch and name, names by id.
#[derive(Debug, Default)]
struct People {
    by_name: BTreeMap<(String, String), Vec<DocId>>,
    names: BTreeMap<String, String>,
}

fn schema(name: &str) -> &'static Schema {
    // INVARIANT: both kinds are in the protocol's table.
    schema_named(name).expect("a kind of this version")
}

fn people(records: &Records) -> Result<People, RecordError> {
    let mut people = People::default();
    records.each(schema("member"), |shown| {
        let json = shown.record.to_json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let key = (text("branch"), text("name"));
        people.by_name.entry(key).or_default().push(shown.document);
        people.names.insert(shown.document.to_string(), text("name"));
    })?;
    Ok(people)
}

fn meetings(records: &Records, lang: Lang) -> Result<Vec<Meeting>, RecordError> {
    let mut out = Vec::new();
    records.each(schema("meeting"), |shown| {
        let json = shown.record.to_json();
        let Some(fields) = json.as_object() else { return };
        let text = |name: &str| {
            let field = shown.record.schema().field(name);
            field.map(|f| show(f, &json[name], lang)).unwrap_or_default()
        };
        out.push(Meeting {
            space: shown.space,
            document: shown.document,
            branch: text("branch"),
            title: [text("kind"), text("branch"), text("start")].join(" "),
            fields: fields.clone(),
        });
    })?;
    Ok(out)
}

/// Every attendance there is, as rows of the sheet; in the order of meetings' starts and of names.
pub(super) fn rows(
    records: &Records,
    lang: Lang,
    unit: Option<&str>,
) -> Result<Vec<Vec<String>>, RecordError> {
    let people = people(records)?;
    let directory = records.shared.directory.now();
    let mut meetings = meetings(records, lang)?;
    meetings.sort_by_key(|m| (m.fields["start"].as_i64(), m.document));
    let mut out = Vec::new();
    for meeting in meetings {
        let own = home_name(&directory, &meeting.space);
        if unit.is_some_and(|unit| own.as_deref() != Some(unit)) {
            continue;
        }
        let mut of_one = Vec::new();
        for (key, value) in meeting.fields[FIELD].as_object().into_iter().flatten() {
            let row = json!({
                "meeting": meeting.document,
                "kind": meeting.fields["kind"],
                "branch": meeting.fields["branch"],
                "start": meeting.fields["start"],
                "member": key,
                "name": people.names.get(key),
                "attendance": value,
            });
            let cells = ATTENDANCE_ROWS.fields.iter().map(|f| show(f, &row[f.name], lang));
            of_one.push(cells.collect::<Vec<_>>());
        }
        of_one.sort_by(|a, b| (&a[5], &a[4]).cmp(&(&b[5], &b[4])));
        out.extend(of_one);
    }
    Ok(out)
}

/// Takes a sheet of attendance.
///
/// # Errors
/// When the store or the writer fails; mistakes of the sheet are in the report.
pub(super) fn import(
    records: &Records,
    table: &Table,
    options: ImportOptions,
    account: &str,
    lang: words::Lang,
) -> Result<SheetReport, RecordError> {
    let mut taking = Taking::new(records, account, lang)?;
    taking.take(table)?;
    let Taking { mut report, says, meetings, .. } = taking;
    if options.dry_run || (report.bad > 0 && !options.partial) {
        return Ok(report);
    }
    let saves = says.into_iter().filter_map(|(at, said)| save(&meetings[at], said).ok());
    for group in groups(saves.collect()) {
        let saved = records.save_all(&group, account)?;
        report.imported += saved.iter().filter(|saved| saved.entry.is_some()).count();
    }
    Ok(report)
}

fn save(meeting: &Meeting, said: Map<String, Value>) -> Result<Save, EditError> {
    let schema = schema("meeting");
    let edits = Edits::from_json(schema, &json!({ FIELD: said }))?;
    Ok(Save { schema, space: meeting.space, document: meeting.document, edits })
}

struct Taking<'a> {
    records: &'a Records,
    account: &'a str,
    lang: words::Lang,
    people: People,
    meetings: Vec<Meeting>,
    by_id: BTreeMap<DocId, usize>,
    by_key: Places<usize>,
    /// Rows by meeting and member.
    rows: BTreeMap<(usize, String), usize>,
    /// What changes, by meeting.
    says: BTreeMap<usize, Map<String, Value>>,
    report: SheetReport,
}

impl<'a> Taking<'a> {
    fn new(records: &'a Records, account: &'a str, lang: words::Lang) -> Result<Self, RecordError> {
        let meetings = meetings(records, lang.into())?;
        let mut by_key = Places::new();
        for (at, meeting) in meetings.iter().enumerate() {
            by_key.add(Key::of(schema("meeting"), &meeting.fields), at);
        }
        let by_id = meetings.iter().enumerate().map(|(at, m)| (m.document, at)).collect();
        Ok(Self {
            records,
            account,
            lang,
            people: people(records)?,
            meetings,
            by_id,
            by_key,
            rows: BTreeMap::new(),
            says: BTreeMap::new(),
            report: SheetReport::default(),
        })
    }

    fn take(&mut self, table: &Table) -> Result<(), RecordError> {
        let Some(heading) = self.report.heading(ATTENDANCE_ROWS, table, self.lang) else {
            return Ok(());
        };
        for line in &table.lines {
            match self.line(&heading, line) {
                Ok(()) => self.report.good += 1,
                Err(Stop::Mistakes(mistakes)) => {
                    self.report.mistakes(table, line.row, mistakes, self.lang);
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn line(&mut self, heading: &Heading, line: &Line) -> Result<(), Stop> {
        check_cells(heading, line)?;
        let Some(row) = Row::read(heading, &line.cells).map_err(|e| vec![e])? else {
            return Ok(());
        };
        let fields = row.values()?;
        let at = |field: &str| heading.at(field).unwrap_or(0);
        let meeting = self.meeting(&fields).map_err(|why| Stop::at(at("meeting"), why))?;
        let member = self.member(meeting, &fields).map_err(|why| Stop::at(at("name"), why))?;
        if let Some(row) = self.rows.insert((meeting, member.clone()), line.row) {
            return Err(Stop::at(at("name"), Problem::Again { row }));
        }
        let before = &self.meetings[meeting].fields[FIELD];
        let before = before.get(&member).cloned().unwrap_or(Value::Null);
        let Some(value) = fields.get(FIELD).filter(|value| **value != before) else {
            self.report.unchanged += 1;
            return Ok(());
        };
        let said = Map::from_iter([(member.clone(), value.clone())]);
        let save = save(&self.meetings[meeting], said).map_err(RecordError::Edit);
        save.and_then(|save| self.records.check(&save, self.account))
            .map_err(|error| refused(error, |_| at(FIELD)))?;
        self.says.entry(meeting).or_default().insert(member.clone(), value.clone());
        self.preview(line.row, meeting, member, &before, value);
        Ok(())
    }

    fn meeting(&self, fields: &Map<String, Value>) -> Result<usize, Problem> {
        if let Some(id) = fields.get("meeting").and_then(Value::as_str) {
            let id = id.parse::<DocId>().ok();
            return id.and_then(|id| self.by_id.get(&id)).copied().ok_or(Problem::NoMeeting);
        }
        match self.by_key.find(&Key::of(schema("meeting"), fields)) {
            Told::One(at) => Ok(at),
            Told::None => Err(Problem::NoMeeting),
            Told::Several(all) => {
                let ids = all.iter().map(|at| self.meetings[*at].document.to_string());
                Err(Problem::Meetings { ids: ids.collect::<Vec<_>>().join(", ") })
            }
        }
    }

    /// The key under which the meeting has the member, or will.
    fn member(&self, meeting: usize, fields: &Map<String, Value>) -> Result<String, Problem> {
        let text = |field: &str| fields.get(field).and_then(Value::as_str).map(str::to_owned);
        if let Some(key) = text("member") {
            return Ok(key);
        }
        let name = text("name").ok_or(Problem::Nobody)?;
        let meeting = &self.meetings[meeting];
        if meeting.fields[FIELD].get(&name).is_some() {
            return Ok(name);
        }
        let branch = meeting.branch.clone();
        let found = self.people.by_name.get(&(branch.clone(), name.clone()));
        match found.map(Vec::as_slice).unwrap_or_default() {
            [one] => Ok(one.to_string()),
            [] => Err(Problem::NoMember { branch, name }),
            several => Err(Problem::Members { branch, name, count: several.len() }),
        }
    }

    fn preview(&mut self, line: usize, at: usize, member: String, before: &Value, after: &Value) {
        self.report.changed += 1;
        if self.report.rows.len() >= PREVIEW_MAX {
            return;
        }
        let meeting = &self.meetings[at];
        let field = schema("meeting").field(FIELD);
        let labels: Lang = self.lang.into();
        let shown = |value: &Value| {
            let code = value.as_str().unwrap_or_default();
            let known = field.and_then(|f| f.code(code));
            known.map_or(code, |c| labels.pick(c.zh, c.en)).to_owned()
        };
        let who = self.people.names.get(&member).cloned().unwrap_or(member);
        self.report.rows.push(RowReport {
            line,
            id: meeting.document,
            outcome: "changed",
            title: format!("{} {who}", meeting.title),
            changes: vec![ChangeReport {
                field: FIELD,
                label: field.map_or("", |f| labels.pick(f.label_zh, f.label_en)),
                before: shown(before),
                after: shown(after),
            }],
        });
    }
}
