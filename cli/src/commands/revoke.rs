//! `fenbu revoke`: ends a node.

use clap::Args;
use serde_json::json;

use super::Session;
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::output;

/// End a node: it may no longer talk, read or write
///
/// What it wrote up to now, as far as this node has it, counts. What turns up later is kept, and
/// counts only where somebody within his rights has built on it: see `fenbu quarantine`. Run it at the
/// admin node. It cannot be undone; the same machine may join again as a new node.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The node's name, or the beginning of its id
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node: String,
}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "撤销一个节点：不再允许它连接、读取或写入"), ("node", "节点名称，或其标识的开头")];

pub(super) async fn run(args: RevokeArgs, session: &mut Session) -> Result<Exit> {
    let body = json!({ "node": args.node });
    let answer = session.client().post(Route::new("directory/revoke"), &body).await?;
    if session.output.is_json() {
        session.output.json("fenbu.revoked/1", &answer)?;
        return Ok(Exit::Ok);
    }
    session.output.line(&output::text(&answer, "node"))?;
    session.output.say(Key::Revoked.with([
        ("name", output::text(&answer, "name")),
        ("epoch", output::text(&answer, "epoch")),
        ("logs", output::text(&answer, "logs_cut")),
    ]));
    Ok(Exit::Ok)
}
