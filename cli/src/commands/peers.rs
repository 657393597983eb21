//! `fenbu peers`: who is reachable, and who trails.

use clap::Args;
use serde_json::Value;

use super::{Session, instant};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::output::{self, Column, List, View};

/// Show the other nodes: reachable or not, how far behind, and why
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {}

pub(super) const HELP_ZH: &[(&str, &str)] = &[("", "显示其他节点：能否连上、落后多少、为什么")];

pub(super) async fn run(_: PeersArgs, session: &mut Session) -> Result<Exit> {
    let answer = session.client().get(Route::new("peers")).await?;
    let items = output::items(&answer, "peers");
    if items.is_empty() {
        session.output.say(Key::NoPeers);
    }
    session.output.list(&List {
        schema: "fenbu.peers/1",
        item_schema: "fenbu.peer/1",
        answer,
        items,
        name: "node",
        columns: columns(),
    })?;
    Ok(Exit::Ok)
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnName, |v, _| output::text(v, "name")).at_most(28),
        Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
        Column::new(Key::ColumnNode, node),
        Column::new(Key::ColumnConnected, connected),
        Column::new(Key::ColumnBehind, |v, _| output::text(v, "behind_entries")).right(),
        Column::new(Key::ColumnMissing, |v, _| output::text(v, "missing_entries")).right(),
        Column::new(Key::ColumnRtt, |v, _| rtt(v)).right(),
        Column::new(Key::ColumnContact, contact),
        Column::new(Key::ColumnAddress, |v, _| output::text(v, "address")).wide(),
        Column::new(Key::ColumnSent, |v, _| size(v, "bytes_sent")).right().wide(),
        Column::new(Key::ColumnReceived, |v, _| size(v, "bytes_received")).right().wide(),
        Column::new(Key::ColumnWhy, |v, _| output::text(v, "why")).at_most(48),
    ]
}

fn node(peer: &Value, _: View) -> String {
    output::short_id(&output::text(peer, "node"))
}

fn connected(peer: &Value, _: View) -> String {
    if peer["connected"] == Value::Bool(true) { "✓".into() } else { "✗".into() }
}

fn rtt(peer: &Value) -> String {
    peer["rtt_ms"].as_f64().map(|ms| format!("{} ms", ms.round())).unwrap_or_default()
}

fn size(peer: &Value, field: &str) -> String {
    output::number(peer, field).map(output::bytes).unwrap_or_default()
}

pub(super) fn contact(peer: &Value, view: View) -> String {
    match output::number(peer, "last_contact_ms") {
        Some(then) if then > 0 => instant::show_ago(then, view.now_ms, view.lang),
        _ => Key::Never.text(view.lang).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lang::Lang;

    #[test]
    fn contact_reads_as_an_age() {
        let view = View { lang: Lang::En, now_ms: 100_000 };
        assert_eq!(contact(&json!({"last_contact_ms": 40_000}), view), "1m 0s ago");
        assert_eq!(contact(&json!({"last_contact_ms": null}), view), "never");
        assert_eq!(contact(&json!({"last_contact_ms": 0}), view), "never");
    }

    #[test]
    fn a_half_known_peer_still_shows() {
        assert_eq!(rtt(&json!({})), "");
        assert_eq!(rtt(&json!({"rtt_ms": 12.6})), "13 ms");
        assert_eq!(size(&json!({}), "bytes_sent"), "");
    }
}
