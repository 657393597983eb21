//! `fenbu export`: records as JSON lines, CSV or XLSX.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Session;
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::Key;

/// Export records: JSON lines to stdout, or a sheet of one kind to a file, as `fenbu import` takes them
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only this kind of record: post, member, meeting, branch or any other
    #[arg(long)]
    kind: Option<String>,
    /// New file: a sheet if it ends in .csv or .xlsx, else JSON lines
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Only records of this unit; for sheets
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// Personal values too, for this reason, which is noted; without it they are masked or left out
    #[arg(long, value_name = "REASON")]
    reveal: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "导出记录：JSON 行写到标准输出，或把一种记录导出为表格，可由 fenbu import 导入"),
    ("kind", "只导出一种记录：post、member、meeting、branch 等"),
    ("to", "新文件：.csv 或 .xlsx 为表格，其他为 JSON 行"),
    ("unit", "只导出该单位的记录；用于表格"),
    ("reveal", "连同个人信息一起导出，写明理由（会留下记录）；不写则掩码或略去"),
];

/// A format of sheets, by a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sheet {
    Csv,
    Xlsx,
}

impl Sheet {
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }

    /// As the API calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

pub(super) async fn run(args: ExportArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("export");
    let sheet = args.to.as_deref().and_then(Sheet::of).map(Sheet::name);
    for (name, value) in [
        ("kind", args.kind.as_deref()),
        ("format", sheet),
        ("unit", args.unit.as_deref()),
        ("reveal", args.reveal.as_deref()),
    ] {
        if let Some(value) = value {
            route = route.query(name, value);
        }
    }
    if let Some(file) = &args.to {
        return save(session, route, file).await;
    }
    let client = session.client();
    client.download(route, |bytes| session.output.raw(bytes)).await?;
    Ok(Exit::Ok)
}

/// Writes what the node answers into a new file, whole or not at all.
pub(super) async fn save(session: &mut Session, route: Route, path: &Path) -> Result<Exit> {
    let failed = |e: std::io::Error| Error::file(path.display(), &e);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let client = session.client();
    let done = client.download(route, |bytes| file.write_all(bytes).map_err(failed));
    let done = match done.await {
        Ok(()) => file.sync_all().map_err(failed),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // It is ours, and not whole.
        let _ = std::fs::remove_file(path);
    }
    done?;
    session.output.say(Key::Written.with([("path", path.display().to_string())]));
    Ok(Exit::Ok)
}
