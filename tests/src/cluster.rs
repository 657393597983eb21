//! Real daemons over loopback, told in a few verbs: `cluster.join("bob", "yancheng")`,
//! `cluster.node("bob").writes("posts", …)`, `cluster.settle(…)`.
//!
//! Every node is a child process with a temporary folder. What others are told to dial is a port of
//! the relay, so everything between nodes passes through it and can be cut. When a test fails, the
//! end of each daemon's log is printed. Nothing waits forever: see [`Patience`].

mod node;
pub mod page;
pub mod process;
mod visitor;

pub use node::{Node, database};
pub use process::Ended;
pub use visitor::{Page, Visitor};

use anyhow::{Context, Result, bail, ensure};
use fenbu::relay::Relay;
pub(crate) use node::Start;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long things may take before a test fails. Long, because machines are busy; a test that
/// passes waits for none of these to the end.
#[derive(Debug)]
pub struct Patience;

impl Patience {
    pub const COMMAND: Duration = Duration::from_secs(30);
    pub const START: Duration = Duration::from_secs(30);
    pub const STOP: Duration = Duration::from_secs(20);
    pub const SETTLE: Duration = Duration::from_secs(30);
}

/// The transport's times shortened, so that a cut is noticed and mended within seconds.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("FENBU_TRANSPORT_KEEP_ALIVE_MS", "400"),
    ("FENBU_TRANSPORT_IDLE_TIMEOUT_MS", "2000"),
    ("FENBU_TRANSPORT_REDIAL_MIN_MS", "50"),
    ("FENBU_TRANSPORT_REDIAL_MAX_MS", "400"),
];

/// A federation of daemons on this machine.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: daemons, relay, runtime, folders.
    nodes: BTreeMap<String, Node>,
    relay: Relay,
    runtime: Arc<Runtime>,
    start: Start,
    home: TempDir,
}

impl Cluster {
    /// Founds a federation with the command at `binary`; its head-office node is called `head`.
    pub fn found(binary: impl AsRef<Path>) -> Result<Self> {
        Self::found_with(binary, &[])
    }

    /// As [`Cluster::found`], with settings beside the usual ones, as environment variables.
    pub fn found_with(binary: impl AsRef<Path>, settings: &[(&str, &str)]) -> Result<Self> {
        let mut cluster = Self::empty(binary)?;
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        cluster.start.settings.extend(settings);
        cluster.make("head", &["init", "--name", "南京海关缉私局"])?;
        Ok(cluster)
    }

    /// A folder, a relay and no node.
    pub(crate) fn empty(binary: impl AsRef<Path>) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let relay = {
            let _inside = runtime.enter();
            Relay::start(1)
        };
        let home = tempfile::Builder::new().prefix("fenbu-").tempdir()?;
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let start = Start {
            under: Vec::new(),
            binary: binary.as_ref().to_owned(),
            home: home.path().to_owned(),
            settings: settings.into(),
        };
        Ok(Self { nodes: BTreeMap::new(), relay, runtime: Arc::new(runtime), start, home })
    }

    /// Invites a node of a unit, lets it join, and starts it.
    pub fn join(&mut self, name: &str, unit: &str) -> Result<()> {
        let token = self.invite(unit)?;
        self.make(name, &["join", &token, "--name", name])
    }

    /// A token for a node of a unit, which is made if it is new.
    pub fn invite(&self, unit: &str) -> Result<String> {
        let head = self.node("head");
        let known = head.fenbu(&["invite", "--unit", unit])?;
        let ended = match known.code {
            0 => known,
            _ => head.fenbu(&["invite", "--unit", unit, "--name", unit])?,
        };
        Ok(ended.ok().context("inviting")?.trim().to_owned())
    }

    /// Lets a node join with a token, and starts it after something else has happened.
    pub fn join_with(
        &mut self,
        name: &str,
        token: &str,
        meanwhile: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let mut node = self.made(name, &["join", token, "--name", name])?;
        meanwhile(self)?;
        let started = node.start();
        self.nodes.insert(name.to_owned(), node);
        started
    }

    fn make(&mut self, name: &str, verb: &[&str]) -> Result<()> {
        let mut node = self.made(name, verb)?;
        let started = node.start();
        self.nodes.insert(name.to_owned(), node);
        started
    }

    fn made(&self, name: &str, verb: &[&str]) -> Result<Node> {
        let node = self.plan(name)?;
        let (listen, advertised) = (node.listen.to_string(), node.advertised.to_string());
        let args = [verb, &["--listen", &listen, "--advertise", &advertised]].concat();
        node.fenbu(&args)?.ok().with_context(|| format!("making {name}"))?;
        Ok(node)
    }

    /// Copies a stopped node's folder, all of it; the copy has the same key and another port, and others
    /// do not know where it listens. It is not started.
    pub fn copy(&mut self, name: &str, copy: &str) -> Result<()> {
        let mut node = self.plan(copy)?;
        std::fs::create_dir(&node.dir)?;
        for entry in std::fs::read_dir(&self.node(name).dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), node.dir.join(entry.file_name()))?;
            }
        }
        node.set("FENBU_LISTEN", &node.listen.to_string());
        self.nodes.insert(copy.to_owned(), node);
        Ok(())
    }

    /// Gives a command the environment and the folder of this cluster.
    pub(crate) fn prepare(&self, command: &mut std::process::Command) {
        self.start.prepare(command);
    }

    /// A node with addresses and without a folder.
    pub fn plan(&self, name: &str) -> Result<Node> {
        let listen = process::free_address()?;
        let advertised = {
            let _inside = self.runtime.enter();
            self.relay.forward(listen)?
        };
        let (start, runtime) = (self.start.clone(), Arc::clone(&self.runtime));
        Ok(Node::new(name, listen, advertised, start, runtime))
    }

    /// # Panics
    /// If there is no such node.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no node '{name}'"))
    }

    /// # Panics
    /// If there is no such node.
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("there is no node '{name}'"))
    }

    /// The folder in which the nodes' folders lie.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file in the cluster's folder.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.home.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// A command on no node's folder.
    pub fn fenbu(&self, args: &[&str]) -> Result<Ended> {
        process::run(self.start.command(args), b"", Patience::COMMAND)
    }

    /// Runs something that needs the cluster's runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Cuts a node off from all others.
    pub fn cut(&self, name: &str) {
        self.relay.cut(&[self.node(name).listen]);
    }

    /// Keeps two nodes from each other, in both directions.
    pub fn block(&self, one: &str, other: &str) {
        let (one, other) = (self.node(one).listen, self.node(other).listen);
        self.relay.block(one, other);
        self.relay.block(other, one);
    }

    /// Takes back every cut and block.
    pub fn heal(&self) {
        self.relay.heal();
    }

    /// Waits until something holds.
    ///
    /// # Errors
    /// After `patience`, with what was lacking at the last look.
    pub fn until(&self, patience: Duration, mut lacking: impl FnMut() -> Result<()>) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            let Err(why) = lacking() else { return Ok(()) };
            if Instant::now() >= end {
                return Err(why.context(format!("not so after {patience:?}")));
            }
            std::thread::sleep(process::STEP);
        }
    }

    /// Waits until those of two nodes that run no longer hold a link to the other.
    pub fn apart(&self, one: &str, other: &str) -> Result<()> {
        self.until(Patience::SETTLE, || {
            for (from, to) in [(one, other), (other, one)] {
                if !self.node(from).is_running() {
                    continue;
                }
                let linked = self.node(from).peer(to)?["connected"] == Value::Bool(true);
                ensure!(!linked, "{from} still holds its link to {to}");
            }
            Ok(())
        })
    }

    /// Waits until every running node has all that the others have, and has worked it in.
    pub fn settle(&self) -> Result<()> {
        self.until(Patience::SETTLE, || {
            agreed(self.nodes.values().filter(|node| node.is_running())).map(drop)
        })
    }
}

/// What each node says of itself, if all have the same logs and have worked them in.
///
/// # Errors
/// With the first difference.
pub(crate) fn agreed<'n>(nodes: impl Iterator<Item = &'n Node>) -> Result<Vec<Value>> {
    let states: Vec<(&str, Value)> =
        nodes.map(|node| Ok((node.name.as_str(), node.status()?))).collect::<Result<_>>()?;
    let Some((first, expected)) = states.first() else { bail!("no node runs") };
    for (name, status) in &states {
        ensure!(status["materialising"] == false, "{name} still works entries in");
        ensure!(status["waiting"] == 0, "{name} has entries that wait: {status}");
        let differ = |field| format!("{field} of {first} and {name} differ");
        ensure!(status["epoch"] == expected["epoch"], differ("the epochs"));
        let (ours, theirs) = (log_digests(status), log_digests(expected));
        ensure!(ours == theirs, "{}: {theirs:?}, {ours:?}", differ("the log digests"));
    }
    Ok(states.into_iter().map(|(_, status)| status).collect())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.nodes.values() {
                eprintln!("--- the log of {} ends ---\n{}", node.name, node.log_tail());
            }
        }
    }
}

/// The log digest of each space by label. Every node carries every space, so they can be compared.
pub fn log_digests(status: &Value) -> BTreeMap<String, String> {
    let spaces = status["spaces"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    spaces.map(|s| (text(&s["label"]), text(&s["log_digest"]))).collect()
}
