//! Rows of the views: what lists show of a record, one table for each kind.

use super::StoreError;
use fenbu_protocol::log::Kind;

/// One value of a row. The order (nothing, numbers, texts by their bytes) is the one lists sort by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
}

/// What a view keeps of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Parallel to [`ViewSpec::columns`].
    pub cells: Vec<Cell>,
    /// Milliseconds since 1970, as are all times here.
    pub created_ms: u64,
    pub updated_ms: u64,
}

impl Row {
    /// As a database gives it back: times beyond what it holds are at its end.
    pub(super) fn stored(&self) -> Self {
        Self {
            cells: self.cells.clone(),
            created_ms: self.created_ms.min(i64::MAX as u64),
            updated_ms: self.updated_ms.min(i64::MAX as u64),
        }
    }
}

/// One column of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Lower-case ASCII letters, digits and `_`, beginning with a letter.
    pub name: String,
    /// Whole numbers; texts otherwise. Either may be [`Cell::Null`].
    pub integer: bool,
    /// Lists often ask for one value of it.
    pub indexed: bool,
}

/// The view of one record kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSpec {
    pub kind: Kind,
    /// Named as columns are; the table in the database is `view_` and this.
    pub table: String,
    pub columns: Vec<ViewColumn>,
    /// Columns that [`super::Reader::scan`] often reads of every row: they get an index of their own, so
    /// that the wide rows are left alone.
    pub covered: Vec<String>,
    /// A column that says that a row is what is published of a record: the code of its unit, empty while
    /// nothing is out. Such a row is in no list, figure or count beside the row of the record itself, nor
    /// while it is empty.
    pub publisher: Option<String>,
    /// A column that says which other record this one is the same as: such rows are in no list and no
    /// count but those that ask for a value of it.
    pub alias: Option<String>,
}

impl ViewSpec {
    /// Where the column stands, or an error that names those there are.
    pub(super) fn column(&self, name: &str) -> Result<usize, StoreError> {
        self.columns.iter().position(|c| c.name == name).ok_or_else(|| {
            let known: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
            StoreError::Query(format!(
                "{} have no column '{name}'; there are: {}",
                self.table,
                known.join(", ")
            ))
        })
    }

    /// Where the column stands that tells publications from records, if there is one.
    pub(super) fn publisher(&self) -> Option<usize> {
        let name = self.publisher.as_ref()?;
        self.columns.iter().position(|c| c.name == *name)
    }

    /// The column that has to be empty, unless one of these asks for a value of it.
    pub(super) fn alias_unless(&self, equals: &[(usize, Cell)]) -> Option<usize> {
        let alias = self.alias.as_ref()?;
        let at = self.columns.iter().position(|c| c.name == *alias)?;
        (!equals.iter().any(|(column, _)| *column == at)).then_some(at)
    }

    /// Whether the cell may stand in the column.
    pub(super) fn fits(&self, column: usize, cell: &Cell) -> bool {
        match cell {
            Cell::Null => true,
            Cell::Int(_) => self.columns[column].integer,
            Cell::Text(_) => !self.columns[column].integer,
        }
    }

    pub(super) fn check(&self, row: &Row) -> Result<(), StoreError> {
        let fits = row.cells.len() == self.columns.len()
            && row.cells.iter().enumerate().all(|(i, cell)| self.fits(i, cell));
        fits.then_some(()).ok_or_else(|| {
            StoreError::Inconsistent(format!("a row of {} has other columns", self.table))
        })
    }
}

/// A cell as text; `None` if it is empty.
pub(super) fn text_of(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Int(value) => Some(value.to_string()),
        Cell::Text(text) => Some(text.clone()),
    }
}

/// Finds the view of a kind for a listing.
pub(super) fn view_of(views: &[ViewSpec], kind: Kind) -> Result<&ViewSpec, StoreError> {
    views
        .iter()
        .find(|view| view.kind == kind)
        .ok_or_else(|| StoreError::Query(format!("records of kind {} have no list", kind.0)))
}

/// Names become part of SQL, and kinds and tables stand for each other, so both are checked once.
pub(super) fn check_specs(views: &[ViewSpec]) -> Result<(), StoreError> {
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let bad = |what: String| Err(StoreError::Inconsistent(what));
    for (i, view) in views.iter().enumerate() {
        if !plain(&view.table) {
            return bad(format!("'{}' cannot name a view", view.table));
        }
        if views[..i].iter().any(|v| v.kind == view.kind || v.table == view.table) {
            return bad(format!("two views for {} (kind {})", view.table, view.kind.0));
        }
        for (j, column) in view.columns.iter().enumerate() {
            let twice = view.columns[..j].iter().any(|c| c.name == column.name);
            if twice || !plain(&column.name) {
                return bad(format!("'{}' cannot name a column of {}", column.name, view.table));
            }
        }
        if let Some(name) = view.covered.iter().find(|name| view.column(name).is_err()) {
            return bad(format!("{} have no column '{name}' to cover", view.table));
        }
    }
    Ok(())
}
