//! Forks and recoveries: which history stands, whatever is heard first.

use super::*;
use crate::id::HashPrefix;
use proptest::prelude::*;

/// What `say` declares, on a history of its own.
fn on(directory: &Directory, by: u8, act: Act) -> Directory {
    let mut out = directory.clone();
    say(&mut out, by, act).unwrap();
    out
}

fn recovered(directory: &Directory, epoch: u64, time_ms: u64) -> Directory {
    let signed = directory.draft_recovery(&key(ROOT), epoch, time_ms).unwrap();
    let chain = directory.statements_after(0)[..epoch as usize].iter().cloned();
    Directory::from_chain(directory.federation(), chain.chain([signed])).unwrap()
}

/// Hears what `other` says after `after`, as from a peer; returns whether that took over.
fn hears(d: &mut Directory, other: &Directory, after: u64) -> bool {
    let mut statements = other.statements_after(after).iter().cloned();
    let mut branch = d.branch(statements.next().unwrap()).unwrap();
    statements.for_each(|signed| branch.apply(signed).unwrap());
    match d.weigh(&branch) {
        Weight::Theirs => d.take_over(branch),
        Weight::Ours => return false,
        Weight::Neither => {
            d.stop_at(&branch);
            return false;
        }
    }
    true
}

#[test]
fn a_fork_stops_both_sides_until_the_root_speaks() {
    let d = founded();
    let common = d.epoch();
    let (mut one, mut two) = (on(&d, HEAD, unit("nantong")), on(&d, HEAD, unit("suzhou")));
    assert!(!hears(&mut one, &two, common));
    assert!(!hears(&mut two, &one, common));
    for side in [&mut one, &mut two] {
        let fork = side.fork().unwrap().clone();
        assert_eq!(fork.epoch, common + 1);
        let before = side.clone();
        assert_eq!(say(side, HEAD, unit("wuxi")), Err(DirectoryError::Forked(common + 1)));
        assert_eq!(*side, before);
        // After a restart too.
        let chain = side.statements_after(0).to_vec();
        let mut again = Directory::from_chain(d.federation(), chain).unwrap();
        again.stop_again(fork.other);
        assert_eq!(again, *side);
    }
    // The root takes the first side, with what it had said.
    let recovery = one.draft_recovery(&key(ROOT), one.epoch(), 0).unwrap();
    one.apply(recovery).unwrap();
    assert_eq!(one.fork(), None);
    say(&mut one, HEAD, unit("wuxi")).unwrap();
    assert!(hears(&mut two, &one, common));
    assert_eq!(two, one);
    // The old proof is of no consequence any more.
    let side = on(&d, HEAD, unit("suzhou"));
    assert!(!hears(&mut two, &side, common));
    two.stop_again(side.statements_after(common)[0].clone());
    assert_eq!(two, one);
}

#[test]
fn one_who_never_heard_the_void_has_the_same_directory() {
    let (d, id) = with_alice();
    let point = d.epoch();
    let mut void = on(&d, HEAD, revoke(ALICE, vec![]));
    say(&mut void, HEAD, unit("suzhou")).unwrap();
    let mut never = d.clone();
    let recovery = void.draft_recovery(&key(ROOT), point, 0).unwrap();
    never.apply(recovery.clone()).unwrap();
    let branch = void.branch(recovery).unwrap();
    assert_eq!((branch.after(), void.weigh(&branch)), (point, Weight::Theirs));
    void.take_over(branch);
    assert_eq!(void, never);
    assert_eq!(format!("{void:?}"), format!("{never:?}"), "byte for byte");
    assert!(void.is_member(&node(ALICE)));
    assert!(void.may_write(&node(ALICE), &id, void.epoch()));
}

#[test]
fn a_recovery_is_the_roots_and_names_what_it_follows() {
    let mut d = founded();
    let (epoch, hash) = (d.epoch(), d.head());
    let act = |epoch, hash, voided| Act::Recover(Recover { epoch, hash, voided });
    let by_admin = act(epoch, hash, epoch);
    assert_eq!(say(&mut d, HEAD, by_admin), Err(DirectoryError::Author));
    for wrong in
        [act(epoch - 1, hash, epoch), act(epoch, Hash([1; 32]), epoch), act(epoch, hash, 0)]
    {
        assert!(matches!(say(&mut d, ROOT, wrong), Err(DirectoryError::Senseless(_))));
    }
    say(&mut d, ROOT, act(epoch, hash, epoch)).unwrap();
    assert!(d.draft_recovery(&key(ROOT), d.epoch() + 1, 0).is_none());
    let mut empty = Directory::empty(d.federation());
    let first = empty.draft_recovery(&key(ROOT), 0, 0).unwrap();
    assert_eq!(empty.apply(first), Err(DirectoryError::Author), "nothing is founded");
}

#[test]
fn a_replaced_admin_cannot_stop_what_the_root_has_vouched_for() {
    let d = founded();
    let common = d.epoch();
    let mut ours = on(&d, HEAD, unit("nantong"));
    say(&mut ours, ROOT, appoint(ALICE, Some(vec![]))).unwrap();
    let mut forged = on(&d, HEAD, unit("suzhou"));
    assert!(!hears(&mut ours, &forged, common));
    assert_eq!(ours.fork(), None);
    assert!(hears(&mut forged, &ours, common), "whoever believed it comes back");
    assert_eq!(forged, ours);
}

#[test]
fn a_later_recovery_to_the_same_epoch_can_be_made_to_stand() {
    let d = founded();
    let epoch = d.epoch() - 1;
    let mut ours = recovered(&d, epoch, 0);
    for _ in 0..3 {
        let again = ours.draft_recovery(&key(ROOT), epoch, 0).unwrap();
        let branch = ours.branch(again).unwrap();
        assert_eq!(ours.weigh(&branch), Weight::Theirs);
        ours.take_over(branch);
    }
}

#[test]
fn a_statement_from_further_away_tells_what_is_missing() {
    let d = founded();
    let other = on(&on(&d, HEAD, unit("a")), HEAD, unit("b"));
    let last = other.statements_after(d.epoch() + 1)[0].clone();
    let ours = on(&d, HEAD, unit("c"));
    assert_eq!(ours.branch(last.clone()).err(), Some(DirectoryError::Parted(d.epoch() + 1)));
    let gap = DirectoryError::Gap { have: d.epoch(), found: d.epoch() + 2 };
    assert_eq!(d.branch(last).err(), Some(gap));
    let mut forged = other.statements_after(d.epoch())[0].clone();
    forged.signature[9] ^= 1;
    assert_eq!(ours.branch(forged).err(), Some(DirectoryError::Signature));
}

#[test]
fn entries_cite_the_last_common_epoch_while_the_directory_is_forked() {
    let (d, id) = with_alice();
    let common = d.epoch();
    let (mut one, two) = (on(&d, HEAD, admit(4, "nantong")), on(&d, HEAD, unit("suzhou")));
    assert_eq!(one.cite(&node(ALICE), &id), (common + 1, one.head_prefix()));
    hears(&mut one, &two, common);
    assert_eq!(one.cite(&node(ALICE), &id), (common, d.head_prefix()));
    assert_eq!(one.cite(&node(4), &id), (common + 1, one.head_prefix()), "it has no right before");
}

#[test]
fn what_cites_the_void_is_judged_where_the_recovery_goes_back_to() {
    let d = founded();
    let point = d.epoch();
    let void = on(&on(&d, HEAD, unit("a")), HEAD, unit("b"));
    let cited = |epoch| (epoch, void.head_at(epoch).unwrap().prefix());
    let judged = |d: &Directory, (epoch, prefix)| d.judged_at(epoch, prefix);
    let [first, second] = [cited(point + 1), cited(point + 2)];
    assert_eq!(judged(&d, first), None, "not seen yet");
    assert_eq!(judged(&void, second), Some(point + 2));
    let other = on(&d, HEAD, unit("c"));
    assert_eq!(judged(&other, first), None, "a branch that is not ours");
    let ours = on(&recovered(&void, point, 0), HEAD, unit("c"));
    let ours = on(&ours, HEAD, unit("d"));
    assert_eq!([judged(&ours, first), judged(&ours, second)], [Some(point); 2]);
    // Known to be void before our own chain is as long; what is past that is not seen yet.
    let short = recovered(&void, point, 0);
    assert_eq!(judged(&short, second), Some(point));
    assert_eq!(judged(&short, (point + 3, HashPrefix([1; 8]))), None);
    assert_eq!(judged(&ours, (point, HashPrefix([1; 8]))), None, "nothing was void there");
}

/// Histories that share beginnings, made by choices: what to say next, and where to part.
fn histories(choices: &[(u8, u8)]) -> Vec<Directory> {
    let mut all = vec![founded()];
    for (n, (from, what)) in choices.iter().enumerate() {
        let base = &all[usize::from(*from) % all.len()];
        let base = base.until(base.epoch() - u64::from(*from) % (base.epoch() - 2));
        let next = match what % 4 {
            0 => recovered(&base, base.epoch(), n as u64),
            1 => on(&base, ROOT, appoint(HEAD, None)),
            _ => on(&base, HEAD, unit(&format!("u{n}"))),
        };
        all.push(next);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is heard in whatever order, as long as the root has spoken last for one of them, all
    /// end with the same directory, which is that of the best history by itself.
    #[test]
    fn all_orders_end_with_one_directory(
        choices in prop::collection::vec(any::<(u8, u8)>(), 1..12),
        order: u64,
    ) {
        let mut all = histories(&choices);
        // The root's last word goes back furthest of all.
        let last = recovered(&all[0], all[0].epoch() - 1, 99);
        all.push(on(&last, HEAD, unit("end")));
        let expected = all.last().unwrap().clone();
        let mut results = Vec::new();
        for turn in 0..3u64 {
            let mut shuffled = all.clone();
            shuffled.sort_by_key(|d| Hash::of("test", &[&(order ^ turn).to_be_bytes(), &d.head().0]));
            let mut d = shuffled[0].clone();
            // Twice, as after a stop something may have been passed over.
            for other in shuffled.iter().chain(&shuffled) {
                let common = (0..=d.epoch().min(other.epoch()))
                    .rev()
                    .find(|e| d.head_at(*e) == other.head_at(*e))
                    .unwrap();
                if other.epoch() > common {
                    hears(&mut d, other, common);
                }
            }
            results.push(d);
        }
        for d in results {
            prop_assert_eq!(&d, &expected);
        }
    }

    /// Of three histories no two orders of preference contradict each other.
    #[test]
    fn the_choice_is_transitive(choices in prop::collection::vec(any::<(u8, u8)>(), 3..9)) {
        let all = histories(&choices);
        let better = |a: &Directory, b: &Directory| {
            let common = (0..=a.epoch().min(b.epoch()))
                .rev()
                .find(|e| a.head_at(*e) == b.head_at(*e))
                .unwrap();
            // One that only goes on from the other is no choice.
            if common == a.epoch() || common == b.epoch() {
                return None;
            }
            let mut statements = b.statements_after(common).iter().cloned();
            let mut branch = a.branch(statements.next().unwrap()).unwrap();
            statements.for_each(|s| branch.apply(s).unwrap());
            Some(a.weigh(&branch))
        };
        for a in &all {
            for b in &all {
                let ab = better(a, b);
                let opposite = match better(b, a) {
                    Some(Weight::Ours) => Some(Weight::Theirs),
                    Some(Weight::Theirs) => Some(Weight::Ours),
                    same => same,
                };
                prop_assert_eq!(ab, opposite);
                for c in &all {
                    if ab == Some(Weight::Ours) && better(b, c) == Some(Weight::Ours) {
                        prop_assert!(matches!(better(a, c), Some(Weight::Ours) | None));
                    }
                }
            }
        }
    }
}
