//! An attendance credit (出席认定): that a seconded member was at a meeting of a temporary branch, told to
//! the unit they are lent by. It lives in that unit's space, so that the unit reads of the temporary
//! branch what concerns its own members, and nothing else. Head office, which reads both, writes it.

use super::meeting::{ATTENDANCE, KINDS};
use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType};
use crate::record::workflow::By;

const FIELDS: &[Field] = &[
    Field::new("member", Merge::Contested, ValueType::Id("member"), "党员标识", "Member id")
        .required(),
    Field::new("person", Merge::Contested, ValueType::Text, "姓名", "Person"),
    Field::new("home_branch", Merge::Contested, ValueType::Text, "原党组织", "Home branch"),
    Field::new("branch", Merge::Contested, ValueType::Text, "临时党支部", "Temporary branch")
        .required(),
    Field::new("meeting", Merge::Contested, ValueType::Id("meeting"), "会议标识", "Meeting id")
        .required(),
    Field::new("kind", Merge::Contested, ValueType::Code(KINDS), "会议类型", "Kind"),
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title"),
    Field::new("date", Merge::Contested, ValueType::Date, "日期", "Date").required(),
    // Nothing once the meeting turns out not to have been held, or the member not to have been asked.
    Field::new(
        "attendance",
        Merge::Contested,
        ValueType::Code(ATTENDANCE),
        "出席情况",
        "Attendance",
    ),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(24),
    name: "attendance-credit",
    plural: "attendance-credits",
    label_zh: "出席认定",
    label_en: "Attendance credits",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/attendance-credit.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "member",
        "person",
        "home_branch",
        "branch",
        "meeting",
        "kind",
        "title",
        "date",
        "attendance",
    ],
    filters: &["branch", "home_branch", "attendance", "member"],
    listed: &["date", "branch", "kind", "person", "attendance", "title"],
    listed_wide: &["home_branch", "member", "meeting"],
};
