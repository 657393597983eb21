//! A value as a cell's text, and back.

use super::time;
use super::{CLEAR, Lang};
use crate::record::personal::masked;
use crate::record::{Code, Field, Merge, ValueType};
use serde_json::{Map, Value};

/// Why a cell is not understood; each message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    #[error("'{text}' is none of {known}")]
    Code { text: String, known: String },
    #[error("'{text}' is not a date: write 2018-12-11")]
    Date { text: String },
    #[error("'{text}' is not a time: write 2018-12-11 09:00")]
    Instant { text: String },
    #[error("'{text}' is not a whole number")]
    Int { text: String },
    #[error("'{text}' is neither 是 (yes) nor 否 (no)")]
    Bool { text: String },
    #[error("'{text}' is not an id of 32 hex digits: copy it from an export")]
    Id { text: String },
    #[error("'{text}' lacks its key: write KEY: VALUE, one a line")]
    Pair { text: String },
    #[error("'{text}' has more parts than {known}")]
    Parts { text: String, known: String },
    #[error("this cell begins like JSON and is none: {why}")]
    Json { why: String },
    #[error(
        "this is a mask, not a value: leave the cell empty, or export the values with --reveal and the reason"
    )]
    Masked,
    #[error(
        "a sum of what several nodes report cannot be set: give this node's own number with `fenbu {kind} edit`"
    )]
    Sum { kind: &'static str },
    #[error("the text was too long for a cell and is not here: take the record from a CSV file")]
    LeftOut,
    #[error("what was said there stays: keep those lines, and add yours at the end")]
    Kept,
}

/// Between texts of a list or set on the way in; on the way out there is one for each language.
const BETWEEN: [char; 6] = ['\n', '；', ';', '、', '，', ','];
/// Between entries of a map.
const ENTRIES: [char; 3] = ['\n', '；', ';'];
/// Between a key and its value.
const PAIR: [char; 3] = ['：', ':', '='];
/// Between the parts of a value.
const PARTS: [char; 2] = ['｜', '|'];

/// A value, as [`Record::to_json`](crate::record::Record::to_json) gives it, as a cell's text.
///
/// Codes are labels in `lang`, instants are Asia/Shanghai's. Lists, sets, maps and values of several
/// parts are written the way people would, if that reads back exactly, or else as JSON.
pub fn show(field: &Field, value: &Value, lang: Lang) -> String {
    let plain = match (field.merge, value) {
        (_, Value::Null) => return String::new(),
        (Merge::Tally, Value::Object(numbers)) => {
            let sum = numbers.values().filter_map(Value::as_i64).fold(0, i64::saturating_add);
            return sum.to_string();
        }
        (Merge::List | Merge::Set | Merge::Notes, Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| one(field, item, lang)).collect();
            items.join(if is_object(field) { "\n" } else { lang.pick("、", "; ") })
        }
        (Merge::Map, Value::Object(entries)) => {
            let colon = lang.pick("：", ": ");
            let entries = entries.iter().map(|(k, v)| format!("{k}{colon}{}", one(field, v, lang)));
            entries.collect::<Vec<_>>().join(if is_object(field) {
                "\n"
            } else {
                lang.pick("；", "; ")
            })
        }
        _ => one(field, value, lang),
    };
    let container = matches!(field.merge, Merge::List | Merge::Set | Merge::Notes | Merge::Map);
    let exact = || read(field, &plain).is_ok_and(|back| back.as_ref() == Some(value));
    let empty =
        value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
    if (container || is_object(field)) && !empty && !exact() { value.to_string() } else { plain }
}

/// What a cell shows of a personal value until somebody asks for it with a reason.
pub fn show_masked(field: &Field, value: &Value, lang: Lang) -> String {
    show(field, &masked(value), lang)
}

/// The same of a text.
pub fn mask(text: &str) -> String {
    masked(&text.into()).as_str().unwrap_or_default().to_owned()
}

/// Whether a personal value's text can only be a mask: such a value is not taken from anybody.
pub(super) fn is_mask(text: &str) -> bool {
    text.contains("**")
}

fn is_object(field: &Field) -> bool {
    matches!(field.value, ValueType::Object(_))
}

/// One value of the field's type.
fn one(field: &Field, value: &Value, lang: Lang) -> String {
    match (field.value, value) {
        (ValueType::Object(parts), Value::Object(given)) => object(parts, given, lang),
        (ValueType::Code(_) | ValueType::State(_), Value::String(code)) => {
            let known = field.code(code);
            known.map_or(code.as_str(), |c| lang.pick(c.zh, c.en)).to_owned()
        }
        (ValueType::Instant, Value::Number(ms)) => {
            ms.as_i64().map(time::show_instant).unwrap_or_default()
        }
        (ValueType::Bool, Value::Bool(true)) => lang.pick("是", "yes").to_owned(),
        (ValueType::Bool, Value::Bool(false)) => lang.pick("否", "no").to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => String::new(),
        // Several texts within a value.
        (_, Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(lang.pick("、", ", "))
        }
        (_, other) => other.to_string(),
    }
}

/// Parts in their order, without the empty ones at the end.
fn object(parts: &[Field], given: &Map<String, Value>, lang: Lang) -> String {
    let texts = parts.iter().map(|part| given.get(part.name).map(|v| one(part, v, lang)));
    let mut texts: Vec<String> = texts.map(Option::unwrap_or_default).collect();
    while texts.last().is_some_and(String::is_empty) {
        texts.pop();
    }
    texts.join(lang.pick("｜", " | "))
}

/// What a cell says: the value in the form records are edited with; `None` if it is empty.
/// [`CLEAR`] is null, which empties the field.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn read(field: &Field, text: &str) -> Result<Option<Value>, CellError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    if CLEAR.contains(&trimmed) {
        return Ok(Some(Value::Null));
    }
    let container = matches!(field.merge, Merge::List | Merge::Set | Merge::Notes | Merge::Map);
    if (container || is_object(field)) && trimmed.starts_with(['[', '{']) {
        let json = serde_json::from_str(trimmed);
        return json.map(Some).map_err(|e| CellError::Json { why: e.to_string() });
    }
    Ok(Some(match field.merge {
        // Paragraphs as they are.
        Merge::Text => Value::String(text.to_owned()),
        Merge::List | Merge::Set | Merge::Notes => {
            let between: &[char] = if is_object(field) { &['\n'] } else { &BETWEEN };
            let items = trimmed.split(between).map(str::trim).filter(|item| !item.is_empty());
            items.map(|item| scalar(field, item)).collect::<Result<_, _>>()?
        }
        Merge::Map => map(field, trimmed)?,
        _ => scalar(field, trimmed)?,
    }))
}

fn map(field: &Field, text: &str) -> Result<Value, CellError> {
    let between: &[char] = if is_object(field) { &['\n'] } else { &ENTRIES };
    let mut out = Map::new();
    for entry in text.split(between).map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((key, value)) = entry.split_once(PAIR) else {
            return Err(CellError::Pair { text: entry.to_owned() });
        };
        out.insert(key.trim().to_owned(), scalar(field, value.trim())?);
    }
    Ok(Value::Object(out))
}

fn scalar(field: &Field, text: &str) -> Result<Value, CellError> {
    let owned = || text.to_owned();
    Ok(match field.value {
        ValueType::Text => owned().into(),
        ValueType::Code(_) | ValueType::State(_) => code(field, text)?.code.into(),
        ValueType::Date => {
            time::date(&narrow(text)).ok_or_else(|| CellError::Date { text: owned() })?.into()
        }
        ValueType::Instant => {
            time::instant(&narrow(text)).ok_or_else(|| CellError::Instant { text: owned() })?.into()
        }
        ValueType::Int => {
            let plain: String = narrow(text).chars().filter(|c| *c != ',').collect();
            let whole = plain.strip_suffix(".0").unwrap_or(&plain);
            whole.parse::<i64>().map_err(|_| CellError::Int { text: owned() })?.into()
        }
        ValueType::Bool => match text.to_lowercase().as_str() {
            "是" | "yes" | "true" | "1" | "√" => true.into(),
            "否" | "no" | "false" | "0" | "×" => false.into(),
            _ => return Err(CellError::Bool { text: owned() }),
        },
        ValueType::Id(_) => {
            let id = narrow(text).to_lowercase();
            if id.len() != 32 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(CellError::Id { text: owned() });
            }
            id.into()
        }
        ValueType::Object(parts) => several(parts, text)?,
    })
}

/// A value of several parts, in their order.
fn several(parts: &'static [Field], text: &str) -> Result<Value, CellError> {
    let texts: Vec<&str> = text.split(PARTS).map(str::trim).collect();
    if texts.len() > parts.len() {
        let known = parts.iter().map(|p| p.label_zh).collect::<Vec<_>>().join("｜");
        return Err(CellError::Parts { text: text.to_owned(), known });
    }
    let mut out = Map::new();
    for (part, text) in parts.iter().zip(texts) {
        if let Some(value) = read(part, text)? {
            out.insert(part.name.to_owned(), value);
        }
    }
    Ok(Value::Object(out))
}

/// By its label in either language, or itself.
fn code(field: &Field, text: &str) -> Result<&'static Code, CellError> {
    let is = |c: &&Code| [c.zh, c.en, c.code].iter().any(|name| name.eq_ignore_ascii_case(text));
    field.codes().iter().find(is).ok_or_else(|| {
        let known: Vec<_> = field.codes().iter().map(|c| format!("{} ({})", c.zh, c.en)).collect();
        CellError::Code { text: text.to_owned(), known: known.join(", ") }
    })
}

/// Full-width digits and signs as an input method leaves them, narrowed.
fn narrow(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' | '\u{a0}' => ' ',
        c => c,
    };
    text.chars().map(narrow).collect()
}
