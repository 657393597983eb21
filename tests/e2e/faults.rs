//! A disk that fails under a running node: what is refused is said, what was acknowledged stays,
//! records are served on, and the node goes on by itself once the disk does.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Ways to fail, as `faults/disk.c` reads them. Several are not met by every call, so that an
/// attempt fails at changing places.
const FAULTS: [&str; 7] = [
    "sync EIO 1",
    "sync EIO 2",
    "write EIO 3",
    "write ENOSPC 1",
    "write SHORT 1",
    "all EIO 5",
    "write EROFS 1",
];
/// Attempts under each fault.
const ATTEMPTS: usize = 6;
/// What a person is told, one of these.
const SAID: [&str; 4] = ["is full", "Check the disk", "cannot be written", "is locked"];

/// A federation of which one node has a disk that can be made to fail.
struct Disk<'a> {
    cluster: &'a mut Cluster,
    node: &'static str,
    acknowledged: BTreeSet<String>,
}

impl<'a> Disk<'a> {
    fn under(cluster: &'a mut Cluster, node: &'static str) -> Result<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/faults/disk.c");
        let library = cluster.home().join("disk.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([library.as_os_str(), source.as_ref(), "-ldl".as_ref()])
            .output()
            .context("these tests need a C compiler, `cc`")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let control = cluster.file("disk", "")?;
        let daemon = cluster.node_mut(node);
        daemon.stop()?;
        daemon.set("LD_PRELOAD", &library.to_string_lossy());
        daemon.set("FENBU_TEST_DISK", &control.to_string_lossy());
        daemon.start()?;
        Ok(Self { cluster, node, acknowledged: BTreeSet::new() })
    }

    fn fails(&self, how: &str) -> Result<()> {
        // Renamed into place: the daemon never reads half of it.
        let new = self.cluster.file("disk.new", how)?;
        Ok(fs::rename(new, self.cluster.home().join("disk"))?)
    }

    fn write(&mut self, title: &str) -> Result<()> {
        let id = self.cluster.node(self.node).writes("topics", json!({ "title": title }))?;
        self.acknowledged.insert(id);
        Ok(())
    }

    /// Everything acknowledged is listed.
    fn serves(&self) -> Result<()> {
        let listed = self.cluster.node(self.node).lists("topics")?;
        let shown: BTreeSet<&str> = listed.iter().filter_map(|p| p["id"].as_str()).collect();
        let lost = self.acknowledged.iter().find(|id| !shown.contains(id.as_str()));
        ensure!(lost.is_none(), "{} does not show {lost:?}", self.node);
        Ok(())
    }

    /// The disk is well again, and the same process takes writes: at once or after a moment.
    fn recovers(&mut self) -> Result<()> {
        self.fails("")?;
        let cluster = &*self.cluster;
        let mut id = None;
        cluster.until(Patience::SETTLE, || {
            id = Some(cluster.node(self.node).writes("topics", json!({ "title": "Well again" }))?);
            Ok(())
        })?;
        self.acknowledged.extend(id);
        self.serves()
    }

    /// Nothing is lost to a power cut after all this, and the peers have it too.
    fn survives(&mut self) -> Result<()> {
        self.cluster.node_mut(self.node).kill()?;
        self.cluster.node_mut(self.node).start()?;
        self.serves()?;
        self.cluster.settle()?;
        let checked = self.cluster.node(self.node).fenbu(&["doctor"])?;
        ensure!(checked.code == 0, "{checked:?}");
        Ok(())
    }
}

fn is_clear(said: &str) -> Result<()> {
    ensure!(SAID.iter().any(|words| said.contains(words)), "this tells nobody what to do: {said}");
    Ok(())
}

#[test]
fn writes_on_a_failing_disk_are_refused_in_words_and_taken_again_afterwards() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let mut disk = Disk::under(cluster, "alice")?;
        let mut refused = 0;
        for how in FAULTS {
            disk.write("Before")?;
            disk.fails(how)?;
            for n in 0..ATTEMPTS {
                if let Err(error) = disk.write(&format!("{how}, {n}")) {
                    is_clear(&format!("{error:#}"))?;
                    refused += 1;
                }
                disk.serves().with_context(|| how.to_owned())?;
            }
            disk.recovers().with_context(|| how.to_owned())?;
        }
        ensure!(refused >= FAULTS.len(), "the disk failed {refused} writes only");
        // What a failed flush left in the log is not built upon.
        let log = disk.cluster.node("alice").log_text();
        ensure!(log.contains("a new write-ahead log is begun"), "it went on in the old one");
        disk.survives()
    });
}

#[test]
fn an_import_on_a_failing_disk_ends_with_an_error_and_is_done_by_the_next() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let lines: String = (0..40)
            .map(|n| {
                json!({"kind": "topic", "id": format!("{n:032x}"), "fields": {"title": "Old"}})
                    .to_string()
                    + "\n"
            })
            .collect();
        let file = cluster.file("posts.jsonl", lines)?;
        let file = file.to_string_lossy().into_owned();
        let mut disk = Disk::under(cluster, "alice")?;
        for how in ["sync EIO 1", "write ENOSPC 1"] {
            disk.fails(how)?;
            let ended = disk.cluster.node("alice").fenbu(&["import", &file])?;
            ensure!(ended.code == 1, "{ended:?}");
            is_clear(&format!("{}{}", ended.stdout, ended.stderr))?;
            disk.recovers()?;
        }
        disk.cluster.node("alice").fenbu(&["import", &file])?.ok()?;
        disk.acknowledged.extend((0..40).map(|n| format!("{n:032x}")));
        disk.survives()
    });
}

#[test]
fn a_backlog_that_meets_a_failing_disk_arrives_once_the_disk_is_well() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.settle()?;
        let mut disk = Disk::under(cluster, "head")?;
        for how in ["sync EIO 1", "write ENOSPC 1", "all EIO 3"] {
            disk.fails(how)?;
            for n in 0..20 {
                let title = format!("{how}, {n}");
                let alice = disk.cluster.node("alice");
                disk.acknowledged.insert(alice.writes("topics", json!({ "title": title }))?);
            }
            disk.cluster.node("head").lists("topics").context("reading goes on")?;
            disk.fails("")?;
            disk.cluster.settle().with_context(|| how.to_owned())?;
            disk.serves()?;
        }
        disk.survives()
    });
}

#[test]
fn a_repair_on_a_failing_disk_changes_nothing_and_is_done_by_the_next() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let mut disk = Disk::under(cluster, "alice")?;
        for n in 0..20 {
            disk.write(&format!("Post {n}"))?;
        }
        for how in ["write EIO 1", "write ENOSPC 1", "write EIO 4"] {
            disk.fails(how)?;
            for what in ["views", "documents"] {
                let ended = disk.cluster.node("alice").fenbu(&["repair", what])?;
                if ended.code != 0 {
                    ensure!(ended.code == 1, "{ended:?}");
                    is_clear(&format!("{}{}", ended.stdout, ended.stderr))?;
                }
                disk.serves().with_context(|| format!("{how}, {what}"))?;
            }
            disk.recovers().with_context(|| how.to_owned())?;
        }
        for what in ["views", "documents"] {
            disk.cluster.node("alice").fenbu(&["repair", what])?.ok()?;
        }
        disk.survives()
    });
}

/// Less is free than is to be kept: nothing is written or received, everything can be read, and it is
/// said before anything fails.
#[test]
fn below_the_floor_of_free_space_nothing_is_written_and_everything_read() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let post = cluster.node("alice").writes("topics", json!({ "title": "Before" }))?;
        cluster.settle()?;
        let alice = cluster.node_mut("alice");
        alice.stop()?;
        alice.set("FENBU_STORE_FREE_BYTES_MIN", "1000000000000");
        alice.start()?;
        let said = cluster.node("alice").fenbu(&["topic", "add", "--title", "After"])?;
        super::refused(&said, 1, &["are kept free", "Free some space"])?;
        let zh =
            cluster.node("alice").fenbu(&["topic", "add", "--title", "后", "--lang", "zh-CN"])?;
        super::refused(&zh, 1, &["须保留", "清理空间"])?;
        assert_eq!(cluster.node("alice").shows("topics", &post)?["fields"]["title"], "Before");
        let doctor = cluster.node("alice").fenbu(&["doctor"])?;
        ensure!(doctor.code == 6 && doctor.stdout.contains("are kept free"), "{doctor:?}");
        cluster.node("head").writes("topics", json!({ "title": "Meanwhile" }))?;
        ensure!(cluster.node("alice").lists("topics")?.len() == 1, "it was received");
        // There is room again.
        let alice = cluster.node_mut("alice");
        alice.stop()?;
        alice.set("FENBU_STORE_FREE_BYTES_MIN", "0");
        alice.start()?;
        cluster.node("alice").writes("topics", json!({ "title": "After" }))?;
        cluster.settle()?;
        ensure!(cluster.node("alice").lists("topics")?.len() == 3);
        Ok(())
    });
}
