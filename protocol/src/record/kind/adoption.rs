//! An adoption (采用): an outlet took up a post. The author proposes, head office verifies.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const KINDS: &[Code] = &[
    code("submitted", "报送", "Submitted"),
    code("reprinted", "转载", "Reprinted"),
    code("recommended", "推荐", "Recommended"),
    code("taken", "采稿", "Taken"),
    code("shortlisted", "入围", "Shortlisted"),
    code("awarded", "获奖", "Awarded"),
];

const FIELDS: &[Field] = &[
    Field::new("post", Merge::Contested, ValueType::Id("post"), "稿件标识", "Post id"),
    Field::new("title", Merge::Contested, ValueType::Text, "稿件标题", "Title").required(),
    Field::new("outlet", Merge::Contested, ValueType::Text, "媒体", "Outlet").required(),
    Field::new("level", Merge::Contested, ValueType::Code(super::LEVELS), "级别", "Level"),
    Field::new("kind", Merge::Contested, ValueType::Code(KINDS), "采用方式", "Kind").required(),
    Field::new("url", Merge::Register, ValueType::Text, "网址", "URL"),
    Field::new("date", Merge::Contested, ValueType::Date, "日期", "Date"),
    Field::state("status", &super::VERIFIED, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(9),
    name: "adoption",
    plural: "adoptions",
    label_zh: "采用",
    label_en: "Adoptions",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/adoption.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    written_by: By::OwnerOrHeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["post", "title", "outlet", "level", "kind", "url", "date", "status"],
    filters: &["kind", "level", "status", "outlet"],
    listed: &["date", "kind", "level", "outlet", "status", "title"],
    listed_wide: &["url", "post"],
};
