//! Reviews: the rounds (初审, 复审, 终审) a post goes through before it is approved, and its secrecy review.
//!
//! Which apply is in the rule pack ([`crate::duty::RulePack`]) in force where and when a post is submitted; the
//! submit carries them, so that the steps after it are judged from the document alone, and a pack that
//! comes later asks nothing of what is under way. A submit that carries none asks for the default: one
//! review by somebody else.
//!
//! A round is passed by the one step, the last by the other, which names the approved version. Steps are
//! weighed by what their author had seen: two people who pass the same round at once pass that round, and
//! nobody passes a round before the one before it, or after a submission of which they had not heard. All
//! rounds are passed by different people, none of them who submitted; with the next submit they begin anew.
//! Publishing asks for what the secrecy review had come to before.

use super::course::{Event, Ignored, Judge, Sees};
use super::doc::Record;
use super::edits::{Edit, Edits};
use super::steps::{Taken, Want};
use super::workflow::{By, Part, RECORD, Step, Workflow};
use serde_json::{Value, json};

/// Most rounds there are.
pub const ROUNDS_MAX: usize = 3;
/// The field whose steps are the secrecy review, and the state that lets a post be published.
const SECRECY: &str = "secrecy";
const PUBLIC: &str = "public";

/// What the rounds are called, in Chinese and in English.
const NAMES: [(&str, &str); ROUNDS_MAX] =
    [("初审", "First review"), ("复审", "Second review"), ("终审", "Final review")];

/// Who does a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewer {
    /// The unit whose post it is; head office may do it in its stead.
    Own,
    HeadOffice,
}

impl Reviewer {
    pub fn code(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::HeadOffice => "head",
        }
    }

    pub fn of(code: &str) -> Option<Self> {
        [Self::Own, Self::HeadOffice].into_iter().find(|one| one.code() == code)
    }

    pub(super) fn by(self) -> By {
        match self {
            Self::Own => By::OwnerOrHeadOffice,
            Self::HeadOffice => By::HeadOffice,
        }
    }
}

/// What a submission goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviews {
    /// In order, 1 to [`ROUNDS_MAX`].
    rounds: Vec<Reviewer>,
    /// Whether it is published only once its secrecy review says 可公开.
    pub secrecy: bool,
}

impl Default for Reviews {
    /// One review by somebody else: what a submission is held to that does not say.
    fn default() -> Self {
        Self { rounds: vec![Reviewer::Own], secrecy: false }
    }
}

impl Reviews {
    /// `None` for no round at all, and for more than there are.
    pub fn new(rounds: Vec<Reviewer>, secrecy: bool) -> Option<Self> {
        (1..=ROUNDS_MAX).contains(&rounds.len()).then_some(Self { rounds, secrecy })
    }

    pub fn rounds(&self) -> &[Reviewer] {
        &self.rounds
    }

    /// Reads what [`Self::to_json`] says; `None` for what no version writes.
    pub fn read(value: &Value) -> Option<Self> {
        let rounds = value["rounds"].as_array()?.iter().map(|r| Reviewer::of(r.as_str()?));
        Self::new(rounds.collect::<Option<_>>()?, value["secrecy"].as_bool()?)
    }

    pub fn to_json(&self) -> Value {
        let rounds: Vec<&str> = self.rounds.iter().map(|r| r.code()).collect();
        json!({ "rounds": rounds, "secrecy": self.secrecy })
    }
}

/// How far a submission has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub reviews: Reviews,
    /// Rounds that were passed.
    pub passed: usize,
}

impl Progress {
    /// Who does the round that is next; `None` once all are passed.
    pub fn next(&self) -> Option<Reviewer> {
        self.reviews.rounds.get(self.passed).copied()
    }

    /// What the round that is next is called.
    pub fn next_name(&self, zh: bool) -> Option<&'static str> {
        self.next().map(|_| name(self.passed, zh))
    }

    /// Whether a step does what is next, at the unit the post belongs to or at head office.
    pub fn offers(&self, step: &Step, at_head_office: bool) -> bool {
        let last = self.passed + 1 >= self.reviews.rounds.len();
        let reviewer = match step.part {
            Some(Part::Passes) if last => return false,
            Some(Part::Approves) if !last => return false,
            Some(Part::Passes | Part::Approves) => self.next(),
            Some(Part::Revises) => self.reviews.rounds.last().copied(),
            _ => return true,
        };
        at_head_office || reviewer != Some(Reviewer::HeadOffice)
    }

    /// Which rounds are passed and which is next, in one line.
    pub fn told(&self, zh: bool) -> String {
        let reviewer = |one: &Reviewer| match (one, zh) {
            (Reviewer::Own, true) => "所属单位",
            (Reviewer::Own, false) => "its unit",
            (Reviewer::HeadOffice, true) => By::HeadOffice.label_zh(),
            (Reviewer::HeadOffice, false) => By::HeadOffice.label_en(),
        };
        let one = |(at, by): (usize, &Reviewer)| {
            let (name, by) = (name(at, zh), reviewer(by));
            match (at.cmp(&self.passed), zh) {
                (std::cmp::Ordering::Less, true) => format!("{name}：已通过"),
                (std::cmp::Ordering::Less, false) => format!("{name}: passed"),
                (std::cmp::Ordering::Equal, true) => format!("{name}：待审（{by}）"),
                (std::cmp::Ordering::Equal, false) => format!("{name}: next ({by})"),
                (std::cmp::Ordering::Greater, true) => format!("{name}（{by}）"),
                (std::cmp::Ordering::Greater, false) => format!("{name} ({by})"),
            }
        };
        let mut parts: Vec<String> = self.reviews.rounds.iter().enumerate().map(one).collect();
        if self.reviews.secrecy {
            let last =
                if zh { "保密审查定为可公开后发布" } else { "published once cleared" };
            parts.push(last.to_owned());
        }
        parts.join(if zh { "；" } else { "; " })
    }

    /// Reads what a record shows under `courses`; `None` if it shows none.
    pub fn read(value: &Value) -> Option<Self> {
        let passed = value["passed"].as_u64()?.try_into().ok()?;
        Some(Self { reviews: Reviews::read(value)?, passed })
    }

    pub(super) fn to_json(&self) -> Value {
        let mut out = self.reviews.to_json();
        out["passed"] = self.passed.into();
        out
    }
}

fn name(at: usize, zh: bool) -> &'static str {
    let (chinese, english) = NAMES[at.min(ROUNDS_MAX - 1)];
    if zh { chinese } else { english }
}

/// The submission in force while steps are gone through.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// The step that submitted.
    asked: Option<usize>,
    /// Steps that passed a round, each with its round from 1.
    passed: Vec<(usize, usize)>,
}

impl UnderWay {
    /// What is asked for.
    fn reviews(&self, events: &[Event]) -> Reviews {
        self.asked.and_then(|at| events[at].taken.reviews.clone()).unwrap_or_default()
    }

    /// The round somebody does who has seen what `saw` says.
    fn round(&self, saw: impl Fn(usize) -> bool) -> usize {
        let seen = self.passed.iter().filter(|(step, _)| saw(*step));
        1 + seen.map(|(_, round)| *round).max().unwrap_or(0)
    }

    /// A step that counts.
    pub(super) fn take(
        &mut self,
        workflow: &Workflow,
        (events, at): (&[Event], usize),
        sees: &Sees,
    ) {
        let op = events[at].taken.op.as_str();
        match workflow.step(op).and_then(|step| step.part) {
            Some(Part::Submits) => *self = Self { asked: Some(at), passed: Vec::new() },
            None if op == RECORD => {
                let to = events[at].taken.to.as_deref();
                let asked = submits(workflow, op, to).then_some(at);
                *self = Self { asked, passed: Vec::new() };
            }
            Some(Part::Passes) => self.passed.push((at, self.round(|step| sees.saw(at, step)))),
            _ => {}
        }
    }

    /// How far it has come in a state of this workflow; `None` if nothing is submitted.
    pub(super) fn progress(
        &self,
        workflow: &Workflow,
        state: &str,
        events: &[Event],
    ) -> Option<Progress> {
        let leads = |part| workflow.steps.iter().find(|s| s.part == Some(part))?.to;
        let reviews = self.reviews(events);
        if leads(Part::Submits) == Some(state) {
            return Some(Progress { passed: self.round(|_| true) - 1, reviews });
        }
        let through = [Part::Approves, Part::Publishes].map(leads).contains(&Some(state));
        let through = through && self.asked.is_some();
        through.then_some(Progress { passed: reviews.rounds.len(), reviews })
    }
}

impl Judge<'_> {
    /// Whether the reviews let a step of this part be taken.
    pub(super) fn review(
        &self,
        step: &Step,
        under_way: &UnderWay,
        (events, at): (&[Event], usize),
        sees: &Sees,
    ) -> Result<(), Ignored> {
        let Some(part) = step.part else { return Ok(()) };
        let event = &events[at];
        let reviews = under_way.reviews(events);
        let of = reviews.rounds.len();
        let round = match part {
            Part::Submits => return Ok(()),
            Part::Publishes if reviews.secrecy && !event.cleared => {
                return Err(Ignored::SecrecyFirst);
            }
            Part::Publishes => return Ok(()),
            Part::Revises => of,
            Part::Passes | Part::Approves => {
                if !self.heard_of(under_way, (events, at), sees) {
                    return Err(Ignored::SubmittedAnew);
                }
                let round = under_way.round(|step| sees.saw(at, step)).min(of);
                match part {
                    Part::Passes if round == of => return Err(Ignored::LastRound),
                    Part::Approves if round < of => {
                        return Err(Ignored::RoundFirst { round, of });
                    }
                    _ => round,
                }
            }
        };
        let by = reviews.rounds[round - 1].by();
        if !self.may(by, event) {
            return Err(Ignored::NotAllowed { by: by.label_en() });
        }
        let mut before = under_way.passed.iter().filter(|(step, _)| sees.saw(at, *step));
        if part != Part::Revises
            && let Some((step, _)) =
                before.find(|(step, _)| self.same_person(&events[*step], event))
        {
            // INVARIANT: a step that passed a round is one of this workflow.
            let passed = self.workflow.step(&events[*step].taken.op).expect("a step").op;
            return Err(Ignored::SamePerson { op: passed });
        }
        Ok(())
    }

    /// Whether a reviewer had seen the submission in force, or one that it did not come after.
    fn heard_of(&self, under_way: &UnderWay, (events, at): (&[Event], usize), sees: &Sees) -> bool {
        let Some(asked) = under_way.asked else { return true };
        let submits = |event: &Event| {
            let part = self.workflow.step(&event.taken.op).and_then(|step| step.part);
            part == Some(Part::Submits) || event.taken.op == RECORD
        };
        let current = |step: usize| submits(&events[step]) && !sees.saw(asked, step);
        (0..events.len()).any(|step| step != at && sees.saw(at, step) && current(step))
    }
}

impl Record {
    /// Says which reviews the rule pack in force asks of a submission that is written now.
    pub fn asking(mut self, reviews: Reviews) -> Self {
        self.asked = Some(reviews);
        self
    }

    /// What a submission that is written now carries.
    pub(super) fn with_reviews(&self, workflow: &Workflow, mut taken: Taken) -> Taken {
        if submits(workflow, &taken.op, taken.to.as_deref()) {
            taken.reviews.clone_from(&self.asked);
        }
        taken
    }

    /// Marks the steps that publish what their authors had seen to be cleared.
    pub(super) fn weigh_secrecy(&self, workflow: &Workflow, events: &mut [Event]) {
        let publishes = |event: &Event| {
            let step = workflow.step(&event.taken.op);
            step.is_some_and(|step| step.part == Some(Part::Publishes))
        };
        let asked = |event: &Event| event.taken.reviews.as_ref().is_some_and(|r| r.secrecy);
        if !events.iter().any(asked) || !events.iter().any(publishes) {
            return;
        }
        let Some(field) = self.schema().field(SECRECY) else { return };
        let Some(workflow) = field.workflow() else { return };
        let (said, owner) = (self.events(field), self.owner());
        let judge = self.judge(workflow, owner.as_deref());
        for event in events.iter_mut().filter(|event| publishes(event)) {
            let at = said.partition_point(|e| (e.counter, e.actor) < (event.counter, event.actor));
            let mut both = said.clone();
            both.insert(at, event.clone());
            let sees = Sees::of(self, &both);
            event.cleared = judge.state_before(&both, at, &sees) == PUBLIC;
        }
    }

    /// Whether the record's secrecy review says now that it can be public.
    pub(super) fn is_cleared(&self) -> bool {
        let course = self.schema().field(SECRECY).and_then(|field| self.course(field));
        course.is_some_and(|course| course.state == PUBLIC)
    }
}

/// Whether a step puts a record where its reviews begin.
fn submits(workflow: &Workflow, op: &str, to: Option<&str>) -> bool {
    let submit = workflow.steps.iter().find(|step| step.part == Some(Part::Submits));
    submit.is_some_and(|step| step.op == op || (op == RECORD && step.to == to))
}

impl Edits {
    /// Whether they submit: then the record has to know what is asked, see [`Record::asking`].
    pub fn submits(&self) -> bool {
        self.edits.iter().any(|(field, edit)| {
            let Some(workflow) = field.workflow() else { return false };
            match edit {
                Edit::Want(Want::State(state)) => submits(workflow, RECORD, Some(state)),
                Edit::Want(Want::Step(taken)) => submits(workflow, &taken.op, taken.to.as_deref()),
                _ => false,
            }
        })
    }

    /// A text of the record as it will be once these are made.
    pub fn text_after(&self, record: &Record, field: &'static str) -> String {
        match self.names(field) {
            true => self.text_of(field),
            false => record.scalar_text(field),
        }
        .unwrap_or_default()
    }
}
