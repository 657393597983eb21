//! A directive (传达事项): something from above that every branch must be told, with its receipts.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

static STATUS: Workflow = Workflow {
    initial: "issued",
    states: &[code("issued", "传达中", "Issued"), code("closed", "已办结", "Closed")],
    steps: &[
        Step::new("close", "办结", "Close", &["issued"], "closed", By::HeadOffice),
        Step::new("reopen", "重新传达", "Reopen", &["closed"], "issued", By::HeadOffice).noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const RECEIPT: &[Field] = &[
    Field::new("on", Merge::Register, ValueType::Date, "传达日期", "Conveyed on").required(),
    Field::new("by", Merge::Register, ValueType::Text, "传达人", "By"),
    Field::new("people", Merge::Register, ValueType::Int, "人数", "People"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title").required(),
    Field::new("source", Merge::Contested, ValueType::Text, "来源", "Source"),
    Field::new("issued", Merge::Contested, ValueType::Date, "下发日期", "Issued").required(),
    Field::new("due", Merge::Contested, ValueType::Date, "传达期限", "Due"),
    Field::new("text", Merge::Text, ValueType::Text, "内容", "Text"),
    Field::new("receipts", Merge::Map, ValueType::Object(RECEIPT), "传达回执", "Receipts")
        .written_by(By::Anyone),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(14),
    name: "directive",
    plural: "directives",
    label_zh: "传达事项",
    label_en: "Directives",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/directive.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["title", "source", "issued", "due", "receipts", "status"],
    filters: &["status"],
    listed: &["issued", "due", "status", "title"],
    listed_wide: &["source", "receipts"],
};
