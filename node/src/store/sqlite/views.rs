//! The derived tables: one for each record kind, generated from its [`ViewSpec`].
//!
//! A view's rows carry space, document and conflicts themselves, so that a list reads one table and
//! never the wide rows of `documents`.

use super::Fault;
use super::keys;
use super::read;
use crate::store::query::{Cursor, Key, Resolved, stored_ms};
use crate::store::row::{Cell, Row, text_of};
use crate::store::{ListedRow, Place, Scanned, ViewSpec};
use fenbu_protocol::id::{DocId, Hash, SpaceId};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns before the view's own where whole rows are read.
const OWN_COLUMNS_AT: usize = 5;
/// And where some columns of all rows are.
const SCANNED_AT: usize = 4;

/// Brings the tables in line with `views` and returns whether they wait to be filled.
pub(super) fn prepare(connection: &mut Connection, views: &[ViewSpec]) -> Result<bool, Fault> {
    let ddl: String = views.iter().map(create).chain([keys::TABLES.to_owned()]).collect();
    let kinds: Vec<_> = views.iter().flat_map(|v| v.kind.0.to_be_bytes()).collect();
    let count = (views.len() as u64).to_be_bytes();
    let fingerprint = Hash::of("fenbu/views/1", &[&count, &kinds, ddl.as_bytes()]);
    let stored: Option<(Vec<u8>, bool)> = connection
        .query_row("SELECT fingerprint, complete FROM views", [], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    if let Some((_, complete)) = stored.filter(|(held, _)| held[..] == fingerprint.0) {
        return Ok(!complete);
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old: Vec<String> = tx
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'view_*'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for table in old {
        tx.execute_batch(&format!("DROP TABLE \"{table}\""))?;
    }
    tx.execute_batch(&ddl)?;
    // How far other views were filled says nothing of these.
    tx.execute("DELETE FROM settings WHERE name = ?1", [crate::rebuild::FILLED_SETTING])?;
    let empty: bool =
        tx.query_row("SELECT NOT EXISTS (SELECT 1 FROM documents)", [], |row| row.get(0))?;
    tx.execute(
        "INSERT OR REPLACE INTO views (id, fingerprint, complete) VALUES (1, ?1, ?2)",
        params![fingerprint.0, empty],
    )?;
    tx.commit()?;
    Ok(!empty)
}

/// Table and indexes: by each of the two times, by space, by each column lists ask for, and of what is in
/// conflict. Each ends in the document, as the order of every list does.
fn create(view: &ViewSpec) -> String {
    let t = &view.table;
    let columns: String = view
        .columns
        .iter()
        .map(|c| format!(", c_{} {}", c.name, if c.integer { "INTEGER" } else { "TEXT" }))
        .collect();
    let mut out = format!(
        "CREATE TABLE view_{t} (document_id INTEGER PRIMARY KEY, space BLOB NOT NULL,
         document BLOB NOT NULL, conflicts INTEGER NOT NULL, created_ms INTEGER NOT NULL,
         updated_ms INTEGER NOT NULL{columns});
         CREATE INDEX view_{t}_by_updated ON view_{t} (updated_ms, document, space);
         CREATE INDEX view_{t}_by_created ON view_{t} (created_ms, document, space);
         CREATE INDEX view_{t}_by_space ON view_{t} (space, updated_ms, document);
         CREATE INDEX view_{t}_in_conflict ON view_{t} (document, space) WHERE conflicts > 0;\n"
    );
    for c in view.columns.iter().filter(|c| c.indexed).map(|c| &c.name) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "CREATE INDEX view_{t}_of_{c} ON view_{t} (c_{c}, updated_ms, document, space);"
        );
    }
    if view.publisher.is_some() {
        let _ = writeln!(out, "CREATE INDEX view_{t}_by_document ON view_{t} (document);");
    }
    if !view.covered.is_empty() {
        let columns: String = view.covered.iter().map(|c| format!("c_{c}, ")).collect();
        let _ = writeln!(
            out,
            "CREATE INDEX view_{t}_covered ON view_{t} ({columns}conflicts, created_ms, space, document);"
        );
    }
    out
}

/// Whose row it is.
#[derive(Clone, Copy)]
pub(super) struct RowKey {
    /// The document's rowid.
    pub(super) id: i64,
    pub(super) space: SpaceId,
    pub(super) document: DocId,
}

pub(super) fn put(
    connection: &Connection,
    view: &ViewSpec,
    key: RowKey,
    row: &Row,
    conflicts: u32,
) -> Result<(), Fault> {
    let mut sql = format!("INSERT OR REPLACE INTO view_{} VALUES (?, ?, ?, ?, ?, ?", view.table);
    sql.push_str(&", ?".repeat(view.columns.len()));
    sql.push(')');
    let mut statement = connection.prepare_cached(&sql)?;
    let (created, updated) = (stored_ms(row.created_ms), stored_ms(row.updated_ms));
    let fixed: [&dyn ToSql; 6] =
        [&key.id, &key.space.0, &key.document.0, &conflicts, &created, &updated];
    let cells: Vec<_> = row.cells.iter().map(borrowed).collect();
    let cells = cells.iter().map(|cell| cell as &dyn ToSql);
    let values: Vec<_> = fixed.into_iter().chain(cells).collect();
    statement.execute(&values[..])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, view: &ViewSpec, id: i64) -> Result<(), Fault> {
    connection
        .prepare_cached(&format!("DELETE FROM view_{} WHERE document_id = ?1", view.table))?
        .execute([id])?;
    Ok(())
}

/// Rows whose document is gone, or is another's.
pub(super) fn delete_orphans(connection: &Connection, view: &ViewSpec) -> Result<(), Fault> {
    let sql = format!(
        "DELETE FROM view_{} WHERE NOT EXISTS
         (SELECT 1 FROM documents d WHERE d.id = document_id AND d.kind = ?1)",
        view.table
    );
    connection.prepare_cached(&sql)?.execute([view.kind.0])?;
    Ok(())
}

fn borrowed(cell: &Cell) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match cell {
        Cell::Null => ValueRef::Null,
        Cell::Int(value) => ValueRef::Integer(*value),
        Cell::Text(text) => ValueRef::Text(text.as_bytes()),
    })
}

/// A statement being put together, and its values in order.
struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A `WHERE` that more conditions can follow.
    fn new(select: &str, view: &ViewSpec, spaces: Option<&[SpaceId]>) -> Self {
        let mut sql = Self {
            text: format!("SELECT {select} FROM view_{} WHERE 1", view.table),
            values: Vec::new(),
        };
        if let Some(spaces) = spaces {
            let marks = vec!["?"; spaces.len()].join(", ");
            sql.and(
                &format!("space IN ({marks})"),
                spaces.iter().map(|s| Value::Blob(s.0.to_vec())),
            );
        }
        sql
    }

    /// Rows of these spaces, and what a unit has published.
    fn of(select: &str, view: &ViewSpec, spaces: Option<&[SpaceId]>, by: Option<&str>) -> Self {
        let (Some(spaces), Some(by), Some(publisher)) = (spaces, by, view.publisher()) else {
            return Self::new(select, view, spaces);
        };
        let mut sql = Self::new(select, view, None);
        let marks = vec!["?"; spaces.len()].join(", ");
        let values = spaces.iter().map(|s| Value::Blob(s.0.to_vec()));
        let values = values.chain([Value::Text(by.to_owned())]);
        let column = &view.columns[publisher].name;
        sql.and(&format!("space IN ({marks}) OR c_{column} = ?"), values);
        sql
    }

    /// Of what is published, rows that are out and whose record has no row of its own.
    fn once(&mut self, view: &ViewSpec) {
        let Some(publisher) = view.publisher() else { return };
        let (t, c) = (&view.table, &view.columns[publisher].name);
        self.and(
            &format!(
                "c_{c} IS NULL OR (c_{c} <> '' AND NOT EXISTS (SELECT 1 FROM view_{t} o
                 WHERE o.document = view_{t}.document AND o.c_{c} IS NULL))"
            ),
            [],
        );
    }

    /// Rows that are the same as no other.
    fn own(&mut self, view: &ViewSpec, equals: &[(usize, Cell)]) {
        self.once(view);
        if let Some(alias) = view.alias_unless(equals) {
            self.and(&format!("c_{} IS NULL", view.columns[alias].name), []);
        }
    }

    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND (");
        self.text.push_str(condition);
        self.text.push(')');
        self.values.extend(values);
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(value) => Value::Integer(*value),
        Cell::Text(text) => Value::Text(text.clone()),
    }
}

fn select(view: &ViewSpec) -> String {
    let columns: String = view.columns.iter().map(|c| format!(", c_{}", c.name)).collect();
    format!("space, document, conflicts, created_ms, updated_ms{columns}")
}

/// At most one row more than the limit, which tells that there is a next page.
pub(super) fn list(
    connection: &Connection,
    view: &ViewSpec,
    spaces: Option<&[SpaceId]>,
    query: &Resolved,
) -> Result<Vec<ListedRow>, Fault> {
    let mut sql = Sql::of(&select(view), view, spaces, query.published_by.as_deref());
    for (column, cell) in &query.equals {
        sql.and(&format!("c_{} = ?", view.columns[*column].name), [value(cell)]);
    }
    sql.own(view, &query.equals);
    for (column, cell) in &query.excludes {
        sql.and(&format!("c_{} IS NOT ?", view.columns[*column].name), [value(cell)]);
    }
    if let Some((columns, text)) = &query.contains {
        let any: Vec<_> = columns
            .iter()
            .map(|c| format!("instr(lower(c_{}), ?) > 0", view.columns[*c].name))
            .collect();
        let any = if any.is_empty() { "0".to_owned() } else { any.join(" OR ") };
        sql.and(&any, columns.iter().map(|_| Value::Text(text.clone())));
    }
    let key = match query.key {
        Key::Created => "created_ms".to_owned(),
        Key::Updated => "updated_ms".to_owned(),
        Key::Column(i) => format!("c_{}", view.columns[i].name),
    };
    if let Some(after) = &query.after {
        follow(&mut sql, &key, query.descending, after);
    }
    let way = if query.descending { "DESC" } else { "ASC" };
    let limit = query.limit + 1;
    // Writing to a String cannot fail.
    let _ = write!(sql.text, " ORDER BY {key} {way}, document {way}, space {way} LIMIT {limit}");
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(&sql.values))?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(listed(row, view)?);
    }
    Ok(out)
}

/// The condition for rows after the cursor. Nothing is less than something, so each way has its own
/// rule for empty cells; the plain bound comes first where an index can use it.
fn follow(sql: &mut Sql, key: &str, descending: bool, after: &Cursor) {
    let tie = || {
        [Value::Blob(after.document.0.to_vec()), Value::Blob(after.space.0.to_vec())].into_iter()
    };
    let bound = value(&after.key);
    match (&after.key, descending) {
        (Cell::Null, false) => {
            sql.and(&format!("{key} IS NOT NULL OR (document, space) > (?, ?)"), tie());
        }
        (Cell::Null, true) => {
            sql.and(&format!("{key} IS NULL AND (document, space) < (?, ?)"), tie());
        }
        (_, false) => {
            sql.and(&format!("{key} >= ?"), [bound.clone()]);
            let values = std::iter::once(bound).chain(tie());
            sql.and(&format!("{key} > ? OR (document, space) > (?, ?)"), values);
        }
        (_, true) if key.starts_with("c_") => {
            let values = [bound.clone(), bound].into_iter().chain(tie());
            sql.and(
                &format!(
                    "{key} IS NULL OR {key} < ? OR ({key} = ? AND (document, space) < (?, ?))"
                ),
                values,
            );
        }
        (_, true) => {
            sql.and(&format!("{key} <= ?"), [bound.clone()]);
            let values = std::iter::once(bound).chain(tie());
            sql.and(&format!("{key} < ? OR (document, space) < (?, ?)"), values);
        }
    }
}

/// These columns of every row.
pub(super) fn scan(
    connection: &Connection,
    view: &ViewSpec,
    columns: &[usize],
    spaces: Option<&[SpaceId]>,
) -> Result<Vec<Scanned>, Fault> {
    let names: String = columns.iter().map(|c| format!(", c_{}", view.columns[*c].name)).collect();
    let mut sql = Sql::new(&format!("space, document, conflicts, created_ms{names}"), view, None);
    if let Some(spaces) = spaces {
        let marks = vec!["?"; spaces.len()].join(", ");
        // The sign keeps the index by space out of it: nearly every row is wanted, and those of an index
        // that holds all these columns are the fewest bytes.
        let wanted = spaces.iter().map(|s| Value::Blob(s.0.to_vec()));
        sql.and(&format!("+space IN ({marks})"), wanted);
    }
    sql.own(view, &[]);
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(&sql.values))?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = columns.iter().enumerate().map(|(i, c)| cell(row, SCANNED_AT + i, view, *c));
        out.push(Scanned {
            space: SpaceId(row.get(0)?),
            document: DocId(row.get(1)?),
            conflicts: row.get(2)?,
            created_ms: read::unsigned(row, 3)?,
            cells: cells.collect::<Result<_, _>>()?,
        });
    }
    Ok(out)
}

pub(super) fn row(
    connection: &Connection,
    view: &ViewSpec,
    place: Place,
) -> Result<Option<ListedRow>, Fault> {
    let sql = format!(
        "SELECT {} FROM view_{} WHERE document_id = (SELECT d.id FROM documents d
         JOIN spaces s ON s.id = d.space_id WHERE d.document = ?1 AND s.space = ?2 AND d.kind = ?3)",
        select(view),
        view.table
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![place.document.0, place.space.0, place.kind.0])?;
    rows.next()?.map(|row| listed(row, view)).transpose()
}

/// At most `limit` documents that are in conflict with themselves.
pub(super) fn in_conflict(
    connection: &Connection,
    view: &ViewSpec,
    limit: usize,
) -> Result<Vec<Place>, Fault> {
    let sql = format!(
        "SELECT document, space FROM view_{} WHERE conflicts > 0 ORDER BY document, space LIMIT ?1",
        view.table
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let (document, space) = (DocId(row.get(0)?), SpaceId(row.get(1)?));
        out.push(Place { document, space, kind: view.kind });
    }
    Ok(out)
}

fn listed(row: &rusqlite::Row<'_>, view: &ViewSpec) -> Result<ListedRow, Fault> {
    let cells = (0..view.columns.len()).map(|i| cell(row, OWN_COLUMNS_AT + i, view, i));
    let cells = cells.collect::<Result<_, _>>()?;
    Ok(ListedRow {
        space: SpaceId(row.get(0)?),
        document: DocId(row.get(1)?),
        conflicts: row.get(2)?,
        row: Row {
            cells,
            created_ms: read::unsigned(row, 3)?,
            updated_ms: read::unsigned(row, 4)?,
        },
    })
}

pub(super) fn count(
    connection: &Connection,
    view: &ViewSpec,
    spaces: Option<&[SpaceId]>,
) -> Result<u64, Fault> {
    let mut sql = Sql::new("count(*)", view, spaces);
    sql.own(view, &[]);
    let mut statement = connection.prepare_cached(&sql.text)?;
    let count: i64 =
        statement.query_row(rusqlite::params_from_iter(&sql.values), |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

pub(super) fn count_by(
    connection: &Connection,
    view: &ViewSpec,
    column: usize,
    is: Option<&(usize, Cell)>,
    spaces: Option<&[SpaceId]>,
) -> Result<BTreeMap<String, u64>, Fault> {
    let name = &view.columns[column].name;
    let mut sql = Sql::new(&format!("c_{name}, count(*)"), view, spaces);
    if let Some((at, cell)) = is {
        sql.and(&format!("c_{} = ?", view.columns[*at].name), [value(cell)]);
    }
    sql.own(view, &[]);
    // Writing to a String cannot fail.
    let _ = write!(sql.text, " GROUP BY c_{name}");
    let mut statement = connection.prepare_cached(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(&sql.values))?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // Nothing and the empty text are two groups in the table and one for people.
        let value = text_of(&cell(row, 0, view, column)?).unwrap_or_default();
        *counts.entry(value).or_default() += read::unsigned(row, 1)?;
    }
    Ok(counts)
}

fn cell(row: &rusqlite::Row<'_>, at: usize, view: &ViewSpec, column: usize) -> Result<Cell, Fault> {
    Ok(match row.get(at)? {
        Value::Null => Cell::Null,
        Value::Integer(value) => Cell::Int(value),
        Value::Text(text) => Cell::Text(text),
        Value::Real(_) | Value::Blob(_) => {
            let name = &view.columns[column].name;
            return Err(Fault::Damaged(format!("{}.{name} has an odd value", view.table)));
        }
    })
}
