//! `fenbu post history` and its siblings: who changed what, when.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::super::{Session, instant};
use super::fields::Kind;
use super::{id_arg, id_of, label};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, List};

pub(super) fn command(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(
        format!("查看{}的修改历史", kind.zh),
        format!("Show who changed a {}, and when", kind.name),
    );
    Command::new("history").about(about).arg(id_arg(lang))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let route = Route::new(kind.plural).segment(id_of(matches)).segment("history");
    let answer = session.client().get(route).await?;
    let noun = *kind;
    session.output.list(&List {
        schema: "fenbu.history/1",
        item_schema: "fenbu.change/1",
        items: output::items(&answer, "items"),
        answer,
        name: "hash",
        columns: vec![
            Column::new(Key::ColumnTime, |v, _| instant::show(&v["time_ms"])),
            Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
            Column::new(Key::ColumnNode, |v, _| author(v)),
            Column::new(Key::ColumnAccount, |v, _| output::text(v, "account")),
            Column::new(Key::ColumnChanges, move |v, view| changes(&noun, v, view.lang))
                .at_most(60),
            Column::new(Key::ColumnHash, |v, _| output::short_id(&output::text(v, "hash"))).wide(),
        ],
    })?;
    Ok(Exit::Ok)
}

/// The node's name, or the beginning of its id.
fn author(change: &Value) -> String {
    let name = output::text(change, "node_name");
    if name.is_empty() { output::short_id(&output::text(change, "node")) } else { name }
}

/// The labels of the fields that changed.
fn changes(kind: &Kind, change: &Value, lang: Lang) -> String {
    let fields = output::items(&change["changes"], "");
    let labels: Vec<String> = fields
        .iter()
        .map(|c| c.as_str().map_or_else(|| output::text(c, "field"), str::to_owned))
        .map(|name| label(kind, &name).render(lang))
        .collect();
    labels.join(lang.pick("、", ", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kind;
    use super::*;

    #[test]
    fn changes_are_named_by_label() {
        let change =
            json!({"changes": [{"field": "title"}, {"field": "novel"}], "node": "abcdef0123"});
        assert_eq!(changes(kind("post").unwrap(), &change, Lang::Zh), "标题、novel");
        assert_eq!(author(&change), "abcdef01");
    }
}
