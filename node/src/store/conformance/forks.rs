//! Forked logs.

use crate::store::conformance::*;
use fenbu_protocol::log::Proof;
use fenbu_protocol::sync::Switch;

/// Alice's log up to a checkpoint at 4, and two ways it goes on: three entries, and five.
fn two_branches() -> (Writer, (Run, Tip), [(Run, Tip); 2]) {
    let mut alice = Writer::new(1, SPACE);
    let before = alice.run(4, 10);
    let mut other = Writer { key: alice.key.clone(), author: alice.author.clone(), now_ms: 5_000 };
    let one = alice.run(3, 10);
    let two = other.run(5, 20);
    (alice, before, [one, two])
}

fn switching(base: &(Run, Tip), to: &(Run, Tip)) -> Switching {
    let (parted, base) = (base.1.seq + 1, base.1);
    let switch = Switch { space: SPACE, parted, base, runs: vec![to.0.clone()], tip: to.1 };
    Switching { switch, at_ms: 77, own: true }
}

pub(super) fn another_branch_takes_over_and_the_lost_one_is_kept(disk: &mut dyn Disk) {
    let (alice, before, [one, two]) = two_branches();
    let log = alice.log();
    let mut batch = with_runs([before.clone(), one.clone()]);
    let entry = |seq| EntryRef {
        place: Place { document: DocId([6; 16]), space: SPACE, kind: POSTS },
        log,
        seq,
    };
    batch.cursors = vec![(log, 7)];
    batch.waiting = vec![entry(3), entry(5)];
    commit(disk, batch);
    assert_eq!(reader(disk).checkpoint(log, 6).unwrap(), 4);
    assert_eq!(reader(disk).checkpoint(log, 7).unwrap(), 7);
    assert_eq!(reader(disk).checkpoint(log, 3).unwrap(), 0);

    let switches = vec![switching(&before, &two)];
    commit(disk, WriteBatch { switches, ..Default::default() });
    for reopened in [false, true] {
        if reopened {
            disk.reopen();
        }
        let r = reader(disk);
        assert_eq!(r.tips().unwrap()[&log], two.1);
        let run = r.run(log, 5, usize::MAX).unwrap().unwrap();
        assert_eq!(entries(&run), entries(&two.0));
        assert_eq!(r.log(log).unwrap().unwrap().cursor, 4, "its entries are to be materialised");
        assert_eq!(r.waiting(entry(3).place).unwrap(), [entry(3)]);
        let mut sum = LogDigest::default();
        sum.advance(SPACE, log, &Tip::start(log), &two.1);
        assert_eq!(r.digests().unwrap()[&SPACE].log, sum);
        let lost = r.lost().unwrap();
        let [branch] = lost[..] else { panic!("{lost:?}") };
        assert_eq!((branch.log, branch.first, branch.last, branch.at_ms), (log, 5, 7, 77));
        assert!(branch.own && !branch.remade && branch.space == SPACE);
        let kept: Vec<_> = r.lost_runs(branch.id).unwrap().iter().flat_map(entries).collect();
        assert_eq!(kept, entries(&one.0));
    }
    let id = reader(disk).lost().unwrap()[0].id;
    commit(disk, WriteBatch { remade: vec![id], ..Default::default() });
    assert!(reader(disk).lost().unwrap()[0].remade);
}

pub(super) fn a_branch_that_does_not_fit_changes_nothing(disk: &mut dyn Disk) {
    let (alice, before, [one, two]) = two_branches();
    let joined = (before.0.joined(&one.0).unwrap(), one.1);
    let refused = |disk: &mut dyn Disk, switching: Switching| {
        let batch = WriteBatch { switches: vec![switching], ..Default::default() };
        let error = disk.store().commit(&batch).unwrap_err();
        assert!(matches!(error, StoreError::Inconsistent(_)), "{error}");
    };
    refused(disk, switching(&before, &two));
    // The checkpoint it goes on from went when runs were joined.
    commit(disk, with_runs([joined]));
    refused(disk, switching(&before, &two));
    let mut gap = switching(&before, &two);
    gap.switch.base.seq = 3;
    refused(disk, gap);
    let mut beyond = switching(&before, &two);
    beyond.switch.parted = 8;
    refused(disk, beyond);
    assert_eq!(reader(disk).tips().unwrap()[&alice.log()], one.1);
    assert_eq!(reader(disk).lost().unwrap(), []);
}

pub(super) fn proofs_count_and_amendments_wait(disk: &mut dyn Disk) {
    let (alice, before, [one, two]) = two_branches();
    let log = alice.log();
    let opening = *alice.author.opening();
    let proof = Arc::new(Proof::of(opening, &one.0, &two.0).unwrap());
    let with_proof = || WriteBatch { proofs: vec![proof.clone()], ..Default::default() };
    assert!(disk.store().commit(&with_proof()).is_err(), "of a log nobody knows");
    commit(disk, with_runs([before.clone(), one.clone()]));
    for _ in 0..2 {
        commit(disk, with_proof());
        let mut sum = LogDigest::default();
        sum.advance(SPACE, log, &Tip::start(log), &one.1);
        sum.fork(SPACE, log, None, Some(5));
        assert_eq!(reader(disk).digests().unwrap()[&SPACE].log, sum);
    }
    disk.reopen();
    assert_eq!(disk.store().load().unwrap().forks, BTreeMap::from([(log, proof)]));

    let place = Place { document: DocId([6; 16]), space: SPACE, kind: POSTS };
    let pending = |n: u8| Pending { place, change: [n; 32], bytes: vec![n] };
    let again = Pending { bytes: vec![9], ..pending(2) };
    commit(disk, WriteBatch { amendments: vec![pending(2), pending(1)], ..Default::default() });
    commit(disk, WriteBatch { amendments: vec![again], ..Default::default() });
    disk.reopen();
    assert_eq!(reader(disk).amendments().unwrap(), [pending(2), pending(1)], "once, in order");
    commit(disk, WriteBatch { amended: vec![(place, [2; 32])], ..Default::default() });
    assert_eq!(reader(disk).amendments().unwrap(), [pending(1)]);
}
