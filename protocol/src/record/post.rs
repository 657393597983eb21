//! A post (稿件): a text for one of the columns.

use super::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::log::{Kind, Lane};

const COLUMNS: &[Code] = &[
    code("style", "缉私风采", "Style"),
    code("pioneer", "国门先锋", "Pioneers"),
    code("news", "党建动态", "News"),
    code("culture", "警营文化", "Culture"),
];

const KINDS: &[Code] = &[
    code("case", "案件信息", "Case"),
    code("policy", "政策宣讲", "Policy"),
    code("deeds", "先进事迹", "Deeds"),
    code("clipping", "媒体摘编", "Clipping"),
    code("work", "作品", "Work"),
];

const STATUSES: &[Code] = &[
    code("draft", "草稿", "Draft"),
    code("submitted", "已提交", "Submitted"),
    code("returned", "退回修改", "Returned"),
    code("approved", "已审核", "Approved"),
    code("published", "已发布", "Published"),
    code("withdrawn", "已撤稿", "Withdrawn"),
    code("archived", "已归档", "Archived"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title").required(),
    Field::new("body", Merge::Text, ValueType::Text, "正文", "Body"),
    Field::new("column", Merge::Contested, ValueType::Code(COLUMNS), "栏目", "Column"),
    Field::new("kind", Merge::Register, ValueType::Code(KINDS), "类别", "Kind"),
    Field::new("status", Merge::Contested, ValueType::Code(STATUSES), "状态", "Status")
        .starting("draft"),
    Field::new("bylines", Merge::List, ValueType::Text, "作者", "Bylines"),
    Field::new("tags", Merge::Set, ValueType::Text, "标签", "Tags"),
    Field::new("source_url", Merge::Register, ValueType::Text, "来源网址", "Source URL"),
    Field::new("written", Merge::Register, ValueType::Date, "成稿日期", "Written"),
    Field::new("programme", Merge::Register, ValueType::Text, "专题", "Programme"),
];

pub(super) static SCHEMA: Schema = Schema {
    kind: Kind(1),
    name: "post",
    plural: "posts",
    label_zh: "稿件",
    label_en: "Posts",
    genesis: 1,
    genesis_bytes: include_bytes!("genesis/post.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    fields: FIELDS,
    columns: &["title", "column", "kind", "status", "bylines", "tags", "written", "programme"],
};
