//! A reminder (催办): head office asks a branch for something that is due.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

static STATUS: Workflow = Workflow {
    initial: "open",
    states: &[
        code("open", "待办", "Open"),
        code("done", "已办", "Done"),
        code("cancelled", "已取消", "Cancelled"),
    ],
    steps: &[
        Step::new("finish", "办结", "Finish", &["open"], "done", By::UnitInOrHeadOffice("unit")),
        Step::new("cancel", "取消", "Cancel", &["open"], "cancelled", By::HeadOffice),
        Step::new("reopen", "重新催办", "Reopen", &["done"], "open", By::HeadOffice).noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("what", Merge::Contested, ValueType::Text, "事项", "What").required(),
    Field::new("unit", Merge::Contested, ValueType::Text, "单位", "Unit").required(),
    Field::new("branch", Merge::Contested, ValueType::Text, "党组织", "Branch"),
    Field::new("due", Merge::Contested, ValueType::Date, "期限", "Due"),
    Field::new("answer", Merge::Register, ValueType::Text, "回复", "Answer")
        .written_by(By::UnitInOrHeadOffice("unit")),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(18),
    name: "reminder",
    plural: "reminders",
    label_zh: "催办",
    label_en: "Reminders",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/reminder.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["what", "unit", "branch", "due", "answer", "status"],
    filters: &["unit", "branch", "status"],
    listed: &["due", "unit", "branch", "status", "what"],
    listed_wide: &["answer"],
};
