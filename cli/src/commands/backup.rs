//! `fenbu backup`: one file that holds a whole node.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Session;
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::output::Detail;
use crate::wiring::{self, BackupReport};

/// Write a backup of this node to a file, whether its daemon runs or not, and check it
///
/// The file holds the database, the settings and the node's private keys: keep it like a key.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// A file that does not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "把本节点备份到一个文件并检查（守护进程运行与否都可以）"), ("file", "尚不存在的文件")];

pub(super) fn run(args: &BackupArgs, session: &mut Session) -> Result<Exit> {
    let report = wiring::backup(&session.dir, &args.file)?;
    let file = args.file.display().to_string();
    show(session, "fenbu.backup/1", &report, (Key::LabelFile, file))?;
    session.output.say(if report.root_key { Key::BackupRootKey } else { Key::BackupKey });
    Ok(Exit::Ok)
}

/// What a backup holds, and where it is or was put.
pub(super) fn show(
    session: &mut Session,
    schema: &'static str,
    report: &BackupReport,
    (label, place): (Key, String),
) -> Result<()> {
    session.output.detail(&Detail {
        schema,
        name: "node",
        answer: json!({
            "node": report.node,
            "federation_name": report.federation_name,
            "entries": report.entries,
            "documents": report.documents,
            "bytes": report.bytes,
            "root_key": report.root_key,
            "place": place,
        }),
        rows: vec![
            (Key::LabelNode.into(), report.node.clone()),
            (Key::LabelFederation.into(), report.federation_name.clone()),
            (Key::LabelEntries.into(), report.entries.to_string()),
            (Key::LabelDocuments.into(), report.documents.to_string()),
            (label.into(), place),
        ],
    })
}
