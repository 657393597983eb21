//! `fenbu changes`: what the records are now, in the order in which they came to be so.

use clap::Args;

use super::Session;
use crate::client::Route;
use crate::error::{Error, Exit, Kind, Result};
use crate::lang::Key;

/// Print what changed, a line of JSON for each record as it is now
///
/// Lines carry a `cursor`, and the last one says where to go on (`next`): give it with --after, and
/// nothing is missed. A line with `reset` says that the order is another than before (the node was
/// restored): forget what was read, all comes anew.
#[derive(Debug, Args)]
pub(crate) struct ChangesArgs {
    /// Go on after this place: a line's `cursor`, or `next`
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Stay, and print what changes from now on
    #[arg(long, conflicts_with = "limit")]
    follow: bool,
    /// Only records of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only records in this unit's space
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "列出变更：每条记录一行 JSON，内容为它现在的样子"),
    ("after", "从这个位置之后继续：某一行的 cursor，或 next"),
    ("follow", "不退出，持续输出之后的变更"),
    ("kind", "只要这一类记录"),
    ("unit", "只要这个单位数据范围内的记录"),
    ("limit", "最多条数"),
];

pub(super) async fn run(args: ChangesArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("changes");
    let limit = args.limit.map(|limit| limit.to_string());
    let follow = args.follow.then(|| "true".to_owned());
    for (name, value) in [
        ("after", args.after),
        ("kind", args.kind),
        ("unit", args.unit),
        ("limit", limit),
        ("follow", follow),
    ] {
        if let Some(value) = value {
            route = route.query(name, &value);
        }
    }
    let client = session.client();
    let out = &mut session.output;
    // Whoever reads our lines wants each when it comes.
    client.download(route, |bytes| out.raw(bytes).and_then(|()| out.flush())).await?;
    if args.follow {
        // A node that stops lets its followers go.
        let dir = session.shown_dir();
        return Err(Error::new(Kind::Unreachable, Key::DaemonGone)
            .hint(Key::HintStart.with([("dir", dir)])));
    }
    Ok(Exit::Ok)
}
