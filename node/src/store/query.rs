//! Questions a list answers, checked once and asked in the same words of both stores.

use super::row::{Cell, Row, ViewSpec};
use super::{SpaceId, StoreError};
use fenbu_protocol::id::{DocId, hex, unhex};
use std::fmt;
use std::str::FromStr;

/// Most rows one page holds; longer lists are paged.
pub const PAGE_ROWS_MAX: usize = 1000;

/// Which rows of a view, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Only these spaces; all that are stored if `None`.
    pub spaces: Option<Vec<SpaceId>>,
    /// Beside those of these spaces what this unit has published.
    pub published_by: Option<String>,
    /// Column and the value it must have; a number column's value is written in decimal.
    pub equals: Vec<(String, String)>,
    /// Column and a value it must not have.
    pub excludes: Vec<(String, String)>,
    /// Columns and a text one of them must contain; ASCII letters match in either case.
    pub contains: Option<(Vec<String>, String)>,
    pub order: Order,
    /// Rows in a page, at most [`PAGE_ROWS_MAX`].
    pub limit: usize,
    /// [`Page::next`] of the page before.
    pub after: Option<Cursor>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            spaces: None,
            published_by: None,
            equals: Vec::new(),
            excludes: Vec::new(),
            contains: None,
            order: Order { by: OrderBy::Updated, descending: true },
            limit: 50,
            after: None,
        }
    }
}

/// Rows with the same key follow in the order of their document ids, the same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub by: OrderBy,
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    Created,
    Updated,
    /// By a column's value: empty cells first, numbers, then texts by their bytes.
    Column(String),
}

/// What [`super::Reader::scan`] reads of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    pub space: SpaceId,
    pub document: DocId,
    pub conflicts: u32,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// In the order in which they were asked for.
    pub cells: Vec<Cell>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub rows: Vec<ListedRow>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRow {
    pub space: SpaceId,
    pub document: DocId,
    pub row: Row,
    /// Open conflicts of the document.
    pub conflicts: u32,
}

/// The last row of a page. Rows that change between pages may be seen twice or missed, those that do
/// not change are seen once. Written as text for addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) key: Cell,
    pub(super) document: DocId,
    pub(super) space: SpaceId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.document, self.space)?;
        match &self.key {
            Cell::Null => f.write_str("n"),
            Cell::Int(value) => write!(f, "i{value}"),
            Cell::Text(text) => write!(f, "t{}", hex(text.as_bytes())),
        }
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let parse = || {
            let mut parts = text.splitn(3, '.');
            let document = parts.next()?.parse().ok()?;
            let space = parts.next()?.parse().ok()?;
            let key = parts.next()?;
            let key = match key.split_at_checked(1)? {
                ("n", "") => Cell::Null,
                ("i", value) => Cell::Int(value.parse().ok()?),
                ("t", digits) => Cell::Text(text_of(digits)?),
                _ => return None,
            };
            Some(Self { key, document, space })
        };
        parse().ok_or_else(|| {
            StoreError::Query("this is not where a page ended; begin with the first page".into())
        })
    }
}

fn text_of(digits: &str) -> Option<String> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| Some(unhex::<1>(std::str::from_utf8(pair).ok()?).ok()?[0])).collect();
    String::from_utf8(bytes?).ok()
}

/// A [`ListQuery`] with columns found and values read.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) published_by: Option<String>,
    pub(super) equals: Vec<(usize, Cell)>,
    pub(super) excludes: Vec<(usize, Cell)>,
    /// Columns, and the text in ASCII lower case.
    pub(super) contains: Option<(Vec<usize>, String)>,
    pub(super) key: Key,
    pub(super) descending: bool,
    pub(super) limit: usize,
    pub(super) after: Option<Cursor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Created,
    Updated,
    Column(usize),
}

impl Key {
    pub(super) fn of(self, row: &Row) -> Cell {
        match self {
            Self::Created => Cell::Int(stored_ms(row.created_ms)),
            Self::Updated => Cell::Int(stored_ms(row.updated_ms)),
            Self::Column(i) => row.cells[i].clone(),
        }
    }
}

/// A time as the database holds it; a clock beyond 292 million years is one at its end.
pub(super) fn stored_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl ListQuery {
    pub(super) fn resolve(&self, view: &ViewSpec) -> Result<Resolved, StoreError> {
        let all = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| equal(view, name, value)).collect()
        };
        let (equals, excludes): (Result<_, _>, Result<_, _>) =
            (all(&self.equals), all(&self.excludes));
        let contains = self.contains.as_ref().map(|(names, text)| {
            let columns: Result<Vec<_>, _> = names.iter().map(|n| view.column(n)).collect();
            columns.map(|columns| (columns, text.to_ascii_lowercase()))
        });
        let key = match &self.order.by {
            OrderBy::Created => Key::Created,
            OrderBy::Updated => Key::Updated,
            OrderBy::Column(name) => Key::Column(view.column(name)?),
        };
        if let Some(after) = &self.after {
            let fits = match key {
                Key::Column(i) => view.fits(i, &after.key),
                Key::Created | Key::Updated => matches!(after.key, Cell::Int(_)),
            };
            if !fits {
                return Err(StoreError::Query(
                    "this page belongs to a list in another order; begin with the first page"
                        .into(),
                ));
            }
        }
        Ok(Resolved {
            published_by: self.published_by.clone(),
            equals: equals?,
            excludes: excludes?,
            contains: contains.transpose()?,
            key,
            descending: self.order.descending,
            limit: self.limit.clamp(1, PAGE_ROWS_MAX),
            after: self.after.clone(),
        })
    }
}

/// The column of this name, and the value as its cell.
pub(super) fn equal(view: &ViewSpec, name: &str, value: &str) -> Result<(usize, Cell), StoreError> {
    let column = view.column(name)?;
    if !view.columns[column].integer {
        return Ok((column, Cell::Text(value.to_owned())));
    }
    let number = value.parse().map_err(|_| {
        StoreError::Query(format!("column '{name}' holds whole numbers; '{value}' is not one"))
    })?;
    Ok((column, Cell::Int(number)))
}

/// The page of `rows`, which hold one more than the limit if there is a next page.
pub(super) fn page(mut rows: Vec<ListedRow>, limit: usize, key: Key) -> Page {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| Cursor {
        key: key.of(&last.row),
        document: last.document,
        space: last.space,
    });
    Page { rows, next }
}

/// The least and greatest document id that begin with these hex digits; `None` if they are not hex
/// digits or too many.
pub(super) fn prefix_range(prefix: &str) -> Result<(DocId, DocId), StoreError> {
    let bad = || {
        StoreError::Query(format!(
            "'{prefix}' is not the beginning of a record id: up to 32 of the digits 0-9 and a-f"
        ))
    };
    if prefix.len() > 2 * DocId::LEN || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    let filled = |with: &str| {
        let rest = with.repeat(2 * DocId::LEN - prefix.len());
        format!("{prefix}{rest}").parse().map_err(|_| bad())
    };
    Ok((filled("0")?, filled("f")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_as_text() {
        for key in [Cell::Null, Cell::Int(-7), Cell::Text("党建.i1".into())] {
            let cursor = Cursor { key, document: DocId([1; 16]), space: SpaceId([2; 16]) };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for bad in ["", "x", "..n", "é", "t0"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_span_the_ids_that_begin_with_them() {
        let (low, high) = prefix_range("aBc").unwrap();
        assert_eq!(low.0[..2], [0xab, 0xc0]);
        assert_eq!(high.0[..2], [0xab, 0xcf]);
        assert_eq!(high.0[15], 0xff);
        assert!(prefix_range("g").is_err());
        assert!(prefix_range(&"0".repeat(33)).is_err());
    }
}
