//! `fenbu export`: records as JSON lines.

use clap::Args;

use super::Session;
use crate::client::Route;
use crate::error::{Exit, Result};

/// Export records as JSON lines to stdout, as `fenbu import` takes them
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only this kind: post, member or meeting
    #[arg(long)]
    kind: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "把记录导出为 JSON 行，写到标准输出，可由 fenbu import 导入"),
    ("kind", "只导出一种：post、member 或 meeting"),
];

pub(super) async fn run(args: ExportArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("export");
    if let Some(kind) = &args.kind {
        route = route.query("kind", kind);
    }
    let client = session.client();
    client.download(route, |bytes| session.output.raw(bytes)).await?;
    Ok(Exit::Ok)
}
