//! A collection: featured works (优秀作品展示), the media library.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const KINDS: &[Code] = &[
    code("featured", "优秀作品展示", "Featured works"),
    code("media", "影像资料库", "Media library"),
];

const ITEM: &[Field] = &[
    Field::new("title", Merge::Register, ValueType::Text, "标题", "Title").required(),
    Field::new("post", Merge::Register, ValueType::Id("post"), "稿件标识", "Post id"),
    Field::new("url", Merge::Register, ValueType::Text, "网址", "URL"),
    Field::new("note", Merge::Register, ValueType::Text, "说明", "Note"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "名称", "Title").required(),
    Field::new("kind", Merge::Contested, ValueType::Code(KINDS), "类别", "Kind"),
    Field::new("items", Merge::List, ValueType::Object(ITEM), "篇目", "Items"),
    Field::new("note", Merge::Text, ValueType::Text, "说明", "Note"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(16),
    name: "collection",
    plural: "collections",
    label_zh: "专辑",
    label_en: "Collections",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/collection.1"),
    lane: Lane::POSTS,
    home: Home::Federation,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &["title", "kind", "items"],
    filters: &["kind"],
    listed: &["kind", "title"],
    listed_wide: &["items"],
};
