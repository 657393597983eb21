//! Workflows as data: the states a record goes through, the steps between them, and who may take each.
//!
//! A field of [`super::Merge::Log`] holds the steps that were taken, each an event that nobody can
//! take back. The state is derived from them by [`super::course`]; a step that was not allowed stays
//! in the log, changes nothing, and is shown.

use super::schema::Code;

/// Code of the step that says how things stood before the record was kept here. It can only come first.
pub const RECORD: &str = "record";
/// Code of the step that puts a state right that was entered by mistake. It needs a note.
pub const CORRECT: &str = "correct";
/// Code of the step that decides between two others taken at once. It names one of their states.
pub const SETTLE: &str = "settle";

/// Who may take a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Whoever may write the record.
    Anyone,
    HeadOffice,
    /// The unit whose space the record lives in; of a record in the federation's space, the unit that
    /// made it.
    Owner,
    OwnerOrHeadOffice,
    /// The unit whose space the record lives in, or head office; in the federation's space head office
    /// alone.
    SpaceOrHeadOffice,
    /// The unit whose code this field holds.
    UnitIn(&'static str),
    /// That unit, or head office.
    UnitInOrHeadOffice(&'static str),
}

impl By {
    pub fn label_zh(self) -> &'static str {
        match self {
            Self::Anyone => "可写者",
            Self::HeadOffice => "局机关",
            Self::Owner => "所属单位",
            Self::OwnerOrHeadOffice => "所属单位或局机关",
            Self::SpaceOrHeadOffice => "数据范围所属单位或局机关",
            Self::UnitIn(_) => "指定单位",
            Self::UnitInOrHeadOffice(_) => "指定单位或局机关",
        }
    }

    pub fn label_en(self) -> &'static str {
        match self {
            Self::Anyone => "whoever may write it",
            Self::HeadOffice => "head office",
            Self::Owner => "the unit it belongs to",
            Self::OwnerOrHeadOffice => "the unit it belongs to, or head office",
            Self::SpaceOrHeadOffice => "the unit whose space it is in, or head office",
            Self::UnitIn(_) => "the unit it names",
            Self::UnitInOrHeadOffice(_) => "the unit it names, or head office",
        }
    }
}

/// One step of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Unique within a kind of record: it becomes a verb.
    pub op: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    /// States it may be taken from; from every state if empty.
    pub from: &'static [&'static str],
    /// The state it leads to; `None` leaves the state as it is.
    pub to: Option<&'static str>,
    pub by: By,
    /// Somebody else than who took this step before, counting the last time.
    pub not_by_who: Option<&'static str>,
    /// Says nothing without a note: a reason, a number.
    pub needs_note: bool,
    /// Speaks of the record exactly as it was when the step was taken. Later text is a revision.
    pub names_version: bool,
    /// Its part in the reviews a record goes through, if it has one.
    pub part: Option<Part>,
}

/// A step's part in the reviews a record goes through, see [`super::Reviews`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Says which reviews apply; they begin.
    Submits,
    /// Passes a round that is not the last.
    Passes,
    /// Passes the last round.
    Approves,
    /// Lets through what was changed later; for whoever does the last round.
    Revises,
    /// Waits for the secrecy review.
    Publishes,
}

impl Step {
    pub(super) const fn new(
        op: &'static str,
        zh: &'static str,
        en: &'static str,
        from: &'static [&'static str],
        to: &'static str,
        by: By,
    ) -> Self {
        Self {
            op,
            zh,
            en,
            from,
            to: Some(to),
            by,
            not_by_who: None,
            needs_note: false,
            names_version: false,
            part: None,
        }
    }

    pub(super) const fn part(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    /// A remark on the way: it leaves the state as it is.
    pub(super) const fn staying(mut self) -> Self {
        self.to = None;
        self
    }

    pub(super) const fn noted(mut self) -> Self {
        self.needs_note = true;
        self
    }

    pub(super) const fn of_version(mut self) -> Self {
        self.names_version = true;
        self
    }

    pub(super) const fn not_by(mut self, op: &'static str) -> Self {
        self.not_by_who = Some(op);
        self
    }
}

/// The states of a record and the ways between them.
#[derive(Debug)]
pub struct Workflow {
    pub initial: &'static str,
    pub states: &'static [Code],
    pub steps: &'static [Step],
    /// Whether [`CORRECT`] may be taken, by whoever may write the record.
    pub correctable: bool,
    /// Who decides where two steps were taken at once.
    pub settled_by: By,
}

/// There is one of each.
impl PartialEq for Workflow {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Workflow {}

impl Workflow {
    pub fn step(&self, op: &str) -> Option<&'static Step> {
        self.steps.iter().find(|s| s.op == op)
    }

    /// Steps that lead from one state to another.
    pub fn between(&self, from: &str, to: &str) -> impl Iterator<Item = &'static Step> {
        self.from(from).filter(move |s| s.to == Some(to))
    }

    /// Steps that may be taken from a state, whoever may take them.
    pub fn from(&self, state: &str) -> impl Iterator<Item = &'static Step> {
        self.steps.iter().filter(move |s| s.from.is_empty() || s.from.contains(&state))
    }

    #[cfg(test)]
    pub(super) fn knows(&self, state: &str) -> bool {
        self.states.iter().any(|s| s.code == state)
    }
}
