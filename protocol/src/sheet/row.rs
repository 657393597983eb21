//! What a row changes.

use super::cell::{CellError, is_mask, mask, read, show, show_masked};
use super::heading::{Column, Heading};
use super::{CLEAR, Key, LEFT_OUT, Lang, natural_keys};
use crate::id::DocId;
use crate::record::{EditError, Edits, Field, Merge, Schema};
use serde_json::{Map, Value};

/// What is wrong with a row, and in which of the file's columns, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    pub column: usize,
    pub why: RowWhy,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowWhy {
    #[error(transparent)]
    Cell(#[from] CellError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("a record without '{label}' cannot be made: fill in the cell")]
    Required { label: String },
    #[error(
        "the record was changed after this sheet was exported: export again, or empty the row's version cell to write over it"
    )]
    Outdated,
}

/// A row's cells, as they are.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    heading: &'a Heading,
    cells: &'a [String],
    pub id: Option<DocId>,
    pub unit: Option<String>,
    version: Option<String>,
}

/// The record a row stands for, as it is.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// As [`crate::record::Record::to_json`] gives them.
    pub fields: &'a Map<String, Value>,
    /// See [`version_of`].
    pub version: &'a str,
}

/// One field that a row changes, as cells show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub field: &'static Field,
    pub before: String,
    pub after: String,
}

/// What a row says of its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Says {
    pub edits: Edits,
    /// Empty if it says nothing new.
    pub changes: Vec<Change>,
}

/// A short name of a record's version, from its heads: it tells that a sheet is out of date. Begins with
/// a letter, so that no spreadsheet takes it for a number.
pub fn version_of(heads: &[[u8; 32]]) -> String {
    let mut heads: Vec<_> = heads.iter().collect();
    heads.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for head in heads {
        hasher.update(head);
    }
    let text = hasher.finalize().to_hex();
    format!("v{}", &text[..12])
}

impl<'a> Row<'a> {
    /// Reads what is not a field; `None` for a row without a filled cell.
    pub fn read(heading: &'a Heading, cells: &'a [String]) -> Result<Option<Self>, RowError> {
        let mut row = Self { heading, cells, id: None, unit: None, version: None };
        let mut filled = false;
        for (at, text) in row.filled() {
            filled = true;
            match heading.columns[at] {
                Some(Column::Id) => {
                    let wrong = || CellError::Id { text: text.to_owned() };
                    let id = text.to_ascii_lowercase().parse();
                    row.id = Some(id.map_err(|_| RowError { column: at, why: wrong().into() })?);
                }
                Some(Column::Unit) => row.unit = Some(text.to_owned()),
                Some(Column::Version) => row.version = Some(text.to_owned()),
                _ => {}
            }
        }
        Ok(filled.then_some(row))
    }

    /// Cells of known columns that say something, with their column.
    fn filled(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        let heading = self.heading;
        let cells = self.cells.iter().map(|cell| cell.trim()).enumerate();
        cells.filter(|(at, text)| {
            !text.is_empty() && heading.columns.get(*at).is_some_and(Option::is_some)
        })
    }

    fn fields(&self) -> impl Iterator<Item = (usize, &'static Field, &'a str)> + use<'a> {
        let (heading, cells) = (self.heading, self.cells);
        self.filled().filter_map(move |(at, _)| match heading.columns[at] {
            Some(Column::Field(field)) => Some((at, field, cells[at].as_str())),
            _ => None,
        })
    }

    /// What the row's cells say, by field; those that empty a field are null.
    ///
    /// # Errors
    /// Every cell that is not understood.
    pub fn values(&self) -> Result<Map<String, Value>, Vec<RowError>> {
        let (mut fields, mut errors) = (Map::new(), Vec::new());
        for (column, field, text) in self.fields() {
            match read(field, text) {
                Ok(value) => fields.extend(value.map(|value| (field.name.to_owned(), value))),
                Err(why) => errors.push(RowError { column, why: why.into() }),
            }
        }
        if errors.is_empty() { Ok(fields) } else { Err(errors) }
    }

    /// By what the record is looked for.
    ///
    /// # Errors
    /// Cells of the key that are not understood: without them it could tell another record.
    pub fn key(&self) -> Result<Key, Vec<RowError>> {
        let schema = self.heading.schema;
        let names = natural_keys(schema).concat();
        let (mut fields, mut errors) = (Map::new(), Vec::new());
        for (column, field, text) in self.fields().filter(|(_, f, _)| names.contains(&f.name)) {
            match read(field, text) {
                Ok(Some(value)) if !(field.personal && is_mask(text.trim())) => {
                    fields.insert(field.name.to_owned(), value);
                }
                Ok(_) => {}
                Err(why) => errors.push(RowError { column, why: why.into() }),
            }
        }
        if errors.is_empty() { Ok(Key::of(schema, &fields)) } else { Err(errors) }
    }

    /// What the row says of the record it stands for, or of a new one.
    ///
    /// # Errors
    /// Everything wrong with its cells.
    pub fn says(&self, before: Option<Before<'_>>, lang: Lang) -> Result<Says, Vec<RowError>> {
        let schema = self.heading.schema;
        let (mut edits, mut changes, mut errors) = (Map::new(), Vec::new(), Vec::new());
        for (at, field, text) in self.fields() {
            let old = before.map(|b| b.fields.get(field.name).unwrap_or(&Value::Null));
            match edit(schema, field, text, old) {
                Ok(Some(value)) => {
                    changes.push(change(field, text, old, lang));
                    edits.insert(field.name.to_owned(), value);
                }
                Ok(None) => {}
                Err(why) => errors.push(RowError { column: at, why: why.into() }),
            }
        }
        if before.is_none() {
            errors.extend(self.lacking(schema, lang));
        }
        let outdated =
            before.is_some_and(|b| self.version.as_ref().is_some_and(|v| v != b.version));
        if outdated && !changes.is_empty() {
            let column = self.heading.at(Column::Version.name()).unwrap_or(0);
            errors.push(RowError { column, why: RowWhy::Outdated });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match Edits::from_json(schema, &Value::Object(edits)) {
            Ok(edits) => Ok(Says { edits, changes }),
            Err(error) => Err(vec![RowError { column: self.column_of(&error), why: error.into() }]),
        }
    }

    /// Fields a new record needs and the row does not give.
    fn lacking(&self, schema: &'static Schema, lang: Lang) -> Vec<RowError> {
        let given = |field: &&Field| {
            self.fields().any(|(_, f, text)| f.name == field.name && !CLEAR.contains(&text.trim()))
        };
        let lacking = schema.fields.iter().filter(|f| f.required && !given(f));
        let error = |field: &Field| RowError {
            column: self.heading.at(field.name).unwrap_or(0),
            why: RowWhy::Required { label: lang.pick(field.label_zh, field.label_en).to_owned() },
        };
        lacking.map(error).collect()
    }

    /// The column an edit's error is about.
    pub fn column_of(&self, error: &EditError) -> usize {
        let field = error.field().unwrap_or_default();
        let field = field.split('/').next().unwrap_or_default();
        self.heading.at(field).unwrap_or(0)
    }
}

/// What a cell makes of a field; `None` if it says nothing new.
fn edit(
    schema: &'static Schema,
    field: &Field,
    text: &str,
    old: Option<&Value>,
) -> Result<Option<Value>, CellError> {
    let same = |lang| old.is_some_and(|old| plain(&show(field, old, lang)) == plain(text));
    if same(Lang::Zh) || same(Lang::En) {
        return Ok(None);
    }
    if text.trim() == LEFT_OUT {
        return if old.is_some() { Ok(None) } else { Err(CellError::LeftOut) };
    }
    if field.personal {
        let masked =
            |lang| old.is_some_and(|old| plain(&show_masked(field, old, lang)) == plain(text));
        if masked(Lang::Zh) || masked(Lang::En) {
            return Ok(None);
        }
        if is_mask(text.trim()) {
            return Err(CellError::Masked);
        }
    }
    let value = match (read(field, text), old) {
        (Ok(Some(value)), _) => value,
        (Ok(None), _) => return Ok(None),
        (Err(error), _) => return Err(error),
    };
    let Some(old) = old else {
        return Ok((!value.is_null()).then_some(value));
    };
    match field.merge {
        Merge::Map => Ok(entries(old, value)),
        Merge::Set => Ok((!same_members(old, &value)).then_some(value)),
        Merge::Tally => Err(CellError::Sum { kind: schema.name }),
        Merge::Notes => notes(old, value),
        _ => Ok((*old != value && !(is_nothing(old) && is_nothing(&value))).then_some(value)),
    }
}

/// A text without what files do to it: line ends of another system, blanks around it.
fn plain(text: &str) -> String {
    text.trim().replace('\r', "")
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Sets have no order.
fn same_members(old: &Value, new: &Value) -> bool {
    let members = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    members(old) == members(new)
}

/// The keys of a map that change; null removes one that the cell no longer has.
fn entries(old: &Value, new: Value) -> Option<Value> {
    let none = Map::new();
    let old = old.as_object().unwrap_or(&none);
    let new = match new {
        Value::Object(new) => new,
        _ => Map::new(),
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).cloned();
    let mut out: Map<String, Value> = gone.map(|key| (key, Value::Null)).collect();
    out.extend(new.into_iter().filter(|(key, value)| old.get(key) != Some(value)));
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Remarks that come after those there are.
fn notes(old: &Value, new: Value) -> Result<Option<Value>, CellError> {
    let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else {
        return Err(CellError::Kept);
    };
    match new.strip_prefix(old.as_slice()) {
        Some([]) => Ok(None),
        Some(added) => Ok(Some(serde_json::json!({ "add": added }))),
        None => Err(CellError::Kept),
    }
}

/// Before and after, as a list may show them.
fn change(field: &'static Field, text: &str, old: Option<&Value>, lang: Lang) -> Change {
    let shown = |value: &Value| match field.personal {
        true => show_masked(field, value, lang),
        false => show(field, value, lang),
    };
    let after = match read(field, text) {
        Ok(Some(value)) => shown(&value),
        _ if field.personal => mask(text.trim()),
        _ => text.trim().to_owned(),
    };
    Change { field, before: old.map(shown).unwrap_or_default(), after }
}
