//! An activity (党建+): of one of the programmes, with what each unit's node reports of it.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const PROGRAMMES: &[Code] = &[
    code("integrity", "廉政", "Integrity"),
    code("culture", "文化", "Culture"),
    code("union", "工会", "Union"),
    code("youth", "团青", "Youth"),
    code("custom", "其他", "Other"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "名称", "Title").required(),
    Field::new("programme", Merge::Contested, ValueType::Code(PROGRAMMES), "类别", "Programme")
        .required(),
    Field::new("campaign", Merge::Register, ValueType::Text, "专题教育", "Campaign"),
    Field::new("date", Merge::Contested, ValueType::Date, "日期", "Date"),
    Field::new("place", Merge::Register, ValueType::Text, "地点", "Place"),
    Field::new("branches", Merge::Set, ValueType::Text, "党组织", "Branches"),
    Field::new("participants", Merge::Tally, ValueType::Int, "参加人数", "Participants"),
    Field::new("hours", Merge::Tally, ValueType::Int, "服务时数", "Hours"),
    Field::new("people", Merge::Tally, ValueType::Int, "受益人数", "People helped"),
    Field::new("donation_fen", Merge::Tally, ValueType::Int, "捐款（分）", "Donation in fen"),
    Field::new("media", Merge::Set, ValueType::Text, "影像", "Media"),
    Field::new("summary", Merge::Text, ValueType::Text, "简介", "Summary"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(12),
    name: "activity",
    plural: "activities",
    label_zh: "党建+活动",
    label_en: "Activities",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/activity.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "title",
        "programme",
        "campaign",
        "date",
        "place",
        "branches",
        "participants",
        "hours",
        "people",
        "donation_fen",
    ],
    filters: &["programme", "campaign"],
    listed: &["date", "programme", "participants", "hours", "title"],
    listed_wide: &["campaign", "place", "branches", "people", "donation_fen"],
};
