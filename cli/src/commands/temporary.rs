//! `fenbu temporary`: how a temporary branch ends. The branch itself, its secondments and its meetings are
//! records like others.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use super::export::save;
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Text};
use crate::output::{self, Column, List};

/// End a temporary branch: its checklist, its archive, extracts for the units that lent members
#[derive(Debug, Args)]
pub(crate) struct TemporaryArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show what has to be done before the branch can be dissolved and archived
    Checklist {
        /// The branch's code
        code: String,
    },
    /// Write everything there is of the branch into a file, and note that this unit holds it
    Archive {
        /// The branch's code
        code: String,
        /// New file, such as T1.jsonl
        file: PathBuf,
    },
    /// Write what concerns the members a unit lent into a file; head office notes that the unit has it
    Extract {
        /// The branch's code
        code: String,
        /// Code of the unit that lent them
        unit: String,
        /// New file, such as T1-yancheng.jsonl
        file: PathBuf,
    },
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "临时党支部的撤销：清单、归档、送原单位的摘录"),
    ("checklist", "显示撤销和归档之前要完成的事项"),
    ("checklist.code", "临时党支部的代码"),
    ("archive", "把临时党支部的全部内容写入文件，并登记本单位已存档"),
    ("archive.code", "临时党支部的代码"),
    ("archive.file", "新文件，如 T1.jsonl"),
    ("extract", "把某单位抽调人员的内容写入文件；局机关同时登记已送达"),
    ("extract.code", "临时党支部的代码"),
    ("extract.unit", "抽调人员原单位的代码"),
    ("extract.file", "新文件，如 T1-yancheng.jsonl"),
];

fn route(code: &str, what: &str) -> Route {
    Route::new("temporary").segment(code).segment(what)
}

pub(super) async fn run(args: TemporaryArgs, session: &mut Session) -> Result<Exit> {
    match args.act {
        Act::Checklist { code } => checklist(&code, session).await,
        Act::Archive { code, file } => archive(&code, &file, session).await,
        Act::Extract { code, unit, file } => extract(&code, &unit, &file, session).await,
    }
}

/// Ends with another code while something stands in the way.
async fn checklist(code: &str, session: &mut Session) -> Result<Exit> {
    let answer = session.client().get(route(code, "checklist")).await?;
    let items = output::items(&answer, "points");
    let open = items.iter().any(|point| point["met"] != Value::Bool(true));
    session.output.list(&List {
        schema: "fenbu.temporary-checklist/1",
        item_schema: "fenbu.temporary-point/1",
        answer,
        items,
        name: "key",
        columns: vec![
            Column::new(Text::Heading("事项", "point"), |v, _| output::text(v, "key")),
            Column::new(Text::Heading("完成", "done"), |v, _| {
                format!("{}/{}", output::text(v, "done"), output::text(v, "of"))
            })
            .right(),
            Column::new(Text::Heading("须在…之前", "before"), |v, _| {
                output::text(v, "before")
            }),
            Column::new(Text::Heading("说明", "what"), |v, view| {
                output::text(v, view.lang.pick("zh", "en"))
            }),
            Column::new(Text::Heading("未完成", "open"), |v, _| lacking(v)).at_most(60),
        ],
    })?;
    Ok(if open { Exit::Problems } else { Exit::Ok })
}

/// Beginnings of the ids of records that stand in the way, or the codes of units.
fn lacking(point: &Value) -> String {
    let short = |id: &Value| output::short_id(&output::scalar(id));
    let ids = output::items(point, "open");
    let units = output::items(point, "lacking");
    let all: Vec<String> = ids.iter().map(short).chain(units.iter().map(output::scalar)).collect();
    all.join(" ")
}

/// The unit holds it once the file is whole and on disk.
async fn archive(code: &str, file: &Path, session: &mut Session) -> Result<Exit> {
    let exit = save(session, route(code, "archive"), file).await?;
    let body = json!({ "digest": digest(file)? });
    session.client().post(route(code, "archive"), &body).await?;
    session.output.say(Key::ArchiveNoted.with([("code", code.to_owned())]));
    Ok(exit)
}

/// What the first line says of the others.
fn digest(file: &Path) -> Result<String> {
    let failed = |e: std::io::Error| Error::file(file.display(), &e);
    let mut line = String::new();
    let reader = std::fs::File::open(file).map_err(failed)?;
    std::io::BufReader::new(reader).read_line(&mut line).map_err(failed)?;
    let head: Value = serde_json::from_str(&line).unwrap_or_default();
    Ok(output::text(&head, "digest"))
}

async fn extract(code: &str, unit: &str, file: &Path, session: &mut Session) -> Result<Exit> {
    let exit = save(session, route(code, "extract").query("unit", unit), file).await?;
    let noted = session.client().post(route(code, "extract"), &json!({ "unit": unit })).await?;
    if noted["noted"] == Value::Bool(true) {
        let args = [("code", code.to_owned()), ("unit", unit.to_owned())];
        session.output.say(Key::ExtractNoted.with(args));
    }
    Ok(exit)
}
