//! What merging cannot settle: each case raises exactly one conflict, the same on every node, and a
//! named person settles it.
//!
//! A conflict is no record of its own but follows from the records, so it is there as soon as they
//! are, in whatever order they came, and gone once they no longer disagree. Its id is a hash of what
//! it is about: the case, the space, the documents and the field.
//!
//! | file | conflicts |
//! |---|---|
//! | `within` | of one record with itself: several values, steps that lead apart, text beside an approval, what is published and must not be |
//! | `matching` | which records may contradict each other: keys they share |
//! | `across` | whether they do, and what the ways out are |
//!
//! It is settled by one of its [`Way`]s, ordinary edits and steps of the records themselves wherever
//! those can say it: refusing one of two secretaries, taking a transfer back, naming the record that
//! another is the [same as](super::Schema). So whoever may take the step settles, every node judges
//! it, and the record's history tells it. Two records that both are as they should be say so in a
//! third: a [settlement](super::schema_named), whose document id is the conflict's, so that two who
//! settle it meet in one record, and disagree there if they do. Reopening it brings the conflict back;
//! clearing `same_as` brings a duplicate back.

mod across;
mod matching;
mod within;

use super::schema::{Code, Schema, code, schema_named};
use super::workflow::By;
use super::{Record, record_summary};
use crate::id::{DocId, Hash, SpaceId};
use serde_json::{Value, json};

pub use across::{Subject, across, clusters, dissolved_ms, without_repeats};
pub use matching::{Match, is_ahead, match_case};
pub use within::within;

/// Codes of all cases, in the order of [`Case`].
pub const CASES: &[Code] = &[
    code("several_values", "同一字段有多个值", "Several values"),
    code("reviewers_disagree", "审核意见不一", "Reviewers disagree"),
    code("published_withdrawn", "发布的同时被撤稿", "Published while withdrawn"),
    code("steps_apart", "同时走了不同的步骤", "Steps that lead apart"),
    code("revised_after_approval", "审定后又有修改", "Revised beside an approval"),
    code("amended_minutes", "确认后会议记录又有修改", "Minutes amended"),
    code("published_not_public", "已发布但保密审查未通过", "Published against secrecy"),
    code("clock_ahead", "时钟超前", "A clock far ahead"),
    code("two_in_office", "同一职务两人任职", "Two in one office"),
    code("two_transfers", "同一党员两次转出", "Two transfers of one member"),
    code("transfer_of_suspended", "转接与党籍处理同时发生", "Transfer of a suspended member"),
    code("same_person", "同一人重复登记", "The same person twice"),
    code("same_meeting", "同一会议两份记录", "Two records of one meeting"),
    code("same_number", "会议编号重复", "Meeting number taken twice"),
    code("late_meeting", "临时党支部撤销后补记的会议", "Meeting of a dissolved branch"),
    code("same_person_elsewhere", "同一人在两个单位登记", "One person in two units"),
];

/// What is in conflict. Its number is part of conflict ids and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Case {
    SeveralValues,
    ReviewersDisagree,
    PublishedWithdrawn,
    StepsApart,
    RevisedAfterApproval,
    AmendedMinutes,
    PublishedNotPublic,
    ClockAhead,
    TwoInOffice,
    TwoTransfers,
    TransferOfSuspended,
    SamePerson,
    SameMeeting,
    SameNumber,
    LateMeeting,
    SamePersonElsewhere,
}

impl Case {
    pub const ALL: [Self; CASES.len()] = [
        Self::SeveralValues,
        Self::ReviewersDisagree,
        Self::PublishedWithdrawn,
        Self::StepsApart,
        Self::RevisedAfterApproval,
        Self::AmendedMinutes,
        Self::PublishedNotPublic,
        Self::ClockAhead,
        Self::TwoInOffice,
        Self::TwoTransfers,
        Self::TransferOfSuspended,
        Self::SamePerson,
        Self::SameMeeting,
        Self::SameNumber,
        Self::LateMeeting,
        Self::SamePersonElsewhere,
    ];

    /// Its code and what it is called.
    pub fn code(self) -> Code {
        CASES[self as usize]
    }

    /// What stands until somebody settles it, in Chinese and English.
    pub fn meanwhile(self) -> (&'static str, &'static str) {
        match self {
            Self::SeveralValues => {
                ("各值并列显示，由人选定", "all values are shown; a person picks one")
            }
            Self::ReviewersDisagree => {
                ("从严者为准，由上一级决定", "the stricter holds; the next level decides")
            }
            Self::PublishedWithdrawn => (
                "各处均按撤稿处理；重新发布须再审",
                "withdrawn everywhere; publishing again needs review",
            ),
            Self::StepsApart => {
                ("后一状态为准，由人裁定", "one state stands until a person decides")
            }
            Self::RevisedAfterApproval => (
                "以审定的版本为准，新内容是未审修订",
                "the approved version stands; the newer text is an unreviewed revision",
            ),
            Self::AmendedMinutes => (
                "以确认的版本为准，新内容是待定的更正",
                "the confirmed version stands; the newer text is an amendment",
            ),
            Self::PublishedNotPublic => ("各处均隐藏", "hidden everywhere"),
            Self::ClockAhead => ("照存，不据以定状态", "kept; it decides no state"),
            Self::TwoInOffice => {
                ("原任继续履职，由上一级选定", "the previous term acts; the level above picks")
            }
            Self::TwoTransfers => (
                "仍计在转出单位，由局机关决定",
                "the member stays at the source; head office decides",
            ),
            Self::TransferOfSuspended => {
                ("以党籍处理为准，转接冻结", "the standing holds; the transfer is frozen")
            }
            Self::SamePersonElsewhere => {
                ("两处各计一人，由局机关合并", "both count until head office merges them")
            }
            Self::SamePerson => ("两份并存，由人合并", "both stay until a person merges them"),
            Self::SameMeeting => ("两份并存，由人选定", "both stay side by side; a person picks"),
            Self::SameNumber => (
                "后者加后缀区分；归档时定正式编号",
                "all but the first carry a suffix; the official number is given at archive",
            ),
            Self::LateMeeting => {
                ("在撤销前召开的按补记接受", "accepted as late if it began before the dissolution")
            }
        }
    }
}

/// A document and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    pub document: DocId,
    pub space: SpaceId,
    pub kind: crate::log::Kind,
}

/// Who said something, and when by their clock (milliseconds since 1970).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub actor: [u8; 16],
    pub account: String,
    pub time_ms: u64,
}

/// One of the things that contradict each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// Index of its record among the conflict's.
    pub record: usize,
    pub value: Value,
    /// Nothing if whoever said it cannot be told.
    pub said: Option<Said>,
}

/// Fields of a record that a way out changes, as [`super::Edits::from_json`] takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub schema: &'static Schema,
    pub space: SpaceId,
    pub document: DocId,
    pub fields: Value,
}

/// A way to settle a conflict.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// What a person types: the number of a side, or a word.
    pub code: String,
    pub zh: String,
    pub en: String,
    pub changes: Vec<Change>,
}

impl Way {
    fn new(code: &str, zh: impl Into<String>, en: impl Into<String>, changes: Vec<Change>) -> Self {
        Self { code: code.to_owned(), zh: zh.into(), en: en.into(), changes }
    }

    /// The changes with the settler's note on every step.
    pub fn noted(&self, note: Option<&str>) -> Vec<Change> {
        let mut changes = self.changes.clone();
        let Some(note) = note else { return changes };
        for change in &mut changes {
            for value in change.fields.as_object_mut().into_iter().flat_map(|f| f.values_mut()) {
                if value.get("op").is_some() && value.get("note").is_none() {
                    value["note"] = note.into();
                }
            }
        }
        changes
    }
}

/// Something that a person has to settle.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    pub id: DocId,
    pub case: Case,
    /// Where it is settled.
    pub space: SpaceId,
    /// The records it is about, in the order of their ids.
    pub records: Vec<Of>,
    /// The field, or `field/key`; empty between records.
    pub field: String,
    pub settled_by: By,
    pub sides: Vec<Side>,
    pub ways: Vec<Way>,
}

impl Conflict {
    fn new(case: Case, space: SpaceId, mut records: Vec<Of>, field: &str, settled_by: By) -> Self {
        records.sort();
        let count = records.len() as u64;
        let ids: Vec<u8> = records.iter().flat_map(|of| of.document.0).collect();
        let id = Hash::of(
            "fenbu/conflict/1",
            &[&[case as u8], &space.0, &count.to_be_bytes(), &ids, field.as_bytes()],
        );
        let mut document = [0; 16];
        document.copy_from_slice(&id.0[..16]);
        Self {
            id: DocId(document),
            case,
            space,
            records,
            field: field.to_owned(),
            settled_by,
            sides: Vec::new(),
            ways: Vec::new(),
        }
    }

    /// The way that says: it is as it should be.
    fn stand(&self, zh: &str, en: &str) -> Way {
        // INVARIANT: it is one of this version's kinds.
        let schema = schema_named("settlement").expect("a kind of this version");
        let record = |of: &Of| {
            let kind = super::schema(of.kind).map_or("record", |s| s.name);
            format!("{kind}:{}", of.document)
        };
        let records: Vec<String> = self.records.iter().map(record).collect();
        let fields = json!({
            "case": self.case.code().code,
            "records": records,
            "status": {"op": "stand"},
        });
        let change = Change { schema, space: self.space, document: self.id, fields };
        Way::new("stand", zh, en, vec![change])
    }
}

/// Codes of the units that may settle what is settled by these, about a record whose authors are known;
/// none if whoever may write it does.
pub fn settlers(by: By, record: &Record) -> Vec<String> {
    let Some(authors) = record.authors.as_deref() else { return Vec::new() };
    let head = Some(authors.head_office.clone());
    let units = match by {
        By::Anyone => [None, None],
        By::HeadOffice => [None, head],
        By::Owner => [record.owner(), None],
        By::OwnerOrHeadOffice => [record.owner(), head],
        By::SpaceOrHeadOffice => [authors.home.clone(), head],
        By::UnitIn(field) => [record.scalar_text(field), None],
        By::UnitInOrHeadOffice(field) => [record.scalar_text(field), head],
    };
    let mut units: Vec<String> = units.into_iter().flatten().collect();
    units.dedup();
    units
}

/// The state of a settlement that closes its conflict.
pub const STANDS: &str = "stands";

/// A record that was written with a clock far ahead of ours; `updated_ms` is the latest time in it.
pub fn ahead(of: Of, record: &Record) -> Conflict {
    let mut conflict =
        Conflict::new(Case::ClockAhead, of.space, vec![of], "", By::SpaceOrHeadOffice);
    conflict.sides = vec![Side { record: 0, value: record_summary(record), said: record.latest() }];
    conflict.ways =
        vec![conflict.stand("已知悉，记录照旧", "it has been seen; the record stays as it is")];
    conflict
}
