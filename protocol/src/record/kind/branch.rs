//! A branch (党组织): a Party organisation inside a unit. Head office keeps the tree.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const KINDS: &[Code] = &[
    code("committee", "机关党委", "Committee"),
    code("general", "党总支", "General branch"),
    code("branch", "党支部", "Branch"),
    code("group", "党小组", "Group"),
    code("temporary", "临时党支部", "Temporary branch"),
];

static STATUS: Workflow = Workflow {
    initial: "active",
    states: &[code("active", "正常", "Active"), code("dissolved", "已撤销", "Dissolved")],
    steps: &[
        Step::new("dissolve", "撤销", "Dissolve", &["active"], "dissolved", By::HeadOffice).noted(),
        Step::new("reinstate", "恢复", "Reinstate", &["dissolved"], "active", By::HeadOffice)
            .noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("code", Merge::Contested, ValueType::Text, "代码", "Code").required(),
    Field::new("name", Merge::Contested, ValueType::Text, "名称", "Name").required(),
    Field::new("unit", Merge::Contested, ValueType::Text, "单位", "Unit").required(),
    Field::new("parent", Merge::Contested, ValueType::Text, "上级党组织", "Parent"),
    Field::new("kind", Merge::Contested, ValueType::Code(KINDS), "类型", "Kind"),
    Field::new("established", Merge::Contested, ValueType::Date, "成立日期", "Established"),
    Field::new("ended", Merge::Contested, ValueType::Date, "撤销日期", "Ended"),
    Field::new("committee", Merge::Contested, ValueType::Bool, "设支委会", "Has a committee"),
    Field::new("groups", Merge::Contested, ValueType::Int, "党小组数", "Groups"),
    Field::new("contact", Merge::Register, ValueType::Text, "联系方式", "Contact")
        .written_by(By::UnitInOrHeadOffice("unit")),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(4),
    name: "branch",
    plural: "branches",
    label_zh: "党组织",
    label_en: "Branches",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/branch.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "code",
        "name",
        "unit",
        "parent",
        "kind",
        "established",
        "ended",
        "committee",
        "groups",
        "contact",
        "status",
    ],
    filters: &["unit", "kind", "status", "parent", "code"],
    listed: &["code", "unit", "kind", "status", "name"],
    listed_wide: &["parent", "established", "ended", "committee", "groups", "contact"],
};
