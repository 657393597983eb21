//! A transfer (组织关系转接): a member's move from one unit to another. Without personal data: every unit
//! reads it. The member counts at the source until the target has received them.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const TARGET: By = By::UnitIn("to_unit");
const SOURCE: By = By::UnitInOrHeadOffice("from_unit");

/// Taking back may follow receiving done at the same time: then head office decides.
static STATUS: Workflow = Workflow {
    initial: "issued",
    states: &[
        code("issued", "已开出", "Issued"),
        code("received", "已接收", "Received"),
        code("rejected", "已退回", "Rejected"),
        code("expired", "已过期", "Expired"),
        code("revoked", "已撤回", "Revoked"),
        code("frozen", "已冻结", "Frozen"),
    ],
    steps: &[
        Step::new("receive", "接收", "Receive", &["issued"], "received", TARGET),
        Step::new("reject", "退回", "Reject", &["issued"], "rejected", TARGET).noted(),
        Step::new("expire", "过期", "Expire", &["issued"], "expired", SOURCE),
        Step::new("revoke", "撤回", "Revoke", &["issued", "frozen"], "revoked", SOURCE).noted(),
        Step::new("annul", "撤销接收", "Annul receipt", &["received"], "revoked", By::HeadOffice)
            .noted(),
        Step::new("freeze", "冻结", "Freeze", &["issued"], "frozen", SOURCE).noted(),
        Step::new("unfreeze", "解冻", "Unfreeze", &["frozen"], "issued", By::HeadOffice).noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("member", Merge::Contested, ValueType::Id("member"), "党员标识", "Member id")
        .required(),
    Field::new("from_unit", Merge::Contested, ValueType::Text, "转出单位", "From unit").required(),
    Field::new("to_unit", Merge::Contested, ValueType::Text, "转入单位", "To unit").required(),
    Field::new("from_branch", Merge::Contested, ValueType::Text, "转出党组织", "From branch"),
    Field::new("to_branch", Merge::Contested, ValueType::Text, "转入党组织", "To branch"),
    Field::new("letter", Merge::Contested, ValueType::Text, "介绍信号", "Letter number"),
    Field::new("issued", Merge::Contested, ValueType::Date, "开具日期", "Issued"),
    Field::new("expiry", Merge::Contested, ValueType::Date, "有效期至", "Expiry"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(6),
    name: "transfer",
    plural: "transfers",
    label_zh: "组织关系转接",
    label_en: "Transfers",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/transfer.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "member",
        "from_unit",
        "to_unit",
        "from_branch",
        "to_branch",
        "letter",
        "issued",
        "expiry",
        "status",
    ],
    filters: &["status", "from_unit", "to_unit", "member"],
    listed: &["letter", "from_unit", "to_unit", "expiry", "status"],
    listed_wide: &["member", "from_branch", "to_branch", "issued"],
};
