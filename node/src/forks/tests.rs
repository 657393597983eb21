//! Two copies of a disk wrote: the one whose branch is lost gets over it, wherever it is cut short.

use super::*;
use crate::clock::Clock;
use crate::store::{Loaded, MemoryStore, Reader, Store, parting};
use crate::testing::Bench;
use fenbu_protocol::log::{Parting, Proof, Run};
use fenbu_protocol::record::schema_named;
use fenbu_protocol::sync::{Input, Item, Switch, Ticket};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A disk that outlives the node on it.
#[derive(Clone)]
struct Disk(Arc<Mutex<MemoryStore>>);

impl Store for Disk {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.0.lock().unwrap().load()
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.0.lock().unwrap().commit(batch)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.0.lock().unwrap().reader()
    }
}

impl Disk {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(MemoryStore::new(&crate::views::specs()).unwrap())))
    }

    fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    /// A life of the node on this disk; what it told the engine comes back.
    fn lives(&self, life: impl FnOnce(&Bench, &Forks)) -> Vec<Input> {
        let bench = Bench::start(Box::new(self.clone()), Clock::start());
        let records = &bench.records;
        let (shared, writer) = (records.shared.clone(), records.writer.clone());
        let forks = Forks::new(shared, writer, records.rebuilder.clone());
        life(&bench, &forks);
        drop(forks);
        bench.stop()
    }

    fn titles(&self) -> Vec<String> {
        let mut titles = Vec::new();
        self.lives(|bench, _| {
            let post = schema_named("topic").unwrap();
            let all = |shown: &crate::records::Shown| {
                titles.push(shown.record.to_json()["title"].as_str().unwrap().to_owned());
            };
            bench.records.each(post, all).unwrap();
        });
        titles.sort();
        titles
    }

    fn entries(&self) -> u64 {
        self.reader().unwrap().counts().unwrap().entries
    }
}

fn runs(told: Vec<Input>) -> Vec<Run> {
    let run = |input| match input {
        Input::Appended { run, .. } => Some(run),
        _ => None,
    };
    told.into_iter().filter_map(run).collect()
}

/// Two copies of a disk that hold a post in common. The first's branch is lost; the run of the other is
/// returned, and the proof.
fn two_copies() -> (Disk, Run, Arc<Proof>) {
    let disk = Disk::new();
    let mut shared = None;
    disk.lives(|bench, _| shared = Some(bench.topic("shared").unwrap().document));
    let (shared, copy) = (shared.unwrap().to_string(), disk.copy());
    let wrote = |disk: &Disk, title: &str| {
        runs(disk.lives(|bench, _| {
            bench.topic(title).unwrap();
            let post = schema_named("topic").unwrap();
            let body = json!({ "brief": format!("written with {title}") });
            bench.records.edit(post, &shared, &body, "test").unwrap();
        }))
    };
    let (one, two) = (wrote(&disk, "one"), wrote(&copy, "two"));
    let join = |runs: &[Run]| runs[0].joined(&runs[1]).unwrap();
    let opening = disk.reader().unwrap().log(one[0].log()).unwrap().unwrap().opening;
    let proof = Arc::new(Proof::of(opening, &one[0], &two[0]).unwrap());
    match one[0].first_hash() < two[0].first_hash() {
        true => (copy, join(&one), proof),
        false => (disk, join(&two), proof),
    }
}

fn switch(disk: &Disk, run: &Run) -> Switch {
    let reader = disk.reader().unwrap();
    let Ok(Parting::At { opening, common, base, .. }) = parting(reader.as_ref(), run) else {
        panic!("they part")
    };
    let tip = run.verify(&opening.node, &base).unwrap().tip;
    let (space, parted) = (opening.space, common.seq + 1);
    Switch { space, parted, base, runs: vec![run.clone()], tip }
}

fn goes_over(bench: &Bench, switch: Switch) {
    let item = Item::Switch(switch);
    bench.records.writer.send(Command::Persist { ticket: Ticket(1), item }).unwrap();
}

#[test]
fn every_step_may_be_the_last_of_a_life() {
    let (disk, run, proof) = two_copies();
    // The proof is durable, and nothing else of it.
    let mut other = disk.clone();
    other.commit(&WriteBatch { proofs: vec![proof], ..WriteBatch::default() }).unwrap();
    disk.lives(|bench, _| {
        assert_ne!(bench.records.writer.log_of(switch(&disk, &run).space), run.log(), "it is left");
        goes_over(bench, switch(&disk, &run));
    });
    let lost = disk.reader().unwrap().lost().unwrap();
    assert!(lost[0].own && !lost[0].remade && (lost[0].first, lost[0].last) == (2, 3));
    // The other branch is there, and documents show the one that was lost.
    let mut made = disk.copy();
    disk.lives(|_, forks| assert!(forks.remake().unwrap()));
    assert!(disk.reader().unwrap().lost().unwrap()[0].remade);
    assert_eq!(disk.reader().unwrap().amendments().unwrap().len(), 2);
    // What is to be written anew is known, and the documents may or may not have been made again.
    let amendments = disk.reader().unwrap().amendments().unwrap();
    made.commit(&WriteBatch { amendments, ..WriteBatch::default() }).unwrap();
    for disk in [disk, made] {
        disk.lives(|_, forks| {
            forks.remake().unwrap();
        });
        let before = disk.entries();
        for _ in 0..2 {
            disk.lives(|_, forks| forks.write_anew().unwrap());
            assert_eq!(disk.entries(), before + 2, "each change once");
        }
        assert_eq!(disk.reader().unwrap().amendments().unwrap(), []);
        let mut behind = Vec::new();
        // The branch that stands is worked in like anything received.
        disk.lives(|bench, _| {
            let space = switch_space(&bench.records);
            bench.records.rebuilder.documents(space, None).unwrap();
            behind.extend(bench.records.shared.readers.with(|r| r.refused(9)).unwrap());
        });
        assert_eq!(behind, [], "nothing honest is refused");
        assert_eq!(disk.titles(), ["one", "shared", "two"]);
    }
}

fn switch_space(records: &crate::records::Records) -> fenbu_protocol::id::SpaceId {
    let directory = records.shared.directory.now();
    directory.spaces().find(|s| s.label == "federation").unwrap().id
}

#[test]
fn what_was_only_received_is_not_ours_to_write_anew() {
    let (disk, run, _) = two_copies();
    // The log was left without anybody knowing of a fork: nothing says that this disk wrote it.
    let switching = crate::store::Switching { switch: switch(&disk, &run), at_ms: 0, own: false };
    disk.clone()
        .commit(&WriteBatch { switches: vec![switching], ..WriteBatch::default() })
        .unwrap();
    disk.lives(|_, forks| {
        forks.remake().unwrap();
        forks.write_anew().unwrap();
    });
    let reader = disk.reader().unwrap();
    assert_eq!(reader.amendments().unwrap(), []);
    assert_eq!(reader.lost_runs(1).unwrap().iter().map(Run::count).sum::<u32>(), 2, "it is kept");
}
