//! `fenbu quarantine`: work that does not count because its author's right had ended, or signed twice.

use clap::Args;

use super::{Session, instant};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, List};

/// List work that does not count: written by a node past the end it was given, or by a second copy of a node
///
/// Nothing is dropped. What a revoked node wrote stays in the logs, and counts as soon as somebody within
/// his rights builds on it: ask the author, and write anew what was meant. Of two histories that two copies
/// of a node wrote one stands on all nodes; this lists the other. Each copy writes its own anew by itself,
/// and so does whoever had built on it; what is listed for a copy that is gone is for people to look through.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "列出不算数的内容：节点被撤销之后（超过截止位置）写的，或者同一节点的第二份副本写的")];

pub(super) async fn run(_: QuarantineArgs, session: &mut Session) -> Result<Exit> {
    let answer = session.client().get(Route::new("quarantine")).await?;
    let items = output::items(&answer, "items");
    let none = items.is_empty();
    session.output.list(&List {
        schema: "fenbu.quarantine/1",
        item_schema: "fenbu.quarantined/1",
        answer,
        items,
        name: "id",
        columns: columns(),
    })?;
    if none {
        session.output.say(Key::QuarantineEmpty);
    }
    Ok(Exit::Ok)
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnId, |v, _| output::short_id(&output::text(v, "id"))),
        Column::new(Key::ColumnKind, |v, _| output::text(v, "kind")),
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "space")),
        Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
        Column::new(Key::ColumnNode, |v, _| output::text(v, "name")).at_most(28),
        Column::new(Key::ColumnTime, |v, _| instant::show(&v["time_ms"])),
        Column::new(Key::ColumnWhy, |v, view| why(v, view.lang)).at_most(40),
    ]
}

/// Why an entry does not count, and whether it is still to be written anew here.
fn why(item: &serde_json::Value, lang: Lang) -> String {
    match output::text(item, "reason").as_str() {
        "fork" if item["pending"] == true => Key::QuarantinePending.text(lang).to_owned(),
        "fork" => Key::QuarantineFork.text(lang).to_owned(),
        _ => {
            let epoch = output::text(item, "revoked_epoch");
            Key::QuarantineRevoked.with([("epoch", epoch)]).render(lang)
        }
    }
}
