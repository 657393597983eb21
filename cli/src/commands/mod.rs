//! The command line: what can be said, and who acts on it.
//!
//! One file per verb holds its arguments, its help in both languages and its function. English help
//! is the doc comment on the argument; Chinese stands beside it in `HELP_ZH`, and a test sees to it
//! that no argument lacks one. The record nouns (`post`, `member`, `meeting`) are built from a table
//! of fields and dispatch through `record`.

mod account;
mod admit;
mod backup;
mod calendar;
mod changes;
mod completions;
mod config;
mod conflicts;
mod demo;
mod directory;
mod doctor;
mod export;
mod feed;
mod help;
mod import;
mod init;
mod instant;
mod invite;
mod join;
mod node;
mod page;
mod peers;
mod quarantine;
mod record;
mod repair;
mod report;
mod restore;
mod revoke;
mod root;
mod search;
mod space;
mod status;
mod sync;
mod template;
mod temporary;
mod usage;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;

use crate::Streams;
use crate::client::Client;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{Detail, Format, Output};
use crate::wiring::NodeReport;

/// Administer a federated record node
#[derive(Debug, Parser)]
#[command(name = "fenbu", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The node's folder [default: $FENBU_DIR, $STATE_DIRECTORY, or the XDG state folder]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Form of the data: table, wide, json, ndjson, csv or name
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORM",
        hide_possible_values = true
    )]
    output: Option<Format>,
    /// Short for -o json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// Language: zh-CN or en [default: $FENBU_LANG, else the locale]
    #[arg(long, global = true, value_name = "LANG", value_parser = usage::lang)]
    lang: Option<Lang>,
}

const HELP_ZH: &[(&str, &str)] = &[
    ("", "管理一个联邦记录节点"),
    ("dir", "节点目录[默认：$FENBU_DIR、$STATE_DIRECTORY，否则 XDG 状态目录]"),
    ("output", "数据形式：table、wide、json、ndjson、csv 或 name"),
    ("json", "即 -o json"),
    ("lang", "语言：zh-CN 或 en[默认：$FENBU_LANG，否则按系统区域]"),
    ("help", "显示帮助"),
    ("version", "显示版本"),
];

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::InitArgs),
    Join(join::JoinArgs),
    Node(node::NodeArgs),
    Invite(invite::InviteArgs),
    Admit(admit::AdmitArgs),
    Revoke(revoke::RevokeArgs),
    Account(account::AccountArgs),
    Space(space::SpaceArgs),
    Root(root::RootArgs),
    Quarantine(quarantine::QuarantineArgs),
    Conflicts(conflicts::ConflictsArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Template(template::TemplateArgs),
    Temporary(temporary::TemporaryArgs),
    Calendar(calendar::CalendarArgs),
    Feed(feed::FeedArgs),
    Page(page::PageArgs),
    Search(search::SearchArgs),
    Changes(changes::ChangesArgs),
    Status(status::StatusArgs),
    Peers(peers::PeersArgs),
    Sync(sync::SyncArgs),
    Directory(directory::DirectoryArgs),
    Doctor(doctor::DoctorArgs),
    Report(report::ReportArgs),
    Repair(repair::RepairArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Demo(demo::DemoArgs),
}

/// The environment, as an argument: tests bring their own.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// A variable, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables whose names begin so, in order.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let vars = self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        vars.filter(move |(name, _)| name.starts_with(prefix))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

/// What every verb gets.
#[derive(Debug)]
pub(crate) struct Session {
    /// The node's folder.
    pub(crate) dir: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) output: Output,
}

impl Session {
    fn new(global: &Global, environment: &Environment, lang: Lang, streams: Streams) -> Self {
        let format = match (global.json, global.output) {
            (true, _) => Format::Json,
            (false, chosen) => chosen.unwrap_or(Format::Table),
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        Self {
            dir: global.dir.clone().unwrap_or_else(|| default_dir(environment)),
            environment: environment.clone(),
            output: Output::new(format, lang, now_ms, streams),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.dir, self.output.lang())
    }

    pub(crate) fn shown_dir(&self) -> String {
        self.dir.display().to_string()
    }

    /// Shows a node that was founded or has joined.
    fn made(&mut self, schema: &'static str, report: &NodeReport) -> Result<()> {
        let dir = self.shown_dir();
        self.output.detail(&Detail {
            schema,
            name: "node",
            answer: json!({
                "federation": report.federation,
                "node": report.node,
                "unit": report.unit,
                "dir": dir,
            }),
            rows: vec![
                (Key::LabelFederation.into(), report.federation.clone()),
                (Key::LabelNode.into(), report.node.clone()),
                (Key::LabelUnit.into(), report.unit.clone()),
                (Key::LabelDir.into(), dir),
            ],
        })
    }
}

/// The node's folder when no flag names one. systemd may list several state folders; ours is first.
fn default_dir(environment: &Environment) -> PathBuf {
    if let Some(dir) = environment.get("FENBU_DIR") {
        return dir.into();
    }
    if let Some(dirs) = environment.get("STATE_DIRECTORY") {
        return dirs.split(':').next().unwrap_or(dirs).into();
    }
    // Without a home, as in a bare service, the state folder of the system is the likeliest.
    let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = environment.get("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    let state = state.unwrap_or_else(|| PathBuf::from("/var/lib"));
    state.join("fenbu")
}

/// The whole command line in one language.
fn command(lang: Lang) -> clap::Command {
    help::localise(Cli::command().subcommands(record::commands(lang)), lang)
}

/// Parses and acts.
pub(crate) fn run(args: Vec<OsString>, environment: &Environment, mut streams: Streams) -> Exit {
    let lang = Lang::choose(&args, environment);
    let matches = match command(lang).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return usage::report(&error, lang, &mut streams),
    };
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => return usage::report(&error, lang, &mut streams),
    };
    let mut session = Session::new(&global, environment, lang, streams);
    let done = dispatch(&matches, &mut session).and_then(|exit| {
        session.output.flush()?;
        Ok(exit)
    });
    done.unwrap_or_else(|error| {
        error.write(session.output.stderr(), lang);
        error.kind.exit()
    })
}

fn dispatch(matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    if let Some((noun, inner)) = matches.subcommand()
        && let Some(kind) = record::kind(noun)
    {
        return block_on(record::run(kind, inner, session));
    }
    let cli = Cli::from_arg_matches(matches)
        .map_err(|e| Error::usage(crate::lang::Text::from(e.to_string())))?;
    match cli.verb {
        // These start runtimes of their own, or need none.
        Verb::Init(args) => init::run(args, session),
        Verb::Join(args) => join::run(args, session),
        Verb::Node(args) => node::run(&args, session),
        Verb::Completions(args) => completions::run(&args, session),
        Verb::Backup(args) => backup::run(&args, session),
        Verb::Restore(args) => restore::run(&args, session),
        Verb::Demo(args) => demo::run(&args, &cli.global, session),
        Verb::Invite(args) => block_on(invite::run(args, session)),
        Verb::Admit(args) => block_on(admit::run(args, session)),
        Verb::Revoke(args) => block_on(revoke::run(args, session)),
        Verb::Account(args) => block_on(account::run(args, session)),
        Verb::Space(args) => block_on(space::run(args, session)),
        Verb::Root(args) => block_on(root::run(args, session)),
        Verb::Quarantine(args) => block_on(quarantine::run(args, session)),
        Verb::Conflicts(args) => block_on(conflicts::run(args, session)),
        Verb::Import(args) => block_on(import::run(args, session)),
        Verb::Export(args) => block_on(export::run(args, session)),
        Verb::Template(args) => block_on(template::run(args, session)),
        Verb::Temporary(args) => block_on(temporary::run(args, session)),
        Verb::Calendar(args) => block_on(calendar::run(args, session)),
        Verb::Feed(args) => block_on(feed::run(args, session)),
        Verb::Page(args) => block_on(page::run(args, session)),
        Verb::Changes(args) => block_on(changes::run(args, session)),
        Verb::Search(args) => block_on(search::run(args, session)),
        Verb::Status(args) => block_on(status::run(args, session)),
        Verb::Peers(args) => block_on(peers::run(args, session)),
        Verb::Sync(args) => block_on(sync::run(args, session)),
        Verb::Directory(args) => block_on(directory::run(args, session)),
        Verb::Doctor(args) => block_on(doctor::run(args, session)),
        Verb::Report(args) => block_on(report::run(args, session)),
        Verb::Repair(args) => block_on(repair::run(args, session)),
        Verb::Config(args) => block_on(config::run(args, session)),
    }
}

/// Runs a verb that talks to the daemon.
fn block_on(verb: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::failed(Key::RuntimeFailed).cause(e.to_string()))?;
    runtime.block_on(verb)
}

#[cfg(test)]
mod tests;
