//! A mark (数据截止标记): a node's word, once a day, that it has said all it has to say up to now. Logs
//! arrive without gaps, so whoever holds the mark holds everything its node wrote before it in the same
//! space. One for each node and space, see [`crate::duty::mark_id`].

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType};
use crate::record::workflow::By;

const FIELDS: &[Field] = &[
    Field::new("node", Merge::Register, ValueType::Text, "节点", "Node").required(),
    Field::new("as_of", Merge::Register, ValueType::Instant, "数据截止", "As of").required(),
    Field::new("version", Merge::Register, ValueType::Text, "程序版本", "Version"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(21),
    name: "mark",
    plural: "marks",
    label_zh: "数据截止标记",
    label_en: "Marks",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/mark.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &["node", "as_of", "version"],
    filters: &["node"],
    listed: &["as_of", "version", "node"],
    listed_wide: &[],
};
