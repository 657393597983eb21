//! The kinds of records, a file each: fields, how they merge, codes, workflow.
//!
//! A new kind is a file here, a line in [`super::ALL`], and its genesis change, which
//! `cargo test -p fenbu-protocol -- --ignored new_genesis` writes. Lists, commands, forms and the API
//! follow from the schema.

use super::schema::{Code, code};
use super::workflow::{By, Step, Workflow};

pub(super) mod account;
pub(super) mod activity;
pub(super) mod adoption;
pub(super) mod attendance_credit;
pub(super) mod audit;
pub(super) mod branch;
pub(super) mod care_visit;
pub(super) mod collection;
pub(super) mod credential;
pub(super) mod directive;
pub(super) mod disclosure;
pub(super) mod document;
pub(super) mod honour;
pub(super) mod journal_issue;
pub(super) mod mark;
pub(super) mod meeting;
pub(super) mod member;
pub(super) mod post;
pub(super) mod reminder;
pub(super) mod rule_pack;
pub(super) mod sealed_report;
pub(super) mod secondment;
pub(super) mod settlement;
pub(super) mod temporary_branch;
pub(super) mod term;
pub(super) mod topic;
pub(super) mod transfer;

/// Levels of outlets and grantors.
const LEVELS: &[Code] = &[
    code("bureau", "局级", "Bureau"),
    code("city", "市级", "City"),
    code("province", "省级", "Province"),
    code("ministry", "部级", "Ministry"),
    code("national", "国家级", "National"),
];

/// Whoever is concerned proposes, head office verifies.
static VERIFIED: Workflow = Workflow {
    initial: "proposed",
    states: &[
        code("proposed", "待核实", "Proposed"),
        code("verified", "已核实", "Verified"),
        code("refused", "不予认定", "Refused"),
    ],
    steps: &[
        Step::new(
            "verify",
            "核实",
            "Verify",
            &["proposed", "refused", "verified"],
            "verified",
            By::HeadOffice,
        )
        .of_version(),
        Step::new(
            "refuse",
            "不予认定",
            "Refuse",
            &["proposed", "verified"],
            "refused",
            By::HeadOffice,
        )
        .noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};
