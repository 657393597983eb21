//! A document (制度文件): a rule in writing, and from when it is in force.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

static STATUS: Workflow = Workflow {
    initial: "draft",
    states: &[
        code("draft", "草案", "Draft"),
        code("in_force", "现行", "In force"),
        code("repealed", "已废止", "Repealed"),
    ],
    steps: &[
        Step::new("issue", "印发", "Issue", &["draft", "in_force"], "in_force", By::HeadOffice)
            .of_version(),
        Step::new("repeal", "废止", "Repeal", &["in_force"], "repealed", By::HeadOffice).noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title").required(),
    Field::new("version", Merge::Contested, ValueType::Text, "版本", "Version"),
    Field::new("text", Merge::Text, ValueType::Text, "正文", "Text"),
    Field::new("in_force_from", Merge::Contested, ValueType::Date, "施行日期", "In force from"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(17),
    name: "document",
    plural: "documents",
    label_zh: "制度文件",
    label_en: "Documents",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/document.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["title", "version", "in_force_from", "status"],
    filters: &["status"],
    listed: &["in_force_from", "version", "status", "title"],
    listed_wide: &[],
};
