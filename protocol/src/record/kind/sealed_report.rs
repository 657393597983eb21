//! A sealed report (封存报表): figures of a period as they stood, with how fresh each unit's data was. It never
//! changes: its id is the digest of its contents, so that every node sees when it no longer fits them.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType};
use crate::record::workflow::By;

const FIELDS: &[Field] = &[
    Field::new("report", Merge::Register, ValueType::Text, "报表", "Report").required(),
    Field::new("period", Merge::Register, ValueType::Text, "期间", "Period").required(),
    Field::new("unit", Merge::Register, ValueType::Text, "单位", "Unit"),
    Field::new("sealed", Merge::Register, ValueType::Instant, "封存时间", "Sealed").required(),
    Field::new("figures", Merge::Register, ValueType::Text, "数据", "Figures").required(),
    Field::new("marks", Merge::Register, ValueType::Text, "各单位数据截止", "Marks").required(),
    Field::new("digest", Merge::Register, ValueType::Text, "校验值", "Digest").required(),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(20),
    name: "sealed-report",
    plural: "sealed-reports",
    label_zh: "封存报表",
    label_en: "Sealed reports",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/sealed-report.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: By::HeadOffice,
    hidden: &[],
    fields: FIELDS,
    columns: &["report", "period", "unit", "sealed", "digest"],
    filters: &["report", "period", "unit"],
    listed: &["sealed", "report", "period", "unit"],
    listed_wide: &["digest"],
};
