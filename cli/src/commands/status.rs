//! `fenbu status`: how this node is.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use fenbu_protocol::record::schema_named;
use serde_json::Value;

use super::{Session, instant};
use crate::client::{Client, Route};
use crate::error::{Error, Exit, Kind, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, Detail, Format, View};

/// Pause between two questions while waiting.
const WAIT_STEP_MS: u64 = 250;

/// Show how this node is, or wait until it has caught up
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Wait until: ready (the daemon answers) or synced (nothing is missing here or at a connected peer)
    #[arg(long, value_enum, value_name = "STATE", hide_possible_values = true)]
    wait: Option<Wait>,
    /// How long to wait before exit code 7 [default: 30s]
    #[arg(long, value_name = "SPAN", default_value = "30s", requires = "wait")]
    #[arg(value_parser = instant::parse_span_ms, hide_default_value = true)]
    timeout: u64,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "显示本节点的状态，或等待其同步完成"),
    ("wait", "等到：ready（守护进程应答）或 synced（本节点和已连接的节点都不缺数据）"),
    ("timeout", "最多等多久，超过则以代码 7 退出[默认：30s]"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    Ready,
    Synced,
}

pub(super) async fn run(args: StatusArgs, session: &mut Session) -> Result<Exit> {
    let client = session.client();
    let mut answer = match args.wait {
        None => client.get(Route::new("status")).await?,
        Some(wait) => wait_for(wait, args.timeout, &client).await?,
    };
    answer["freshness"] = client.get(Route::new("freshness")).await?["units"].take();
    let lang = session.output.lang();
    session.output.detail(&Detail {
        schema: "fenbu.status/1",
        name: "node",
        rows: rows(&answer, session.output.view),
        answer: answer.clone(),
    })?;
    if matches!(session.output.format, Format::Table | Format::Wide) {
        let spaces = output::items(&answer["spaces"], "");
        if !spaces.is_empty() {
            session.output.raw(b"\n")?;
            session.output.table(&space_columns(), &spaces)?;
        }
    }
    for alarm in output::items(&answer["alarms"], "") {
        session.output.say(Key::AlarmLine.with([("text", alarm_text(&alarm, lang))]));
    }
    Ok(Exit::Ok)
}

/// Asks until the state is reached. A daemon that does not answer yet may be starting.
async fn wait_for(wait: Wait, timeout_ms: u64, client: &Client) -> Result<Value> {
    let end = Instant::now() + Duration::from_millis(timeout_ms);
    loop {
        let left_ms = end.saturating_duration_since(Instant::now()).as_millis() as u64;
        let patient = client.clone().patience(left_ms.max(1));
        let cause = match patient.get(Route::new("status")).await {
            Ok(answer) => match lacking(wait, &answer) {
                None => return Ok(answer),
                Some(lacking) => lacking,
            },
            Err(error) if matches!(error.kind, Kind::Unreachable | Kind::TimedOut) => error.message,
            Err(error) => return Err(error),
        };
        if Instant::now() + Duration::from_millis(WAIT_STEP_MS) >= end {
            let waited = instant::show_span(timeout_ms as i64, Lang::En);
            return Err(Error::new(Kind::TimedOut, Key::WaitTimedOut.with([("span", waited)]))
                .cause(cause)
                .hint(Key::HintWhy));
        }
        tokio::time::sleep(Duration::from_millis(WAIT_STEP_MS)).await;
    }
}

/// What is missing for the state, if anything. A node that knows peers and meets none cannot say
/// that it is synced.
fn lacking(wait: Wait, status: &Value) -> Option<Text> {
    if wait == Wait::Ready {
        return None;
    }
    let peers = &status["peers"];
    let count = |value: &Value, field| output::number(value, field).unwrap_or(0);
    if count(peers, "known") > 0 && count(peers, "connected") == 0 {
        return Some(Key::LackPeers.into());
    }
    let (entries, behind) = (count(status, "behind_entries"), count(peers, "behind"));
    if entries > 0 {
        return Some(Key::LackEntries.with([("entries", entries.to_string())]));
    }
    if behind > 0 {
        return Some(Key::LackBehind.with([("peers", behind.to_string())]));
    }
    is_busy(&status["materialising"]).then(|| Key::LackViews.into())
}

/// `materialising` is a flag or a number of documents to go.
fn is_busy(value: &Value) -> bool {
    value.as_bool().unwrap_or(false) || value.as_i64().is_some_and(|n| n > 0)
}

fn rows(status: &Value, view: View) -> Vec<(Text, String)> {
    let lang = view.lang;
    let text = |field| output::text(status, field);
    let number = |value: &Value, field| output::number(value, field).unwrap_or(0);
    let peers = &status["peers"];
    let behind = Key::BehindValue.with([
        ("entries", number(status, "behind_entries").to_string()),
        ("bytes", output::bytes(number(status, "behind_bytes"))),
    ]);
    let met = Key::PeersValue.with([
        ("connected", number(peers, "connected").to_string()),
        ("known", number(peers, "known").to_string()),
        ("behind", number(peers, "behind").to_string()),
    ]);
    let moved = Key::MovedValue.with([
        ("sent", output::bytes(number(status, "bytes_sent"))),
        ("received", output::bytes(number(status, "bytes_received"))),
    ]);
    let busy = if is_busy(&status["materialising"]) { Key::Yes } else { Key::No };
    let mut rows = vec![
        (Key::LabelNode.into(), format!("{} {}", text("name"), output::short_id(&text("node")))),
        (Key::LabelUnit.into(), text("unit")),
        (Key::LabelFederation.into(), output::short_id(&text("federation"))),
        (Key::LabelVersion.into(), text("version")),
        (Key::LabelEpoch.into(), text("epoch")),
        (Key::LabelHeard.into(), instant::heard(&status["directory_heard"], view)),
        (Key::LabelUptime.into(), instant::show_span(number(status, "uptime_s") * 1000, lang)),
        (Key::LabelRecords.into(), records(&status["records"], lang)),
        (Text::Both("数据截至", "Data as of"), oldest(&status["freshness"], lang)),
        (Key::LabelPeers.into(), met.render(lang)),
        (Key::LabelBehind.into(), behind.render(lang)),
        (Key::LabelMaterialising.into(), busy.text(lang).to_owned()),
        (Key::LabelMoved.into(), moved.render(lang)),
    ];
    let open = number(&status["conflicts"], "open");
    if open > 0 {
        let told = lang.pick(
            format!("{open} 个待裁定；见 fenbu conflicts list"),
            format!("{open} to settle: fenbu conflicts list"),
        );
        rows.push((Text::Both("冲突", "Conflicts"), told));
    }
    rows
}

fn space_columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "label")),
        Column::new(Key::ColumnId, |v, _| output::text(v, "id")).wide(),
        Column::new(Key::ColumnReadable, |v, view| {
            let key = if v["readable"] == Value::Bool(true) { Key::Yes } else { Key::No };
            key.text(view.lang).to_owned()
        }),
        Column::new(Key::ColumnEntries, |v, _| output::text(v, "entries")).right(),
        Column::new(Key::ColumnLogDigest, |v, _| output::short_id(&output::text(v, "log_digest"))),
        Column::new(Key::ColumnStateDigest, |v, _| {
            output::short_id(&output::text(v, "state_digest"))
        }),
    ]
}

/// How many there are of each kind of which there are any.
fn records(counts: &Value, lang: Lang) -> String {
    let some = |(plural, count): (&String, &Value)| {
        let label =
            schema_named(plural).map_or(plural.as_str(), |s| lang.pick(s.label_zh, s.plural));
        let count = count.as_u64().filter(|count| *count > 0)?;
        Some(format!("{label} {count}"))
    };
    let shown: Vec<String> = counts.as_object().into_iter().flatten().filter_map(some).collect();
    match shown.is_empty() {
        true => lang.pick("无", "none").to_owned(),
        false => shown.join(lang.pick("、", ", ")),
    }
}

/// The unit whose data is the oldest here, and since when.
fn oldest(freshness: &Value, lang: Lang) -> String {
    let units = output::items(freshness, "");
    let as_of = |unit: &Value| unit["as_of_ms"].as_i64();
    let Some(unit) = units.iter().min_by_key(|unit| as_of(unit)) else { return String::new() };
    let code = output::text(unit, "unit");
    match as_of(unit) {
        Some(ms) => format!("{} ({code})", instant::show_ms(ms)),
        None => format!("{} ({code})", lang.pick("未知", "unknown")),
    }
}

/// An alarm is a sentence, or an object with one per language.
fn alarm_text(alarm: &Value, lang: Lang) -> String {
    let by_lang = output::text(alarm, lang.pick("message_zh", "message_en"));
    match (alarm.as_str(), by_lang.is_empty()) {
        (Some(text), _) => text.to_owned(),
        (None, false) => by_lang,
        (None, true) => output::scalar(alarm),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(known: u32, connected: u32, behind: u32, entries: u32, busy: Value) -> Value {
        json!({
            "peers": {"known": known, "connected": connected, "behind": behind},
            "behind_entries": entries,
            "materialising": busy,
        })
    }

    #[test]
    fn synced_means_nothing_missing_anywhere_we_can_see() {
        let synced = |s: &Value| lacking(Wait::Synced, s).is_none();
        assert!(synced(&status(0, 0, 0, 0, json!(false))), "alone");
        assert!(synced(&status(15, 3, 0, 0, json!(0))));
        assert!(!synced(&status(15, 0, 0, 0, json!(false))), "nobody to compare with");
        assert!(!synced(&status(15, 15, 1, 0, json!(false))));
        assert!(!synced(&status(15, 15, 0, 7, json!(false))));
        assert!(!synced(&status(15, 15, 0, 0, json!(true))));
        assert!(!synced(&status(15, 15, 0, 0, json!(3))));
        assert!(lacking(Wait::Ready, &status(15, 0, 0, 7, json!(true))).is_none());
    }
}
