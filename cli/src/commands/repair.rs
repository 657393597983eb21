//! `fenbu repair`: what is derived is made again, while the node goes on.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, List};

/// A large space takes minutes on a slow disk; the daemon goes on even if nobody waits any more.
const PATIENCE_MS: u64 = 24 * 60 * 60 * 1000;

/// Make again what is derived: lists from records, records from the logs
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(subcommand)]
    act: RepairAct,
}

#[derive(Debug, Subcommand)]
enum RepairAct {
    /// Make the lists again from the records
    Views,
    /// Make records and lists again from the logs, and say whether any differed
    Documents {
        /// Only this space, by its label [default: all this node reads]
        #[arg(long, value_name = "LABEL")]
        space: Option<String>,
    },
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "重建派生数据：由记录重建列表，由日志重建记录"),
    ("views", "由记录重建列表"),
    ("documents", "由日志重建记录和列表，并说明是否有出入"),
    ("documents.space", "只重建这个数据范围（按标签）[默认：本节点可读的全部]"),
];

pub(super) async fn run(args: RepairArgs, session: &mut Session) -> Result<Exit> {
    let client = session.client().patience(PATIENCE_MS);
    let answer = match &args.act {
        RepairAct::Views => client.post(Route::new("repair/views"), &json!({})).await?,
        RepairAct::Documents { space } => {
            let body = space.as_ref().map_or_else(|| json!({}), |space| json!({ "space": space }));
            client.post(Route::new("repair/documents"), &body).await?
        }
    };
    let lang = session.output.lang();
    let items = items(&answer, lang);
    let sum = |field| items.iter().filter_map(|item| output::number(item, field)).sum::<i64>();
    let (changed, damaged) = (sum("changed"), sum("damaged"));
    session.output.list(&List {
        schema: "fenbu.repair/1",
        item_schema: "fenbu.repaired/1",
        answer,
        items,
        name: "label",
        columns: columns(),
    })?;
    match changed {
        0 => session.output.say(Key::RepairSame),
        _ => session.output.say(
            Key::RepairChanged
                .with([("changed", changed.to_string()), ("damaged", damaged.to_string())]),
        ),
    }
    Ok(Exit::Ok)
}

/// A line for each space, and one for the lists.
fn items(answer: &Value, lang: Lang) -> Vec<Value> {
    let mut items = output::items(answer, "spaces");
    let mut views = answer["views"].clone();
    if views.is_object() {
        views["label"] = json!(Key::RepairViews.text(lang));
        items.push(views);
    }
    items
}

fn columns() -> Vec<Column> {
    let digest =
        |field: &'static str| move |v: &Value, _| output::short_id(&output::text(v, field));
    vec![
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "label")),
        Column::new(Key::ColumnRebuilt, |v, _| output::text(v, "count")).right(),
        Column::new(Key::ColumnChanged, |v, _| output::text(v, "changed")).right(),
        Column::new(Key::ColumnDamaged, |v, _| output::text(v, "damaged")).right(),
        Column::new(Key::ColumnBefore, digest("state_digest_before")).wide(),
        Column::new(Key::ColumnAfter, digest("state_digest_after")).wide(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_after_the_spaces() {
        let answer = json!({
            "spaces": [{"label": "federation", "count": 3}],
            "views": {"count": 5},
        });
        let shown: Vec<String> =
            items(&answer, Lang::En).iter().map(|item| output::text(item, "label")).collect();
        assert_eq!(shown, ["federation", "(lists)"]);
        assert_eq!(items(&json!({"views": {"count": 5}}), Lang::Zh)[0]["label"], "（列表）");
    }
}
