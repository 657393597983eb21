//! `fenbu post add` and its siblings.

use clap::{Arg, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::super::Session;
use super::fields::{Flag as _, Kind};
use super::{field_args, value};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang};
use crate::output;

/// Fields are named after record fields, none of which holds a blank.
const SPACE: &str = "in space";

pub(super) fn command(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(format!("新增{}", kind.zh), format!("Add a {}", kind.name));
    let space = Arg::new(SPACE).long("in-space").value_name("LABEL").help(lang.pick(
        "写入这个临时数据范围（按标签），而不是本单位的",
        "Put it into this temporary space, by its label, and not into the unit's own",
    ));
    Command::new("add").about(about).args(field_args(kind, lang)).arg(space)
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let fields = value::fields_of(kind, matches)?;
    check_required(kind, &fields)?;
    let mut body = json!({"fields": fields});
    if let Some(label) = matches.get_one::<String>(SPACE) {
        body["unit"] = label.as_str().into();
    }
    let answer = session.client().post(Route::new(kind.plural), &body).await?;
    written(&answer, session)?;
    session.output.say(Key::RecordAdded);
    Ok(Exit::Ok)
}

/// The id alone, for the next command in a pipe.
pub(super) fn written(answer: &Value, session: &mut Session) -> Result<()> {
    for warning in output::items(&answer["warnings"], "") {
        session.output.say(Key::Warning.with([("text", output::scalar(&warning))]));
    }
    if session.output.is_json() {
        session.output.json("fenbu.written/1", answer)
    } else {
        session.output.line(&output::text(answer, "id"))
    }
}

fn check_required(kind: &Kind, fields: &Map<String, Value>) -> Result<()> {
    let is_given = |name: &str| {
        fields.get(name).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    };
    let missing: Vec<String> = kind
        .fields
        .iter()
        .filter(|field| field.required && !is_given(field.name))
        .map(|field| format!("--{}", field.flag()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(Key::UsageMissing.with([("arg", missing.join(", "))])).hint(Key::HintHelp))
}

#[cfg(test)]
mod tests {
    use super::super::kind;
    use super::*;

    #[test]
    fn required_fields_are_named() {
        let meeting = kind("meeting").unwrap();
        let fields = |value: Value| value.as_object().unwrap().clone();
        let error = check_required(meeting, &fields(json!({"kind": ""}))).unwrap_err();
        assert_eq!(error.kind.exit(), Exit::Usage);
        assert!(error.message.render(Lang::En).contains("--kind, --branch"));
        check_required(meeting, &fields(json!({"kind": "talk", "branch": "b"}))).unwrap();
    }
}
