//! `fenbu template`: an empty sheet of a kind, to fill in and import.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use super::export::{Sheet, save};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::Key;

/// Write an empty sheet of a kind of record: its columns, what each takes, drop-down lists
#[derive(Debug, Args)]
pub(crate) struct TemplateArgs {
    /// post, member, meeting, branch or any other kind of record
    kind: String,
    /// New file, .xlsx or .csv
    file: PathBuf,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "写出某种记录的空表：各栏、填什么、下拉选项"),
    ("kind", "post、member、meeting、branch 等任何一种记录"),
    ("file", "新文件，.xlsx 或 .csv"),
];

pub(super) async fn run(args: TemplateArgs, session: &mut Session) -> Result<Exit> {
    let Some(sheet) = Sheet::of(&args.file) else {
        let path = args.file.display().to_string();
        return Err(Error::usage(Key::NotASheet.with([("path", path)])));
    };
    let route = Route::new("template").segment(&args.kind).query("format", sheet.name());
    save(session, route, &args.file).await
}
