//! A member (党员): a person on a roster. Phone, id number and birth date are absent: they wait for
//! sealed fields.

use super::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::log::{Kind, Lane};

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

const GENDERS: &[Code] = &[code("male", "男", "Male"), code("female", "女", "Female")];

const FIELDS: &[Field] = &[
    Field::new("name", Merge::Contested, ValueType::Text, "姓名", "Name").required(),
    Field::new("branch", Merge::Contested, ValueType::Text, "所在党组织", "Home branch"),
    Field::new("stage", Merge::Contested, ValueType::Code(STAGES), "发展阶段", "Stage"),
    Field::new("standing", Merge::Contested, ValueType::Code(STANDINGS), "党籍状态", "Standing"),
    Field::new("joined", Merge::Contested, ValueType::Date, "入党日期", "Joined"),
    Field::new("converted", Merge::Contested, ValueType::Date, "转正日期", "Converted"),
    Field::new("gender", Merge::Register, ValueType::Code(GENDERS), "性别", "Gender"),
    Field::new("education", Merge::Register, ValueType::Text, "学历", "Education"),
    Field::new("job", Merge::Register, ValueType::Text, "职务", "Job"),
    Field::new("groups", Merge::Set, ValueType::Text, "分组", "Groups"),
];

pub(super) static SCHEMA: Schema = Schema {
    kind: Kind(2),
    name: "member",
    plural: "members",
    label_zh: "党员",
    label_en: "Members",
    genesis: 1,
    genesis_bytes: include_bytes!("genesis/member.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
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
    ],
};
