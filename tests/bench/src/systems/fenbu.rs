//! fenbu: two real daemons joined by hand, records in and out through their control sockets.
//!
//! Peers that are libraries are told to connect when their stores are open and their sockets bound;
//! a fenbu daemon connects by itself as it starts. So the joiner's clock starts when its UDP port is
//! first seen bound, which is before it dials; `started_ms` says how long the process had run by then.
//! `connected_ms` is when it was linked.
//!
//! A library's events tell when something is readable; a daemon is asked. The looks cost time and the
//! joiner's own cores, so they are few: `looks` and `looking_ms` say what they took. What is seen by
//! looking was there a little earlier.

mod daemon;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fenbu::sample::WorkRecord;
use serde_json::{Map, Value, json};

use self::daemon::{Daemon, Holds, Looks, binary, free_address, run};
use super::pair::{IDLE_AFTER, LIVE_PAUSE, WRITES, report_cost, report_idle};
use super::{Disk, Fsync};
use crate::Options;
use crate::http::Client;
use crate::load::{Load, Retitle, WRITE_SEED, delta_edits, live_edits};
use crate::process::reset_peak;
use crate::report::{Report, percentile};

pub const DISK: Disk = Disk {
    fsync: Fsync::Always,
    how: "SQLite, WAL, synchronous=FULL for entries; what is derived from them is made again if lost",
};
const DURABLE: &str = "every entry: committed with synchronous=FULL";
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

struct Pair<'a> {
    binary: &'a Path,
    dir_b: PathBuf,
    listen_b: String,
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
    /// Until both knew each other.
    connected_s: f64,
    looks: Looks,
}

impl Meeting {
    /// What is said beside its times.
    fn extra(&self) -> Map<String, Value> {
        let milliseconds = |s: f64| Value::from((s * 1e6).round() / 1e3);
        let mut extra = Map::new();
        extra.insert("durable".into(), DURABLE.into());
        extra.insert("started_ms".into(), milliseconds(self.b.started_s));
        extra.insert("connected_ms".into(), milliseconds(self.connected_s));
        extra.insert("looks".into(), self.looks.count.into());
        extra.insert("looking_ms".into(), milliseconds(self.looks.spent.as_secs_f64()));
        extra
    }
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
        listen_b: free_address()?,
        load,
        ids: load.iter().map(|r| r.id.to_string()).collect(),
        a: Daemon::start(binary, &dir_a, &listen, options.timeout())?,
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
            lines += &json!({ "kind": "activity", "id": id, "fields": fields }).to_string();
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
        let listen = &self.listen_b;
        let start = Instant::now();
        let args = ["join", &token, "--listen", listen, "--advertise", listen];
        run(self.binary, &args, &self.dir_b)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Starts B and waits until it has what A has; the seconds count from when its port was bound.
    fn meet(&mut self) -> Result<Meeting> {
        let entries = self.a.status()?.number("/entries");
        let (records, timeout) = (self.load.records as u64, self.timeout);
        let mut b = Daemon::start(self.binary, &self.dir_b, &self.listen_b, timeout)?;
        let start = b.bound;
        let passed = || start.elapsed().as_secs_f64();
        let mut looks = Looks::default();
        let mut connected_s = None;
        let stored_s = looks.until(start, timeout, || {
            let holds = b.holds(entries)?;
            if holds != Holds::Unconnected {
                connected_s.get_or_insert_with(passed);
            }
            Ok((holds == Holds::All).then(passed))
        })?;
        let seconds = looks.until(start, timeout, || {
            if !b.is_ready()? {
                return Ok(None);
            }
            let status = b.status()?;
            let all = status.number("/records/activities") == records && status.settled();
            Ok(all.then(passed))
        })?;
        let connected_s = connected_s.unwrap_or(stored_s);
        Ok(Meeting { b, seconds, stored_s, connected_s, looks })
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
        let mut meeting = self.meet()?;
        let after = [self.a.usage()?, meeting.b.usage()?];
        self.check_equal(&mut meeting.b)?;
        let mut extra = meeting.extra();
        let Meeting { b, seconds, stored_s, .. } = meeting;
        if options.wants("bulk") {
            extra.insert("join_s".into(), join_s.into());
            extra.insert("edits_after".into(), self.edits_after.into());
            let note = "from the joiner's port bound; joining by token came before";
            extra.insert("note".into(), note.into());
            report.add("bulk", seconds, "s", extra.into());
            let stored = json!({ "durable": DURABLE, "note": "committed, not yet all readable" });
            report.add("bulk_stored", stored_s, "s", stored);
            report_cost(report, [before, b.before], after);
            let bytes = self.a.quiet_bytes()?;
            report_bytes(report, "bulk", [bytes[0] - bytes_before[0], bytes[1] - bytes_before[1]]);
        }
        if options.wants("memory") {
            std::thread::sleep(IDLE_AFTER);
            report_idle(report, [self.a.usage()?, b.usage()?]);
        }
        Ok(b)
    }

    /// Starts B again and reports the meeting under `metric`; a restarted node counts bytes from 0.
    fn meet_again(&mut self, metric: &str, edits: usize, report: &mut Report) -> Result<Daemon> {
        let meeting = self.meet()?;
        let mut extra = meeting.extra();
        extra.insert("edits".into(), edits.into());
        let note = "from the joiner's port bound, in a process that just started";
        extra.insert("note".into(), note.into());
        let Meeting { mut b, seconds, .. } = meeting;
        report.add(metric, seconds * 1e3, "ms", extra.into());
        let bytes = b.quiet_bytes()?;
        report_bytes(report, metric, bytes);
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
            ensure!(b.title(&self.ids[edit.record])? == json!(edit.title), "an edit is missing");
        }
        Ok(b)
    }

    fn live(&mut self, b: &mut Daemon, report: &mut Report) -> Result<()> {
        let (mut answered, mut ms) = (Vec::new(), Vec::new());
        for edit in live_edits(self.load.records) {
            let (answer, shown) = self.time_edit(b, &edit)?;
            answered.push(answer);
            ms.push(shown);
            std::thread::sleep(LIVE_PAUSE);
        }
        let extra = json!({
            "durable": "on both sides",
            "edits": ms.len(),
            "answered_p50_ms": percentile(&answered, 50.0),
            "note": "from before the request to A until B shows it, looked for every 0.2 ms",
        });
        report.add("live_p50", percentile(&ms, 50.0), "ms", extra.clone());
        report.add("live_p99", percentile(&ms, 99.0), "ms", extra);
        Ok(())
    }

    /// Milliseconds until A has answered and until B shows the edit. B is looked at only from A's
    /// answer on: nothing is sent before A's disk has it, and looks before would hold A up.
    fn time_edit(&mut self, b: &mut Daemon, edit: &Retitle) -> Result<(f64, f64)> {
        let id = &self.ids[edit.record];
        let start = Instant::now();
        let passed = || start.elapsed().as_secs_f64() * 1e3;
        self.a.patch(id, &edit.title)?;
        let answered = passed();
        while b.title(id)? != json!(edit.title) {
            ensure!(start.elapsed() < self.timeout, "an edit never showed");
            std::thread::sleep(LIVE_LOOK);
        }
        Ok((answered, passed()))
    }
}

/// What a line of the import says in a pass: everything at first, then one edit. A line always has
/// the title, which an import wants; where it is the old one it changes nothing.
fn fields_of(record: &WorkRecord, pass: usize) -> Value {
    if pass == 0 {
        return activity(&record.create);
    }
    let mut fields = activity(&record.edits[pass - 1]);
    let title = if pass == 1 { &record.create["title"] } else { &record.edits[1]["title"] };
    fields["title"] = title.clone();
    fields
}

/// The workload's post as a record that every node reads, field for field of the same merge.
fn activity(post: &Value) -> Value {
    let names = [
        ("title", "title"),
        ("body", "summary"),
        ("column", "place"),
        ("status", "campaign"),
        ("bylines", "media"),
        ("tags", "branches"),
        ("written", "date"),
    ];
    let of = |(name, as_name): (&str, &str)| Some((as_name.to_owned(), post.get(name)?.clone()));
    let mut out: Map<String, Value> = names.into_iter().filter_map(of).collect();
    out.insert("programme".into(), "culture".into());
    out.into()
}

/// What is exchanged, and all that it takes on the wire: `GROUP_bytes` and `GROUP_udp_bytes`.
fn report_bytes(report: &mut Report, group: &str, [stream, udp]: [u64; 2]) {
    let (streams, packets) = ("QUIC stream payload", "UDP payload");
    let mut add = |metric: String, bytes: u64, are: &str| {
        report.add(&metric, bytes as f64, "B", json!({ "bytes_are": are }));
    };
    add(format!("{group}_bytes"), stream, streams);
    add(format!("{group}_udp_bytes"), udp, packets);
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
    let _daemon = Daemon::start(binary, dir, &listen, timeout)?;
    let load = Load { seed: WRITE_SEED, records };
    let bodies = load.iter().map(|r| json!({ "id": r.id.to_string(), "fields": activity(&r.create) }));
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
        client.request("POST", "/api/v1/activities", body)?;
    }
}
