//! fenbu: two real daemons joined by hand, records in and out through their control sockets.
//!
//! The joiner's clock starts before its daemon's process does: of the systems here fenbu alone has
//! its program's start, its recovery and its dialling inside BULK, NOOP and DELTA. `started_ms` says
//! how much of the time had gone when the daemon first answered.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fenbu::sample::WorkRecord;
use serde_json::{Value, json};

use super::pair::{IDLE_AFTER, LIVE_PAUSE, WRITES, report_cost, report_idle};
use crate::http::Client;
use crate::load::{Load, Retitle, WRITE_SEED, delta_edits, live_edits};
use crate::process::{Owned, Usage, reset_peak, usage};
use crate::report::{Report, percentile};
use crate::{Options, manifest_dir};

const DURABLE: &str = "everything: committed with synchronous=FULL";
const BYTES_ARE: &str = "QUIC stream payload";
/// A look at the joiner may cost it so much of the time that has passed.
const LOOK_SHARE: u32 = 50;
/// Between two looks for a live edit.
const LIVE_LOOK: Duration = Duration::from_micros(200);

pub fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let binary = binary(options)?;
    let folder = options.folder("fenbu")?;
    if ["bulk", "noop", "delta", "live", "memory"].iter().any(|g| options.wants(g)) {
        measure_pair(&binary, folder.path(), options, report)?;
    }
    if options.wants("write") {
        for (in_flight, records) in WRITES {
            let dir = folder.path().join(format!("write-{in_flight}"));
            let rate = write_rate(&binary, &dir, in_flight, records, options.timeout())?;
            let extra = json!({ "durable": DURABLE, "written": records });
            report.add(&format!("write_{in_flight}"), rate, "records/s", extra);
        }
    }
    Ok(())
}

/// The daemon's program, built now if it is missing.
fn binary(options: &Options) -> Result<PathBuf> {
    if let Some(path) = &options.fenbu {
        ensure!(path.is_file(), "{} is no file", path.display());
        return Ok(path.canonicalize()?);
    }
    let root = manifest_dir().join("../..").canonicalize()?;
    let path = root.join("target/release/fenbu");
    if !path.is_file() {
        eprintln!("fenbu: building the release binary");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--release"]).current_dir(&root).status()?;
        ensure!(built.success(), "the release build of fenbu failed");
    }
    Ok(path)
}

/// A daemon and a connection to it.
struct Daemon {
    process: Owned,
    client: Client,
    /// From the process's start to the first answer.
    started_ms: f64,
}

impl Daemon {
    fn start(binary: &Path, dir: &Path, timeout: Duration) -> Result<Self> {
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
        let mut process = Owned::new(child);
        loop {
            if let Ok(mut client) = Client::connect(&dir.join("node.sock"), timeout)
                && client.get("/healthz").is_ok()
            {
                let started_ms = start.elapsed().as_secs_f64() * 1e3;
                return Ok(Self { process, client, started_ms });
            }
            ensure!(!process.has_ended(), "the daemon ended; see {}", dir.display());
            ensure!(start.elapsed() < timeout, "no answer within {} s", timeout.as_secs());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn status(&mut self) -> Result<Status> {
        Ok(Status(self.client.get("/api/v1/status")?))
    }

    fn usage(&self) -> Result<Usage> {
        usage(self.process.pid())
    }

    fn patch(&mut self, id: &str, title: &str) -> Result<()> {
        let body = json!({ "fields": { "title": title } }).to_string();
        self.client.request("PATCH", &format!("/api/v1/posts/{id}"), &body)?;
        Ok(())
    }

    /// This node's bytes once they have rested for 300 ms: stream payload, then UDP.
    fn quiet_bytes(&mut self) -> Result<[u64; 2]> {
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

/// What `/api/v1/status` says.
struct Status(Value);

impl Status {
    fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }

    fn bytes(&self) -> [u64; 2] {
        [
            self.number("/bytes_sent") + self.number("/bytes_received"),
            self.number("/udp_bytes_sent") + self.number("/udp_bytes_received"),
        ]
    }

    fn connected(&self) -> bool {
        self.number("/peers/connected") > 0
    }

    /// Nothing known is still to come, and nothing that came is still to be made a record.
    fn settled(&self) -> bool {
        self.connected()
            && self.number("/behind_entries") == 0
            && self.number("/waiting") == 0
            && self.0["materialising"] == json!(false)
    }

    /// Whether both sides have the same entries of every space, and the same records of every space
    /// that both may read.
    fn equals(&self, other: &Self) -> bool {
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

fn run(binary: &Path, args: &[&str], dir: &Path) -> Result<String> {
    let output = Command::new(binary).args(args).arg("--dir").arg(dir).output()?;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "fenbu {}: {error}", args[0]);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A UDP port of loopback that was free a moment ago.
fn free_address() -> Result<String> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

struct Pair<'a> {
    binary: &'a Path,
    dir_b: PathBuf,
    load: Load,
    /// By place in the workload.
    ids: Vec<String>,
    a: Daemon,
    edits_after: usize,
    timeout: Duration,
}

/// How a joiner came to have what the other side has.
struct Meeting {
    b: Daemon,
    /// Until everything was readable.
    seconds: f64,
    /// Until every entry was committed.
    stored_s: f64,
}

fn measure_pair(
    binary: &Path,
    folder: &Path,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let (dir_a, dir_b) = (folder.join("a"), folder.join("b"));
    let listen = free_address()?;
    run(binary, &["init", "--name", "甲", "--listen", &listen, "--advertise", &listen], &dir_a)?;
    let load = Load { seed: options.seed, records: options.records };
    let mut pair = Pair {
        binary,
        dir_b,
        load,
        ids: load.iter().map(|r| r.id.to_string()).collect(),
        a: Daemon::start(binary, &dir_a, options.timeout())?,
        edits_after: match options.edits_after {
            0 => options.records,
            some => some,
        },
        timeout: options.timeout(),
    };
    pair.fill().context("filling")?;
    let join_s = pair.join(&dir_a).context("joining")?;
    let mut b = pair.bulk(join_s, options, report).context("BULK")?;
    if options.wants("noop") {
        b = pair.noop(b, report).context("NOOP")?;
    }
    if options.wants("delta") {
        b = pair.delta(b, report).context("DELTA")?;
    }
    if options.wants("live") {
        pair.live(&mut b, report).context("LIVE")?;
    }
    Ok(())
}

impl Pair<'_> {
    /// The workload into A: creations, then each of the three edits, so that every record has four
    /// changes.
    fn fill(&mut self) -> Result<()> {
        let records: Vec<WorkRecord> = self.load.iter().collect();
        for part in records.chunks(self.edits_after) {
            for pass in 0..4 {
                self.import(part, pass)?;
            }
        }
        Ok(())
    }

    fn import(&mut self, records: &[WorkRecord], pass: usize) -> Result<()> {
        let mut lines = String::new();
        for record in records {
            let fields = fields_of(record, pass);
            let id = record.id.to_string();
            lines += &json!({ "kind": "post", "id": id, "fields": fields }).to_string();
            lines.push('\n');
        }
        let answer = self.a.client.request("POST", "/api/v1/import", &lines)?;
        // An edit that happens to say what was there already is no change.
        let taken = answer["good"] == json!(records.len()) && answer["bad"] == json!(0);
        ensure!(taken, "import said {answer}");
        Ok(())
    }

    /// B's keys and place in the federation; no record moves yet. Returns how long it took.
    fn join(&mut self, dir_a: &Path) -> Result<f64> {
        let token = run(self.binary, &["invite", "--unit", "bench-b", "--name", "乙"], dir_a)?;
        let listen = free_address()?;
        let start = Instant::now();
        let args = ["join", &token, "--listen", &listen, "--advertise", &listen];
        run(self.binary, &args, &self.dir_b)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Starts B and waits until it has what A has; the seconds count from before its process.
    fn meet(&mut self) -> Result<Meeting> {
        let entries = self.a.status()?.number("/entries");
        let start = Instant::now();
        let mut b = Daemon::start(self.binary, &self.dir_b, self.timeout)?;
        let mut stored_s = None;
        loop {
            let status = b.status()?;
            let seconds = start.elapsed().as_secs_f64();
            if status.number("/entries") >= entries {
                let stored_s = *stored_s.get_or_insert(seconds);
                let all = status.number("/records/posts") == self.load.records as u64;
                if all && status.settled() {
                    return Ok(Meeting { b, seconds, stored_s });
                }
            }
            let late = start.elapsed() >= self.timeout;
            ensure!(!late, "not within {} s: {}", self.timeout.as_secs(), status.0);
            std::thread::sleep((start.elapsed() / LOOK_SHARE).max(Duration::from_millis(1)));
        }
    }

    /// Both sides have the same, by their digests; they may need a moment.
    fn check_equal(&mut self, b: &mut Daemon) -> Result<()> {
        let start = Instant::now();
        loop {
            let (there, here) = (self.a.status()?, b.status()?);
            if here.equals(&there) {
                return Ok(());
            }
            let waited = start.elapsed() >= Duration::from_secs(10);
            ensure!(!waited, "the digests differ: {} and {}", there.0, here.0);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn bulk(&mut self, join_s: f64, options: &Options, report: &mut Report) -> Result<Daemon> {
        let before = self.a.usage()?;
        let bytes_before = self.a.status()?.bytes();
        reset_peak(self.a.process.pid())?;
        let Meeting { mut b, seconds, stored_s } = self.meet()?;
        let after = [self.a.usage()?, b.usage()?];
        self.check_equal(&mut b)?;
        if options.wants("bulk") {
            let extra = json!({
                "durable": DURABLE,
                "started_ms": b.started_ms,
                "join_s": join_s,
                "edits_after": self.edits_after,
                "note": "from before the joiner's process started; joining by token came before",
            });
            report.add("bulk", seconds, "s", extra);
            let stored = json!({ "durable": DURABLE, "note": "committed, not yet all readable" });
            report.add("bulk_stored", stored_s, "s", stored);
            report_cost(report, [before, Usage::default()], after);
            let bytes = self.a.quiet_bytes()?;
            report_bytes(
                report,
                "bulk_bytes",
                [bytes[0] - bytes_before[0], bytes[1] - bytes_before[1]],
            );
        }
        if options.wants("memory") {
            std::thread::sleep(IDLE_AFTER);
            report_idle(report, [self.a.usage()?, b.usage()?]);
        }
        Ok(b)
    }

    /// Starts B again and reports the meeting under `metric`; a restarted node counts bytes from 0.
    fn meet_again(&mut self, metric: &str, edits: usize, report: &mut Report) -> Result<Daemon> {
        let Meeting { mut b, seconds, .. } = self.meet()?;
        let extra = json!({
            "durable": DURABLE,
            "started_ms": b.started_ms,
            "edits": edits,
            "note": "from before the joiner's process started",
        });
        report.add(metric, seconds * 1e3, "ms", extra);
        let bytes = b.quiet_bytes()?;
        report_bytes(report, &format!("{metric}_bytes"), bytes);
        self.check_equal(&mut b)?;
        Ok(b)
    }

    fn noop(&mut self, mut b: Daemon, report: &mut Report) -> Result<Daemon> {
        b.process.stop();
        self.meet_again("noop", 0, report)
    }

    fn delta(&mut self, mut b: Daemon, report: &mut Report) -> Result<Daemon> {
        b.process.stop();
        let edits = delta_edits(self.load.records);
        for edit in &edits {
            self.a.patch(&self.ids[edit.record], &edit.title)?;
        }
        let mut b = self.meet_again("delta", edits.len(), report)?;
        for edit in &edits {
            let shown = b.client.get(&format!("/api/v1/posts/{}", self.ids[edit.record]))?;
            ensure!(shown["fields"]["title"] == json!(edit.title), "an edit is missing");
        }
        Ok(b)
    }

    fn live(&mut self, b: &mut Daemon, report: &mut Report) -> Result<()> {
        let mut ms = Vec::new();
        for edit in live_edits(self.load.records) {
            ms.push(self.time_edit(b, &edit)?);
            std::thread::sleep(LIVE_PAUSE);
        }
        let extra = json!({
            "durable": "on both sides",
            "edits": ms.len(),
            "note": "from before the request to A until B lists it, looked for every 0.2 ms",
        });
        report.add("live_p50", percentile(&ms, 50.0), "ms", extra.clone());
        report.add("live_p99", percentile(&ms, 99.0), "ms", extra);
        Ok(())
    }

    /// B is watched from a thread of its own, so that A's answer delays nothing.
    fn time_edit(&mut self, b: &mut Daemon, edit: &Retitle) -> Result<f64> {
        let start = Instant::now();
        let timeout = self.timeout;
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| -> Result<f64> {
                loop {
                    let page = b.client.get("/api/v1/posts?order=newest&limit=1")?;
                    if page["items"][0]["title"] == json!(edit.title) {
                        return Ok(start.elapsed().as_secs_f64() * 1e3);
                    }
                    ensure!(start.elapsed() < timeout, "an edit never showed");
                    std::thread::sleep(LIVE_LOOK);
                }
            });
            self.a.patch(&self.ids[edit.record], &edit.title)?;
            match watch.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("the watcher panicked"),
            }
        })
    }
}

/// What a line of the import says in a pass: everything at first, then one edit. A line always has
/// the title, which an import wants; where it is the old one it changes nothing.
fn fields_of(record: &WorkRecord, pass: usize) -> Value {
    if pass == 0 {
        return record.create.clone();
    }
    let mut fields = record.edits[pass - 1].clone();
    let title = if pass == 1 { &record.create["title"] } else { &record.edits[1]["title"] };
    fields["title"] = title.clone();
    fields
}

fn report_bytes(report: &mut Report, metric: &str, [stream, udp]: [u64; 2]) {
    let extra = json!({ "bytes_are": BYTES_ARE, "udp_bytes": udp });
    report.add(metric, stream as f64, "B", extra);
}

/// New records a second into a lone head office, with so many requests in flight.
fn write_rate(
    binary: &Path,
    dir: &Path,
    in_flight: usize,
    records: usize,
    timeout: Duration,
) -> Result<f64> {
    let listen = free_address()?;
    run(binary, &["init", "--name", "甲", "--listen", &listen], dir)?;
    let _daemon = Daemon::start(binary, dir, timeout)?;
    let load = Load { seed: WRITE_SEED, records };
    let bodies = load.iter().map(|r| json!({ "id": r.id.to_string(), "fields": r.create }));
    let bodies: Vec<String> = bodies.map(|b| b.to_string()).collect();
    let clients: Vec<Client> = (0..in_flight)
        .map(|_| Client::connect(&dir.join("node.sock"), timeout))
        .collect::<Result<_>>()?;
    let left = Mutex::new(bodies.iter());
    let start = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            clients.into_iter().map(|client| scope.spawn(|| write_some(client, &left))).collect();
        for writer in writers {
            match writer.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a writer panicked"),
            }
        }
        Ok(())
    })?;
    Ok(records as f64 / start.elapsed().as_secs_f64())
}

fn write_some(mut client: Client, left: &Mutex<std::slice::Iter<'_, String>>) -> Result<()> {
    loop {
        let next = left.lock().unwrap_or_else(|e| e.into_inner()).next();
        let Some(body) = next else { return Ok(()) };
        client.request("POST", "/api/v1/posts", body)?;
    }
}
