//! The course a record has taken: which steps of a workflow count, and the state they lead to.
//!
//! A pure function of the document and of who stands behind its actors. Steps are taken in the order
//! of their operations, which is an order of causes: the gate holds every change to counters above
//! all it has seen. A step that was not allowed where it comes in that order stays in the log, changes
//! nothing, and says why. Two steps that were taken at once and lead apart are *rivals*: one stands by
//! that order and by the workflow's own rules, and a person is asked until somebody who has seen both
//! goes on from there.

use super::authors::{Authors, NOBODY};
use super::doc::Record;
use super::genesis::genesis;
use super::past::Past;
use super::reviews::{Progress, UnderWay};
use super::schema::Field;
use super::show::json_of;
use super::steps::{Taken, touches_contents};
use super::workflow::{By, CORRECT, Part, RECORD, SETTLE, Step, Workflow};
use automerge::{ChangeHash, ObjId, ReadDoc, Value as Read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Steps looked at for rivals, the latest ones. Finding rivals takes the cube of this.
const RIVALS_AMONG: usize = 48;

/// Why a step does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("this version knows no such step")]
    Unknown,
    #[error("it cannot be taken from the state '{state}'")]
    State { state: String },
    #[error("only {by} may take it")]
    NotAllowed { by: &'static str },
    #[error("somebody else has to take it than who took '{op}'")]
    SamePerson { op: &'static str },
    #[error("it needs a note that says why")]
    NoNote,
    #[error("round {round} of {of} comes first: it is passed with the step 'pass'")]
    RoundFirst { round: usize, of: usize },
    #[error("this is the last round: it is passed with the step 'approve'")]
    LastRound,
    #[error("it was submitted anew meanwhile, and its reviews begin anew")]
    SubmittedAnew,
    #[error("its secrecy review comes first: it is cleared with the step 'clear'")]
    SecrecyFirst,
    #[error("what it published had been taken back")]
    TakenBack,
    #[error("how things stood before can only be said first")]
    NotFirst,
    #[error("there is nothing to settle, or '{state}' is none of the states in question")]
    NothingToSettle { state: String },
}

/// A step as it was taken, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    pub taken: Taken,
    pub actor: [u8; 16],
    /// Hash of the change it came in.
    pub change: [u8; 32],
    /// The author's clock in milliseconds since 1970; decides nothing.
    pub time_ms: u64,
    pub account: String,
    /// The state it led to, or why it does not count.
    pub outcome: Result<String, Ignored>,
}

/// A step that stands against another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Index among the steps.
    pub step: usize,
    /// The state it leads to by what its author had seen.
    pub state: String,
}

/// What the steps of one field come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    pub state: String,
    /// In the order in which they are weighed.
    pub steps: Vec<Happened>,
    /// Steps that were taken at once, lead apart, and have not been settled.
    pub rivals: Vec<Rival>,
    /// The change that names the version of the record that was last approved or confirmed.
    pub version: Option<[u8; 32]>,
    /// Whether the record's contents have changed beside or after that version.
    pub revised: bool,
    /// The reviews it goes through, while it does and once it has.
    pub progress: Option<Progress>,
}

impl Course {
    /// Whether anything that counted once was released; of publications.
    pub fn was_released(&self) -> bool {
        let taken_back = |s: &Happened| matches!(s.outcome, Err(Ignored::TakenBack));
        self.state == "published" || self.steps.iter().any(taken_back)
    }

    pub(super) fn new(workflow: &Workflow) -> Self {
        let state = workflow.initial.to_owned();
        let (steps, rivals) = (Vec::new(), Vec::new());
        Self { state, steps, rivals, version: None, revised: false, progress: None }
    }
}

/// A step with its place in the document.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) counter: u64,
    pub(super) actor: [u8; 16],
    pub(super) change: [u8; 32],
    pub(super) time_ms: u64,
    pub(super) account: String,
    pub(super) taken: Taken,
    /// Of a step that publishes: whether its author had seen the secrecy review let it.
    pub(super) cleared: bool,
}

/// What judging needs beside the steps.
pub(super) struct Judge<'a> {
    pub(super) workflow: &'static Workflow,
    pub(super) authors: &'a Authors,
    /// The unit the record belongs to.
    pub(super) owner: Option<&'a str>,
    /// Values of the fields that name units.
    pub(super) unit_in: BTreeMap<&'static str, String>,
}

/// Where a course stands while its steps are gone through.
struct Standing<'a> {
    state: String,
    /// Who took each step last.
    who: BTreeMap<&'a str, &'a Event>,
    steps: usize,
    under_way: UnderWay,
}

impl Judge<'_> {
    fn unit(&self, event: &Event) -> Option<&str> {
        self.authors.units.get(&event.actor).map(String::as_str)
    }

    pub(super) fn may(&self, by: By, event: &Event) -> bool {
        let named = |field| self.unit_in.get(field).cloned();
        self.authors.may(by, event.actor, self.owner, named)
    }

    /// The state a step leads to, taken where the course stands.
    fn step(
        &self,
        standing: &Standing<'_>,
        (events, at): (&[Event], usize),
        sees: &Sees,
    ) -> Result<String, Ignored> {
        let event = &events[at];
        let taken = &event.taken;
        let rivals = || self.states_in_question(events, at, sees);
        let to = || taken.to.clone().unwrap_or_default();
        match taken.op.as_str() {
            RECORD if standing.steps > 0 => return Err(Ignored::NotFirst),
            RECORD => return Ok(to()),
            CORRECT if !self.workflow.correctable => return Err(Ignored::Unknown),
            CORRECT if taken.note.is_none() => return Err(Ignored::NoNote),
            CORRECT => return Ok(to()),
            SETTLE if !self.may(self.workflow.settled_by, event) => {
                return Err(Ignored::NotAllowed { by: self.workflow.settled_by.label_en() });
            }
            SETTLE if rivals().contains(&to()) => return Ok(to()),
            SETTLE => return Err(Ignored::NothingToSettle { state: to() }),
            _ => {}
        }
        let step = self.workflow.step(&taken.op).ok_or(Ignored::Unknown)?;
        self.guards(step, standing, event)?;
        self.review(step, &standing.under_way, (events, at), sees)?;
        Ok(step.to.map_or_else(|| standing.state.clone(), str::to_owned))
    }

    /// What a step asks for by itself.
    fn guards(
        &self,
        step: &'static Step,
        standing: &Standing<'_>,
        event: &Event,
    ) -> Result<(), Ignored> {
        if !step.from.is_empty() && !step.from.contains(&standing.state.as_str()) {
            return Err(Ignored::State { state: standing.state.clone() });
        }
        if !self.may(step.by, event) {
            return Err(Ignored::NotAllowed { by: step.by.label_en() });
        }
        if let Some(op) = step.not_by_who
            && standing.who.get(op).is_some_and(|who| self.same_person(who, event))
        {
            return Err(Ignored::SamePerson { op });
        }
        if step.needs_note && event.taken.note.is_none() {
            return Err(Ignored::NoNote);
        }
        Ok(())
    }

    /// People are told apart by the account their unit vouches for; where no account is named, a unit is
    /// one person.
    pub(super) fn same_person(&self, a: &Event, b: &Event) -> bool {
        self.unit(a) == self.unit(b) && a.account == b.account
    }

    /// Goes through steps in order; also how far their reviews have come.
    pub(super) fn run(
        &self,
        events: &[Event],
        sees: &Sees,
    ) -> (Vec<Result<String, Ignored>>, Option<Progress>) {
        let all: Vec<usize> = (0..events.len()).collect();
        let (outcomes, standing) = self.run_over(events, &all, sees);
        let progress = standing.under_way.progress(self.workflow, &standing.state, events);
        (outcomes, progress)
    }

    /// The state its author saw who took the step at `at`.
    pub(super) fn state_before(&self, events: &[Event], at: usize, sees: &Sees) -> String {
        let seen: Vec<usize> = (0..events.len()).filter(|f| sees.saw(at, *f)).collect();
        self.run_over(events, &seen, sees).1.state
    }

    /// Goes through those of the steps whose indices are given, in order.
    fn run_over<'a>(
        &self,
        events: &'a [Event],
        among: &[usize],
        sees: &Sees,
    ) -> (Vec<Result<String, Ignored>>, Standing<'a>) {
        let mut standing = Standing {
            state: self.workflow.initial.into(),
            who: BTreeMap::new(),
            steps: 0,
            under_way: UnderWay::default(),
        };
        let mut out = Vec::with_capacity(among.len());
        for &at in among {
            let event = &events[at];
            let outcome = self.step(&standing, (events, at), sees);
            if let Ok(state) = &outcome {
                standing.state.clone_from(state);
                standing.who.insert(&event.taken.op, event);
                standing.steps += 1;
                standing.under_way.take(self.workflow, (events, at), sees);
            }
            out.push(outcome);
        }
        (out, standing)
    }

    /// What a step would have led to by what its author had seen alone.
    fn sound(&self, events: &[Event], at: usize, sees: &Sees) -> Option<String> {
        let mut seen: Vec<usize> = (0..events.len()).filter(|f| sees.saw(at, *f)).collect();
        seen.push(at);
        self.run_over(events, &seen, sees).0.pop()?.ok()
    }

    /// Steps taken at once that lead apart, among those `within`, and that nobody has gone on from.
    fn rivals(&self, events: &[Event], within: &[usize], sees: &Sees) -> Vec<Rival> {
        if sees.is_linear() || within.len() < 2 {
            return Vec::new();
        }
        let within = &within[within.len().saturating_sub(RIVALS_AMONG)..];
        let sound: Vec<(usize, String)> =
            within.iter().filter_map(|at| Some((*at, self.sound(events, *at, sees)?))).collect();
        let mut found = BTreeSet::new();
        for (i, (e, to_e)) in sound.iter().enumerate() {
            for (f, to_f) in &sound[i + 1..] {
                let apart = to_e != to_f && !sees.saw(*e, *f) && !sees.saw(*f, *e);
                let apart = apart && !self.agree(&events[*e], &events[*f]);
                let gone_on = || sound.iter().any(|(g, _)| sees.saw(*g, *e) && sees.saw(*g, *f));
                if apart && !gone_on() {
                    found.extend([*e, *f]);
                }
            }
        }
        let rivals = sound.into_iter().filter(|(step, _)| found.contains(step));
        rivals.map(|(step, state)| Rival { step, state }).collect()
    }

    /// Two reviewers who both let a record through, each in their round.
    fn agree(&self, a: &Event, b: &Event) -> bool {
        let part = |event: &Event| self.workflow.step(&event.taken.op).and_then(|s| s.part);
        let through = |event| matches!(part(event), Some(Part::Passes | Part::Approves));
        through(a) && through(b)
    }

    /// The states that stood against each other for whoever took the step at `at`.
    fn states_in_question(&self, events: &[Event], at: usize, sees: &Sees) -> Vec<String> {
        let seen: Vec<usize> = (0..at).filter(|f| sees.saw(at, *f)).collect();
        self.rivals(events, &seen, sees).into_iter().map(|rival| rival.state).collect()
    }
}

/// Which steps had been seen by whoever took another.
pub(super) struct Sees {
    /// For each step those its author had seen; `None` where all follow each other.
    seen: Option<Vec<Vec<bool>>>,
}

impl Sees {
    /// Steps of one author, or of nobody.
    fn linear() -> Self {
        Self { seen: None }
    }

    /// Who had seen what in a record with these steps.
    pub(super) fn of(record: &Record, events: &[Event]) -> Self {
        let one_author = events.windows(2).all(|pair| pair[0].actor == pair[1].actor);
        if one_author || record.is_first() {
            return Self::linear();
        }
        // INVARIANT: the steps were read from the document, and its changes come causes first.
        Self::by_causes(record, events).expect("every step lies in a change of the document")
    }

    fn by_causes(record: &Record, events: &[Event]) -> Option<Self> {
        let mut past = Past::default();
        for meta in record.document().get_changes_meta(&[]) {
            let actor = past.actor(meta.actor.to_bytes().try_into().ok()?);
            let deps: Option<Vec<usize>> =
                meta.deps.iter().map(|d| past.by_hash.get(&d.0).copied()).collect();
            past.push(meta.hash.0, actor, &deps?, (meta.start_op, meta.max_op));
        }
        let seen = events.iter().map(|e| {
            let clock = &past.nodes[*past.by_hash.get(&e.change)?].clock;
            let saw = |f: &Event| past.find(clock, f.actor, f.counter).is_some();
            Some(events.iter().map(|f| f.counter < e.counter && saw(f)).collect())
        });
        Some(Self { seen: Some(seen.collect::<Option<_>>()?) })
    }

    /// With one more step behind, by somebody who has seen all.
    pub(super) fn and_one_more(mut self) -> Self {
        if let Some(seen) = &mut self.seen {
            let all = vec![true; seen.len()];
            seen.iter_mut().for_each(|saw| saw.push(false));
            seen.push([all, vec![false]].concat());
        }
        self
    }

    pub(super) fn saw(&self, later: usize, earlier: usize) -> bool {
        match &self.seen {
            None => earlier < later,
            Some(seen) => seen[later][earlier],
        }
    }

    fn is_linear(&self) -> bool {
        self.seen.is_none()
    }
}

impl Record {
    /// What the steps of a workflow's field come to; `None` if it is no such field.
    pub fn course(&self, field: &'static Field) -> Option<Course> {
        let workflow = field.workflow()?;
        if self.is_publication() {
            return self.publication_course(field);
        }
        let mut course = Course::new(workflow);
        let mut events = self.events(field);
        if events.is_empty() {
            return Some(course);
        }
        self.weigh_secrecy(workflow, &mut events);
        let owner = self.owner();
        let judge = self.judge(workflow, owner.as_deref());
        let sees = Sees::of(self, &events);
        let (outcomes, progress) = judge.run(&events, &sees);
        course.progress = progress;
        let all: Vec<usize> = (0..events.len()).collect();
        course.rivals = judge.rivals(&events, &all, &sees);
        for (event, outcome) in events.into_iter().zip(outcomes) {
            if let Ok(state) = &outcome {
                course.state.clone_from(state);
                let step = workflow.step(&event.taken.op);
                if step.is_some_and(|s| s.names_version) {
                    course.version = Some(event.change);
                }
            }
            let Event { actor, change, time_ms, account, taken, .. } = event;
            course.steps.push(Happened { taken, actor, change, time_ms, account, outcome });
        }
        course.revised = course.version.is_some_and(|version| self.revised_since(version));
        Some(course)
    }

    /// What judging needs of this record.
    pub(super) fn judge<'a>(
        &'a self,
        workflow: &'static Workflow,
        owner: Option<&'a str>,
    ) -> Judge<'a> {
        let fields = workflow.steps.iter().filter_map(|step| match step.by {
            By::UnitIn(field) | By::UnitInOrHeadOffice(field) => Some(field),
            _ => None,
        });
        let unit_in = fields.filter_map(|name| Some((name, self.scalar_text(name)?))).collect();
        Judge { workflow, authors: self.authors.as_deref().unwrap_or(&NOBODY), owner, unit_in }
    }

    /// The steps a field holds, in the order in which they are weighed.
    pub(super) fn events(&self, field: &'static Field) -> Vec<Event> {
        if let Some(events) = self.first_events(field) {
            return events;
        }
        let Some(container) = genesis(self.schema()).container(field.name) else {
            return Vec::new();
        };
        let document = self.document();
        let mut events: Vec<Event> = Vec::new();
        for key in document.keys(&container.id) {
            for (value, id) in document.get_all(&container.id, &key).unwrap_or_default() {
                events.extend(event(&value, &id));
            }
        }
        if events.is_empty() {
            return events;
        }
        let mut changes: BTreeMap<([u8; 16], u64), _> = BTreeMap::new();
        for meta in document.get_changes_meta(&[]) {
            if let Ok(actor) = meta.actor.to_bytes().try_into() {
                changes.insert((actor, meta.start_op), meta);
            }
        }
        for event in &mut events {
            let upto = changes.range((event.actor, 0)..=(event.actor, event.counter));
            if let Some((_, meta)) = upto.last() {
                event.change = meta.hash.0;
                event.time_ms = meta.timestamp.max(0).unsigned_abs();
                let message = meta.message.as_deref().unwrap_or_default();
                event.account = super::amend::read_message(message).0.to_owned();
            }
        }
        events.sort_by_key(|e| (e.counter, e.actor));
        events
    }

    /// Whether contents have changed beside or after the version a change names.
    fn revised_since(&self, version: [u8; 32]) -> bool {
        if self.is_first() {
            return false;
        }
        let since = self.document().get_changes(&[ChangeHash(version)]);
        since.iter().any(|change| touches_contents(self.schema(), change.raw_bytes()))
    }
}

/// A step from the value that holds it; its change is found later.
fn event(value: &Read<'_>, id: &ObjId) -> Option<Event> {
    let ObjId::Id(counter, actor, _) = id else { return None };
    let Some(Value::String(text)) = json_of(value) else { return None };
    Some(Event {
        counter: *counter,
        actor: actor.to_bytes().try_into().ok()?,
        change: [0; 32],
        time_ms: 0,
        account: String::new(),
        taken: Taken::read(&text)?,
        cleared: false,
    })
}
