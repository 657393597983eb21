//! A file's rows as texts, whatever the file was.

use super::{csv, xlsx};
use fenbu_protocol::sheet::ROWS_MAX;
use serde::Deserialize;

/// Longest text of a cell, in bytes; a record takes less in one save.
pub const CELL_BYTES_MAX: usize = 1 << 20;

/// A format of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Xlsx,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// Why a file is no table that can be read; each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    #[error("the file is neither UTF-8 nor GBK text: save it as 'CSV UTF-8'")]
    Encoding,
    #[error("the file is a packed one such as XLSX, not CSV: name it .xlsx")]
    Packed,
    #[error("row {row} cannot be told apart into cells: {why}")]
    Csv { row: usize, why: String },
    #[error("the file is no XLSX workbook ({why}): open it and save it as .xlsx")]
    Workbook { why: String },
    #[error("the file is no DOCX document ({why}): open it and save it as .docx")]
    Document { why: String },
    #[error("there is no text in the document")]
    NoText,
    #[error("the workbook has no sheet that is shown")]
    NoSheet,
    #[error("the file unpacks to more than {max} MiB: split it")]
    Bomb { max: u64 },
    #[error("the file has more than {ROWS_MAX} rows: split it")]
    Rows,
    #[error("row {row} has a cell in column {column}; there are at most {max} columns")]
    Columns { row: usize, column: usize, max: usize },
    #[error("the workbook could not be written: {why}")]
    Write { why: String },
}

/// What is wrong with one cell of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellWrong {
    #[error("a formula: put its value into the cell (copy, paste values only)")]
    Formula,
    #[error(
        "a number of so many digits has lost its last ones: format the column as text and type it again"
    )]
    LongNumber,
    #[error("a time of day without a date: write 2018-12-11 09:00")]
    TimeAlone,
    #[error("the spreadsheet shows an error here: correct it")]
    Error,
    #[error("a cell has at most {CELL_BYTES_MAX} bytes")]
    Long,
}

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// As a spreadsheet numbers it, from 1.
    pub row: usize,
    pub cells: Vec<String>,
    /// By column, counted from 0.
    pub wrong: Vec<(usize, CellWrong)>,
}

/// A heading and rows of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub names: Vec<String>,
    pub lines: Vec<Line>,
}

impl Table {
    pub fn read(format: Format, bytes: &[u8]) -> Result<Self, TableError> {
        match format {
            Format::Csv => csv::read(bytes),
            Format::Xlsx => xlsx::read(bytes),
        }
    }

    /// The first row that says something is the heading.
    pub(super) fn of(lines: impl Iterator<Item = Line>) -> Self {
        let mut lines = lines.filter(|line| line.cells.iter().any(|c| !c.trim().is_empty()));
        let names = lines.next().map(|line| line.cells).unwrap_or_default();
        Self { names, lines: lines.collect() }
    }
}
