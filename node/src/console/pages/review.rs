//! The review queue 审稿队列: posts that wait, and what changed since a version was approved.

use super::super::Office;
use super::super::cells::{People, prose, time};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::{status, title_of};
use super::{Refused, ToldTo, blocking, check};
use crate::records::{Records, Shown};
use crate::store::{ListQuery, Order, OrderBy, Place};
use axum::extract::State;
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{Course, schema_named};
use maud::{Markup, html};
use serde_json::Value;

/// Posts looked at for one page; whoever has more reviews some first.
const QUEUE_MAX: usize = 50;

/// A post that waits, what it says, and what it said when it was last approved.
struct Waiting {
    shown: Shown,
    json: Value,
    approved: Option<Value>,
    course: Course,
}

fn queue(records: &Records) -> Result<Vec<Waiting>, crate::records::RecordError> {
    // INVARIANT: a kind of this program.
    let schema = schema_named("post").expect("a kind of posts");
    // INVARIANT: posts have a state.
    let field = schema.field("status").expect("posts have a state");
    let mut out = Vec::new();
    for state in ["submitted", "approved", "published"] {
        let query = ListQuery {
            equals: vec![("status".into(), state.into())],
            order: Order { by: OrderBy::Updated, descending: state != "submitted" },
            limit: QUEUE_MAX,
            ..ListQuery::default()
        };
        for row in records.list(schema, query)?.rows {
            let place = Place { document: row.document, space: row.space, kind: schema.kind };
            let Some(shown) = records.record(schema, place)? else { continue };
            let Some(course) = shown.record.course(field) else { continue };
            // Of what was approved, only revisions nobody has looked at.
            if state == "published" && !course.revised {
                continue;
            }
            let approved = course.version.and_then(|v| shown.record.at(v)).map(|r| r.to_json());
            out.push(Waiting { json: shown.record.to_json(), approved, shown, course });
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
    let lang = visitor.lang;
    let mut people = People::new(&directory, &status, office.records());
    let body = html! {
        div #queue data-live="posts" {
            @if waiting.is_empty() { p.faint { (Word::NothingWaits.say(lang)) } }
            @for one in &waiting {
                section.card {
                    h2 {
                        a href=(format!("/r/posts/{}", one.shown.document)) { (title_of(one.shown.record.schema(), &one.json, lang)) }
                        span.faint.small { (who(one, &mut people)) }
                    }
                    @match (&one.approved, one.course.revised) {
                        (Some(approved), true) => (compared(approved, &one.json, lang)),
                        _ => details {
                            summary { (Word::Show.say(lang)) }
                            article.prose { (prose(one.json["body"].as_str().unwrap_or_default())) }
                        },
                    }
                    (buttons(one, lang))
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

fn buttons(one: &Waiting, lang: crate::words::Lang) -> Markup {
    let to = format!("/r/posts/{}/step", one.shown.document);
    let steps: &[&str] = match (one.course.state.as_str(), one.course.revised) {
        ("submitted", _) => &["approve", "return"],
        ("approved", false) => &["publish", "return"],
        ("approved", true) => &["review", "publish", "return"],
        _ => &["review"],
    };
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
                    button type="submit" { (match lang { crate::words::Lang::Zh => step.zh, crate::words::Lang::En => step.en }) }
                }
            }
        }
    }
}

/// Two versions side by side, paragraph by paragraph.
fn compared(approved: &Value, now: &Value, lang: crate::words::Lang) -> Markup {
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
