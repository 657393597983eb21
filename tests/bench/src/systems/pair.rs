//! Two peers that are libraries, a process each: what is done with them, in which order.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Disk;
use crate::Options;
use crate::load::{Load, Retitle, WRITE_SEED, delta_edits, live_edits};
use crate::peer::{Order, Span};
use crate::process::{Remote, Usage, reset_peak, usage};
use crate::report::{Report, percentile};

/// New records of the write test, with 1 and with 64 in flight.
pub const WRITES: [(usize, usize); 2] = [(1, 1000), (64, 4000)];
/// Between two timed edits, so that each travels alone.
pub const LIVE_PAUSE: Duration = Duration::from_millis(10);
/// After BULK, before resident memory is read.
pub const IDLE_AFTER: Duration = Duration::from_secs(2);

/// What must be said beside a system's figures.
pub struct Traits {
    pub name: &'static str,
    pub disk: Disk,
    /// What a power cut would have left when BULK's clock stopped.
    pub bulk_durable: &'static str,
    /// What a power cut would have left of an edit when it showed on the other side.
    pub news_durable: &'static str,
    /// What a power cut would have left when a write was acknowledged.
    pub write_durable: &'static str,
    pub bytes_are: &'static str,
}

/// Measures a pair once.
pub fn measure(traits: &Traits, options: &Options, report: &mut Report) -> Result<()> {
    let folder = options.folder(traits.name)?;
    if ["bulk", "noop", "delta", "live", "memory"].iter().any(|g| options.wants(g)) {
        let mut pair = Pair {
            traits,
            load: Load { seed: options.seed, records: options.records },
            a: Remote::start(traits.name, &folder.path().join("a"), options.timeout())?,
            b: Remote::start(traits.name, &folder.path().join("b"), options.timeout())?,
        };
        pair.bulk(options, report).context("BULK")?;
        if options.wants("noop") {
            pair.noop(report).context("NOOP")?;
        }
        if options.wants("delta") {
            pair.delta(report).context("DELTA")?;
        }
        if options.wants("live") {
            pair.live(report).context("LIVE")?;
        }
    }
    if options.wants("write") {
        for (in_flight, records) in WRITES {
            let dir = folder.path().join(format!("write-{in_flight}"));
            let mut lone = Remote::start(traits.name, &dir, options.timeout())?;
            let order = Order::Write { seed: WRITE_SEED, records, in_flight };
            let span: Span = lone.ask_for(&order).context("writing")?;
            let extra = json!({ "durable": traits.write_durable, "written": records });
            let rate = records as f64 / span.seconds();
            report.add(&format!("write_{in_flight}"), rate, "records/s", extra);
        }
    }
    Ok(())
}

struct Pair<'a> {
    traits: &'a Traits,
    load: Load,
    /// Has everything first.
    a: Remote,
    /// Joins it.
    b: Remote,
}

impl Pair<'_> {
    fn bulk(&mut self, options: &Options, report: &mut Report) -> Result<()> {
        let Load { seed, records } = self.load;
        let address = self.a.ask(&Order::Fill { seed, records }).context("filling")?;
        let [bytes_before, _] = self.quiet_bytes()?;
        let before = self.usages()?;
        reset_peak(self.a.pid())?;
        reset_peak(self.b.pid())?;
        let span: Span = self.b.ask_for(&Order::Join { address, seed, records })?;
        let after = self.usages()?;
        if options.wants("bulk") {
            let durable = json!({ "durable": self.traits.bulk_durable });
            report.add("bulk", span.seconds(), "s", durable);
            report_cost(report, before, after);
            self.report_bytes(report, "bulk_bytes", bytes_before)?;
        }
        if options.wants("memory") {
            std::thread::sleep(IDLE_AFTER);
            report_idle(report, self.usages()?);
        }
        Ok(())
    }

    fn noop(&mut self, report: &mut Report) -> Result<()> {
        self.b.ask(&Order::Disconnect)?;
        let [before, _] = self.quiet_bytes()?;
        let span: Span = self.b.ask_for(&Order::Reconnect)?;
        let extra = json!({ "note": "from the order to connect, in a running process" });
        report.add("noop", span.seconds() * 1e3, "ms", extra);
        self.report_bytes(report, "noop_bytes", before)
    }

    fn delta(&mut self, report: &mut Report) -> Result<()> {
        let edits = delta_edits(self.load.records);
        self.b.ask(&Order::Disconnect)?;
        self.a.ask(&Order::Edit { edits: edits.clone() })?;
        self.b.ask(&Order::Arm { edits: edits.clone() })?;
        let [before, _] = self.quiet_bytes()?;
        let span: Span = self.b.ask_for(&Order::Reconnect)?;
        let seen_ns: u64 = self.b.ask_for(&Order::Seen)?;
        let seen = Span { to_ns: seen_ns, ..span };
        let extra = json!({
            "durable": self.traits.news_durable,
            "edits": edits.len(),
            "equal_ms": span.seconds() * 1e3,
        });
        report.add("delta", seen.seconds() * 1e3, "ms", extra);
        self.report_bytes(report, "delta_bytes", before)
    }

    fn live(&mut self, report: &mut Report) -> Result<()> {
        let mut ms = Vec::new();
        for edit in live_edits(self.load.records) {
            ms.push(self.time_edit(edit)?);
            std::thread::sleep(LIVE_PAUSE);
        }
        let extra = json!({
            "durable": self.traits.news_durable,
            "edits": ms.len(),
            "note": "from before the edit until its event",
        });
        report.add("live_p50", percentile(&ms, 50.0), "ms", extra.clone());
        report.add("live_p99", percentile(&ms, 99.0), "ms", extra);
        Ok(())
    }

    fn time_edit(&mut self, edit: Retitle) -> Result<f64> {
        self.b.ask(&Order::Arm { edits: vec![edit.clone()] })?;
        let from_ns: u64 = self.a.ask_for(&Order::Edit { edits: vec![edit] })?;
        let to_ns: u64 = self.b.ask_for(&Order::Seen)?;
        Ok(Span { from_ns, to_ns }.seconds() * 1e3)
    }

    fn usages(&self) -> Result<[Usage; 2]> {
        Ok([usage(self.a.pid())?, usage(self.b.pid())?])
    }

    /// The joiner's bytes, both ways together and sent alone, once they have rested for 300 ms; what
    /// still moves after five seconds is taken for idle chatter.
    fn quiet_bytes(&mut self) -> Result<[u64; 2]> {
        let start = Instant::now();
        let mut last: [u64; 2] = self.b.ask_for(&Order::Bytes)?;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now: [u64; 2] = self.b.ask_for(&Order::Bytes)?;
            if now == last || start.elapsed() > Duration::from_secs(5) {
                return Ok([now[0] + now[1], now[0]]);
            }
            last = now;
        }
    }

    fn report_bytes(&mut self, report: &mut Report, metric: &str, before: u64) -> Result<()> {
        let [after, _] = self.quiet_bytes()?;
        let extra = json!({ "bytes_are": self.traits.bytes_are });
        report.add(metric, after.saturating_sub(before) as f64, "B", extra);
        Ok(())
    }
}

/// CPU and peak memory of BULK; the first of each pair is the side that had everything.
pub fn report_cost(report: &mut Report, before: [Usage; 2], after: [Usage; 2]) {
    for (side, i) in [("joiner", 1), ("sender", 0)] {
        let cpu = after[i].cpu_s - before[i].cpu_s;
        report.add(&format!("bulk_cpu_{side}"), cpu, "s", Value::Null);
        let peak = after[i].rss_peak_mib;
        report.add(&format!("bulk_rss_peak_{side}"), peak, "MiB", Value::Null);
    }
}

pub fn report_idle(report: &mut Report, now: [Usage; 2]) {
    for (side, i) in [("joiner", 1), ("sender", 0)] {
        report.add(&format!("rss_idle_{side}"), now[i].rss_mib, "MiB", Value::Null);
    }
}
