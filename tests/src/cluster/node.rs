//! One node of a cluster: its folder, its daemon while that runs, and the ways to talk to it.

use super::Patience;
use super::process::{self, Ended, STEP};
use anyhow::{Context, Result, anyhow, bail, ensure};
use fenbu::client::{Client, Route};
use fenbu::lang::Lang;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;

/// Lines of a daemon's log shown when a test fails.
const TAIL_LINES: usize = 30;

/// How every process of a cluster is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// What runs the command: a program and its first arguments. Empty if nothing does.
    pub(crate) under: Vec<String>,
    /// The `fenbu` command.
    pub(crate) binary: PathBuf,
    /// The cluster's own folder, in which no settings of this machine's user are found.
    pub(crate) home: PathBuf,
    pub(crate) settings: Vec<(String, String)>,
}

impl Start {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.under.split_first() {
            None => Command::new(&self.binary),
            Some((program, first)) => {
                let mut command = Command::new(program);
                command.args(first).arg(&self.binary);
                command
            }
        };
        self.prepare(&mut command);
        command.args(args);
        command
    }

    /// A clean environment: nothing of the person who runs the tests shows through.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.env_clear();
        command.envs(std::env::var("PATH").map(|path| ("PATH", path)));
        command.env("HOME", &self.home).env("FENBU_LANG", "en");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.home);
    }
}

/// A node's folder and daemon. Dropping it kills the daemon.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub dir: PathBuf,
    /// Where the daemon listens.
    pub listen: SocketAddr,
    /// Where others dial it: the relay's port.
    pub advertised: SocketAddr,
    pub(super) start: Start,
    runtime: Arc<Runtime>,
    child: Option<Child>,
}

impl Node {
    pub(crate) fn new(
        name: &str,
        listen: SocketAddr,
        advertised: SocketAddr,
        start: Start,
        runtime: Arc<Runtime>,
    ) -> Self {
        let dir = start.home.join(name);
        Self { name: name.into(), dir, listen, advertised, start, runtime, child: None }
    }

    /// Runs `fenbu … --dir` on this node's folder.
    pub fn fenbu(&self, args: &[&str]) -> Result<Ended> {
        self.fenbu_with(args, b"")
    }

    /// As [`Node::fenbu`], with something on stdin.
    pub fn fenbu_with(&self, args: &[&str], input: &[u8]) -> Result<Ended> {
        let mut command = self.start.command(args);
        command.arg("--dir").arg(&self.dir);
        process::run(command, input, Patience::COMMAND)
    }

    /// `fenbu … --dir` on this node's folder, to be started by the caller.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.start.command(args);
        command.arg("--dir").arg(&self.dir);
        command
    }

    /// Sets a variable for this node's processes from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.start.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.start.command(&["node", "run", "--log", "info,fenbu_node=debug"]);
        command.arg("--dir").arg(&self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn()?);
        let end = Instant::now() + Patience::START;
        loop {
            // The settings are told also by a daemon whose store is in trouble.
            let Err(error) = self.get(Route::new("config")) else { return Ok(()) };
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().transpose()) {
                self.child = None;
                bail!("{} ended with {} while starting\n{}", self.name, status?, self.log_tail());
            }
            ensure!(Instant::now() < end, "{} does not answer: {error:#}", self.name);
            std::thread::sleep(STEP);
        }
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Asks the daemon to stop, as a service manager does; returns its exit code.
    pub fn stop(&mut self) -> Result<i32> {
        let Some(mut child) = self.child.take() else { bail!("{} does not run", self.name) };
        kill_process(pid_of(&child)?, Signal::TERM)?;
        let status = process::wait(&mut child, Patience::STOP).context("stopping on TERM")?;
        status.code().ok_or_else(|| anyhow!("{} was ended by a signal", self.name))
    }

    /// Ends the daemon as a power cut does.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { bail!("{} does not run", self.name) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// The most memory the daemon has had resident since it started, in bytes (Linux).
    pub fn resident_peak_bytes(&self) -> Result<u64> {
        let child = self.child.as_ref().context("it does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().strip_suffix(" kB")).context("no VmHWM")?;
        Ok(kib.trim().parse::<u64>()? * 1024)
    }

    fn log(&self) -> PathBuf {
        self.start.home.join(format!("{}.log", self.name))
    }

    /// All that the daemon said since its folder was made.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The last of what the daemon said.
    pub fn log_tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    pub fn client(&self) -> Client {
        let patience_ms = Patience::COMMAND.as_millis() as u64;
        Client::new(&self.dir, Lang::En).patience(patience_ms)
    }

    pub fn get(&self, route: Route) -> Result<Value> {
        self.runtime.block_on(self.client().get(route)).map_err(|e| explain(&e))
    }

    /// Writes a record of a kind named in the plural (`posts`); returns its id once it is durable.
    pub fn writes(&self, kind: &str, fields: Value) -> Result<String> {
        let body = json!({ "fields": fields });
        let answer = self.runtime.block_on(self.client().post(Route::new(kind), &body));
        id_of(&answer.map_err(|e| explain(&e))?)
    }

    pub fn edits(&self, kind: &str, id: &str, fields: Value) -> Result<()> {
        let route = Route::new(kind).segment(id);
        let body = json!({ "fields": fields });
        self.runtime.block_on(self.client().patch(route, &body)).map_err(|e| explain(&e))?;
        Ok(())
    }

    pub fn shows(&self, kind: &str, id: &str) -> Result<Value> {
        self.get(Route::new(kind).segment(id))
    }

    pub fn history(&self, kind: &str, id: &str) -> Result<Vec<Value>> {
        let answer = self.get(Route::new(kind).segment(id).segment("history"))?;
        Ok(answer["items"].as_array().cloned().unwrap_or_default())
    }

    /// Every record of a kind this node may read.
    pub fn lists(&self, kind: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut route = Route::new(kind).query("limit", "500");
            if let Some(after) = &after {
                route = route.query("after", after);
            }
            let page = self.get(route)?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            let Some(next) = page["next"].as_str() else { return Ok(items) };
            ensure!(after.as_deref() != Some(next), "the list of {kind} does not end");
            after = Some(next.to_owned());
        }
    }

    pub fn status(&self) -> Result<Value> {
        self.get(Route::new("status"))
    }

    /// What the status says of the space with this label.
    pub fn space(&self, label: &str) -> Result<Value> {
        let status = self.status()?;
        let mut spaces = status["spaces"].as_array().into_iter().flatten();
        let found = spaces.find(|s| s["label"] == label).cloned();
        found.with_context(|| format!("{} has no space '{label}': {status}", self.name))
    }

    /// What this node says of another.
    pub fn peer(&self, name: &str) -> Result<Value> {
        let answer = self.get(Route::new("peers"))?;
        let mut peers = answer["peers"].as_array().into_iter().flatten();
        let found = peers.find(|p| p["name"] == name).cloned();
        found.with_context(|| format!("{} knows no node '{name}': {answer}", self.name))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended by itself needs neither.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid_of(child: &Child) -> Result<Pid> {
    Pid::from_raw(i32::try_from(child.id())?).context("a child has a pid")
}

/// The client's error as a person would read it.
fn explain(error: &fenbu::error::Error) -> anyhow::Error {
    let mut text = Vec::new();
    error.write(&mut text, Lang::En);
    anyhow!(String::from_utf8_lossy(&text).trim().to_owned())
}

fn id_of(answer: &Value) -> Result<String> {
    let id = answer["id"].as_str().with_context(|| format!("no id in {answer}"))?;
    Ok(id.to_owned())
}

/// A file of a node's folder, for those who damage it.
pub fn database(dir: &Path) -> PathBuf {
    dir.join("fenbu.db")
}
