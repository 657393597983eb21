//! A care visit (走访慰问). It stays with the unit, and what it says of people is shown to no list.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const KINDS: &[Code] = &[
    code("condolence", "慰问", "Condolence"),
    code("family", "家庭走访", "Family visit"),
    code("medical", "救治协调", "Medical help"),
];

static STATUS: Workflow = Workflow {
    initial: "open",
    states: &[code("open", "跟进中", "Open"), code("closed", "已办结", "Closed")],
    steps: &[
        Step::new("close", "办结", "Close", &["open"], "closed", By::Anyone),
        Step::new("reopen", "重新跟进", "Reopen", &["closed"], "open", By::Anyone).noted(),
    ],
    correctable: false,
    settled_by: By::Anyone,
};

const FOLLOW_UP: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "跟进", "Follow-up").required(),
    Field::new("on", Merge::Register, ValueType::Date, "日期", "On"),
];

const FIELDS: &[Field] = &[
    Field::new("subject", Merge::Contested, ValueType::Text, "对象", "Subject")
        .required()
        .personal(),
    Field::new("kind", Merge::Contested, ValueType::Code(KINDS), "类别", "Kind").required(),
    Field::new("date", Merge::Contested, ValueType::Date, "日期", "Date").required(),
    Field::new("visitor", Merge::Register, ValueType::Text, "走访人", "Visitor"),
    Field::new("need", Merge::Register, ValueType::Text, "困难诉求", "Need").personal(),
    Field::new("follow_up", Merge::Notes, ValueType::Object(FOLLOW_UP), "跟进情况", "Follow-up")
        .personal(),
    Field::new("thoughts", Merge::Text, ValueType::Text, "思想动态", "Thoughts").personal(),
    Field::new("note", Merge::Text, ValueType::Text, "备注", "Note").personal(),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(13),
    name: "care-visit",
    plural: "care-visits",
    label_zh: "走访慰问",
    label_en: "Care visits",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/care-visit.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Owner,
    hidden: &[],
    fields: FIELDS,
    columns: &["subject", "kind", "date", "visitor", "status"],
    filters: &["kind", "status"],
    listed: &["date", "kind", "subject", "visitor", "status"],
    listed_wide: &[],
};
