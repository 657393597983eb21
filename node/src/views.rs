//! Views: what lists show of each kind, derived from its schema.

use crate::store::{Cell, DocumentUpdate, Row, ViewColumn, ViewSpec};
use fenbu_protocol::id::{DocId, SpaceId, hex};
use fenbu_protocol::record::{ALL, Home, Merge, Record, Schema, ValueType};

/// The field that says which record of its kind another is the same as.
const ALIAS: &str = "same_as";

/// A record as its document and row are stored.
pub fn update_of(
    space: SpaceId,
    document: DocId,
    record: &Record,
    snapshot: Vec<u8>,
) -> DocumentUpdate {
    let row = record.row();
    let schema = record.schema();
    DocumentUpdate {
        space,
        document,
        kind: schema.kind,
        genesis: schema.genesis,
        snapshot: snapshot.into(),
        heads: record.heads(),
        conflicts: row.conflicts,
        row: row_of(schema, row),
        keys: record.matches(space, document),
    }
}

/// One view for each kind this version knows.
pub fn specs() -> Vec<ViewSpec> {
    ALL.into_iter().map(spec).collect()
}

/// The column after the schema's own: the actor that made the record, in hex. It says whose a record of the
/// federation's space is.
pub const MAKER: &str = "maker";

/// The column after it, of kinds that are published: of what everybody reads of a record the code of its
/// unit, empty while it is not out; nothing for drafts.
pub const PUBLISHER: &str = "publisher";

/// Columns of which head office's figures read every row.
const COVERED: [(&str, &[&str]); 1] =
    [("meetings", &["branch", "kind", "start", "planned", "status", "actions", "same_as"])];

fn spec(schema: &'static Schema) -> ViewSpec {
    let columns = schema.columns.iter().map(|name| {
        let field = schema.field(name);
        let scalar = field.is_some_and(|f| matches!(f.merge, Merge::Register | Merge::Contested));
        let value = field.map(|f| f.value);
        let integer = matches!(value, Some(ValueType::Instant | ValueType::Int | ValueType::Bool));
        let tally = field.is_some_and(|f| f.merge == Merge::Tally);
        let code = scalar && matches!(value, Some(ValueType::Code(_) | ValueType::Id(_)));
        let state = matches!(value, Some(ValueType::State(_)));
        ViewColumn {
            name: (*name).to_owned(),
            integer: (scalar && integer) || tally,
            indexed: code || state,
        }
    });
    let maker = ViewColumn { name: MAKER.to_owned(), integer: false, indexed: false };
    let published = schema.home == Home::Published;
    let publisher =
        published.then(|| ViewColumn { name: PUBLISHER.to_owned(), integer: false, indexed: true });
    let covered = COVERED.iter().find(|(plural, _)| *plural == schema.plural);
    let covered = covered.into_iter().flat_map(|(_, columns)| *columns);
    ViewSpec {
        kind: schema.kind,
        table: schema.plural.replace('-', "_"),
        columns: columns.chain([maker]).chain(publisher).collect(),
        covered: covered.map(|name| (*name).to_owned()).collect(),
        publisher: published.then(|| PUBLISHER.to_owned()),
        alias: schema.columns.iter().find(|name| **name == ALIAS).map(|name| (*name).to_owned()),
    }
}

/// A record's row as the view of its kind keeps it.
pub(crate) fn row_of(schema: &Schema, row: fenbu_protocol::record::Row) -> Row {
    use fenbu_protocol::record::Cell as Theirs;
    let cells = row.cells.into_iter().map(|cell| match cell {
        Theirs::Null => Cell::Null,
        Theirs::Int(n) => Cell::Int(n),
        Theirs::Text(text) => Cell::Text(text),
    });
    let maker = row.maker.map_or(Cell::Null, |actor| Cell::Text(hex(&actor)));
    let publisher = row.publisher.map_or(Cell::Null, Cell::Text);
    let publisher = (schema.home == Home::Published).then_some(publisher);
    Row {
        cells: cells.chain([maker]).chain(publisher).collect(),
        created_ms: row.created_ms,
        updated_ms: row.updated_ms,
    }
}
