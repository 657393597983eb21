//! What a sheet means: its columns, what a cell says, which record a row stands for, and what it changes.
//!
//! A sheet is a heading and rows of texts; where they come from (CSV, XLSX) is nobody's business here.
//! Everything follows from a kind's [`Schema`](crate::record::Schema), so that a new kind has its sheet without a line here.
//!
//! | file | noun |
//! |---|---|
//! | `heading` | the columns of a kind, and finding them under whichever name a file gives them |
//! | `cell`, `time` | a value as a cell's text, and back |
//! | `key` | which record a row without an id stands for |
//! | `row` | what a row changes |
//!
//! Three rules make a sheet that comes back harmless. An empty cell leaves its field as it is;
//! [`CLEAR`] empties it. A cell that says what the record's own cell would say, in either language or
//! masked, changes nothing, whatever is lost in writing it. And a readable form is used only where it
//! reads back exactly; otherwise the cell holds JSON.

mod cell;
mod heading;
mod key;
mod row;
mod time;

pub use cell::{CellError, mask, read, show, show_masked};
pub use heading::{Column, Heading, HeadingError, columns};
pub use key::{Key, key_fields, natural_keys};
pub use row::{Before, Change, Row, RowError, RowWhy, Says, version_of};
pub use time::{show_instant, zoned};

/// A language of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    Zh,
    En,
}

impl Lang {
    /// The one of two that fits.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// Cells that empty their field, in either language.
pub const CLEAR: [&str; 3] = ["（清空）", "(清空)", "(clear)"];

/// Stands in a cell for a text that is too long for one, where a kind of file has such a bound. It
/// says nothing.
pub const LEFT_OUT: &str = "（内容过长，未放入此格 / too long for a cell, left out）";

/// Most rows of a sheet, without its heading.
pub const ROWS_MAX: usize = 50_000;
/// Most columns.
pub const COLUMNS_MAX: usize = 256;

#[cfg(test)]
mod tests;
