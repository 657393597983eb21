//! The columns of a kind, and finding them under whichever name a file gives them.

use super::{COLUMNS_MAX, Lang};
use crate::record::{Field, Home, Schema};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The record's id.
    Id,
    /// The unit whose space the record lives in.
    Unit,
    /// The record's version when the sheet was written: a row that is out of date does not undo what was
    /// written since.
    Version,
    Field(&'static Field),
}

impl Column {
    /// Name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Unit => "owner_unit",
            Self::Version => "exported_version",
            Self::Field(field) => field.name,
        }
    }

    pub fn label(self, lang: Lang) -> &'static str {
        match self {
            Self::Id => lang.pick("标识", "Id"),
            Self::Unit => lang.pick("归属单位", "Owner unit"),
            Self::Version => lang.pick("导出时版本", "Exported version"),
            Self::Field(field) => lang.pick(field.label_zh, field.label_en),
        }
    }

    fn is_called(self, name: &str) -> bool {
        let labels = [self.name(), self.label(Lang::Zh), self.label(Lang::En)];
        labels.iter().any(|label| label.eq_ignore_ascii_case(name))
    }
}

/// Every column of a kind, in the order sheets are written in.
pub fn columns(schema: &'static Schema) -> Vec<Column> {
    let fields = schema.fields.iter().map(Column::Field);
    if !schema.has_records() {
        return fields.collect();
    }
    let mut out = vec![Column::Id];
    if schema.home != Home::Federation {
        out.push(Column::Unit);
    }
    out.extend(fields);
    out.push(Column::Version);
    out
}

/// Why a heading is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadingError {
    #[error("the sheet is empty: its first row names the columns; `fenbu template` writes one")]
    Empty,
    #[error(
        "there is no column '{name}'; the columns are {known}. Rename it, or put # before its name to leave it out"
    )]
    Unknown { name: String, known: String },
    #[error("the column '{name}' is there twice; leave one out")]
    Twice { name: String },
    #[error("a sheet has at most {COLUMNS_MAX} columns")]
    TooMany,
}

/// A sheet's first row, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub schema: &'static Schema,
    /// For each column of the file what it holds; `None` for those left out.
    pub columns: Vec<Option<Column>>,
}

impl Heading {
    /// Finds each name: a field's own, or its label in either language.
    ///
    /// # Errors
    /// The first name that is none, with its column, counted from 0.
    pub fn read(
        schema: &'static Schema,
        names: &[String],
        lang: Lang,
    ) -> Result<Self, (usize, HeadingError)> {
        if names.iter().all(|name| name.trim().is_empty()) {
            return Err((0, HeadingError::Empty));
        }
        if names.len() > COLUMNS_MAX {
            return Err((COLUMNS_MAX, HeadingError::TooMany));
        }
        let known = columns(schema);
        let mut columns: Vec<Option<Column>> = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            // A heading may say which columns cannot be empty.
            let plain = name.trim().trim_start_matches('\u{feff}').trim_end_matches('*').trim();
            let row_number = ["序号", "no.", "#"].iter().any(|n| n.eq_ignore_ascii_case(plain));
            if plain.is_empty() || plain.starts_with('#') || row_number {
                columns.push(None);
                continue;
            }
            let Some(column) = known.iter().find(|c| c.is_called(plain)) else {
                let known: Vec<_> = known.iter().map(|c| c.label(lang)).collect();
                let known = known.join(", ");
                return Err((at, HeadingError::Unknown { name: plain.to_owned(), known }));
            };
            if columns.contains(&Some(*column)) {
                return Err((at, HeadingError::Twice { name: plain.to_owned() }));
            }
            columns.push(Some(*column));
        }
        Ok(Self { schema, columns })
    }

    /// Which column of the file holds a field, counted from 0.
    pub fn at(&self, field: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.is_some_and(|c| c.name() == field))
    }
}
