//! `fenbu node run`: the daemon in the foreground.

use std::io::IsTerminal;

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
    /// Form of the log on stderr: human or json [default: the setting log_format]
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    log_format: Option<LogFormat>,
    /// What to log, such as info or fenbu_node=debug [default: the setting log]
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
    ("run.log_format", "标准错误上日志的形式：human 或 json[默认：设置项 log_format]"),
    ("run.log", "记录哪些日志，如 info 或 fenbu_node=debug[默认：设置项 log]"),
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
    let config = wiring::node_config(&session.dir)?;
    let format = args.log_format.unwrap_or(match config.log_format {
        wiring::LogFormat::Human => LogFormat::Human,
        wiring::LogFormat::Json => LogFormat::Json,
    });
    start_log(args.log.as_deref().unwrap_or(&config.log), format)?;
    wiring::run_node(config)?;
    Ok(Exit::Ok)
}

/// Logs go to stderr; the service manager keeps them.
fn start_log(filter: &str, format: LogFormat) -> Result<()> {
    let parsed = EnvFilter::try_new(filter).map_err(|e| {
        Error::usage(Key::BadLogFilter.with([("value", filter.to_owned())])).cause(e.to_string())
    })?;
    // Colours are for people who watch, not for files and collectors.
    let log = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Human => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // A log that already runs belongs to whoever called us as a library.
    let _ = started;
    Ok(())
}
