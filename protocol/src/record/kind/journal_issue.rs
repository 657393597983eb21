//! An issue of the journal (党建专栏期刊): what is in it, and where it was sent.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

static STATUS: Workflow = Workflow {
    initial: "editing",
    states: &[
        code("editing", "编辑中", "Editing"),
        code("released", "已发行", "Released"),
        code("withdrawn", "已撤回", "Withdrawn"),
    ],
    steps: &[
        Step::new("release", "发行", "Release", &["editing"], "released", By::OwnerOrHeadOffice)
            .of_version(),
        Step::new(
            "withdraw",
            "撤回",
            "Withdraw",
            &["editing", "released"],
            "withdrawn",
            By::OwnerOrHeadOffice,
        )
        .noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const ITEM: &[Field] = &[
    Field::new("title", Merge::Register, ValueType::Text, "标题", "Title").required(),
    Field::new("post", Merge::Register, ValueType::Id("post"), "稿件标识", "Post id"),
    Field::new("note", Merge::Register, ValueType::Text, "编者按", "Note"),
];

const SENT: &[Field] = &[
    Field::new("to", Merge::Register, ValueType::Text, "发往", "To").required(),
    Field::new("channel", Merge::Register, ValueType::Text, "渠道", "Channel"),
    Field::new("on", Merge::Register, ValueType::Date, "日期", "On"),
];

const FIELDS: &[Field] = &[
    Field::new("number", Merge::Contested, ValueType::Int, "期号", "Number").required(),
    Field::new("title", Merge::Contested, ValueType::Text, "刊名", "Title").required(),
    Field::new("branch", Merge::Register, ValueType::Text, "党组织", "Branch"),
    Field::new("cover", Merge::Text, ValueType::Text, "卷首", "Cover"),
    Field::new("items", Merge::List, ValueType::Object(ITEM), "篇目", "Items"),
    Field::new("sent", Merge::Notes, ValueType::Object(SENT), "发送记录", "Sent"),
    Field::new("date", Merge::Contested, ValueType::Date, "日期", "Date"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(11),
    name: "journal-issue",
    plural: "journal-issues",
    label_zh: "期刊",
    label_en: "Journal issues",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/journal-issue.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[("status", "withdrawn")],
    fields: FIELDS,
    columns: &["number", "title", "branch", "items", "date", "status"],
    filters: &["status", "branch", "number"],
    listed: &["number", "date", "status", "title"],
    listed_wide: &["branch", "items"],
};
