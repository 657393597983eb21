//! In and out: files of the formats offices use, as records and back.
//!
//! What a row, a cell, a heading means is decided in [`fenbu_protocol::sheet`]; here are the formats and
//! the walk over all records. Every file from outside is bounded before it is unpacked or taken apart.
//!
//! | file | noun |
//! |---|---|
//! | `table` | a file's rows as texts, whatever it was |
//! | `csv`, `xlsx` | the two formats of tables |
//! | `guard` | the apostrophe before what a spreadsheet would run or round |
//! | `pack` | what a packed file may unpack to |
//! | `import`, `places` | rows as records: which, and what changes |
//! | `export` | records as a table, templates |
//! | `attendance` | the sheet of who was at which meeting |
//! | `calendar`, `feed` | meetings to subscribe to, published posts to subscribe to |
//! | `published`, `markdown`, `page` | a post as the world sees it, pages for the screen and for print |
//! | `docx`, `draft` | posts and minutes for word processors, drafts from them |

mod attendance;
pub mod calendar;
pub mod csv;
pub mod docx;
pub mod draft;
pub mod export;
pub mod feed;
mod guard;
pub mod import;
pub(crate) mod markdown;
mod pack;
pub mod page;
mod places;
mod published;
pub mod table;
pub mod xlsx;

pub(crate) use export::plain_sheet;
pub use export::{Export, ExportError, export, template};
pub use import::{SheetReport, import};
pub(crate) use published::published_fields;
pub use table::{Format, Table, TableError};

#[cfg(test)]
mod tests;
