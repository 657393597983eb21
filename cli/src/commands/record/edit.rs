//! `fenbu post edit` and its siblings. Setting a contested field settles its conflict.

use clap::{ArgMatches, Command};
use serde_json::json;

use super::super::Session;
use super::fields::Kind;
use super::{add, field_args, id_arg, id_of, value};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang};

pub(super) fn command(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(
        format!("修改{}；设置有冲突的字段即裁定冲突", kind.zh),
        format!("Edit a {}; setting a field in conflict settles it", kind.name),
    );
    Command::new("edit").about(about).arg(id_arg(lang)).args(field_args(kind, lang))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let fields = value::fields_of(kind, matches)?;
    if fields.is_empty() {
        return Err(Error::usage(Key::NothingToEdit).hint(Key::HintHelp));
    }
    let route = Route::new(kind.plural).segment(id_of(matches));
    let answer = session.client().patch(route, &json!({"fields": fields})).await?;
    add::written(&answer, session)?;
    session.output.say(Key::RecordEdited);
    Ok(Exit::Ok)
}
