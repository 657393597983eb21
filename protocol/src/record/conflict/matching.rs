//! Which records may contradict each other: those that share a key.
//!
//! A record's keys follow from it alone, so a store keeps them beside its row and knows at once which
//! are shared; whether such records do contradict each other, [`super::across()`] says. Keys are hashes
//! bound to the space: a person's number is compared and never shown, and what the index holds says
//! nothing by itself. It stays on its node, beside the records.

use super::Case;
use crate::id::{DocId, Hash, SpaceId};
use crate::record::course::Happened;
use crate::record::doc::Record;
use crate::record::workflow::SETTLE;
use serde_json::Value;

/// A clock further ahead than this is called far ahead, in milliseconds: a day, which no time zone and
/// no unset summer time explains.
const AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// Posts that one person holds at a time.
const HELD_BY_ONE: &[&str] =
    &["secretary", "organisation", "publicity", "discipline", "group_leader"];

/// China has one time zone, without summer time.
const SHANGHAI_OFFSET_MS: i64 = 8 * 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A key that two records in conflict share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// Its first byte is the case.
    pub key: [u8; 16],
    /// Without one of these the others that share the key mean nothing: so one dissolved branch is
    /// looked for, and not all meetings of all branches.
    pub anchor: bool,
}

/// The case a key belongs to.
pub fn match_case(key: &[u8; 16]) -> Option<Case> {
    Case::ALL.get(usize::from(key[0])).copied()
}

/// Whether a record's latest time lies too far after ours.
pub fn is_ahead(updated_ms: u64, now_ms: u64) -> bool {
    updated_ms > now_ms.saturating_add(AHEAD_MS)
}

/// The calendar day of an instant, in days since 1970.
pub(super) fn day_of(ms: i64) -> i64 {
    ms.saturating_add(SHANGHAI_OFFSET_MS).div_euclid(DAY_MS)
}

/// A name without the spaces some tables put in.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase()
}

/// A document whose keys are being gathered.
struct Keys<'a> {
    record: &'a Record,
    space: SpaceId,
    document: DocId,
    out: Vec<Match>,
}

impl Keys<'_> {
    fn add(&mut self, case: Case, anchor: bool, parts: &[&str]) {
        // Members live with their unit, transfers and temporary branches in the federation's space. One who
        // is on two rosters is found where both are read, at head office: units learn nothing of each other.
        let everywhere = matches!(
            case,
            Case::TransferOfSuspended | Case::LateMeeting | Case::SamePersonElsewhere
        );
        let space = if everywhere { [0; 16] } else { self.space.0 };
        let text = parts.join("\0");
        let hash = Hash::of("fenbu/match/1", &[&space, text.as_bytes()]);
        let mut key = [0; 16];
        key.copy_from_slice(&hash.0[..16]);
        key[0] = case as u8;
        self.out.push(Match { key, anchor });
    }

    fn text(&self, field: &str) -> String {
        self.record.scalar_text(field).unwrap_or_default()
    }

    fn state(&self, field: &str) -> String {
        let field = self.record.schema().field(field);
        field.and_then(|f| self.record.course(f)).map(|c| c.state).unwrap_or_default()
    }

    fn term(&mut self) {
        let (branch, post) = (self.text("branch"), self.text("post"));
        let live = ["proposed", "approved"].contains(&self.state("status").as_str());
        if live && HELD_BY_ONE.contains(&post.as_str()) {
            self.add(Case::TwoInOffice, true, &[&branch, &post]);
        }
    }

    fn transfer(&mut self) {
        let (member, from) = (self.text("member"), self.text("from_unit"));
        let state = self.state("status");
        if ["issued", "frozen", "received"].contains(&state.as_str()) {
            self.add(Case::TwoTransfers, true, &[&member, &from]);
        }
        // Where freezing it is already in question, or was settled, it says so by itself.
        let course = self.record.schema().field("status").and_then(|f| self.record.course(f));
        let weighed = course.is_some_and(|course| {
            let settled = |s: &Happened| s.outcome.is_ok() && s.taken.op == SETTLE;
            !course.rivals.is_empty() || course.steps.iter().any(settled)
        });
        if !weighed && ["issued", "received"].contains(&state.as_str()) {
            self.add(Case::TransferOfSuspended, false, &[&member]);
        }
    }

    fn member(&mut self) {
        let own = self.document.to_string();
        let same_as = self.text("same_as");
        if !same_as.is_empty() {
            self.alias(Case::SamePerson, &own, &same_as);
            self.alias(Case::SamePersonElsewhere, &own, &same_as);
            return;
        }
        if !["normal", "on_probation_discipline"].contains(&self.state("standing").as_str()) {
            self.add(Case::TransferOfSuspended, true, &[&own]);
        }
        let (name, number) = (plain(&self.text("name")), plain(&self.text("id_number")));
        for case in [Case::SamePerson, Case::SamePersonElsewhere] {
            if !number.is_empty() {
                self.add(case, true, &["number", &number]);
            }
            for date in ["birth", "joined"] {
                let on = self.text(date);
                if !on.is_empty() {
                    self.add(case, true, &[date, &name, &on]);
                }
            }
        }
    }

    /// One that is said to be another: those that are said to be each other, round in a circle, share a key
    /// with the next.
    fn alias(&mut self, case: Case, own: &str, other: &str) {
        self.add(case, true, &["alias", own]);
        self.add(case, true, &["alias", other]);
    }

    fn temporary_branch(&mut self) {
        if ["dissolved", "archived"].contains(&self.state("status").as_str()) {
            let code = self.text("code");
            self.add(Case::LateMeeting, true, &[&code]);
        }
    }

    fn meeting(&mut self) {
        let same_as = self.text("same_as");
        if !same_as.is_empty() {
            self.alias(Case::SameMeeting, &self.document.to_string(), &same_as);
            return;
        }
        if self.state("status") == "cancelled" {
            return;
        }
        let (branch, kind) = (self.text("branch"), self.text("kind"));
        // One talks to several people in a day.
        if let Some(day) = day(self.record).filter(|_| kind != "talk") {
            self.add(Case::SameMeeting, true, &[&branch, &kind, &day.to_string()]);
        }
        let number = self.text("number");
        if !number.is_empty() {
            self.add(Case::SameNumber, true, &[&branch, &plain(&number)]);
        }
        self.add(Case::LateMeeting, false, &[&branch]);
    }
}

/// The day a meeting is on.
pub(super) fn day(record: &Record) -> Option<i64> {
    begins(record).map(day_of)
}

/// When a meeting began, or is to begin.
pub(super) fn begins(record: &Record) -> Option<i64> {
    let instant = |name| record.scalar(name).as_ref().and_then(Value::as_i64);
    instant("start").or_else(|| instant("planned"))
}

impl Record {
    /// The keys of a document of this kind; none for what contradicts nothing but itself.
    pub fn matches(&self, space: SpaceId, document: DocId) -> Vec<Match> {
        let mut keys = Keys { record: self, space, document, out: Vec::new() };
        match self.schema().name {
            "term" => keys.term(),
            "transfer" => keys.transfer(),
            "member" => keys.member(),
            "meeting" => keys.meeting(),
            "temporary-branch" => keys.temporary_branch(),
            _ => {}
        }
        keys.out.sort();
        keys.out.dedup();
        keys.out
    }
}
