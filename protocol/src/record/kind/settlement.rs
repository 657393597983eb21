//! A settlement (裁定): somebody has looked at records that seem to contradict each other, and lets them
//! stand. Its id is the conflict's, so that two who settle one conflict meet in one record.
//!
//! Whatever a step of the records themselves can settle is settled there and needs none of these.

use crate::log::{Kind, Lane};
use crate::record::conflict::CASES;
use crate::record::schema::{Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

const SETTLERS: By = By::SpaceOrHeadOffice;

static STATUS: Workflow = Workflow {
    initial: "open",
    states: &[code("open", "未决", "Open"), code("stands", "维持", "Stands")],
    steps: &[
        Step::new("stand", "维持现状", "Let stand", &["open"], "stands", SETTLERS).noted(),
        Step::new("reopen", "重新审议", "Reopen", &["stands"], "open", SETTLERS).noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const FIELDS: &[Field] = &[
    Field::new("case", Merge::Register, ValueType::Code(CASES), "情形", "Case").required(),
    Field::new("records", Merge::Set, ValueType::Text, "所涉记录", "Records"),
    Field::state("status", &STATUS, "状态", "Status"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(23),
    name: "settlement",
    plural: "settlements",
    label_zh: "裁定",
    label_en: "Settlements",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/settlement.1"),
    lane: Lane::RECORDS,
    home: Home::Federation,
    written_by: SETTLERS,
    hidden: &[],
    fields: FIELDS,
    columns: &["case", "records", "status"],
    filters: &["case", "status"],
    listed: &["case", "status", "records"],
    listed_wide: &[],
};
