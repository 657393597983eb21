//! The calls into the node's library, all of them: what starts, founds or joins a node cannot be
//! asked of a daemon that is not there yet. Everything else goes through the socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Exit, Result};
use crate::lang::Key;
use crate::output::Output;

/// Files of which at least one lies in every node's folder.
const NODE_FILES: [&str; 2] = ["node.key", "fenbu.db"];

/// The lock that a running daemon holds.
pub(crate) const LOCK_FILE: &str = "node.lock";

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

/// What was founded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitReport {
    pub(crate) federation: String,
    pub(crate) node: String,
    pub(crate) unit: String,
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

/// What was joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinReport {
    pub(crate) federation: String,
    pub(crate) node: String,
    pub(crate) unit: String,
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
pub(crate) fn init(_options: InitOptions) -> Result<InitReport> {
    Err(Error::failed(Key::NotWired))
}

/// Joins a federation with a token. Runs outside any runtime.
pub(crate) fn join(_options: JoinOptions) -> Result<JoinReport> {
    Err(Error::failed(Key::NotWired))
}

/// Runs the daemon in the foreground until TERM. Runs outside any runtime; logging is set up.
pub(crate) fn run_node(_dir: &Path) -> Result<()> {
    Err(Error::failed(Key::NotWired))
}

/// Shows a federation at work on this machine. Runs outside any runtime.
pub(crate) fn demo(_options: &DemoOptions, _output: &mut Output) -> Result<Exit> {
    Err(Error::failed(Key::NotWired))
}
