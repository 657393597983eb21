//! `fenbu post submit` and its siblings: every step of a kind's workflows is a verb.

use clap::{Arg, ArgMatches, Command};
use fenbu_protocol::record::{CORRECT, RECORD, SETTLE, Step, Workflow};
use serde_json::json;

use super::super::{Session, instant};
use super::fields::{Field, Kind};
use super::{add, id_arg, id_of, value};
use crate::client::Route;
use crate::error::{BadValue, Error, Exit, Result};
use crate::lang::{Key, Lang};

/// The verbs that name the state they lead to, where a kind has several workflows with the field's name
/// behind.
const GENERAL: [&str; 2] = [CORRECT, SETTLE];

/// One verb for each step, and for putting a state right and settling a conflict about one.
pub(super) fn commands(kind: &Kind, lang: Lang) -> Vec<Command> {
    let mut out = Vec::new();
    for (_, workflow) in kind.schema.workflows() {
        out.extend(workflow.steps.iter().map(|step| command(step, workflow, lang)));
    }
    out.extend(GENERAL.into_iter().filter(|op| has(kind, op)).map(|op| general(kind, op, lang)));
    out
}

pub(super) fn is_step(kind: &Kind, op: &str) -> bool {
    kind.schema.step(op).is_some() || (GENERAL.contains(&op) && has(kind, op))
}

/// Putting right is not for every kind; whatever has steps can come into conflict.
fn has(kind: &Kind, op: &str) -> bool {
    kind.schema.workflows().any(|(_, workflow)| op == SETTLE || workflow.correctable)
}

fn command(step: &Step, workflow: &Workflow, lang: Lang) -> Command {
    let name = |code: &str| {
        let known = workflow.states.iter().find(|s| s.code == code);
        known.map_or(code, |s| lang.pick(s.zh, s.en)).to_owned()
    };
    let from: Vec<String> = step.from.iter().map(|code| name(code)).collect();
    let from = match from.is_empty() {
        true => lang.pick("任何状态", "any state").to_owned(),
        false => from.join(lang.pick("、", ", ")),
    };
    let to = step.to.map_or_else(|| lang.pick("不变", "unchanged").to_owned(), name);
    let by = lang.pick(step.by.label_zh(), step.by.label_en());
    let about = lang.pick(
        format!("{}：{from} → {to}（{by}）", step.zh),
        format!("{}: {from} -> {to} (by {by})", step.en),
    );
    Command::new(step.op).about(about).arg(id_arg(lang)).args(common(lang, step.needs_note))
}

fn general(kind: &Kind, op: &'static str, lang: Lang) -> Command {
    let about = match op {
        SETTLE => lang.pick("裁定同时发生的两个步骤", "Decide between two steps taken at once"),
        _ => lang.pick("更正录入有误的状态", "Put a state right that was entered by mistake"),
    };
    let fields: Vec<&str> = kind.schema.workflows().map(|(field, _)| field.name).collect();
    let states = Arg::new("to").value_name("STATE").required(true);
    let field = Arg::new("field")
        .long("field")
        .value_name("FIELD")
        .default_value(fields[0])
        .value_parser(clap::builder::PossibleValuesParser::new(fields))
        .help(lang.pick("哪个状态", "Which state"));
    Command::new(op)
        .about(about)
        .arg(id_arg(lang))
        .arg(states.help(lang.pick("应有的状态", "The state it should be in")))
        .arg(field)
        .args(common(lang, op == CORRECT))
}

fn common(lang: Lang, needs_note: bool) -> [Arg; 2] {
    [
        Arg::new("note")
            .long("note")
            .value_name("TEXT")
            .required(needs_note)
            .help(lang.pick("理由或文号", "Why, or under which number")),
        Arg::new("on").long("on").value_name("DATE").help(lang.pick(
            "实际发生的日期，如与今天不同",
            "The day it really happened on, if that is not today",
        )),
    ]
}

pub(super) async fn run(
    kind: &Kind,
    op: &str,
    matches: &ArgMatches,
    session: &mut Session,
) -> Result<Exit> {
    let mut step = serde_json::Map::from_iter([("op".to_owned(), json!(op))]);
    let field = match kind.schema.step(op) {
        Some((field, _)) => field,
        None => {
            let name = matches.get_one::<String>("field").map_or("", String::as_str);
            let field = kind.field(name).ok_or_else(|| Error::usage(Key::UsageNoCommand))?;
            let to = matches.get_one::<String>("to").map_or("", String::as_str);
            step.insert("to".into(), json!(value::code_of(field, to)));
            field
        }
    };
    if let Some(note) = matches.get_one::<String>("note") {
        step.insert("note".into(), json!(note));
    }
    if let Some(on) = matches.get_one::<String>("on") {
        let day = instant::parse_date(on).map_err(|BadValue(why)| {
            Error::usage(Key::BadField.with([("flag", "on".to_owned())])).cause(why)
        })?;
        step.insert("on".into(), json!(day.to_string()));
    }
    let route = Route::new(kind.plural).segment(id_of(matches));
    let body = json!({"fields": {field.name: step}});
    let answer = session.client().patch(route, &body).await?;
    add::written(&answer, session)?;
    session.output.say(Key::RecordEdited);
    Ok(Exit::Ok)
}

/// What a step is called; one of a newer version by its code.
pub(super) fn label(field: &Field, op: &str, lang: Lang) -> String {
    let general = match op {
        RECORD => Some(("补录", "Recorded")),
        CORRECT => Some(("更正", "Corrected")),
        SETTLE => Some(("裁定", "Settled")),
        _ => None,
    };
    let known = field.workflow().and_then(|w| w.step(op)).map(|step| (step.zh, step.en));
    general.or(known).map_or_else(|| op.to_owned(), |(zh, en)| lang.pick(zh, en).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::kind;
    use super::*;

    #[test]
    fn every_step_is_a_verb() {
        let post = kind("post").unwrap();
        let names: Vec<String> =
            commands(post, Lang::En).iter().map(|c| c.get_name().to_owned()).collect();
        assert!(names.contains(&"submit".to_owned()) && names.contains(&"settle".to_owned()));
        assert!(!names.contains(&"correct".to_owned()), "a post's way is walked, not set");
        assert!(is_step(post, "withdraw") && !is_step(post, "convert"));
        let submit = command(
            post.schema.step("submit").unwrap().1,
            post.schema.workflows().next().unwrap().1,
            Lang::En,
        );
        assert!(submit.get_about().unwrap().to_string().contains("Draft, Returned"));
    }

    #[test]
    fn steps_are_told_by_name() {
        let status = kind("post").unwrap().field("status").unwrap();
        assert_eq!(label(status, "return", Lang::Zh), "退回修改");
        assert_eq!(label(status, RECORD, Lang::En), "Recorded");
        assert_eq!(label(status, "novel", Lang::En), "novel");
    }
}
