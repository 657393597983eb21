//! A fenbu daemon as a process, and what it says of itself.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::{Owned, Usage, usage};
use crate::{Options, manifest_dir};

/// Between two looks for a daemon that starts.
const START_LOOK: Duration = Duration::from_micros(500);

/// The daemon's program; cargo sees to it that it is that of the sources beside the bench.
pub fn binary(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.fenbu {
        ensure!(path.is_file(), "{} is no file", path.display());
        return Ok(path.canonicalize()?);
    }
    let root = manifest_dir().join("../..").canonicalize()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release"]).current_dir(&root).status()?;
    ensure!(built.success(), "the release build of fenbu failed");
    Ok(root.join("target/release/fenbu"))
}

/// Runs a command of the program to its end.
pub fn run(binary: &Path, args: &[&str], dir: &Path) -> Result<String> {
    let output = Command::new(binary).args(args).arg("--dir").arg(dir).output()?;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "fenbu {}: {error}", args[0]);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A UDP port of loopback that was free a moment ago.
pub fn free_address() -> Result<String> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Whether somebody on this machine has the UDP port of this address.
fn is_bound(address: &str) -> Result<bool> {
    let port: u16 = address.rsplit_once(':').context("no port")?.1.parse()?;
    let local = format!(":{port:04X}");
    let sockets = std::fs::read_to_string("/proc/net/udp")?;
    Ok(sockets.lines().any(|l| l.split_whitespace().nth(1).is_some_and(|a| a.ends_with(&local))))
}

/// A daemon and a connection to it.
pub struct Daemon {
    pub process: Owned,
    pub client: Client,
    /// When its UDP port was first seen bound: its program runs and its store is open, and it has yet
    /// to dial. Where the peers that are libraries stand when they are told to connect.
    pub bound: Instant,
    /// Used until then.
    pub before: Usage,
    /// From the process's start until then.
    pub started_s: f64,
}

impl Daemon {
    /// Starts the node in `dir`, which listens on `listen`.
    pub fn start(binary: &Path, dir: &Path, listen: &str, timeout: Duration) -> Result<Self> {
        let log =
            std::fs::File::options().append(true).create(true).open(dir.with_extension("log"))?;
        let start = Instant::now();
        let child = Command::new(binary)
            .args(["node", "run", "--log", "warn", "--dir"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting fenbu")?;
        let (pid, mut process) = (child.id(), Owned::new(child));
        let mut wait = || {
            std::thread::sleep(START_LOOK);
            ensure!(!process.has_ended(), "the daemon ended; see {}.log", dir.display());
            ensure!(start.elapsed() < timeout, "no answer within {} s", timeout.as_secs());
            Ok(())
        };
        while !is_bound(listen)? {
            wait()?;
        }
        let (bound, before) = (Instant::now(), usage(pid)?);
        let client = loop {
            match Client::connect(&dir.join("node.sock"), timeout) {
                Ok(client) => break client,
                Err(_) => wait()?,
            }
        };
        let started_s = (bound - start).as_secs_f64();
        Ok(Self { process, client, bound, before, started_s })
    }

    pub fn status(&mut self) -> Result<Status> {
        Ok(Status(self.client.get("/api/v1/status")?))
    }

    /// Whether it is connected, and has committed so many entries and all that it knows of. Its store
    /// is asked only once nothing is known to be missing.
    pub fn holds(&mut self, entries: u64) -> Result<Holds> {
        let sync = self.client.get("/api/v1/sync")?;
        let mut peers = sync["peers"].as_array().into_iter().flatten();
        let Some(peer) = peers.find(|p| p["connected"] == json!(true)) else {
            return Ok(Holds::Unconnected);
        };
        let mut spaces = peer["spaces"].as_array().into_iter().flatten();
        let all = spaces.all(|s| s["missing_here"] == json!(0))
            && self.status()?.number("/entries") >= entries;
        Ok(if all { Holds::All } else { Holds::Some })
    }

    /// Whether nothing that it received waits to become a record; this asks nothing of its store.
    pub fn is_ready(&mut self) -> Result<bool> {
        Ok(self.client.exchange("GET", "/readyz", "")?.0 == 200)
    }

    pub fn usage(&self) -> Result<Usage> {
        usage(self.process.pid())
    }

    pub fn patch(&mut self, id: &str, title: &str) -> Result<()> {
        let body = json!({ "fields": { "title": title } }).to_string();
        self.client.request("PATCH", &format!("/api/v1/activities/{id}"), &body)?;
        Ok(())
    }

    /// The title of a record as it reads here.
    pub fn title(&mut self, id: &str) -> Result<Value> {
        let mut record = self.client.get(&format!("/api/v1/activities/{id}"))?;
        Ok(record["fields"]["title"].take())
    }

    /// This node's bytes once they have rested for 300 ms: stream payload, then UDP.
    pub fn quiet_bytes(&mut self) -> Result<[u64; 2]> {
        let start = Instant::now();
        let mut last = self.status()?.bytes();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.status()?.bytes();
            if now[0] == last[0] || start.elapsed() > Duration::from_secs(5) {
                return Ok(now);
            }
            last = now;
        }
    }
}

/// What a joiner has of its peer's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Unconnected,
    Some,
    All,
}

/// What `/api/v1/status` says; it counts records, which costs the daemon a moment.
pub struct Status(pub Value);

impl Status {
    pub fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }

    pub fn bytes(&self) -> [u64; 2] {
        [
            self.number("/bytes_sent") + self.number("/bytes_received"),
            self.number("/udp_bytes_sent") + self.number("/udp_bytes_received"),
        ]
    }

    /// Nothing known is still to come, and nothing that came is still to be made a record.
    pub fn settled(&self) -> bool {
        self.number("/peers/connected") > 0
            && self.number("/behind_entries") == 0
            && self.number("/waiting") == 0
            && self.0["materialising"] == json!(false)
    }

    /// Whether both sides have the same entries of every space, and the same records of every space
    /// that both may read.
    pub fn equals(&self, other: &Self) -> bool {
        let spaces = |status: &Self| status.0["spaces"].as_array().cloned().unwrap_or_default();
        let (ours, theirs) = (spaces(self), spaces(other));
        let same = |ours: &Value, theirs: &Value| {
            let states = [&ours["state_digest"], &theirs["state_digest"]];
            ours["log_digest"] == theirs["log_digest"]
                && (states.iter().any(|s| s.is_null()) || states[0] == states[1])
        };
        !ours.is_empty()
            && ours.len() == theirs.len()
            && ours.iter().all(|o| theirs.iter().any(|t| o["id"] == t["id"] && same(o, t)))
    }
}

/// Looks at a daemon that works: often enough that what they find is found within 5 ms, or a
/// hundredth of the time that it took; where that allows it, ten times as long is rested as looked.
/// A look that asks nothing of the store takes 0.02 ms, one that counts 1,000 records 0.3 ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks {
    pub count: u32,
    pub spent: Duration,
}

impl Looks {
    const REST: u32 = 10;
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(5);

    /// Looks until there is something to see.
    pub fn until<T>(
        &mut self,
        since: Instant,
        timeout: Duration,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        loop {
            let start = Instant::now();
            let seen = look()?;
            let took = start.elapsed();
            (self.count, self.spent) = (self.count + 1, self.spent + took);
            if let Some(seen) = seen {
                return Ok(seen);
            }
            let passed = since.elapsed();
            ensure!(passed < timeout, "not within {} s", timeout.as_secs());
            let longest = Self::LONGEST.max(passed / 100);
            std::thread::sleep((took * Self::REST).clamp(Self::SHORTEST, longest));
        }
    }
}
