//! `fenbu sync`: what is still on its way, and where the newest records are safe.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{Session, instant, peers};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, Format};

/// Show what is on its way between nodes, and on how many nodes the newest records are safe
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Keep watching until interrupted: redraws a terminal, prints a line per change elsewhere
    #[arg(long)]
    watch: bool,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "显示节点之间还有什么在途，最新记录已存于几个节点"),
    ("watch", "持续观察直到中断：终端上重画，否则每次变化打印一行"),
];

/// Pause between two looks.
const WATCH_STEP_MS: u64 = 1000;

pub(super) async fn run(args: SyncArgs, session: &mut Session) -> Result<Exit> {
    let answer = session.client().get(Route::new("sync")).await?;
    if !args.watch {
        show(&answer, session)?;
        return Ok(Exit::Ok);
    }
    tokio::select! {
        done = watch(answer, session) => done,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
    }
}

async fn watch(first: Value, session: &mut Session) -> Result<Exit> {
    let redraw = session.output.terminal() && !session.output.is_json();
    let mut answer = first;
    let mut before = BTreeMap::new();
    loop {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        session.output.view.now_ms = now_ms;
        if redraw {
            session.output.clear_screen()?;
            show(&answer, session)?;
        } else {
            let after = positions(&answer);
            for line in changes(&before, &after) {
                print_change(&line, now_ms, session)?;
            }
            before = after;
        }
        session.output.flush()?;
        tokio::time::sleep(Duration::from_millis(WATCH_STEP_MS)).await;
        answer = session.client().get(Route::new("sync")).await?;
    }
}

fn show(answer: &Value, session: &mut Session) -> Result<()> {
    let rows = peer_rows(answer);
    match session.output.format {
        Format::Json | Format::Ndjson => return session.output.json("fenbu.sync/1", answer),
        Format::Name => {
            for row in &rows {
                session.output.line(&output::text(row, "node"))?;
            }
            return Ok(());
        }
        Format::Table | Format::Wide | Format::Csv => {}
    }
    if rows.is_empty() {
        session.output.say(Key::NoPeers);
    } else {
        session.output.table(&peer_columns(), &rows)?;
    }
    let safe = output::items(&answer["safe"], "");
    if !safe.is_empty() {
        session.output.raw(b"\n")?;
        session.output.table(&safe_columns(), &safe)?;
    }
    Ok(())
}

/// One row per peer and space; a peer without spaces has one row of its own.
fn peer_rows(answer: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for peer in output::items(&answer["peers"], "") {
        let spaces = output::items(&peer["spaces"], "");
        if spaces.is_empty() {
            rows.push(peer);
            continue;
        }
        for space in spaces {
            let mut row = peer.clone();
            for field in ["label", "have", "missing_here", "missing_there", "bytes_to_go"] {
                row[field] = space[field].clone();
            }
            rows.push(row);
        }
    }
    rows
}

fn peer_columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnName, |v, _| output::text(v, "name")).at_most(28),
        Column::new(Key::ColumnConnected, |v, _| {
            if v["connected"] == Value::Bool(true) { "✓".into() } else { "✗".into() }
        }),
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "label")).at_most(28),
        Column::new(Key::ColumnHave, |v, _| output::text(v, "have")).right(),
        Column::new(Key::ColumnMissingHere, |v, _| output::text(v, "missing_here")).right(),
        Column::new(Key::ColumnMissingThere, |v, _| output::text(v, "missing_there")).right(),
        Column::new(Key::ColumnToGo, |v, _| {
            output::number(v, "bytes_to_go").map(output::bytes).unwrap_or_default()
        })
        .right(),
        Column::new(Key::ColumnContact, peers::contact),
    ]
}

fn safe_columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "label")),
        Column::new(Key::ColumnNewest, |v, _| output::text(v, "newest_seq")).right(),
        Column::new(Key::ColumnSafe, |v, view| safe_on(&v["safe_on"], &v["of"], view.lang)),
    ]
}

/// `3 of 15`.
pub(super) fn safe_on(k: &Value, n: &Value, lang: Lang) -> String {
    Key::SafeOn.with([("k", output::scalar(k)), ("n", output::scalar(n))]).render(lang)
}

/// What a watcher compares: per peer and space, connection and what is missing on either side.
type Positions = BTreeMap<(String, String), Value>;

fn positions(answer: &Value) -> Positions {
    peer_rows(answer)
        .into_iter()
        .map(|row| {
            let key = (output::text(&row, "name"), output::text(&row, "label"));
            let position = json!({
                "node": row["node"],
                "name": row["name"],
                "connected": row["connected"],
                "space": row["label"],
                "missing_here": row["missing_here"],
                "missing_there": row["missing_there"],
                "bytes_to_go": row["bytes_to_go"],
            });
            (key, position)
        })
        .collect()
}

fn changes(before: &Positions, after: &Positions) -> Vec<Value> {
    after
        .iter()
        .filter(|(key, position)| before.get(*key) != Some(*position))
        .map(|(_, position)| position.clone())
        .collect()
}

fn print_change(change: &Value, now_ms: i64, session: &mut Session) -> Result<()> {
    if session.output.is_json() {
        let mut line = change.clone();
        line["time_ms"] = now_ms.into();
        let line = output::tagged("fenbu.sync.change/1", &line);
        session.output.raw(format!("{line}\n").as_bytes())?;
        return Ok(());
    }
    let lang = session.output.lang();
    let missing = |field| output::number(change, field).unwrap_or(0).to_string();
    let link = change["connected"] == Value::Bool(true);
    let line = Key::SyncChange.with([
        ("time", instant::show_ms(now_ms)),
        ("link", if link { "✓" } else { "✗" }.to_owned()),
        ("name", output::text(change, "name")),
        ("space", output::text(change, "space")),
        ("here", missing("missing_here")),
        ("there", missing("missing_there")),
    ]);
    session.output.line(&line.render(lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(missing_here: u32, connected: bool) -> Value {
        json!({"peers": [
            {"node": "aa", "name": "hq", "connected": connected, "spaces": [
                {"label": "federation", "have": 10, "missing_here": missing_here, "missing_there": 0},
                {"label": "yancheng", "have": 5, "missing_here": 0, "missing_there": 0},
            ]},
            {"node": "bb", "name": "laptop", "connected": false, "spaces": []},
        ]})
    }

    #[test]
    fn a_row_per_peer_and_space() {
        let rows = peer_rows(&answer(3, true));
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0]["label"], "federation");
        assert_eq!(rows[2]["name"], "laptop");
    }

    #[test]
    fn only_what_changed_is_a_change() {
        let first = positions(&answer(3, true));
        assert_eq!(changes(&Positions::new(), &first).len(), 3, "everything is new at first");
        assert!(changes(&first, &first).is_empty());
        let moved = changes(&first, &positions(&answer(0, true)));
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0]["missing_here"], 0);
        assert_eq!(
            changes(&first, &positions(&answer(3, false))).len(),
            2,
            "both spaces of the link"
        );
    }
}
