//! A temporary branch (战时党支部 / 临时党支部): founded for the length of one task force, with members
//! seconded from several units. It can neither admit nor elect.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const HOST: By = By::UnitInOrHeadOffice("host_unit");

static STATUS: Workflow = Workflow {
    initial: "proposed",
    states: &[
        code("proposed", "拟成立", "Proposed"),
        code("approved", "已批准", "Approved"),
        code("active", "运行中", "Active"),
        code("dissolving", "撤销中", "Dissolving"),
        code("dissolved", "已撤销", "Dissolved"),
        code("archived", "已归档", "Archived"),
    ],
    steps: &[
        Step::new("approve", "批准成立", "Approve", &["proposed"], "approved", By::HeadOffice)
            .noted(),
        Step::new("activate", "启动", "Activate", &["approved"], "active", HOST),
        Step::new("wind-up", "开始撤销", "Wind up", &["active"], "dissolving", HOST),
        Step::new("dissolve", "撤销", "Dissolve", &["dissolving"], "dissolved", By::HeadOffice)
            .noted(),
        Step::new("resume", "恢复运行", "Resume", &["dissolving"], "active", By::HeadOffice)
            .noted(),
        Step::new("archive", "归档", "Archive", &["dissolved"], "archived", By::HeadOffice),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const SQUAD: &[Field] = &[
    Field::new("name", Merge::Register, ValueType::Text, "名称", "Name").required(),
    Field::new("leader", Merge::Register, ValueType::Text, "队长", "Leader"),
    Field::new("members", Merge::Set, ValueType::Text, "队员", "Members"),
    Field::new("flag", Merge::Register, ValueType::Date, "授旗日期", "Flag given"),
];

const TASK: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "事项", "Task").required(),
    Field::new("done", Merge::Register, ValueType::Date, "完成日期", "Done"),
    Field::new("by", Merge::Register, ValueType::Text, "完成人", "By"),
];

const FIELDS: &[Field] = &[
    Field::new("code", Merge::Contested, ValueType::Text, "代码", "Code").required(),
    Field::new("name", Merge::Contested, ValueType::Text, "名称", "Name").required(),
    Field::new("host_unit", Merge::Contested, ValueType::Text, "承办单位", "Host unit").required(),
    Field::new("alias", Merge::Register, ValueType::Text, "任务代号", "Task alias"),
    Field::new("approval", Merge::Contested, ValueType::Text, "批准文号", "Approval"),
    Field::new("established", Merge::Contested, ValueType::Date, "成立日期", "Established"),
    Field::new("planned_end", Merge::Contested, ValueType::Date, "计划结束", "Planned end"),
    Field::new("secretary", Merge::Contested, ValueType::Text, "书记", "Secretary"),
    Field::new("squads", Merge::Map, ValueType::Object(SQUAD), "突击队", "Squads"),
    Field::new(
        "checklist",
        Merge::Map,
        ValueType::Object(TASK),
        "撤销清单",
        "Dissolution checklist",
    ),
    Field::new("summary", Merge::Text, ValueType::Text, "总结", "Summary"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(7),
    name: "temporary-branch",
    plural: "temporary-branches",
    label_zh: "临时党支部",
    label_en: "Temporary branches",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/temporary-branch.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: HOST,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "code",
        "name",
        "host_unit",
        "alias",
        "approval",
        "established",
        "planned_end",
        "secretary",
        "squads",
        "status",
    ],
    filters: &["host_unit", "status", "code"],
    listed: &["code", "host_unit", "planned_end", "status", "name"],
    listed_wide: &["alias", "established", "secretary", "squads"],
};
