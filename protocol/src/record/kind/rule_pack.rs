//! A rule pack (规则): what is due how often, who should attend, which reviews a post needs. Head office
//! writes it; [`crate::duty::RulePack`] reads it. What a pack does not say is as in the pack of the program.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const PERIODS: &[Code] = &[
    code("month", "月", "Month"),
    code("quarter", "季度", "Quarter"),
    code("half", "半年", "Half year"),
    code("year", "年", "Year"),
];

const NEEDS: &[Code] = &[
    code("nothing", "无条件", "Nothing"),
    code("committee", "设支委会", "A committee"),
    code("groups", "设党小组", "Groups"),
];

/// A duty: under the code of a kind of meeting. 0 times: not due at all.
const DUTY: &[Field] = &[
    Field::new("times", Merge::Register, ValueType::Int, "次数", "Times").required(),
    Field::new("per", Merge::Register, ValueType::Code(PERIODS), "周期", "Per").required(),
    Field::new("needs", Merge::Register, ValueType::Code(NEEDS), "条件", "Needs"),
    Field::new("branches", Merge::Set, ValueType::Text, "党组织类型", "Kinds of branches"),
];

/// Reviews: under the code of a kind of post, of a column, or `*` for all others.
const REVIEW: &[Field] = &[
    Field::new("rounds", Merge::Register, ValueType::Int, "审核轮次", "Rounds").required(),
    Field::new("secrecy", Merge::Register, ValueType::Bool, "保密审查", "Secrecy review"),
    Field::new("by", Merge::Set, ValueType::Text, "审核单位", "Reviewing units"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "名称", "Title").required(),
    Field::new("effective", Merge::Contested, ValueType::Date, "生效日期", "Effective").required(),
    Field::new("duties", Merge::Map, ValueType::Object(DUTY), "应开会议", "Duties"),
    Field::new("stages", Merge::Set, ValueType::Text, "计入应到的发展阶段", "Stages that count"),
    Field::new(
        "standings",
        Merge::Set,
        ValueType::Text,
        "计入应到的党籍状态",
        "Standings that count",
    ),
    Field::new("attended", Merge::Set, ValueType::Text, "计为到会", "Counts as attended"),
    Field::new("made_up", Merge::Set, ValueType::Text, "计为补学", "Counts as made up"),
    Field::new("excluded", Merge::Set, ValueType::Text, "不计应到", "Does not count"),
    Field::new("reviews", Merge::Map, ValueType::Object(REVIEW), "稿件审核", "Reviews"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(19),
    name: "rule-pack",
    plural: "rule-packs",
    label_zh: "规则",
    label_en: "Rule packs",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/rule-pack.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "title",
        "effective",
        "duties",
        "stages",
        "standings",
        "attended",
        "made_up",
        "excluded",
        "reviews",
    ],
    filters: &[],
    listed: &["effective", "title"],
    listed_wide: &["duties"],
};
