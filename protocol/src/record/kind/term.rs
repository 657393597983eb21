//! A term (任职): who holds which post in which branch, from when to when. Name and post only.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const POSTS: &[Code] = &[
    code("secretary", "书记", "Secretary"),
    code("deputy_secretary", "副书记", "Deputy secretary"),
    code("organisation", "组织委员", "Organisation officer"),
    code("publicity", "宣传委员", "Publicity officer"),
    code("discipline", "纪检委员", "Discipline officer"),
    code("group_leader", "组长", "Group leader"),
    code("reporter", "战地记者", "Field reporter"),
    code("lecturer", "宣讲员", "Lecturer"),
];

const BASES: &[Code] =
    &[code("elected", "选举", "Elected"), code("appointed", "任命", "Appointed")];

static STATUS: Workflow = Workflow {
    initial: "proposed",
    states: &[
        code("proposed", "拟任", "Proposed"),
        code("approved", "已批准", "Approved"),
        code("refused", "未批准", "Refused"),
        code("ended", "已离任", "Ended"),
    ],
    steps: &[
        Step::new("approve", "批准", "Approve", &["proposed"], "approved", By::HeadOffice),
        Step::new("refuse", "不予批准", "Refuse", &["proposed"], "refused", By::HeadOffice).noted(),
        Step::new("end", "离任", "End", &["approved"], "ended", By::OwnerOrHeadOffice),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("person", Merge::Contested, ValueType::Text, "姓名", "Person").required(),
    Field::new("member", Merge::Contested, ValueType::Id("member"), "党员标识", "Member id"),
    Field::new("branch", Merge::Contested, ValueType::Text, "党组织", "Branch").required(),
    Field::new("post", Merge::Contested, ValueType::Code(POSTS), "职务", "Post").required(),
    Field::new("basis", Merge::Contested, ValueType::Code(BASES), "产生方式", "Basis"),
    Field::new("from", Merge::Contested, ValueType::Date, "任职起", "From"),
    Field::new("to", Merge::Contested, ValueType::Date, "任职止", "To"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(5),
    name: "term",
    plural: "terms",
    label_zh: "任职",
    label_en: "Terms",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/term.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["person", "member", "branch", "post", "basis", "from", "to", "status"],
    filters: &["branch", "post", "status", "person"],
    listed: &["branch", "post", "person", "from", "to", "status"],
    listed_wide: &["basis", "member"],
};
