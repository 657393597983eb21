//! Runs and entries.

use crate::store::conformance::*;
use fenbu_protocol::limits::{RUN_BYTES_TARGET, RUN_ENTRIES_MAX};

pub(super) fn runs_come_back_cut_and_joined(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let runs: Vec<_> = (0..4).map(|_| alice.run(5, 300)).collect();
    let log = alice.log();
    let all: Vec<_> = runs.iter().flat_map(|(run, _)| entries(run)).collect();
    commit(disk, with_runs(runs));
    let r = reader(disk);
    for from in 1..=20u64 {
        let run = r.run(log, from, usize::MAX).unwrap().unwrap();
        assert_eq!(entries(&run), all[from as usize - 1..], "from {from}");
        assert_eq!(
            run.verify(
                &NodeId(alice.key.verifying_key().to_bytes()),
                &Tip { seq: from - 1, hash: run.previous(), body_bytes: 0, epoch: 0 }
            )
            .unwrap()
            .fresh,
            21 - from
        );
        let little = r.run(log, from, 1).unwrap().unwrap();
        assert_eq!((little.first(), little.last()), (from, from.div_ceil(5) * 5));
        let entry = r.entry(log, from).unwrap().unwrap();
        assert_eq!((entry.header, entry.body.unwrap()), all[from as usize - 1]);
    }
    let two = r.run(log, 1, 4_500).unwrap().unwrap();
    assert_eq!(two.last(), 10, "as many as fit");
    for nowhere in [0, 21, u64::MAX] {
        assert_eq!(r.run(log, nowhere, usize::MAX).unwrap(), None);
        assert_eq!(r.entry(log, nowhere).unwrap(), None);
    }
    assert_eq!(r.run(LogId([9; 32]), 1, usize::MAX).unwrap(), None);
    assert_eq!(r.tips().unwrap(), BTreeMap::from([(log, alice.author.tip())]));
}

pub(super) fn what_is_held_already_is_cut_off(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let one = alice.run(3, 10);
    let two = alice.run(3, 10);
    let whole = (one.0.joined(&two.0).unwrap(), two.1);
    commit(disk, with_runs([one.clone()]));
    commit(disk, with_runs([whole.clone(), one.clone(), two]));
    let r = reader(disk);
    let run = r.run(alice.log(), 1, usize::MAX).unwrap().unwrap();
    assert_eq!(entries(&run), entries(&whole.0));
    assert_eq!(r.tips().unwrap()[&alice.log()], whole.1);
    let mut sum = LogDigest::default();
    sum.advance(SPACE, alice.log(), &Tip::start(alice.log()), &whole.1);
    assert_eq!(r.digests().unwrap()[&SPACE].log, sum);
}

pub(super) fn behind_follows_the_cursors(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let mut bob = Writer::new(2, OTHER_SPACE);
    let runs = [alice.run(300, 200), alice.run(300, 200), bob.run(2, 10)];
    commit(disk, with_runs(runs));
    let r = reader(disk);
    let seqs = |runs: Vec<Run>| runs.iter().map(|r| (r.first(), r.last())).collect::<Vec<_>>();
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(1, 300), (301, 600)]);
    assert_eq!(seqs(r.behind(&[SPACE], 1).unwrap()), [(1, 300)], "at least one");
    assert_eq!(seqs(r.behind(&[OTHER_SPACE], usize::MAX).unwrap()), [(1, 2)]);
    assert_eq!(r.behind(&[SPACE, OTHER_SPACE], usize::MAX).unwrap().len(), 3);
    assert_eq!(r.behind(&[], usize::MAX).unwrap(), []);
    assert_eq!(r.counts().unwrap().behind, 602);

    commit(disk, WriteBatch { cursors: vec![(alice.log(), 7)], ..Default::default() });
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(8, 300), (301, 600)]);
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 300)], ..Default::default() });
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(301, 600)]);
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 600)], ..Default::default() });
    assert_eq!(r.behind(&[SPACE], usize::MAX).unwrap(), []);
    assert_eq!(disk.store().load().unwrap().logs.iter().map(|l| l.cursor).max(), Some(600));
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 0)], ..Default::default() });
    assert_eq!(r.counts().unwrap().behind, 602, "a rebuild goes back");
}

pub(super) fn behind_goes_by_the_clock(disk: &mut dyn Disk) {
    let mut writers: Vec<_> = (1..=3).map(|node| Writer::new(node, SPACE)).collect();
    let mut batch = WriteBatch::default();
    for turn in [0usize, 2, 1, 0, 2, 2, 1] {
        let writer = &mut writers[turn];
        writer.now_ms = 2_000 + 10 * batch.runs.len() as u64;
        batch.runs.push(writer.run(1, 10));
    }
    let written: Vec<_> = batch.runs.iter().map(|(run, _)| (run.log(), run.first())).collect();
    commit(disk, batch);
    let read = reader(disk).behind(&[SPACE], usize::MAX).unwrap();
    assert_eq!(read.iter().map(|run| (run.log(), run.first())).collect::<Vec<_>>(), written);
}

pub(super) fn entries_wait_and_are_refused(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let (document, log) = (DocId([5; 16]), alice.log());
    let place = Place { document, space: SPACE, kind: POSTS };
    let entry = |seq| EntryRef { place, log, seq };
    let refusal = |seq, code: &str| Refusal {
        entry: entry(seq),
        code: code.into(),
        reason: format!("because of {code}"),
    };
    let mut batch = with_runs([alice.run(9, 10)]);
    batch.waiting = vec![entry(7), entry(3), entry(4)];
    batch.refused = vec![refusal(1, "a"), refusal(2, "b")];
    commit(disk, batch);
    let change = WriteBatch {
        waiting: vec![entry(4), entry(5)],
        no_longer_waiting: vec![entry(3), entry(9)],
        refused: vec![refusal(1, "c"), refusal(6, "d")],
        no_longer_refused: vec![entry(2)],
        ..Default::default()
    };
    commit(disk, change);
    let r = reader(disk);
    assert_eq!(r.waiting(place).unwrap(), [entry(4), entry(5), entry(7)]);
    assert_eq!(r.waiting(Place { space: OTHER_SPACE, ..place }).unwrap(), []);
    assert_eq!(r.waiting(Place { kind: Kind(9), ..place }).unwrap(), []);
    assert_eq!(r.all_waiting(None, 2).unwrap(), [entry(4), entry(5)]);
    assert_eq!(r.all_waiting(Some((entry(5).log, 5)), 2).unwrap(), [entry(7)]);
    assert_eq!(r.all_waiting(Some((entry(7).log, 7)), 2).unwrap(), []);
    assert_eq!(r.refused(9).unwrap(), [refusal(6, "d"), refusal(1, "c")]);
    assert_eq!(r.refused(1).unwrap(), [refusal(6, "d")]);
    let counts = r.counts().unwrap();
    assert_eq!((counts.waiting, counts.refused, counts.entries), (3, 2, 9));
}

pub(super) fn small_runs_are_joined_and_lose_nothing(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let mut all = Vec::new();
    for i in 0..700 {
        let run = alice.run(1, 50);
        all.extend(entries(&run.0));
        commit(disk, with_runs([run]));
        if i == 350 {
            disk.reopen();
        }
    }
    let r = reader(disk);
    let rows = r.behind(&[SPACE], usize::MAX).unwrap();
    assert!(rows.len() <= 2 + runs::SMALL_RUNS_MAX, "{} rows", rows.len());
    assert!(rows.iter().all(|run| run.count() < 2 * RUN_ENTRIES_MAX as u32));
    assert_eq!(rows.iter().flat_map(entries).collect::<Vec<_>>(), all);
    let node = NodeId(alice.key.verifying_key().to_bytes());
    let mut held = Tip::start(alice.log());
    for run in &rows {
        held = run.verify(&node, &held).unwrap().tip;
    }
    assert_eq!(held, alice.author.tip(), "each ends at a checkpoint of its author");
    let cut = r.run(alice.log(), 699, usize::MAX).unwrap().unwrap();
    assert_eq!(entries(&cut), all[698..]);
}

pub(super) fn full_runs_stay_as_they_are(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let runs: Vec<_> = (0..40).map(|_| alice.run(1, RUN_BYTES_TARGET)).collect();
    commit(disk, with_runs(runs.clone()));
    let r = reader(disk);
    let stored = r.behind(&[SPACE], usize::MAX).unwrap();
    assert_eq!(stored, runs.into_iter().map(|(run, _)| run).collect::<Vec<_>>());
    let joined = r.run(alice.log(), 1, usize::MAX).unwrap().unwrap();
    assert_eq!(joined.count(), 15, "as many as a joined run may hold");
}
