//! Records in by the line: `{"kind":"post","id":"<32 hex digits>","fields":{…}}`.
//!
//! Every line is checked before the first is written, so a file with a mistake in line 400 leaves
//! nothing half done unless partial import was asked for. With ids in the lines, the same file in
//! twice changes nothing the second time.

use crate::records::{RecordError, Records, Save};
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::{EditError, Edits, Schema, schema_named};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Records written in one commit.
const GROUP: usize = 256;
/// Bad lines listed; the rest are only counted.
pub(crate) const ERRORS_MAX: usize = 200;

/// What to do with good lines beside bad ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct ImportOptions {
    /// Take the good lines even if others are bad.
    #[serde(default)]
    pub partial: bool,
    /// Check only.
    #[serde(default)]
    pub dry_run: bool,
}

/// One bad line; line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Lines that are, or with a dry run would be, taken.
    pub good: usize,
    pub imported: usize,
    /// Lines that said nothing new.
    pub unchanged: usize,
    pub bad: usize,
    pub errors: Vec<LineError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    id: Option<DocId>,
    unit: Option<String>,
    fields: Value,
}

/// Checks and takes a whole file.
pub fn import(
    records: &Records,
    text: &[u8],
    options: ImportOptions,
    account: &str,
) -> Result<ImportReport, RecordError> {
    let mut report = ImportReport::default();
    let mut saves = Vec::new();
    for (i, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match check(records, line) {
            Ok(save) => saves.push(save),
            Err((column, message)) => {
                report.bad += 1;
                if report.errors.len() < ERRORS_MAX {
                    report.errors.push(LineError { line: i + 1, column, message });
                }
            }
        }
    }
    report.good = saves.len();
    if options.dry_run || (report.bad > 0 && !options.partial) {
        return Ok(report);
    }
    for group in groups(saves) {
        for saved in records.save_all(&group, account)? {
            match saved.entry {
                Some(_) => report.imported += 1,
                None => report.unchanged += 1,
            }
        }
    }
    Ok(report)
}

/// Commits of at most [`GROUP`] records in which no document occurs twice; order is kept.
pub(crate) fn groups(saves: Vec<Save>) -> Vec<Vec<Save>> {
    let mut groups = Vec::new();
    let (mut group, mut seen) = (Vec::new(), BTreeSet::new());
    for save in saves {
        let place = (save.space, save.document);
        if group.len() == GROUP || seen.contains(&place) {
            groups.push(std::mem::take(&mut group));
            seen.clear();
        }
        seen.insert(place);
        group.push(save);
    }
    groups.push(group);
    groups
}

fn check(records: &Records, line: &[u8]) -> Result<Save, (usize, String)> {
    let text = std::str::from_utf8(line).map_err(|e| {
        let column = String::from_utf8_lossy(&line[..e.valid_up_to()]).chars().count() + 1;
        (column, "not UTF-8 text; save the file as UTF-8".to_owned())
    })?;
    let parsed: Line = serde_json::from_str(text).map_err(|e| {
        let bytes = e.column().saturating_sub(1).min(text.len());
        let column = String::from_utf8_lossy(&line[..bytes]).chars().count() + 1;
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        (column, message)
    })?;
    let schema = schema_named(&parsed.kind).ok_or_else(|| {
        let known: Vec<_> = fenbu_protocol::record::ALL.iter().map(|s| s.name).collect();
        let at = column_of(text, &parsed.kind);
        (at, format!("unknown kind '{}'; known are {}", parsed.kind, known.join(", ")))
    })?;
    let edits = Edits::from_json(schema, &parsed.fields).map_err(|e| at_field(text, &e))?;
    check_required(schema, &parsed.fields, text)?;
    let space = records
        .home(schema, parsed.unit.as_deref())
        .map_err(|e| (column_of(text, "unit"), e.to_string()))?;
    let document = parsed.id.unwrap_or_else(Records::new_id);
    Ok(Save { schema, space, document, edits })
}

/// A line stands for a whole record, so what a record cannot do without must be in it.
fn check_required(
    schema: &'static Schema,
    fields: &Value,
    text: &str,
) -> Result<(), (usize, String)> {
    match schema.fields.iter().find(|f| f.required && fields.get(f.name).is_none()) {
        Some(field) => {
            let message = EditError::Required { kind: schema.name, field: field.name }.to_string();
            Err((column_of(text, "fields"), message))
        }
        None => Ok(()),
    }
}

fn at_field(text: &str, error: &EditError) -> (usize, String) {
    let field = error.field().unwrap_or("fields");
    (column_of(text, field), error.to_string())
}

/// The column of `"name"` in a line, 1 if it is not there.
fn column_of(text: &str, name: &str) -> usize {
    let at = text.find(&format!("\"{name}\"")).unwrap_or(0);
    text[..at].chars().count() + 1
}

/// One line of an export, which an import takes back.
pub fn export_line(kind: &str, id: DocId, unit: Option<&str>, fields: Value) -> String {
    let mut line = serde_json::Map::new();
    line.insert("kind".into(), kind.into());
    line.insert("id".into(), id.to_string().into());
    if let Some(unit) = unit {
        line.insert("unit".into(), unit.into());
    }
    line.insert("fields".into(), fields);
    Value::Object(line).to_string()
}
