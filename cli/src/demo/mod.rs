//! `fenbu demo`: a whole federation on one machine, from founding to healing after a cut.
//!
//! Sixteen real daemons, a process each, talk QUIC through a relay of ours that can cut the network
//! in two. Each unit's own node takes in that unit's share of the sample. The demo succeeds only if
//! all nodes agree in the end and every count is exact.
//!
//! `office` is one daemon, `people` who may sign in on its console; `agree` asks all of them where they
//! stand; `story` is what happens, `cases` what people do meanwhile besides editing posts.

mod agree;
mod cases;
mod figures;
mod office;
mod people;
mod story;

use crate::error::{Error, Exit, Kind, Result};
use crate::lang::{Key, Text};
use crate::output::{self, Column, Output};
use crate::wiring::DemoOptions;
use agree::Standing;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use story::{Report, Story};

/// Runs the demo. Must be called outside any runtime.
pub(crate) fn run(options: &DemoOptions, output: &mut Output) -> Result<Exit> {
    let folder = Place::choose(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::failed(Key::RuntimeFailed).cause(e.to_string()))?;
    let report =
        runtime.block_on(async {
            let mut story = Story::begin(options, folder.path()).await?;
            let report = story.tell(output).await?;
            show(&report, output)?;
            if options.keep {
                for office in story.offices() {
                    let url = people::console_of(office).await?;
                    output.say(Key::DemoLook.with([
                        ("unit", office.unit.clone()),
                        ("url", url),
                        ("dir", office.dir.display().to_string()),
                    ]));
                }
                output.say(Key::DemoPeople.with([
                    ("logins", people::logins()),
                    ("password", people::PASSWORD.to_owned()),
                ]));
                output.say(Key::DemoKept);
                // Without a signal to wait for there is nothing to keep it running for.
                let _ = tokio::signal::ctrl_c().await;
            }
            story.end().await;
            Ok::<_, Error>(report)
        })?;
    if report.is_good() { Ok(Exit::Ok) } else { Ok(Exit::Failed) }
}

/// Where the nodes' folders go; a temporary place is removed when the demo ends.
struct Place {
    path: PathBuf,
    temporary: bool,
}

impl Place {
    fn choose(options: &DemoOptions) -> Result<Self> {
        let (path, temporary) = match &options.dir {
            Some(dir) => (dir.clone(), false),
            None => {
                let name = format!("fenbu-demo-{}", std::process::id());
                (std::env::temp_dir().join(name), true)
            }
        };
        let failed = |e: std::io::Error| Error::file(path.display(), &e);
        std::fs::create_dir_all(&path).map_err(failed)?;
        if std::fs::read_dir(&path).map_err(failed)?.next().is_some() {
            return Err(Error::new(
                Kind::Usage,
                Key::DemoNotEmpty.with([("dir", path.display().to_string())]),
            ));
        }
        Ok(Self { path, temporary: temporary && !options.keep })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed lies in the system's temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn show(report: &Report, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.json("fenbu.demo/1", &json(report));
    }
    let rows: Vec<Value> = report.standings.iter().map(row).collect();
    let column = |key: Key, field: &'static str| {
        Column::new(key, move |row: &Value, _| output::text(row, field))
    };
    let bytes = |key: Key, field: &'static str| {
        Column::new(key, move |row: &Value, _| {
            output::bytes(output::number(row, field).unwrap_or(0))
        })
        .right()
    };
    let columns = [
        column(Key::LabelUnit, "unit"),
        column(Key::DemoPosts, "posts").right(),
        column(Key::DemoMembers, "members").right(),
        column(Key::DemoMeetings, "meetings").right(),
        column(Key::ColumnEntries, "entries").right(),
        bytes(Key::DemoSent, "bytes_sent"),
        bytes(Key::DemoReceived, "bytes_received"),
        column(Key::DemoHealed, "heal_ms").right(),
        column(Key::DemoDigest, "digest"),
    ];
    output.table(&columns, &rows)?;
    for complaint in &report.complaints {
        output.say(Text::from(complaint.clone()));
    }
    output.say(Key::DemoEnd.with([
        ("bulk", report.bulk_ms.to_string()),
        ("heal", report.heal_ms.to_string()),
        ("conflicts", report.conflicts.to_string()),
    ]));
    output.say(if report.is_good() { Key::DemoGood } else { Key::DemoBad });
    Ok(())
}

fn row(standing: &Standing) -> Value {
    json!({
        "unit": standing.unit,
        "posts": standing.published(),
        "members": standing.count("members"),
        "meetings": standing.count("meetings"),
        "entries": standing.entries,
        "bytes_sent": standing.bytes_sent,
        "bytes_received": standing.bytes_received,
        "heal_ms": standing.heal_ms,
        "digest": standing.log_digest().get(..8).unwrap_or_default(),
    })
}

fn json(report: &Report) -> Value {
    let nodes: Vec<Value> = report
        .standings
        .iter()
        .map(|s| {
            let mut row = row(s);
            row["digest"] = s.log_digest().into();
            row
        })
        .collect();
    json!({
        "converged": report.is_good(),
        "nodes": nodes,
        "units": report.standings.len(),
        "posts": report.posts,
        "posts_by_column": report.posts_by_column,
        "members": report.members,
        "meetings": report.meetings,
        // Head office reads every space.
        "by_kind": report.standings.first().map(Standing::by_kind),
        "conflicts": report.conflicts,
        "conflicts_open": report.conflicts_open,
        "conflicts_by_case": report.conflicts_by_case,
        "conflicts_settled": report.conflicts_settled,
        "bulk_ms": report.bulk_ms,
        "heal_ms": report.heal_ms,
        "total_ms": report.total_ms,
        "complaints": report.complaints,
    })
}
