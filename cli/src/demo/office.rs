//! One daemon of the demo: a process, its folder, and the port others dial.

use crate::client::{Client, Route};
use crate::error::{Error, Kind, Result};
use crate::lang::{Key, Lang, Text};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take to answer after its start, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Short enough that a cut is noticed while people watch.
const SETTINGS: &[(&str, &str)] = &[
    ("FENBU_TRANSPORT_KEEP_ALIVE_MS", "1000"),
    ("FENBU_TRANSPORT_IDLE_TIMEOUT_MS", "4000"),
    ("FENBU_TRANSPORT_REDIAL_MIN_MS", "100"),
    ("FENBU_TRANSPORT_REDIAL_MAX_MS", "1000"),
];

/// A node of the demo.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) unit: String,
    pub(super) dir: PathBuf,
    /// Where it really listens.
    pub(super) address: SocketAddr,
    pub(super) client: Client,
    process: Option<Child>,
}

/// A UDP port of this machine that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    let failed = |e: std::io::Error| Error::file("127.0.0.1", &e);
    UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map_err(failed)
}

impl Office {
    pub(super) fn new(unit: &str, dir: PathBuf, address: SocketAddr) -> Self {
        // English here: what goes wrong in a demo is passed on as text.
        let client = Client::new(&dir, Lang::En).patience(120_000);
        Self { unit: unit.to_owned(), dir, address, client, process: None }
    }

    /// Starts the daemon, as `fenbu node run` would.
    pub(super) fn start(&mut self) -> Result<()> {
        let failed = |path: &Path, e: &std::io::Error| Error::file(path.display(), e);
        let program = std::env::current_exe().map_err(|e| failed(Path::new("fenbu"), &e))?;
        let log_path = self.dir.with_extension("log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(|e| failed(&log_path, &e))?;
        let child = Command::new(&program)
            .args(["node", "run", "--dir"])
            .arg(&self.dir)
            .envs(SETTINGS.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| failed(&program, &e))?;
        self.process = Some(child);
        Ok(())
    }

    /// Waits until the daemon answers.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        loop {
            match self.client.get(Route::new("status")).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => {}
            }
            if let Some(process) = &mut self.process
                && let Ok(Some(status)) = process.try_wait()
            {
                let log = self.dir.with_extension("log");
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(3).collect();
                return Err(Error::new(
                    Kind::Failed,
                    Key::DemoDaemonEnded
                        .with([("unit", self.unit.clone()), ("status", status.to_string())]),
                )
                .cause(Text::from(last.into_iter().rev().collect::<Vec<_>>().join("\n"))));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Ends the process at once, as a power cut would.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // A process that has ended already needs no killing.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks the process to stop in order.
    pub(super) fn terminate(&mut self) {
        if let Some(process) = &self.process
            && let Some(pid) = rustix::process::Pid::from_raw(process.id().cast_signed())
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Waits for a process that was asked to stop; kills it if it does not.
    pub(super) async fn ended(&mut self) {
        let end = Instant::now() + Duration::from_secs(10);
        while let Some(process) = &mut self.process {
            match process.try_wait() {
                Ok(None) if Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => self.kill(),
            }
        }
    }

    pub(super) async fn invite(&self, unit: &str, name: &str) -> Result<String> {
        let body = json!({ "unit": unit, "name": name });
        let answer = self.client.post(Route::new("invites"), &body).await?;
        Ok(answer["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Takes in lines of records; all must be good.
    pub(super) async fn import(&self, lines: String) -> Result<()> {
        let source = Box::new(std::io::Cursor::new(lines));
        let answer = self.client.upload(Route::new("import"), source).await?;
        match answer["bad"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(Error::failed(Text::from(format!("{}: {answer}", self.unit)))),
        }
    }

    /// Makes a record; of a unit other than its own if that is named. Returns its id.
    pub(super) async fn write(
        &self,
        plural: &str,
        fields: Value,
        unit: Option<&str>,
    ) -> Result<String> {
        let body = json!({ "fields": fields, "unit": unit });
        let answer = self.client.post(Route::new(plural), &body).await?;
        Ok(answer["id"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) async fn edit(&self, plural: &str, id: &str, fields: Value) -> Result<()> {
        let route = Route::new(plural).segment(id);
        self.client.patch(route, &json!({ "fields": fields })).await.map(|_| ())
    }

    pub(super) async fn show(&self, plural: &str, id: &str) -> Result<Value> {
        self.client.get(Route::new(plural).segment(id)).await
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.kill();
    }
}
