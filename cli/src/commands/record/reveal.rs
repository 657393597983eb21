//! `fenbu member reveal` and its siblings: one personal value, with a reason that is written down.

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::super::Session;
use super::fields::Kind;
use super::{id_arg, id_of, label, value};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::Lang;
use crate::output::Detail;

/// For kinds that hold personal data.
pub(super) fn command(kind: &Kind, lang: Lang) -> Option<Command> {
    let fields: Vec<&str> = kind.fields.iter().filter(|f| f.personal).map(|f| f.name).collect();
    if fields.is_empty() {
        return None;
    }
    let about = lang.pick(
        "查阅一项个人信息；理由会记录在案",
        "Look at one personal value; the reason is written down",
    );
    let field = Arg::new("field")
        .value_name("FIELD")
        .required(true)
        .value_parser(clap::builder::PossibleValuesParser::new(fields))
        .help(lang.pick("哪一项", "Which one"));
    let reason = Arg::new("reason")
        .long("reason")
        .value_name("TEXT")
        .required(true)
        .help(lang.pick("为什么要看", "Why it is looked at"));
    Some(Command::new("reveal").about(about).arg(id_arg(lang)).arg(field).arg(reason))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let given = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let route = Route::new(kind.plural).segment(id_of(matches)).segment("reveal");
    let body = json!({"field": given("field"), "reason": given("reason")});
    let answer = session.client().post(route, &body).await?;
    let lang = session.output.lang();
    let shown = kind.field(given("field")).map(|f| value::show(f, &answer["value"], lang));
    session.output.detail(&Detail {
        schema: "fenbu.revealed/1",
        name: "id",
        rows: vec![(label(kind, given("field")), shown.unwrap_or_default())],
        answer,
    })?;
    Ok(Exit::Ok)
}
