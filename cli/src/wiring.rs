//! The calls into the node's library, all of them: what starts, founds or joins a node cannot be
//! asked of a daemon that is not there yet. Everything else goes through the socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Exit, Kind, Result};
use crate::lang::{Key, Text};
use crate::output::Output;
use fenbu_node::backup;
use fenbu_node::config::Config;
pub(crate) use fenbu_node::config::LogFormat;
use fenbu_node::root;
use fenbu_node::setup;
use fenbu_node::words::Lang as Words;
use fenbu_protocol::id::{hex, unhex_vec};

/// Files of which at least one lies in every node's folder, also while it waits to be let in.
const NODE_FILES: [&str; 3] = ["node.key", "fenbu.db", "joining.key"];

/// The lock that a running daemon holds.
pub(crate) const LOCK_FILE: &str = "fenbu.lock";

/// The node's own settings, in its folder.
pub(crate) const CONFIG_FILE: &str = "fenbu.toml";

/// Whether a node lives in this folder, running or not.
pub(crate) fn is_node_dir(dir: &Path) -> bool {
    NODE_FILES.iter().any(|name| dir.join(name).exists())
}

/// What `fenbu init` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitOptions {
    pub(crate) dir: PathBuf,
    /// The federation's name, which is also head office's.
    pub(crate) name: String,
    /// Where to listen; the node's default when none.
    pub(crate) listen: Option<SocketAddr>,
    /// `HOST:PORT` under which peers reach this node.
    pub(crate) advertise: Vec<String>,
}

/// What `fenbu join` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinOptions {
    pub(crate) dir: PathBuf,
    pub(crate) token: String,
    /// The node's name; the unit's when none.
    pub(crate) name: Option<String>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) advertise: Vec<String>,
}

/// A node that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeReport {
    pub(crate) federation: String,
    pub(crate) node: String,
    pub(crate) unit: String,
}

impl From<setup::NodeReport> for NodeReport {
    fn from(report: setup::NodeReport) -> Self {
        Self {
            federation: report.federation.to_string(),
            node: report.node.to_string(),
            unit: report.unit,
        }
    }
}

/// What `fenbu demo` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DemoOptions {
    /// Offices, head office included.
    pub(crate) units: u16,
    pub(crate) seed: u64,
    /// Keep the folders afterwards.
    pub(crate) keep: bool,
    /// Where the folders go; a temporary place when none.
    pub(crate) dir: Option<PathBuf>,
}

/// Founds a federation with this node as head office.
pub(crate) fn init(options: InitOptions) -> Result<NodeReport> {
    let report = setup::init(&setup::InitOptions {
        dir: options.dir,
        name: options.name,
        unit: None,
        unit_name: None,
        listen: options.listen,
        advertise: options.advertise,
    })
    .map_err(|e| setup_error(&e))?;
    Ok(report.into())
}

/// Joins a federation with a token. Runs outside any runtime.
pub(crate) fn join(options: JoinOptions) -> Result<NodeReport> {
    let report = setup::join(&setup::JoinOptions {
        dir: options.dir,
        token: options.token,
        name: options.name,
        listen: options.listen,
        advertise: options.advertise,
    })
    .map_err(|e| setup_error(&e))?;
    Ok(report.into())
}

/// What `fenbu join --request` asks for.
pub(crate) use fenbu_node::setup::RequestOptions;

/// Makes the folder of a node that asks by file; returns the node's id.
pub(crate) fn join_request(options: RequestOptions) -> Result<String> {
    setup::request(&options).map(|node| node.to_string()).map_err(|e| setup_error(&e))
}

/// Takes the answer to a request by file.
pub(crate) fn join_answer(dir: &Path, file: &Path) -> Result<NodeReport> {
    setup::complete(dir, file).map(NodeReport::from).map_err(|e| setup_error(&e))
}

/// Writes an answer, given in hexadecimal, to a new file.
pub(crate) fn write_answer(file: &Path, answer: &str) -> Result<()> {
    let unreadable = |_| Error::failed(Key::AnswerUnreadable).hint(Key::HintVersions);
    let bytes = unhex_vec(answer).map_err(unreadable)?;
    setup::write_new(file, &bytes).map_err(|e| setup_error(&e))
}

fn setup_error(error: &setup::SetupError) -> Error {
    let kind = match error {
        setup::SetupError::Token(_) => Kind::Usage,
        setup::SetupError::Refused(_) => Kind::NotAllowed,
        setup::SetupError::Unreachable(_) => Kind::Unreachable,
        _ => Kind::Failed,
    };
    Error::new(kind, told(error))
}

/// What the library says, in both languages.
fn told(error: &dyn std::error::Error) -> Text {
    let english = error.to_string();
    Text::Told(Words::Zh.say(&english).into(), english.into())
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupReport {
    pub(crate) node: String,
    pub(crate) federation_name: String,
    pub(crate) entries: u64,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) root_key: bool,
}

impl From<backup::BackupReport> for BackupReport {
    fn from(report: backup::BackupReport) -> Self {
        Self {
            node: report.node.to_string(),
            federation_name: report.federation_name,
            entries: report.entries,
            documents: report.documents,
            bytes: report.bytes,
            root_key: report.root_key,
        }
    }
}

/// Writes a backup of the node in `dir`, whose daemon may run.
pub(crate) fn backup(dir: &Path, file: &Path) -> Result<BackupReport> {
    backup::backup(dir, file).map(BackupReport::from).map_err(|e| failed(&e))
}

/// Makes the folder `dir` from a backup.
pub(crate) fn restore(file: &Path, dir: &Path) -> Result<BackupReport> {
    backup::restore(file, dir).map(BackupReport::from).map_err(|e| failed(&e))
}

/// The settings in force for a node's daemon.
pub(crate) fn node_config(dir: &Path) -> Result<Config> {
    Config::load(dir, |name| std::env::var(name).ok()).map_err(|e| failed(&e))
}

/// Runs the daemon in the foreground until TERM. Runs outside any runtime; logging is set up.
pub(crate) fn run_node(config: Config) -> Result<()> {
    fenbu_node::daemon::run(config).map_err(|e| failed(&e))
}

/// What the root key is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RootAsk {
    Appoint { node: String, revoke: bool },
    Recover { stands: u64 },
}

/// Copies the root key out of a node's folder; returns the federation it names.
pub(crate) fn root_export(dir: &Path, file: &Path) -> Result<String> {
    root::export(dir, file).map(|federation| federation.to_string()).map_err(|e| failed(&e))
}

/// Takes the root key out of a node's folder; returns the federation it names.
pub(crate) fn root_remove(dir: &Path, copy: &Path) -> Result<String> {
    root::remove(dir, copy).map(|federation| federation.to_string()).map_err(|e| failed(&e))
}

/// The federation named by the root key in a file, or in the node's folder.
pub(crate) fn root_federation(dir: &Path, file: Option<&Path>) -> Result<String> {
    let key = root::root_key(dir, file).map_err(|e| failed(&e))?;
    Ok(root::federation_of(&key).to_string())
}

/// Signs a draft, given and returned in hexadecimal, if it is what was asked for.
pub(crate) fn root_sign(
    dir: &Path,
    file: Option<&Path>,
    draft: &str,
    ask: &RootAsk,
) -> Result<String> {
    let key = root::root_key(dir, file).map_err(|e| failed(&e))?;
    let unreadable = || Error::failed(Key::AnswerUnreadable).hint(Key::HintVersions);
    let draft = unhex_vec(draft).map_err(|_| unreadable())?;
    let asked = match ask {
        RootAsk::Appoint { node, revoke } => {
            let node = node.parse().map_err(|_| unreadable())?;
            root::Asked::Appoint { node, revoke: *revoke }
        }
        RootAsk::Recover { stands } => root::Asked::Recover { stands: *stands },
    };
    let signed = root::sign(&key, &draft, &asked).map_err(|e| failed(&e))?;
    Ok(hex(&signed.to_wire()))
}

fn failed(error: &dyn std::error::Error) -> Error {
    Error::new(Kind::Failed, told(error))
}

/// Shows a federation at work on this machine. Runs outside any runtime.
pub(crate) fn demo(options: &DemoOptions, output: &mut Output) -> Result<Exit> {
    crate::demo::run(options, output)
}
