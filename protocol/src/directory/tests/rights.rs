//! Rights, cuts, limits and keys over time.

use super::*;
use crate::id::{DocId, Hash, HashPrefix, LogId};
use crate::limits::*;
use crate::log::{Encoding, HEADER_VERSION, Header, Kind, Lane, Shape};

fn cut(n: u64, seq: u64) -> Cut {
    let mut log = [0; 32];
    log[..8].copy_from_slice(&n.to_be_bytes());
    Cut { log: LogId(log), seq, hash: Hash([7; 32]) }
}

fn cuts(n: usize) -> Vec<Cut> {
    (0..n as u64).map(|n| cut(n, u64::MAX)).collect()
}

fn is_senseless(result: Result<(), DirectoryError>) -> bool {
    matches!(result, Err(DirectoryError::Senseless(_)))
}

/// Defines a unit's space again, with these writers.
fn writers(d: &Directory, units: &[&str], cuts: Option<Vec<Cut>>) -> Act {
    let Act::DefineSpace(define) = space(d, "nantong", units) else { unreachable!() };
    Act::DefineSpace(DefineSpace { cuts, ..define })
}

#[test]
fn rights_are_asked_at_an_epoch() {
    let (mut d, id) = with_alice();
    let defined = d.epoch();
    assert!(!d.may_write(&node(ALICE), &id, defined - 1));
    assert!(d.may_write(&node(ALICE), &id, defined));
    assert!(d.may_read(&node(HEAD), &id));

    let act = writers(&d, &["head"], Some(vec![]));
    say(&mut d, HEAD, act).unwrap();
    assert!(!d.may_write(&node(ALICE), &id, d.epoch()));
    assert!(d.may_write(&node(ALICE), &id, defined), "the past does not change");
    assert!(d.carries(&node(ALICE), &id), "carriers keep what they cannot read");

    say(&mut d, HEAD, revoke(ALICE, vec![])).unwrap();
    assert!(!d.is_member(&node(ALICE)));
    assert!(!d.carries(&node(ALICE), &id));
}

#[test]
fn a_right_to_write_is_taken_with_cuts_and_only_then() {
    let (mut d, id) = with_alice();
    let narrower = |d: &Directory, cuts| writers(d, &["head"], cuts);
    let act = narrower(&d, None);
    assert!(is_senseless(say(&mut d, HEAD, act)));
    let act = writers(&d, &["nantong", "head"], Some(vec![]));
    assert!(is_senseless(say(&mut d, HEAD, act)), "nothing is taken");
    for bad in [vec![cut(2, 1), cut(1, 1)], vec![cut(1, 1), cut(1, 1)], vec![cut(1, 0)]] {
        let act = narrower(&d, Some(bad));
        assert!(is_senseless(say(&mut d, HEAD, act)));
    }
    let before = d.epoch();
    let act = narrower(&d, Some(vec![cut(1, 5)]));
    say(&mut d, HEAD, act).unwrap();
    let found: Vec<_> = d.cuts_after(&node(ALICE), &id, before).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].of(&cut(1, 5).log), Some((5, Hash([7; 32]))));
    assert_eq!(found[0].of(&cut(2, 5).log), None);
    assert_eq!(d.cuts_after(&node(HEAD), &id, before).count(), 0, "it keeps its right");
    assert_eq!(d.cuts_after(&node(ALICE), &id, d.epoch()).count(), 0, "what cites it knew of it");

    // Everyone, then some: all the others lose.
    let Act::DefineSpace(define) = space(&d, "nantong", &[]) else { unreachable!() };
    let everyone = DefineSpace { writers: Scope::everyone(), ..define };
    say(&mut d, HEAD, Act::DefineSpace(everyone)).unwrap();
    let act = writers(&d, &["nantong", "head"], None);
    say(&mut d, HEAD, act).unwrap();
    say(&mut d, HEAD, unit("wuxi")).unwrap();
    let act = writers(&d, &["nantong"], None);
    assert!(is_senseless(say(&mut d, HEAD, act)));
}

#[test]
fn what_a_revoked_node_lost_is_not_taken_again() {
    let (mut d, id) = with_alice();
    let before = d.epoch();
    say(&mut d, HEAD, revoke(ALICE, vec![cut(1, 5)])).unwrap();
    let act = writers(&d, &["head"], Some(vec![]));
    say(&mut d, HEAD, act).unwrap();
    let found: Vec<_> = d.cuts_after(&node(ALICE), &id, before).collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].of(&cut(1, 5).log).is_some());
}

#[test]
fn the_largest_cut_fits_and_the_next_statement_goes_on() {
    let (d, id) = with_alice();
    let more =
        |from: usize, to: usize| Act::ContinueCuts(ContinueCuts { cuts: cuts(to).split_off(from) });
    let full = CUTS_PER_STATEMENT_MAX;
    let takes = [revoke(ALICE, cuts(full)), writers(&d, &["head"], Some(cuts(full)))];
    for take in takes {
        let mut d = d.clone();
        assert!(is_senseless(say(&mut d, HEAD, more(full, full + 1))), "nothing was taken");
        let before = d.epoch();
        say(&mut d, HEAD, take).unwrap();
        assert!(is_senseless(say(&mut d, HEAD, more(full - 1, full + 1))), "cut twice");
        assert!(is_senseless(say(&mut d, HEAD, more(full, full))), "no cuts");
        say(&mut d, HEAD, more(full, LOGS_PER_SPACE_MAX)).unwrap();
        say(&mut d, HEAD, more(LOGS_PER_SPACE_MAX, LOGS_PER_SPACE_MAX + 1)).unwrap();
        let found: Vec<_> = d.cuts_after(&node(ALICE), &id, before).collect();
        assert_eq!(found.len(), 1);
        assert!(cuts(LOGS_PER_SPACE_MAX + 1).iter().all(|c| found[0].of(&c.log).is_some()));
        say(&mut d, HEAD, unit("wuxi")).unwrap();
        assert!(is_senseless(say(&mut d, HEAD, more(2000, 2001))), "that was another statement");
        for signed in d.statements_after(0) {
            assert!(signed.bytes.len() <= STATEMENT_BYTES_MAX);
            assert_eq!(&Signed::from_wire(&signed.to_wire()).unwrap(), signed);
        }
    }
    let mut d = d;
    assert!(is_senseless(say(&mut d, HEAD, revoke(ALICE, cuts(full + 1)))));
}

/// What is taken from peers must be readable from the disk again.
#[test]
fn the_longest_statement_can_be_read_again() {
    let signed = Signed { bytes: vec![0; STATEMENT_BYTES_MAX], signature: [1; 64] };
    assert!(signed.to_wire().len() <= SIGNED_BYTES_MAX);
    assert_eq!(Signed::from_wire(&signed.to_wire()).unwrap(), signed);
}

#[test]
fn the_most_wraps_fit_a_statement() {
    let d = founded();
    let wrap = |n: usize| {
        let mut node = [9; 32];
        node[..8].copy_from_slice(&n.to_be_bytes());
        Wrap { node: NodeId(node), bytes: vec![1; WRAP_BYTES_MAX] }
    };
    let wraps = (0..WRAPS_PER_STATEMENT_MAX).map(wrap).collect();
    let space = space_id(&d.federation(), "x");
    let act = Act::GrantKey(GrantKey { space, key_epoch: u32::MAX, check: Hash([9; 32]), wraps });
    assert!(d.draft(&key(HEAD), &act, u64::MAX).bytes.len() <= STATEMENT_BYTES_MAX);
}

#[test]
fn limits_are_asked_at_an_epoch() {
    let (mut d, id) = with_alice();
    let limits =
        |bytes, entries| Act::SetLimits(SetLimits { space: id, bytes, entries, documents: None });
    let before = d.epoch();
    say(&mut d, HEAD, limits(Some(10), None)).unwrap();
    say(&mut d, HEAD, limits(None, Some(3))).unwrap();
    let usual = Quota::default();
    assert_eq!(d.quota_at(&id, before), usual);
    assert_eq!(d.quota_at(&id, before + 1), Quota { bytes: 10, ..usual });
    assert_eq!(d.quota_at(&id, d.epoch() + 9), Quota { entries: 3, ..usual });
    let nowhere = SpaceId([1; 16]);
    assert_eq!(d.quota_at(&nowhere, before), usual);
    let act =
        Act::SetLimits(SetLimits { space: nowhere, bytes: None, entries: None, documents: None });
    assert!(is_senseless(say(&mut d, HEAD, act)));
}

fn header(d: &Directory, log: LogId, seq: u64, epoch: u64) -> Header {
    Header {
        log,
        seq,
        previous: Hash::ZERO,
        epoch,
        directory: d.head_at(epoch).map_or(HashPrefix([0; 8]), |head| head.prefix()),
        clock: 0,
        shape: Shape {
            version: HEADER_VERSION,
            lane: Lane::RECORDS,
            kind: Kind(2),
            genesis: 1,
            encoding: Encoding::CHANGE,
            key_epoch: 0,
        },
        document: DocId([seq as u8 % 3; 16]),
        body_len: 100,
        body_hash: Hash::ZERO,
    }
}

/// How an entry by Alice stands where `held` is all that is known of its log's hashes.
fn standing(d: &Directory, space: &SpaceId, header: &Header, held: Option<Hash>) -> Standing {
    let hash_at = |_| Ok::<_, std::convert::Infallible>(held);
    d.standing(&node(ALICE), space, header, hash_at).unwrap()
}

#[test]
fn an_entry_stands_by_what_it_cites_and_what_was_taken_since() {
    let (mut d, id) = with_alice();
    let (log, other) = (LogId([1; 32]), LogId([2; 32]));
    let before = d.epoch();
    let at = |d: &Directory, log, seq, epoch| standing(d, &id, &header(d, log, seq, epoch), None);
    assert_eq!(at(&d, log, 9, before), Standing::Anchored);
    assert_eq!(at(&d, log, 9, before + 1), Standing::Unknown);
    assert_eq!(at(&d, log, 9, 1), Standing::NoRight, "before it was admitted");
    let elsewhere = Header { directory: HashPrefix([9; 8]), ..header(&d, log, 9, before) };
    assert_eq!(standing(&d, &id, &elsewhere, None), Standing::Unknown, "a history not ours");

    let cut = Cut { log, seq: 5, hash: Hash([7; 32]) };
    say(&mut d, HEAD, revoke(ALICE, vec![cut])).unwrap();
    assert_eq!(at(&d, log, 5, before), Standing::Anchored);
    assert_eq!(at(&d, log, 6, before), Standing::PastCut);
    assert_eq!(at(&d, other, 1, before), Standing::PastCut, "a log that is not listed is cut at 0");
    assert_eq!(at(&d, log, 1, before + 1), Standing::NoRight);
    let fifth = header(&d, log, 5, before);
    assert_eq!(standing(&d, &id, &fifth, Some(Hash([7; 32]))), Standing::Anchored);
    let forked = Some(Hash([8; 32]));
    assert_eq!(standing(&d, &id, &fifth, forked), Standing::PastCut, "another history was cut");
    let since = d.cut_after(&node(ALICE), &id, &log, before + 1, |_| Ok::<_, ()>(None));
    assert_eq!(since, Ok(None), "nothing was taken since");
}

#[test]
fn a_failed_reading_is_no_verdict() {
    let (mut d, id) = with_alice();
    let entry = header(&d, LogId([1; 32]), 1, d.epoch());
    let fails = |_| Err("disk");
    assert_eq!(d.standing(&node(ALICE), &id, &entry, fails), Ok(Standing::Anchored), "not asked");
    let cut = Cut { log: entry.log, seq: 5, hash: Hash([7; 32]) };
    say(&mut d, HEAD, revoke(ALICE, vec![cut])).unwrap();
    assert_eq!(d.standing(&node(ALICE), &id, &entry, fails), Err("disk"));
}

#[test]
fn quotas_are_counted_along_an_authors_logs() {
    let (d, _) = with_alice();
    let quotas = [
        Quota { entries: 4, bytes: 350, documents: 2 },
        Quota { entries: 4, bytes: 350, documents: 9 },
        Quota { entries: 4, bytes: 9999, documents: 9 },
        Quota { entries: 9, bytes: 9999, documents: 9 },
    ];
    let mut account = Account::new(quotas.to_vec());
    for incarnation in [0, 7] {
        for seq in 1..=3 {
            account.count(incarnation, &header(&d, LogId([incarnation as u8; 32]), seq, 1));
        }
    }
    let at = |incarnation, seq| Ordinal { incarnation, seq };
    assert_eq!(account.over(0), Some((at(0, 3), Excess::Documents)));
    assert_eq!(account.over(1), Some((at(7, 1), Excess::Bytes)), "all logs together");
    assert_eq!(account.over(2), Some((at(7, 2), Excess::Entries)));
    assert_eq!((account.over(3), account.is_settled()), (None, false));
    assert!(at(0, 9) < at(7, 1), "a later log comes after all of an earlier one");
}

#[test]
fn a_raise_counts_for_all_and_a_cut_for_what_cites_it() {
    let (mut d, id) = with_alice();
    let limits = |entries, documents| {
        Act::SetLimits(SetLimits { space: id, bytes: None, entries, documents })
    };
    let usual = Quota::default();
    assert_eq!(d.space(&id).unwrap().judging_quotas(), [(0, usual)]);
    say(&mut d, HEAD, limits(Some(10), Some(5))).unwrap();
    let low = d.epoch();
    say(&mut d, HEAD, limits(Some(20), Some(2))).unwrap();
    let expected = [
        (0, usual),
        (low, Quota { entries: 20, documents: 5, ..usual }),
        (low + 1, Quota { entries: 20, documents: 2, ..usual }),
    ];
    assert_eq!(d.space(&id).unwrap().judging_quotas(), expected);
}
