//! A member (党员): a person on a roster of their unit.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const STAGES: &[Code] = &[
    code("applicant", "入党申请人", "Applicant"),
    code("activist", "入党积极分子", "Activist"),
    code("candidate", "发展对象", "Candidate"),
    code("probationary", "预备党员", "Probationary member"),
    code("full", "正式党员", "Full member"),
];

const STANDINGS: &[Code] = &[
    code("normal", "正常", "Normal"),
    code("on_probation_discipline", "留党察看", "On disciplinary probation"),
    code("suspended", "中止党籍", "Suspended"),
    code("expelled", "开除党籍", "Expelled"),
    code("removed", "党内除名", "Removed"),
    code("quit", "退党", "Quit"),
    code("deceased", "去世", "Deceased"),
];

static STAGE: Workflow = Workflow {
    initial: "applicant",
    states: STAGES,
    steps: &[
        Step::new("nominate", "列为积极分子", "Nominate", &["applicant"], "activist", By::Anyone),
        Step::new("develop", "列为发展对象", "Develop", &["activist"], "candidate", By::Anyone),
        Step::new("admit", "接收为预备党员", "Admit", &["candidate"], "probationary", By::Anyone),
        Step::new("convert", "转正", "Convert", &["probationary"], "full", By::Anyone),
        Step::new(
            "extend",
            "延长预备期",
            "Extend probation",
            &["probationary"],
            "probationary",
            By::Anyone,
        )
        .noted()
        .staying(),
        Step::new(
            "disqualify",
            "取消预备党员资格",
            "Disqualify",
            &["probationary"],
            "applicant",
            By::Anyone,
        )
        .noted(),
    ],
    correctable: true,
    settled_by: By::OwnerOrHeadOffice,
};

const BOUND: &[&str] = &["normal", "on_probation_discipline", "suspended"];

static STANDING: Workflow = Workflow {
    initial: "normal",
    states: STANDINGS,
    steps: &[
        Step::new(
            "discipline",
            "留党察看",
            "Discipline",
            &["normal"],
            "on_probation_discipline",
            By::Anyone,
        )
        .noted(),
        Step::new(
            "suspend",
            "中止党籍",
            "Suspend",
            &["normal", "on_probation_discipline"],
            "suspended",
            By::Anyone,
        )
        .noted(),
        Step::new(
            "restore",
            "恢复",
            "Restore",
            &["on_probation_discipline", "suspended"],
            "normal",
            By::Anyone,
        )
        .noted(),
        Step::new("expel", "开除党籍", "Expel", BOUND, "expelled", By::Anyone).noted(),
        Step::new("remove", "除名", "Remove", BOUND, "removed", By::Anyone).noted(),
        Step::new("resign", "退党", "Resign", BOUND, "quit", By::Anyone).noted(),
        Step::new("decease", "去世", "Decease", &[], "deceased", By::Anyone),
    ],
    correctable: true,
    settled_by: By::OwnerOrHeadOffice,
};

const GENDERS: &[Code] = &[code("male", "男", "Male"), code("female", "女", "Female")];

const FIELDS: &[Field] = &[
    Field::new("name", Merge::Contested, ValueType::Text, "姓名", "Name").required(),
    Field::new("branch", Merge::Contested, ValueType::Text, "所在党组织", "Home branch"),
    Field::state("stage", &STAGE, "发展阶段", "Stage"),
    Field::state("standing", &STANDING, "党籍状态", "Standing"),
    Field::new("joined", Merge::Contested, ValueType::Date, "入党日期", "Joined"),
    Field::new("converted", Merge::Contested, ValueType::Date, "转正日期", "Converted"),
    Field::new("gender", Merge::Register, ValueType::Code(GENDERS), "性别", "Gender"),
    Field::new("education", Merge::Register, ValueType::Text, "学历", "Education"),
    Field::new("job", Merge::Register, ValueType::Text, "职务", "Job"),
    Field::new("groups", Merge::Set, ValueType::Text, "分组", "Groups"),
    Field::new("birth", Merge::Contested, ValueType::Date, "出生日期", "Birth").personal(),
    Field::new("phone", Merge::Register, ValueType::Text, "电话", "Phone").personal(),
    Field::new("id_number", Merge::Contested, ValueType::Text, "身份证号", "Id number").personal(),
    Field::new("same_as", Merge::Contested, ValueType::Id("member"), "并入", "Same as")
        .aside()
        .written_by(By::SpaceOrHeadOffice),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(2),
    name: "member",
    plural: "members",
    label_zh: "党员",
    label_en: "Members",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/member.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "name",
        "branch",
        "stage",
        "standing",
        "joined",
        "converted",
        "gender",
        "education",
        "job",
        "groups",
        "birth",
        "same_as",
    ],
    filters: &["branch", "stage", "standing", "same_as"],
    listed: &["name", "branch", "stage", "standing"],
    listed_wide: &["joined", "converted", "job"],
};
