//! `fenbu page`: a record as a page to send, to print or to go on writing.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use super::export::save;
use crate::client::Route;
use crate::error::{Exit, Result};

/// Write a journal issue or a letter of transfer as one HTML file, a post or minutes as DOCX
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// journal-issue, transfer, post or meeting
    #[arg(value_parser = KINDS, hide_possible_values = true)]
    kind: String,
    /// Id of the record; its beginning is enough
    id: String,
    /// New file, such as issue.html or post.docx
    file: PathBuf,
}

const KINDS: [&str; 4] = ["journal-issue", "transfer", "post", "meeting"];

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "把期刊或组织关系介绍信写成一个 HTML 文件，把稿件或会议记录写成 DOCX"),
    ("kind", "journal-issue、transfer、post 或 meeting"),
    ("id", "记录的标识；开头几位即可"),
    ("file", "新文件，如 issue.html 或 post.docx"),
];

pub(super) async fn run(args: PageArgs, session: &mut Session) -> Result<Exit> {
    let form = if matches!(args.kind.as_str(), "post" | "meeting") { "docx" } else { "page" };
    let path = fenbu_protocol::record::schema_named(&args.kind);
    let path = path.map_or(args.kind.as_str(), |schema| schema.plural);
    let route = Route::new(path).segment(&args.id).segment(form);
    save(session, route, &args.file).await
}
