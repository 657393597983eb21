//! Forked logs in words: which, whose, since when, what is left to be done, and what a person should do.

use super::doctor::Check;
use super::{Problem, blocking};
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::store::{LostBranch, Reader, StoreError};
use crate::words::Lang;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{LogId, NodeId};
use fenbu_protocol::record::schema;
use fenbu_protocol::sync::ForkStatus;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the store knows of lost branches.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    branches: Vec<LostBranch>,
    /// Changes still to be written anew.
    pending: usize,
}

impl Lost {
    pub(super) fn read(reader: &dyn Reader) -> Result<Self, StoreError> {
        Ok(Self { branches: reader.lost()?, pending: reader.amendments()?.len() })
    }

    /// Entries of a log that gave way to others.
    fn entries(&self, log: &LogId) -> u64 {
        let of = self.branches.iter().filter(|b| b.log == *log);
        of.map(|b| b.last.saturating_sub(b.first) + 1).sum()
    }

    /// Nothing of this fork is left to be done here.
    fn settled(&self, fork: &ForkStatus) -> bool {
        let remade = |b: &LostBranch| b.log != fork.log || b.remade;
        !fork.losing && self.branches.iter().all(remade) && self.pending == 0
    }
}

fn name(directory: &Directory, node: &NodeId) -> String {
    directory.node(node).map_or_else(|| node.short(), |n| n.name.clone())
}

/// An alarm for each fork that is not settled.
pub(super) fn alarms(driver: &DriverStatus, lost: &Lost, directory: &Directory) -> Vec<String> {
    let mut alarms = Vec::new();
    for fork in driver.engine.forks.iter().filter(|fork| !lost.settled(fork)) {
        let (node, log, seq) = (name(directory, &fork.author), fork.log.short(), fork.seq);
        alarms.push(if fork.losing {
            format!("node {node} signed two histories of log {log} from {seq} on; the one that stands has not arrived yet: see `fenbu doctor`")
        } else {
            format!("node {node} signed two histories of log {log} from {seq} on; what built on the other is being written anew: see `fenbu doctor`")
        });
    }
    alarms
}

/// The forks, for `status`.
pub(super) fn listed(driver: &DriverStatus, lost: &Lost, directory: &Directory) -> Vec<Value> {
    let one = |fork: &ForkStatus| {
        json!({
            "log": fork.log,
            "node": fork.author,
            "name": name(directory, &fork.author),
            "space": directory.space(&fork.space).map(|s| s.label.as_str()),
            "seq": fork.seq,
            "since_ms": fork.since_ms,
            "settled": lost.settled(fork),
            "lost_entries": lost.entries(&fork.log),
        })
    };
    driver.engine.forks.iter().map(one).collect()
}

/// Is any log forked? Whose, since when, and what is to be done.
pub(super) async fn check(
    daemon: &Arc<Daemon>,
    driver: &DriverStatus,
    directory: &Directory,
) -> Result<Check, Problem> {
    let asked = daemon.clone();
    let lost = blocking(move || asked.records.shared.readers.with(Lost::read)).await??;
    let forks = &driver.engine.forks;
    let me = daemon.me();
    // The worst first: one that is not settled, then one of our own.
    let rank = |fork: &&ForkStatus| (lost.settled(fork), fork.author != me, fork.log);
    let Some(fork) = forks.iter().min_by_key(rank) else {
        return Ok(Check::good("forks", "没有分叉的日志", "no log is forked"));
    };
    let (settled, own) = (lost.settled(fork), fork.author == me);
    let (node, log, seq) = (name(directory, &fork.author), fork.log.short(), fork.seq);
    let since = time(fork.since_ms);
    let entries = lost.entries(&fork.log);
    let (state_zh, state_en) = match (settled, fork.losing) {
        (true, _) => (
            format!("已处理：各节点保留同一套，本节点另存了 {entries} 条不计入的"),
            format!(
                "settled: all nodes keep the same one, and {entries} entries that do not count are kept aside here"
            ),
        ),
        (false, true) => (
            "应当保留的那一套还没有收到".to_owned(),
            "the one that stands has not arrived yet".to_owned(),
        ),
        (false, false) => (
            format!("还有 {} 处修改要重新写入", lost.pending),
            format!("{} changes are still to be written anew", lost.pending),
        ),
    };
    let words = (
        format!(
            "{} 份日志分叉：节点“{node}”的日志 {log} 自第 {seq} 条起（{since} UTC）签了两套内容；{state_zh}",
            forks.len()
        ),
        format!(
            "{} logs are forked: node '{node}' signed two histories of log {log} from {seq} on (since {since} UTC); {state_en}",
            forks.len()
        ),
    );
    let hint = match (own, settled) {
        (true, _) => (
            "本节点的目录有第二份副本写过：找出并停掉它，只留一份；自己的内容已在新日志中重新写入，fenbu quarantine 列出原文",
            "a second copy of this node's folder has written: find it, stop it, keep one; what this node wrote is written anew in new logs, and fenbu quarantine lists the originals",
        ),
        (false, false) => (
            "保持连接，节点会自行处理；并告知该单位：它的节点有两份副本在运行，只能留一份",
            "stay connected, it settles by itself; and tell that unit that two copies of its node run: only one may",
        ),
        (false, true) => (
            "记录已一致；请该单位查明两份副本从何而来，并用 fenbu quarantine 核对未计入的内容",
            "the records agree; ask that unit where the two copies came from, and look through fenbu quarantine for what does not count",
        ),
    };
    Ok(Check::bad("forks", if settled { "note" } else { "warning" }, words, hint))
}

/// A day and a minute, in UTC.
fn time(ms: u64) -> String {
    let days = (ms / 86_400_000).cast_signed();
    // Civil from days (Hinnant): eras of 400 years begin in March.
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let minutes = ms / 60_000 % 1440;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

/// Why they do not count.
const HISTORY_LOST: &str =
    "it belongs to a history of its log that gave way to another, signed by the same author";

/// Entries of lost branches, at most `max`, for `quarantine`.
pub(super) fn lost_items(
    reader: &dyn Reader,
    directory: &Directory,
    max: usize,
    lang: Lang,
) -> Result<Vec<Value>, StoreError> {
    let mut items = Vec::new();
    let pending: BTreeMap<_, _> =
        reader.amendments()?.into_iter().map(|p| ((p.place.space, p.place.document), ())).collect();
    for branch in reader.lost()? {
        for run in reader.lost_runs(branch.id)? {
            for entry in run.entries() {
                if items.len() == max {
                    return Ok(items);
                }
                let header = entry.header;
                let info = directory.node(&branch.author);
                items.push(json!({
                    "id": header.document,
                    "kind": schema(header.shape.kind).map(|s| s.name),
                    "space": directory.space(&branch.space).map(|s| s.label.as_str()),
                    "node": branch.author,
                    "name": info.map(|n| n.name.as_str()),
                    "unit": info.map(|n| n.unit.as_str()),
                    "why": "fork",
                    "reason": lang.say(HISTORY_LOST),
                    "counts": false,
                    "reviewed": false,
                    "own": branch.own,
                    "pending": pending.contains_key(&(branch.space, header.document)),
                    "log": branch.log,
                    "seq": header.seq,
                    "time_ms": header.time_ms(),
                }));
            }
        }
    }
    Ok(items)
}

/// What the alarms say, for those who look them up.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_people() {
        assert_eq!(time(0), "1970-01-01 00:00");
        assert_eq!(time(1_544_490_000_000), "2018-12-11 01:00");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00");
    }

    #[test]
    fn alarms_exist_in_chinese() {
        let told = "node 甲 signed two histories of log abcdef12 from 3 on; the one that stands has not arrived yet: see `fenbu doctor`";
        assert!(Lang::Zh.say(told).starts_with("节点 甲"));
    }
}
