//! `fenbu node run`: the daemon in the foreground.

use clap::{Args, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::Session;
use crate::error::{Error, Exit, Kind, Result};
use crate::lang::Key;
use crate::wiring;

/// Run this node's daemon
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    Run(RunArgs),
}

/// Run the daemon in the foreground; TERM drains it, HUP reloads it
#[derive(Debug, Args)]
struct RunArgs {
    /// Form of the log on stderr: human or json
    #[arg(long, value_enum, value_name = "FORM", default_value = "human")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    log_format: LogFormat,
    /// What to log, such as info or fenbu_node=debug [default: $FENBU_LOG, else info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "运行本节点的守护进程"),
    ("run", "在前台运行守护进程；TERM 信号使其收尾退出，HUP 信号重新加载"),
    ("run.log_format", "标准错误上日志的形式：human 或 json"),
    ("run.log", "记录哪些日志，如 info 或 fenbu_node=debug[默认：$FENBU_LOG，否则 info]"),
];

pub(super) fn run(args: &NodeArgs, session: &mut Session) -> Result<Exit> {
    let Act::Run(args) = &args.act;
    let dir = session.shown_dir();
    if !session.dir.is_dir() {
        return Err(Error::new(Kind::Failed, Key::DirMissing.with([("dir", dir.clone())]))
            .hint(Key::HintDir)
            .hint(Key::HintInit.with([("dir", dir)])));
    }
    if !wiring::is_node_dir(&session.dir) {
        return Err(Error::new(Kind::Failed, Key::DirNotNode.with([("dir", dir.clone())]))
            .hint(Key::HintInit.with([("dir", dir)])));
    }
    let filter = args.log.as_deref().or_else(|| session.environment.get("FENBU_LOG"));
    start_log(filter.unwrap_or("info"), args.log_format)?;
    wiring::run_node(&session.dir)?;
    Ok(Exit::Ok)
}

/// Logs go to stderr; the service manager keeps them.
fn start_log(filter: &str, format: LogFormat) -> Result<()> {
    let parsed = EnvFilter::try_new(filter).map_err(|e| {
        Error::usage(Key::BadLogFilter.with([("value", filter.to_owned())])).cause(e.to_string())
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // A log that already runs belongs to whoever called us as a library.
    let _ = started;
    Ok(())
}
