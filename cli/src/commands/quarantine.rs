//! `fenbu quarantine`: work that does not count, or only because others built on it.

use clap::Args;
use serde_json::{Value, json};

use super::{Session, instant};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::output::{self, Column, List};

/// List work to look at: past the end of its author's right, over a limit, or signed twice
///
/// Nothing is dropped: what does not count stays in the logs, and counts as soon as somebody else within
/// his rights builds on it, or the limit grows. What counts for that reason is listed until somebody has
/// reviewed it. Who is to decide is the level above: ask the author, and write anew what was meant. Where two
/// copies of a node wrote two histories of a log, the one that gave way is listed too; each copy writes its
/// own anew by itself, and so does whoever had built on it.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {
    /// Also show what has been reviewed
    #[arg(long)]
    all: bool,
    /// Mark what counts of this record as reviewed: the beginning of its id
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    reviewed: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "列出待人工查看的内容：作者权限结束之后写的、超出限额的，或属于同一日志另一套内容的"),
    ("all", "也列出已审阅的"),
    ("reviewed", "把该记录中计入的内容标为已审阅：其标识的开头"),
];

pub(super) async fn run(args: QuarantineArgs, session: &mut Session) -> Result<Exit> {
    if let Some(id) = args.reviewed {
        let body = json!({ "id": id });
        let answer = session.client().post(Route::new("quarantine/reviewed"), &body).await?;
        if session.output.is_json() {
            session.output.json("fenbu.reviewed/1", &answer)?;
        } else {
            session.output.line(&output::text(&answer, "id"))?;
        }
        let entries = output::text(&answer, "entries");
        session.output.say(Key::Reviewed.with([("entries", entries)]));
        return Ok(Exit::Ok);
    }
    let mut answer = session.client().get(Route::new("quarantine")).await?;
    let mut items = output::items(&answer, "items");
    if !args.all {
        items.retain(|item| item["reviewed"] != Value::Bool(true));
        answer["items"] = items.clone().into();
    }
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
        Column::new(Key::ColumnCounts, |v, view| {
            let key = if v["counts"] == Value::Bool(true) { Key::Yes } else { Key::No };
            key.text(view.lang).to_owned()
        }),
        Column::new(Key::ColumnReviewed, |v, view| match v["reviewed"] {
            Value::Bool(true) => Key::Yes.text(view.lang).to_owned(),
            _ => String::new(),
        })
        .wide(),
        Column::new(Key::ColumnWhy, |v, _| output::text(v, "reason")).at_most(60),
    ]
}
