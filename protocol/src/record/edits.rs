//! What a person changes, checked against the schema before a document is touched.

use super::gate::KEY_BYTES_MAX;
use super::schema::{Field, Merge, Schema, ValueType};
use super::steps::{NOTE_BYTES_MAX, Want};
use crate::id::DocId;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX};
use automerge::{ScalarValue, Value as Read};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Text one save may carry. Each character costs at most 22 bytes of columns beside its own, so half
/// a body of text and [`CHANGE_OPS_MAX`] operations fit [`CHANGE_BYTES_MAX`].
pub const EDIT_BYTES_MAX: usize = CHANGE_BYTES_MAX / 2;

/// Why an edit is refused. Each message says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("edits are a JSON object of field names and new values")]
    NotAnObject,
    #[error("{kind} has no field '{field}'; its fields are {known}")]
    UnknownField { kind: &'static str, field: String, known: String },
    #[error("field '{field}' of {kind} cannot be empty: give a value")]
    Required { kind: &'static str, field: &'static str },
    #[error("field '{field}': expected {expected}")]
    Type { field: String, expected: &'static str },
    #[error("field '{field}': unknown code '{code}'; known are {known}")]
    UnknownCode { field: String, code: String, known: String },
    #[error("field '{field}': '{text}' is not a calendar date like 2018-12-11")]
    Date { field: String, text: String },
    #[error("field '{field}': '{text}' is not a time like 2018-12-11T09:00:00+08:00")]
    Instant { field: String, text: String },
    #[error("field '{field}': '{text}' is not the id of a {kind}: 32 hex digits")]
    Id { field: String, text: String, kind: &'static str },
    #[error(
        "field '{field}': nothing leads from '{from}' to '{to}'; from there it can become {known}"
    )]
    NoStep { field: String, from: String, to: String, known: String },
    #[error("'{op}' is not possible now: {why}")]
    Step { field: String, op: String, why: String },
    #[error("field '{field}': '{text}' is masked; leave the field out, or give the whole value")]
    Masked { field: &'static str, text: String },
    #[error("field '{field}' is written by {by} alone")]
    NotYours { field: &'static str, by: &'static str },
    #[error("field '{field}': a note has at most {NOTE_BYTES_MAX} bytes")]
    Note { field: String },
    #[error("field '{field}': a member or key must have 1 to {KEY_BYTES_MAX} bytes")]
    Key { field: String },
    #[error(
        "too much for one save; save parts of at most {EDIT_BYTES_MAX} bytes and {CHANGE_OPS_MAX} characters"
    )]
    TooLarge,
    #[error("what would be published is too long: shorten it to 250,000 characters")]
    TooLong,
    #[error(
        "a temporary branch has no members of its own: they stay on the roster at home and are lent with `fenbu secondment add`"
    )]
    Admits,
    #[error(
        "a temporary branch does not elect: its leaders are appointed, with terms of basis 'appointed'"
    )]
    Elects,
    #[error("the document is full: begin a new one")]
    Full,
    #[error("the document could not be edited: {0}")]
    Document(String),
}

/// A new value for one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
    /// `None` clears it.
    Register(Option<ScalarValue>),
    Text(String),
    /// What somebody made of a text, or a list, that may be another by now.
    Revision {
        was: Value,
        now: Value,
    },
    /// Exactly these members.
    Members(BTreeSet<String>),
    AddRemove {
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    },
    List(Vec<ScalarValue>),
    /// Values by key; `None` removes the key.
    Entries(Vec<(String, Option<ScalarValue>)>),
    /// A state or a step; becomes an entry once the record and its author are known.
    Want(Want),
    /// This author's number of a tally, likewise.
    Tally(i64),
    /// A tally as it is shown: what a new record begins with, and nothing for one that exists.
    Total(i64),
    /// Remarks to be added.
    Notes(Vec<ScalarValue>),
    /// Remarks as they are shown, likewise.
    Shown(Vec<ScalarValue>),
}

/// Checked edits of one save.
#[derive(Debug, Clone, PartialEq)]
pub struct Edits {
    pub(super) edits: Vec<(&'static Field, Edit)>,
}

impl Edits {
    /// Checks a JSON object of field names and new values against `schema`.
    ///
    /// Registers take their value or null; texts the whole new text, or `{"was": .., "now": ..}`
    /// to merge what somebody made of an earlier text into the present one; sets an array of all members or
    /// `{"add": [..], "remove": [..]}`; lists the whole new array, or likewise what it was and is; maps an object of the keys that
    /// change, null removing one; tallies this author's number; a workflow's field the state wanted, or
    /// a step as `{"op": .., "note": .., "on": ..}`; notes one more of them, or `{"add": [..]}`.
    ///
    /// # Errors
    /// The first thing wrong, with the fields, codes or forms that would be right.
    pub fn from_json(schema: &'static Schema, json: &Value) -> Result<Self, EditError> {
        let object = json.as_object().ok_or(EditError::NotAnObject)?;
        let mut edits = Vec::with_capacity(object.len());
        let mut bytes = 0;
        for field in schema.fields {
            if let Some(value) = object.get(field.name) {
                if let Some(text) =
                    value.as_str().filter(|text| field.personal && text.contains("**"))
                {
                    return Err(EditError::Masked { field: field.name, text: text.to_owned() });
                }
                let edit = Edit::from_json(field, value)?;
                if field.required && edit.is_empty() {
                    return Err(EditError::Required { kind: schema.name, field: field.name });
                }
                bytes += edit.bytes();
                edits.push((field, edit));
            }
        }
        if edits.len() < object.len() {
            let unknown = object.keys().find(|k| schema.field(k).is_none());
            return Err(EditError::UnknownField {
                kind: schema.name,
                field: unknown.cloned().unwrap_or_default(),
                known: join(schema.fields.iter().map(|f| f.name)),
            });
        }
        if bytes > EDIT_BYTES_MAX {
            return Err(EditError::TooLarge);
        }
        Ok(Self { edits })
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Whether something depends on the record and its author, see [`Record::keyed`](super::Record).
    pub(super) fn any_to_key(&self) -> bool {
        self.edits.iter().any(|(_, edit)| edit.is_to_be_keyed())
    }

    /// The text a register is set to.
    pub(super) fn text_of(&self, field: &str) -> Option<String> {
        let (_, edit) = self.edits.iter().find(|(f, _)| f.name == field)?;
        match edit {
            Edit::Register(Some(ScalarValue::Str(text))) => Some(text.to_string()),
            _ => None,
        }
    }

    pub(super) fn names(&self, field: &str) -> bool {
        self.edits.iter().any(|(f, _)| f.name == field)
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl EditError {
    /// The field it is about, perhaps with a key or part behind a slash.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::UnknownField { field, .. }
            | Self::Type { field, .. }
            | Self::UnknownCode { field, .. }
            | Self::Date { field, .. }
            | Self::Instant { field, .. }
            | Self::Id { field, .. }
            | Self::NoStep { field, .. }
            | Self::Step { field, .. }
            | Self::Note { field }
            | Self::Key { field } => Some(field),
            Self::Required { field, .. }
            | Self::NotYours { field, .. }
            | Self::Masked { field, .. } => Some(field),
            Self::Admits => Some("branch"),
            Self::Elects => Some("kind"),
            Self::NotAnObject | Self::TooLarge | Self::TooLong | Self::Full | Self::Document(_) => {
                None
            }
        }
    }

    /// For a code the field does not know.
    pub(super) fn unknown_code(field: &Field, name: &str, code: &str) -> Self {
        Self::UnknownCode {
            field: name.to_owned(),
            code: code.to_owned(),
            known: join(field.codes().iter().map(|c| c.code)),
        }
    }
}

impl Edit {
    /// Whether it becomes entries once the record and its author are known.
    pub(super) fn is_to_be_keyed(&self) -> bool {
        matches!(
            self,
            Self::Want(_)
                | Self::Tally(_)
                | Self::Total(_)
                | Self::Notes(_)
                | Self::Shown(_)
                | Self::Revision { .. }
        )
    }

    fn from_json(field: &Field, value: &Value) -> Result<Self, EditError> {
        let wrong = |expected| EditError::Type { field: field.name.to_owned(), expected };
        Ok(match field.merge {
            Merge::Register | Merge::Contested => Self::Register(scalar(field, field.name, value)?),
            Merge::Text => match value {
                Value::Null => Self::Text(String::new()),
                Value::String(text) => Self::Text(text.clone()),
                Value::Object(parts) => match (parts.get("was"), parts.get("now")) {
                    (Some(Value::String(_)), Some(Value::String(_))) if parts.len() == 2 => {
                        Self::Revision { was: value["was"].clone(), now: value["now"].clone() }
                    }
                    _ => return Err(wrong("the whole text, or texts under 'was' and 'now'")),
                },
                _ => return Err(wrong("the whole text, or texts under 'was' and 'now'")),
            },
            Merge::Set => match value {
                Value::Null => Self::Members(BTreeSet::new()),
                Value::Array(members) => Self::Members(set(field, members)?),
                Value::Object(parts) => Self::add_remove(field, parts)?,
                _ => return Err(wrong("an array, or an object with 'add' and 'remove'")),
            },
            Merge::List => match value {
                Value::Null => Self::List(Vec::new()),
                Value::Array(items) => Self::List(list(field, items)?),
                Value::Object(parts) if parts.len() == 2 => {
                    let part = |name| match parts.get(name) {
                        Some(Value::Array(items)) => stored(&list(field, items)?),
                        _ => Err(wrong("an array, or arrays under 'was' and 'now'")),
                    };
                    Self::Revision { was: part("was")?, now: part("now")? }
                }
                _ => return Err(wrong("an array, or arrays under 'was' and 'now'")),
            },
            Merge::Map => {
                let entries = value.as_object().ok_or(wrong("an object of keys and values"))?;
                let one = |(key, value): (&String, &Value)| {
                    let name = format!("{}/{key}", field.name);
                    check_key(&name, key)?;
                    Ok((key.clone(), scalar(field, &name, value)?))
                };
                Self::Entries(entries.iter().map(one).collect::<Result<_, _>>()?)
            }
            Merge::Tally => match value {
                Value::Null => Self::Tally(0),
                Value::Object(shown) => Self::Total(
                    shown.values().filter_map(Value::as_i64).fold(0, i64::saturating_add),
                ),
                _ => Self::Tally(value.as_i64().ok_or(wrong("a whole number"))?),
            },
            Merge::Notes => {
                let notes = |items: &[Value]| {
                    let note =
                        |item| scalar(field, field.name, item)?.ok_or(wrong("no empty items"));
                    items.iter().map(note).collect::<Result<_, _>>()
                };
                let added = value
                    .as_object()
                    .filter(|parts| parts.len() == 1)
                    .and_then(|parts| parts.get("add"));
                match (value, added) {
                    (Value::Null, _) => Self::Shown(Vec::new()),
                    (Value::Array(items), _) => Self::Shown(notes(items)?),
                    (_, Some(Value::Array(items))) => Self::Notes(notes(items)?),
                    (one, _) => Self::Notes(notes(std::slice::from_ref(one))?),
                }
            }
            Merge::Log => Self::Want(Want::from_json(field, value)?),
        })
    }

    fn add_remove(field: &Field, parts: &Map<String, Value>) -> Result<Self, EditError> {
        let wrong = EditError::Type {
            field: field.name.to_owned(),
            expected: "arrays under 'add' and 'remove', and nothing else",
        };
        let part = |name| match parts.get(name) {
            None => Ok(BTreeSet::new()),
            Some(Value::Array(members)) => set(field, members),
            Some(_) => Err(wrong.clone()),
        };
        if parts.keys().any(|k| k != "add" && k != "remove") {
            return Err(wrong);
        }
        Ok(Self::AddRemove { add: part("add")?, remove: part("remove")? })
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Register(None))
    }

    fn bytes(&self) -> usize {
        let size = |s: &ScalarValue| s.as_str().map_or(10, str::len);
        match self {
            Self::Register(value) => value.as_ref().map_or(0, size),
            Self::Text(text) => text.len(),
            Self::Revision { now: Value::String(text), .. } => text.len(),
            Self::Revision { now, .. } => now.as_array().map_or(0, |items| {
                items.iter().map(|item| item.as_str().map_or(10, str::len)).sum()
            }),
            Self::Members(members) => members.iter().map(String::len).sum(),
            Self::AddRemove { add, remove } => add.iter().chain(remove).map(String::len).sum(),
            Self::List(items) => items.iter().map(size).sum(),
            Self::Entries(entries) => {
                entries.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, size)).sum()
            }
            Self::Want(want) => want.bytes(),
            Self::Tally(_) | Self::Total(_) => 42,
            Self::Notes(notes) | Self::Shown(notes) => notes.iter().map(|n| 40 + size(n)).sum(),
        }
    }
}

/// Items of a list.
fn list(field: &Field, items: &[Value]) -> Result<Vec<ScalarValue>, EditError> {
    let expected = "no empty items";
    let empty = || EditError::Type { field: field.name.to_owned(), expected };
    items.iter().map(|item| scalar(field, field.name, item)?.ok_or_else(empty)).collect()
}

/// Items as they are stored.
fn stored(items: &[ScalarValue]) -> Result<Value, EditError> {
    let json = |item: &ScalarValue| super::show::json_of(&Read::from(item.clone()));
    Ok(items.iter().filter_map(json).collect())
}

fn check_key(field: &str, key: &str) -> Result<(), EditError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(EditError::Key { field: field.to_owned() });
    }
    Ok(())
}

fn set(field: &Field, members: &[Value]) -> Result<BTreeSet<String>, EditError> {
    let one = |member: &Value| {
        let expected = "texts as members";
        let text =
            member.as_str().ok_or(EditError::Type { field: field.name.to_owned(), expected })?;
        check_key(field.name, text)?;
        Ok(text.to_owned())
    };
    members.iter().map(one).collect()
}

/// A scalar of the field's type; null and the empty text are no value.
fn scalar(field: &Field, name: &str, value: &Value) -> Result<Option<ScalarValue>, EditError> {
    let wrong = |expected| EditError::Type { field: name.to_owned(), expected };
    if value.is_null() || value.as_str() == Some("") {
        return Ok(None);
    }
    let text = value.as_str();
    Ok(Some(match field.value {
        ValueType::Text => text.ok_or(wrong("a text"))?.into(),
        ValueType::Code(codes) => {
            let code = text.ok_or(wrong("a code"))?;
            if !codes.iter().any(|c| c.code == code) {
                return Err(EditError::unknown_code(field, name, code));
            }
            code.into()
        }
        ValueType::Date => {
            let text = text.ok_or(wrong("a date like 2018-12-11"))?;
            if days_of(text).is_none() {
                return Err(EditError::Date { field: name.to_owned(), text: text.to_owned() });
            }
            text.into()
        }
        ValueType::Instant => match (value.as_i64(), text) {
            (Some(ms), _) => ScalarValue::Int(ms),
            (None, Some(text)) => ScalarValue::Int(instant_ms_of(text).ok_or_else(|| {
                EditError::Instant { field: name.to_owned(), text: text.to_owned() }
            })?),
            _ => return Err(wrong("a time, or milliseconds since 1970")),
        },
        ValueType::Int => ScalarValue::Int(value.as_i64().ok_or(wrong("a whole number"))?),
        ValueType::Bool => value.as_bool().ok_or(wrong("true or false"))?.into(),
        ValueType::Id(kind) => {
            let text = text.ok_or(wrong("a record's id"))?;
            let id = text.to_ascii_lowercase();
            if id.parse::<DocId>().is_err() {
                return Err(EditError::Id { field: name.to_owned(), text: text.to_owned(), kind });
            }
            id.into()
        }
        ValueType::Object(parts) => return object(parts, name, value),
        // Only logs have states, and those are wanted, not set.
        ValueType::State(_) => return Err(wrong("a step")),
    }))
}

/// Several values in one, as JSON text with the parts in their order; `None` if all are empty.
fn object(
    parts: &'static [Field],
    name: &str,
    value: &Value,
) -> Result<Option<ScalarValue>, EditError> {
    let mut out = Map::new();
    match (value.as_object(), parts.first()) {
        (Some(given), _) => {
            if let Some(unknown) = given.keys().find(|k| !parts.iter().any(|p| p.name == *k)) {
                return Err(EditError::UnknownField {
                    kind: "value",
                    field: format!("{name}/{unknown}"),
                    known: join(parts.iter().map(|p| p.name)),
                });
            }
            for part in parts {
                let name = format!("{name}/{}", part.name);
                let value = match (given.get(part.name), part.merge) {
                    (None, _) => None,
                    (Some(Value::Array(items)), Merge::Set) => texts(&name, items)?,
                    (Some(value), _) => scalar(part, &name, value)?.map(|s| json_of_scalar(&s)),
                };
                if let Some(value) = value {
                    out.insert(part.name.to_owned(), value);
                }
            }
        }
        (None, Some(first)) => {
            if let Some(value) = scalar(first, name, value)? {
                out.insert(first.name.to_owned(), json_of_scalar(&value));
            }
        }
        (None, None) => {}
    }
    if let Some(lacking) = parts.iter().find(|p| p.required && !out.contains_key(p.name))
        && !out.is_empty()
    {
        let field = format!("{name}/{}", lacking.name);
        return Err(EditError::Type { field, expected: "a value" });
    }
    Ok((!out.is_empty()).then(|| Value::Object(out).to_string().into()))
}

/// A part that is several texts; none if there are none.
fn texts(name: &str, items: &[Value]) -> Result<Option<Value>, EditError> {
    let wrong = EditError::Type { field: name.to_owned(), expected: "an array of texts" };
    let all: Option<BTreeSet<&str>> = items.iter().map(Value::as_str).collect();
    let all = all.ok_or(wrong)?;
    Ok((!all.is_empty()).then(|| all.into_iter().collect()))
}

fn json_of_scalar(value: &ScalarValue) -> Value {
    match value {
        ScalarValue::Str(text) => Value::String(text.to_string()),
        ScalarValue::Int(n) => (*n).into(),
        ScalarValue::Boolean(flag) => (*flag).into(),
        // Edits make nothing else.
        _ => Value::Null,
    }
}

/// A run of exactly `text.len()` decimal digits.
fn digits(text: Option<&str>) -> Option<i64> {
    let text = text?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to a `YYYY-MM-DD` that the calendar has, from year 1.
pub(crate) fn days_of(text: &str) -> Option<i64> {
    if text.len() != 10 || text.get(4..5) != Some("-") || text.get(7..8) != Some("-") {
        return None;
    }
    let (year, month, day) =
        (digits(text.get(..4))?, digits(text.get(5..7))?, digits(text.get(8..))?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if year == 0 || day == 0 || day > length {
        return None;
    }
    let before = year - 1;
    let years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = lengths.iter().take(month as usize - 1).sum();
    // 719,162 days lie between 0001-01-01 and 1970-01-01.
    Some(years + months + day - 1 - 719_162)
}

/// Milliseconds since 1970 of an RFC 3339 time; the seconds and their fraction may be left out.
pub(crate) fn instant_ms_of(text: &str) -> Option<i64> {
    let days = days_of(text.get(..10)?)?;
    if !matches!(text.get(10..11)?, "T" | "t" | " ") || text.get(13..14)? != ":" {
        return None;
    }
    let (hour, minute) = (digits(text.get(11..13))?, digits(text.get(14..16))?);
    let mut rest = text.get(16..)?;
    let (mut second, mut ms) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        second = digits(after.get(..2))?;
        rest = after.get(2..)?;
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            if end == 0 {
                return None;
            }
            let padded: String = after[..end].chars().chain("00".chars()).take(3).collect();
            ms = digits(Some(&padded))?;
            rest = &after[end..];
        }
    }
    let offset_minutes = match rest {
        "Z" | "z" => 0,
        _ => {
            let sign = match rest.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            if rest.len() != 6 || rest.get(3..4) != Some(":") {
                return None;
            }
            let (h, m) = (digits(rest.get(1..3))?, digits(rest.get(4..6))?);
            if h > 23 || m > 59 {
                return None;
            }
            sign * (h * 60 + m)
        }
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second) * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::schema::schema_named;
    use serde_json::json;

    fn error(kind: &str, json: Value) -> String {
        Edits::from_json(schema_named(kind).unwrap(), &json).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        assert!(error("post", json!({"titel": "x"})).contains("title, body, column"));
        assert!(error("post", json!({"title": ""})).contains("give a value"));
        assert!(error("post", json!({"column": "nwes"})).contains("style, pioneer, news, culture"));
        assert!(error("post", json!({"written": "2018-02-29"})).contains("calendar date"));
        assert!(error("meeting", json!({"start": "9 Uhr"})).contains("2018-12-11T09:00"));
        assert!(
            error("meeting", json!({"attendance": {"ab": "prsent"}})).contains("attendance/ab")
        );
        assert!(error("post", json!({"tags": [""]})).contains("1 to 256 bytes"));
        assert!(error("post", json!({"tags": {"plus": []}})).contains("'add' and 'remove'"));
        assert!(error("post", json!({"body": "党".repeat(200_000)})).contains("save parts"));
        assert!(error("post", json!([])).contains("JSON object"));
    }

    #[test]
    fn dates_and_times_are_read_exactly() {
        assert_eq!(days_of("1970-01-01"), Some(0));
        assert_eq!(days_of("2000-03-01"), Some(11_017));
        assert_eq!(days_of("2016-02-29"), Some(16_860));
        for wrong in
            ["1900-02-29", "2018-13-01", "2018-00-01", "2018-1-01", "2018-01-32", "党建党建"]
        {
            assert_eq!(days_of(wrong), None, "{wrong}");
        }
        let noon = Some(1_544_490_000_000);
        assert_eq!(instant_ms_of("2018-12-11T09:00:00+08:00"), noon);
        assert_eq!(instant_ms_of("2018-12-11T01:00Z"), noon);
        assert_eq!(instant_ms_of("2018-12-11 01:00:00.25Z"), Some(1_544_490_000_250));
        for wrong in ["2018-12-11T24:00Z", "2018-12-11T09:00", "2018-12-11T09:00+8", "2018-12-11"] {
            assert_eq!(instant_ms_of(wrong), None, "{wrong}");
        }
    }
}
