//! The review queue 审稿队列: posts that wait for this unit, each with the round that is next, and what
//! changed since a version was approved.

use super::super::Office;
use super::super::cells::{People, prose, time};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::{status, title_of};
use super::{Refused, ToldTo, blocking, check};
use crate::records::{Records, Shown};
use crate::store::{ListQuery, Order, OrderBy, Place};
use crate::words::Lang;
use axum::extract::State;
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{Course, Progress, Reviewer, schema_named};
use maud::{Markup, html};
use serde_json::Value;

/// Posts looked at for one page; whoever has more reviews some first.
const QUEUE_MAX: usize = 50;
/// Posts on their way that are looked at to find them: most may wait for another unit.
const LOOKED_MAX: usize = 500;

/// A post that waits, what it says, and what it said when it was last approved.
struct Waiting {
    shown: Shown,
    json: Value,
    approved: Option<Value>,
    course: Course,
}

impl Waiting {
    /// The steps that do what is next; none if it waits for another unit.
    fn steps(&self, unit: &str, head_office: &str) -> &'static [&'static str] {
        let owner = self.shown.record.owner();
        let own = owner.as_deref() == Some(unit);
        let waits_for = |reviewer: Option<Reviewer>| match reviewer {
            Some(Reviewer::HeadOffice) => unit == head_office,
            _ => own,
        };
        let progress = self.course.progress.as_ref();
        let last = progress.and_then(|p| p.reviews.rounds().last().copied());
        match (self.course.state.as_str(), self.course.revised) {
            ("submitted", _) if !waits_for(progress.and_then(Progress::next)) => &[],
            ("submitted", _)
                if progress.is_some_and(|p| p.passed + 1 < p.reviews.rounds().len()) =>
            {
                &["pass", "return"]
            }
            ("submitted", _) => &["approve", "return"],
            ("approved", false) if !own && unit != head_office => &[],
            ("approved", false) if self.lacks_clearance() => &["clear", "withhold", "return"],
            ("approved", false) => &["publish", "return"],
            _ if !waits_for(last) => &[],
            ("approved", true) if self.lacks_clearance() => {
                &["review", "clear", "withhold", "return"]
            }
            ("approved", true) => &["review", "publish", "return"],
            _ => &["review"],
        }
    }

    fn lacks_clearance(&self) -> bool {
        let asked = self.course.progress.as_ref().is_some_and(|p| p.reviews.secrecy);
        asked && self.json["secrecy"] != "public"
    }
}

fn queue(records: &Records) -> Result<Vec<Waiting>, crate::records::RecordError> {
    // INVARIANT: a kind of this program.
    let schema = schema_named("post").expect("a kind of posts");
    // INVARIANT: posts have a state.
    let field = schema.field("status").expect("posts have a state");
    let (unit, directory) = (records.shared.unit(), records.shared.directory.now());
    let mut out = Vec::new();
    for state in ["submitted", "approved", "published"] {
        let query = ListQuery {
            equals: vec![("status".into(), state.into())],
            order: Order { by: OrderBy::Updated, descending: state != "submitted" },
            limit: if state == "published" { QUEUE_MAX } else { LOOKED_MAX },
            ..ListQuery::default()
        };
        let mut found = 0;
        for row in records.list(schema, query)?.rows {
            if found == QUEUE_MAX {
                break;
            }
            let place = Place { document: row.document, space: row.space, kind: schema.kind };
            let Some(shown) = records.record(schema, place)? else { continue };
            let Some(course) = shown.record.course(field) else { continue };
            // Of what was approved, only revisions nobody has looked at.
            if state == "published" && !course.revised {
                continue;
            }
            let approved = course.version.and_then(|v| shown.record.at(v)).map(|r| r.to_json());
            let one = Waiting { json: shown.record.to_json(), approved, shown, course };
            if !one.steps(&unit, directory.head_office()).is_empty() {
                found += 1;
                out.push(one);
            }
        }
    }
    Ok(out)
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Step("post", "approve"), None)?;
    let records = office.records().clone();
    let waiting = blocking(move || queue(&records)).await.told_to(&visitor)?;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let (lang, unit) = (visitor.lang, office.records().shared.unit());
    let mut people = People::new(&directory, &status, office.records());
    let body = html! {
        div #queue data-live="posts" {
            @if waiting.is_empty() { p.faint { (Word::NothingWaits.say(lang)) } }
            @for one in &waiting {
                section.card {
                    h2 {
                        a href=(format!("/r/posts/{}", one.shown.document)) { (title_of(one.shown.record.schema(), &one.json, lang)) }
                        @if let Some(round) = round(one, lang) { span.tag { (round) } }
                        span.faint.small { (who(one, &mut people)) }
                    }
                    @if let Some(progress) = &one.course.progress {
                        p.faint.small { (progress.told(lang == Lang::Zh)) }
                    }
                    @match (&one.approved, one.course.revised) {
                        (Some(approved), true) => (compared(approved, &one.json, lang)),
                        _ => details {
                            summary { (Word::Show.say(lang)) }
                            article.prose { (prose(one.json["body"].as_str().unwrap_or_default())) }
                        },
                    }
                    (buttons(one, one.steps(&unit, directory.head_office()), lang))
                }
            }
        }
    };
    Ok(full_page(&visitor, Word::ReviewQueue.say(lang), body))
}

fn who(one: &Waiting, people: &mut People<'_>) -> String {
    let last = one.course.steps.iter().rev().find(|s| s.outcome.is_ok());
    last.map_or_else(String::new, |step| {
        let who = people.who(one.shown.space, step.actor, &step.account);
        format!("{who} {}", time(step.time_ms))
    })
}

/// What the round is called that a submitted post waits for.
fn round(one: &Waiting, lang: Lang) -> Option<&'static str> {
    one.course.progress.as_ref()?.next_name(lang == Lang::Zh)
}

fn buttons(one: &Waiting, steps: &[&str], lang: Lang) -> Markup {
    let to = format!("/r/posts/{}/step", one.shown.document);
    let schema = one.shown.record.schema();
    html! {
        div.steps {
            @for (_, step) in steps.iter().filter_map(|op| schema.step(op)) {
                form method="post" action=(to) {
                    input type="hidden" name="op" value=(step.op);
                    input type="hidden" name="next" value="/review";
                    @if step.needs_note {
                        input name="note" required placeholder=(Word::Reason.say(lang)) aria-label=(Word::Reason.say(lang));
                    }
                    button type="submit" { (match lang { Lang::Zh => step.zh, Lang::En => step.en }) }
                }
            }
        }
    }
}

/// Two versions side by side, paragraph by paragraph.
fn compared(approved: &Value, now: &Value, lang: Lang) -> Markup {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    html! {
        p.small { (Word::SinceApproved.say(lang)) }
        @for name in ["title", "body"] {
            @let (before, after) = (text(approved, name), text(now, name));
            @if before != after {
                div.sides {
                    div { strong { (Word::Before.say(lang)) } (marked(&before, &after, true)) }
                    div { strong { (Word::After.say(lang)) } (marked(&after, &before, false)) }
                }
            }
        }
    }
}

/// Paragraphs of one side; those the other lacks are marked.
fn marked(text: &str, other: &str, gone: bool) -> Markup {
    let others: std::collections::BTreeSet<&str> = other.lines().map(str::trim).collect();
    html! {
        @for line in text.lines().filter(|line| !line.trim().is_empty()) {
            @match (others.contains(line.trim()), gone) {
                (true, _) => p { (line) },
                (false, true) => p { del { (line) } },
                (false, false) => p { ins { (line) } },
            }
        }
    }
}
