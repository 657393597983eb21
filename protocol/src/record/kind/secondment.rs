//! A secondment (抽调): a member lent to a temporary branch. Never a transfer: the member stays where they
//! are at home, and the home unit confirms.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const AT_HOME: By = By::UnitIn("home_unit");

static STATUS: Workflow = Workflow {
    initial: "proposed",
    states: &[
        code("proposed", "拟抽调", "Proposed"),
        code("confirmed", "已确认", "Confirmed"),
        code("declined", "未同意", "Declined"),
        code("returned", "已归队", "Returned"),
    ],
    steps: &[
        Step::new("confirm", "确认抽调", "Confirm", &["proposed"], "confirmed", AT_HOME),
        Step::new("decline", "不同意", "Decline", &["proposed"], "declined", AT_HOME).noted(),
        Step::new("return", "归队", "Return", &["confirmed"], "returned", By::OwnerOrHeadOffice),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("person", Merge::Contested, ValueType::Text, "姓名", "Person").required(),
    Field::new("member", Merge::Contested, ValueType::Id("member"), "党员标识", "Member id"),
    Field::new("stage", Merge::Register, ValueType::Text, "发展阶段", "Stage"),
    Field::new("home_unit", Merge::Contested, ValueType::Text, "原单位", "Home unit").required(),
    Field::new("home_branch", Merge::Contested, ValueType::Text, "原党组织", "Home branch"),
    Field::new("branch", Merge::Contested, ValueType::Text, "临时党支部", "Temporary branch")
        .required(),
    Field::new("from", Merge::Contested, ValueType::Date, "抽调起", "From"),
    Field::new("to", Merge::Contested, ValueType::Date, "抽调止", "To"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(8),
    name: "secondment",
    plural: "secondments",
    label_zh: "抽调",
    label_en: "Secondments",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/secondment.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "person",
        "member",
        "stage",
        "home_unit",
        "home_branch",
        "branch",
        "from",
        "to",
        "status",
    ],
    filters: &["branch", "home_unit", "status"],
    listed: &["branch", "home_unit", "person", "from", "to", "status"],
    listed_wide: &["stage", "home_branch", "member"],
};
