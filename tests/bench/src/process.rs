//! Processes: those of the peers, told what to do by a line of JSON, and what the kernel knows of any.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::peer::{Answer, Order};

/// The hidden first argument that makes the bench be a peer.
pub const CHILD_COMMAND: &str = "__peer";

/// Nanoseconds on a clock that all processes of this machine share.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What the kernel has counted for a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of CPU, user and system.
    pub cpu_s: f64,
    pub rss_mib: f64,
    /// The most it has been since [`reset_peak`].
    pub rss_peak_mib: f64,
}

/// Reads a process's usage; an error once it is gone.
pub fn usage(pid: u32) -> Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name: &str| -> Result<f64> {
        let line = status.lines().find(|l| l.starts_with(name)).context("no such line")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; what follows it does not.
    let after = stat.rsplit_once(')').context("unreadable stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(Usage {
        cpu_s: (ticks(11) + ticks(12)) / per_second,
        rss_mib: mib("VmRSS:")?,
        rss_peak_mib: mib("VmHWM:")?,
    })
}

/// Starts the peak of a process's resident memory anew.
pub fn reset_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("clear_refs")
}

/// A process that ends when this value does: asked first, killed after ten seconds.
pub struct Owned {
    child: Child,
}

impl Owned {
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end and waits.
    pub fn stop(&mut self) {
        if self.has_ended() {
            return;
        }
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // It may end between the question and the signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(10);
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A peer in a process of its own.
pub struct Remote {
    process: Owned,
    orders: ChildStdin,
    answers: Receiver<String>,
    timeout: Duration,
}

impl Remote {
    /// Starts this same program as a peer with its data in `dir`; its stderr goes to `dir.log`.
    pub fn start(system: &str, dir: &Path, timeout: Duration) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let log = std::fs::File::create(dir.with_extension("log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CHILD_COMMAND)
            .arg(system)
            .arg(dir)
            // An error that is only a remark to a peer must not cost it a backtrace.
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("starting a peer's process")?;
        let orders = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process: Owned::new(child), orders, answers, timeout })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends an order without waiting for its answer.
    pub fn tell(&mut self, order: &Order) -> Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).context("the peer's process has ended")
    }

    /// Waits for the answer to the oldest unanswered order.
    pub fn answer(&mut self) -> Result<Value> {
        let line = match self.answers.recv_timeout(self.timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("not within {} s", self.timeout.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the peer's process has ended"),
        };
        match serde_json::from_str(&line)? {
            Answer::Done(value) => Ok(value),
            Answer::Failed(error) => Err(anyhow!(error)),
        }
    }

    pub fn ask(&mut self, order: &Order) -> Result<Value> {
        self.tell(order)?;
        self.answer()
    }

    /// Asks for something that answers with a value of this type.
    pub fn ask_for<T: serde::de::DeserializeOwned>(&mut self, order: &Order) -> Result<T> {
        Ok(serde_json::from_value(self.ask(order)?)?)
    }
}
