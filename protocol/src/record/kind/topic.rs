//! A topic (选题): a post that is asked for.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const ASKED: By = By::UnitInOrHeadOffice("asked_unit");

static STATUS: Workflow = Workflow {
    initial: "open",
    states: &[
        code("open", "待认领", "Open"),
        code("accepted", "已认领", "Accepted"),
        code("delivered", "已交稿", "Delivered"),
        code("dropped", "已取消", "Dropped"),
    ],
    steps: &[
        Step::new("accept", "认领", "Accept", &["open"], "accepted", ASKED),
        Step::new("deliver", "交稿", "Deliver", &["open", "accepted"], "delivered", ASKED),
        Step::new("drop", "取消", "Drop", &["open", "accepted"], "dropped", By::OwnerOrHeadOffice)
            .noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "选题", "Title").required(),
    Field::new("column", Merge::Register, ValueType::Code(super::post::COLUMNS), "栏目", "Column"),
    Field::new("asked_unit", Merge::Contested, ValueType::Text, "约稿单位", "Asked unit"),
    Field::new("asked", Merge::Register, ValueType::Text, "约稿人", "Asked of"),
    Field::new("due", Merge::Contested, ValueType::Date, "截稿日期", "Due"),
    Field::new("post", Merge::Contested, ValueType::Id("post"), "稿件标识", "Post id"),
    Field::new("brief", Merge::Text, ValueType::Text, "要求", "Brief"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(15),
    name: "topic",
    plural: "topics",
    label_zh: "选题",
    label_en: "Topics",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/topic.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &["title", "column", "asked_unit", "asked", "due", "post", "status"],
    filters: &["column", "asked_unit", "status"],
    listed: &["due", "column", "asked_unit", "status", "title"],
    listed_wide: &["asked", "post"],
};
