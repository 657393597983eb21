//! `fenbu restore`: a node's folder from a backup.

use std::path::PathBuf;

use clap::Args;

use super::{Session, backup};
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::wiring;

/// Make the node's folder anew from a backup; it must be new or empty
///
/// The node writes on in new logs, at once; what it wrote after the backup comes back from its peers.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// What `fenbu backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "用备份重建节点目录（目录须不存在或为空）"), ("file", "fenbu backup 写出的文件")];

pub(super) fn run(args: &RestoreArgs, session: &mut Session) -> Result<Exit> {
    let report = wiring::restore(&args.file, &session.dir)?;
    let dir = session.shown_dir();
    backup::show(session, "fenbu.restore/1", &report, (Key::LabelDir, dir.clone()))?;
    session.output.say(Key::RestoreNext.with([("dir", dir)]));
    Ok(Exit::Ok)
}
