//! `fenbu root`: the root key, and the two things only it can do.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use super::space::Extent;
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Text};
use crate::output::{self, Detail};
use crate::wiring::{self, RootAsk};

/// Move the root key offline, appoint the admin node, recover a forked directory
///
/// The root key names the federation. It is needed only here, and belongs on a stick in a safe. The
/// daemon never sees it: it drafts, this command signs.
#[derive(Debug, Args)]
pub(crate) struct RootArgs {
    #[command(subcommand)]
    act: RootAct,
}

#[derive(Debug, Subcommand)]
enum RootAct {
    /// Copy the root key from the node's folder to a file, and read it back
    Export {
        /// A file that does not exist yet, outside the node's folder
        file: PathBuf,
    },
    /// Check that a file holds this federation's root key
    Verify {
        /// The copy
        file: PathBuf,
    },
    /// Take the root key out of the node's folder, once a copy is seen to hold it
    Remove {
        /// The copy, as `fenbu root export` wrote it
        #[arg(long, value_name = "FILE")]
        copy: PathBuf,
    },
    /// Make a node the admin node, which signs everyday changes of the directory
    ///
    /// Run it on any member node: best the one that has heard most of the old admin, as the old admin's
    /// logs end where they end here if it is revoked.
    Appoint {
        /// The new admin node: its name, or the beginning of its id
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
        node: String,
        /// File that holds the root key [default: the node's folder]
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
        /// The old admin node is lost or not to be trusted: revoke it
        #[arg(long)]
        revoke: bool,
        #[command(flatten)]
        extent: Extent,
    },
    /// End a fork of the directory: void what was said after an epoch
    ///
    /// Run it on any member node. Without --epoch all goes back to before the fork: what either side
    /// said since must be said again. With --epoch N this node's side stands up to there.
    Recover {
        /// The last epoch that stands [default: the last before the fork]
        #[arg(long, value_name = "N")]
        epoch: Option<u64>,
        /// File that holds the root key [default: the node's folder]
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
        #[command(flatten)]
        extent: Extent,
    },
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "把根密钥移到离线介质、指定管理节点、恢复分叉的目录"),
    ("export", "把节点目录里的根密钥复制到文件，并读回核对"),
    ("export.file", "尚不存在的文件，须在节点目录之外"),
    ("verify", "检查文件里是不是本联邦的根密钥"),
    ("verify.file", "副本"),
    ("remove", "核对副本无误后，从节点目录里移除根密钥"),
    ("remove.copy", "副本，由 fenbu root export 写出"),
    ("appoint", "指定管理节点：由它签署目录的日常变更"),
    ("appoint.node", "新的管理节点：名称，或其标识的开头"),
    ("appoint.root_key", "存放根密钥的文件[默认：节点目录]"),
    ("appoint.revoke", "原管理节点已丢失或不可信：同时撤销它"),
    ("appoint.dry_run", "只说明会有什么结果"),
    ("appoint.yes", "即使会收回权限也执行"),
    ("recover", "结束目录的分叉：某一版之后的语句作废"),
    ("recover.epoch", "仍然有效的最后一版[默认：分叉之前的最后一版]"),
    ("recover.root_key", "存放根密钥的文件[默认：节点目录]"),
    ("recover.dry_run", "只说明会有什么结果"),
    ("recover.yes", "即使会使语句作废也执行"),
];

pub(super) async fn run(args: RootArgs, session: &mut Session) -> Result<Exit> {
    match args.act {
        RootAct::Export { file } => {
            let federation = wiring::root_export(&session.dir, &file)?;
            key_shown("fenbu.root-export/1", federation, &file, session)?;
            let file = file.display().to_string();
            session.output.say(Key::RootExported.with([("file", file)]));
        }
        RootAct::Verify { file } => verify(&file, session).await?,
        RootAct::Remove { copy } => {
            let federation = wiring::root_remove(&session.dir, &copy)?;
            key_shown("fenbu.root-remove/1", federation, &copy, session)?;
            session.output.say(Key::RootRemoved);
        }
        RootAct::Appoint { node, root_key, revoke, extent } => {
            appoint(&node, root_key, revoke, extent, session).await?;
        }
        RootAct::Recover { epoch, root_key, extent } => {
            recover(epoch, root_key, extent, session).await?;
        }
    }
    Ok(Exit::Ok)
}

fn key_shown(
    schema: &'static str,
    federation: String,
    file: &std::path::Path,
    session: &mut Session,
) -> Result<()> {
    let file = file.display().to_string();
    session.output.detail(&Detail {
        schema,
        name: "federation",
        answer: json!({ "federation": federation, "file": file }),
        rows: vec![(Key::LabelFederation.into(), federation), (Key::LabelFile.into(), file)],
    })
}

/// Against the running node's federation, or, where none answers, the key in its folder.
async fn verify(file: &std::path::Path, session: &mut Session) -> Result<()> {
    let found = wiring::root_federation(&session.dir, Some(file))?;
    let ours = match session.client().get(Route::new("directory")).await {
        Ok(directory) => output::text(&directory, "federation"),
        Err(unreachable) => wiring::root_federation(&session.dir, None).map_err(|_| unreachable)?,
    };
    if found != ours {
        let path = ("path", file.display().to_string());
        return Err(Error::failed(Key::RootOther.with([path, ("found", found)])));
    }
    key_shown("fenbu.root-verify/1", found, file, session)?;
    session.output.say(Key::RootVerified);
    Ok(())
}

async fn appoint(
    node: &str,
    root_key: Option<PathBuf>,
    revoke: bool,
    extent: Extent,
    session: &mut Session,
) -> Result<()> {
    let body = json!({ "node": node, "revoke": revoke });
    let draft = session.client().post(Route::new("directory/root/appoint"), &body).await?;
    let mut rows: Vec<(Text, String)> = vec![
        (Key::LabelAdmin.into(), named(&draft, "name", "node")),
        (Key::LabelReplaces.into(), named(&draft, "replaces_name", "replaces")),
    ];
    let revokes = draft["revokes"] == Value::Bool(true);
    if revokes {
        rows.push((Key::LabelLogsCut.into(), output::text(&draft, "logs_cut")));
    }
    let unread = output::text(&draft, "unread_spaces");
    if !unread.is_empty() {
        rows.push((Key::LabelUnread.into(), unread));
    }
    let ask = RootAsk::Appoint { node: output::text(&draft, "node"), revoke: revokes };
    finish(draft, rows, &ask, root_key, extent, revokes, session).await
}

fn named(draft: &Value, name: &str, id: &str) -> String {
    format!("{} {}", output::text(draft, name), output::short_id(&output::text(draft, id)))
}

async fn recover(
    epoch: Option<u64>,
    root_key: Option<PathBuf>,
    extent: Extent,
    session: &mut Session,
) -> Result<()> {
    let body = epoch.map_or_else(|| json!({}), |epoch| json!({ "epoch": epoch }));
    let draft = session.client().post(Route::new("directory/root/recover"), &body).await?;
    let mut rows: Vec<(Text, String)> = vec![
        (Key::LabelStands.into(), output::text(&draft, "stands")),
        (Key::LabelVoided.into(), output::text(&draft, "voided")),
    ];
    let strangers = output::text(&draft, "strangers");
    if !strangers.is_empty() {
        rows.push((Key::LabelStrangers.into(), strangers));
    }
    let stands = draft["stands"].as_u64().unwrap_or_default();
    let ask = RootAsk::Recover { stands };
    finish(draft, rows, &ask, root_key, extent, true, session).await
}

/// Shows a draft; signs it and hands it to the node, if that is wanted.
async fn finish(
    mut draft: Value,
    rows: Vec<(Text, String)>,
    ask: &RootAsk,
    root_key: Option<PathBuf>,
    extent: Extent,
    takes: bool,
    session: &mut Session,
) -> Result<()> {
    let go = extent.yes || (!takes && !extent.dry_run);
    if go {
        let statement = output::text(&draft, "statement");
        let signed = wiring::root_sign(&session.dir, root_key.as_deref(), &statement, ask)?;
        let body = json!({ "signed": signed });
        let taken = session.client().post(Route::new("directory/root/take"), &body).await?;
        draft["done"] = true.into();
        draft["epoch"] = taken["epoch"].clone();
    }
    super::space::report(draft, "fenbu.root-draft/1", rows, session)?;
    match go || extent.dry_run {
        true => Ok(()),
        false => Err(Error::usage(Key::NotConfirmed).hint(Key::HintConfirm)),
    }
}
