//! A disclosure (查阅记录): somebody looked at personal data, and why. Made by the node, never by hand.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType};
use crate::record::workflow::By;

const FIELDS: &[Field] = &[
    Field::new("what", Merge::Contested, ValueType::Text, "查阅内容", "What").required(),
    Field::new("of", Merge::Contested, ValueType::Text, "记录类型", "Kind of record").required(),
    Field::new("record", Merge::Contested, ValueType::Text, "记录标识", "Record").required(),
    Field::new("reason", Merge::Contested, ValueType::Text, "理由", "Reason").required(),
    Field::new("by", Merge::Contested, ValueType::Text, "查阅人", "By").required(),
    Field::new("at", Merge::Contested, ValueType::Instant, "时间", "At").required(),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(22),
    name: "disclosure",
    plural: "disclosures",
    label_zh: "查阅记录",
    label_en: "Disclosures",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/disclosure.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &["what", "of", "record", "reason", "by", "at"],
    filters: &["what", "of", "record", "by"],
    listed: &["at", "by", "of", "record", "what", "reason"],
    listed_wide: &[],
};
