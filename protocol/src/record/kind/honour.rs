//! An honour (荣誉): of a person, a post, a branch or the platform. Head office verifies.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const SUBJECTS: &[Code] = &[
    code("person", "个人", "Person"),
    code("post", "作品", "Post"),
    code("branch", "党组织", "Branch"),
    code("platform", "平台", "Platform"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "荣誉称号", "Title").required(),
    Field::new("of", Merge::Contested, ValueType::Code(SUBJECTS), "获得者类别", "Of").required(),
    Field::new("name", Merge::Contested, ValueType::Text, "获得者", "Name").required(),
    Field::new("post", Merge::Contested, ValueType::Id("post"), "稿件标识", "Post id"),
    Field::new("level", Merge::Contested, ValueType::Code(super::LEVELS), "级别", "Level"),
    Field::new("grantor", Merge::Contested, ValueType::Text, "授予单位", "Grantor"),
    Field::new("year", Merge::Contested, ValueType::Int, "年度", "Year"),
    Field::state("status", &super::VERIFIED, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(10),
    name: "honour",
    plural: "honours",
    label_zh: "荣誉",
    label_en: "Honours",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/honour.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["title", "of", "name", "post", "level", "grantor", "year", "status"],
    filters: &["of", "level", "status", "year"],
    listed: &["year", "of", "name", "level", "status", "title"],
    listed_wide: &["grantor", "post"],
};
