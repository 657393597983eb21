//! Any order of delivery gives one document.

use super::*;

/// What one author does in one step of a random story.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Edit(usize, u8),
    Pull(usize, usize),
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..3usize, any::<u8>()).prop_map(|(who, what)| Act::Edit(who, what)),
        2 => (0..3usize, 0..3usize).prop_map(|(to, from)| Act::Pull(to, from)),
    ]
}

fn edit(what: u8) -> Value {
    let text =
        "党建动态缉私风采".chars().cycle().skip(usize::from(what)).take(6 + what as usize % 9);
    match what % 6 {
        0 => json!({"title": format!("t{what}")}),
        1 => json!({"title": "t", "body": text.collect::<String>()}),
        2 => json!({"title": "t", "tags": [format!("t{}", what % 4)]}),
        3 => json!({"title": "t", "bylines": [format!("b{}", what % 5), "b"]}),
        4 => json!({"title": "t", "status": if what > 99 { "draft" } else { "submitted" }}),
        _ => json!({"title": "t", "column": null, "body": ""}),
    }
}

/// Entries of three honest authors, and Eve's, which she makes of what she saw.
pub(super) fn story(acts: &[Act], hostile: fn(u8, &[u8]) -> Vec<u8>) -> Vec<(u8, u64, Vec<u8>)> {
    let mut replicas = vec![Record::new(post()); 3];
    let mut entries: Vec<(u8, u64, Vec<u8>)> = Vec::new();
    let mut count = [0u64; 3];
    let mut eve = 0;
    for act in acts {
        match *act {
            Act::Edit(who, what) => {
                let edits = Edits::from_json(post(), &edit(what)).unwrap();
                let author = who as u8 + 1;
                let actor = log(author).actor();
                let made = replicas[who].edit(actor, u64::from(what), "", &edits);
                // A step that is not possible makes nothing; anything else is an error.
                let made = made.or_else(|why| match why {
                    EditError::Step { .. } | EditError::NoStep { .. } => Ok(None),
                    why => Err(why),
                });
                if let Some(body) = made.unwrap() {
                    if what % 4 == 0 {
                        eve += 1;
                        entries.push((EVE, eve, hostile(what, &body)));
                    }
                    count[who] += 1;
                    entries.push((author, count[who], body));
                }
            }
            Act::Pull(to, from) => {
                let theirs: Vec<_> = entries
                    .iter()
                    .filter(|(a, _, _)| *a != EVE)
                    .map(|(a, s, b)| (*a, *s, &b[..]))
                    .filter(|(_, _, b)| {
                        let hash = Change::try_from(*b).unwrap().hash().0;
                        replicas[from].history().iter().any(|h| h.hash == hash)
                    })
                    .collect();
                replicas[to] = with(&replicas[to], &theirs);
            }
        }
    }
    entries
}

/// A change of Eve's that is wrong whatever arrives when.
fn hostile(what: u8, body: &[u8]) -> Vec<u8> {
    let mut change = decoded(body);
    change.actor_id = ActorId::from(log(EVE).actor());
    match what % 3 {
        0 => change.seq += 40,
        1 => {
            change.seq = 1;
            change.start_op = change.start_op.checked_add(3).unwrap();
        }
        _ => {
            let mut bytes = encoded(change);
            bytes[9] ^= 0x40;
            return bytes;
        }
    }
    encoded(change)
}

/// A change of Eve's whose fate depends on her others: one number twice, or a missing past.
fn deceitful(what: u8, body: &[u8]) -> Vec<u8> {
    let mut change = decoded(body);
    change.actor_id = ActorId::from(log(EVE).actor());
    change.seq = 1 + u64::from(what.is_multiple_of(3));
    if what.is_multiple_of(5) {
        change.deps.push(ChangeHash([what; 32]));
    }
    encoded(change)
}

/// Everything that must not depend on order and batching.
#[derive(Debug, PartialEq)]
struct Found {
    heads: Vec<[u8; 32]>,
    json: Value,
    refused: BTreeSet<(LogId, u64, &'static str)>,
    waiting: Vec<(LogId, u64)>,
}

fn in_batches(entries: &[&(u8, u64, Vec<u8>)], sizes: &[usize]) -> Found {
    let mut snapshot: Option<Vec<u8>> = None;
    let mut refused = BTreeSet::new();
    let mut queue: Vec<(LogId, u64)> = Vec::new();
    let mut at = 0;
    let mut sizes = sizes.iter().cycle();
    let mut json = Value::Null;
    let mut heads = Vec::new();
    while at < entries.len() {
        let end = (at + sizes.next().unwrap()).min(entries.len());
        let mut batch: Vec<(u8, u64, &[u8])> = Vec::new();
        for (a, s, b) in entries {
            if queue.contains(&(log(*a), *s)) {
                batch.push((*a, *s, b));
            }
        }
        batch.extend(entries[at..end].iter().map(|(a, s, b)| (*a, *s, &b[..])));
        let outcome = gather(snapshot.as_deref(), &batch);
        assert_eq!(outcome.evicted, Vec::<[u8; 32]>::new());
        refused.extend(outcome.refused.into_iter().map(|(l, s, r)| (l, s, r.code())));
        queue = outcome.waiting;
        heads = outcome.heads;
        json = outcome.record.to_json();
        snapshot = Some(outcome.snapshot);
        at = end;
    }
    Found { heads, json, refused, waiting: queue }
}

fn shuffled<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(i, (state >> 33) as usize % (i + 1));
    }
}

/// Mixes logs, each in its own order.
fn interleaved<'a>(entries: &[&'a (u8, u64, Vec<u8>)], seed: u64) -> Vec<&'a (u8, u64, Vec<u8>)> {
    let mut order: Vec<u8> = entries.iter().map(|e| e.0).collect();
    shuffled(&mut order, seed);
    let mut logs: Vec<_> = entries.to_vec();
    let mut next = |author: u8| {
        let at = logs.iter().position(|e| e.0 == author).expect("as many as before");
        logs.remove(at)
    };
    order.into_iter().map(&mut next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// In one batch a document is assembled, byte for byte the one Automerge makes by applying the
    /// changes; [`materialise`] compares the two wherever debug assertions are on.
    #[test]
    fn a_document_put_together_is_the_one_automerge_applies(
        acts in prop::collection::vec(act(), 1..60),
        seed: u64,
    ) {
        let entries = story(&acts, hostile);
        let mut order: Vec<_> = entries.iter().collect();
        shuffled(&mut order, seed);
        let order: Vec<_> = order.iter().map(|(a, s, b)| (*a, *s, &b[..])).collect();
        let together = gather(None, &order);
        let mut alone = gather(None, &[]);
        for entry in entries.iter().filter(|(a, ..)| *a != EVE) {
            alone = gather(Some(&alone.snapshot), &[(entry.0, entry.1, &entry.2)]);
        }
        prop_assert_eq!(together.record.to_json(), alone.record.to_json());
        prop_assert_eq!(together.heads, alone.heads);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_order_duplication_and_batching_gives_one_document(
        acts in prop::collection::vec(act(), 1..14),
        seed: u64,
        sizes in prop::collection::vec(1usize..5, 1..4),
        repeated in 0usize..4,
    ) {
        let entries = story(&acts, hostile);
        let all: Vec<_> = entries.iter().collect();
        let mut order = all.clone();
        order.extend(all.iter().take(repeated));
        shuffled(&mut order, seed);
        prop_assert_eq!(in_batches(&order, &sizes), in_batches(&all, &[1000]));
    }

    #[test]
    fn deceit_is_told_apart_by_its_place_in_the_log(
        acts in prop::collection::vec(act(), 1..14),
        seed: u64,
        sizes in prop::collection::vec(1usize..5, 1..4),
        repeated in 0usize..4,
    ) {
        let entries = story(&acts, deceitful);
        let all: Vec<_> = entries.iter().collect();
        let mut order = interleaved(&all, seed);
        order.extend(all.iter().take(repeated));
        prop_assert_eq!(in_batches(&order, &sizes), in_batches(&all, &[1000]));
    }
}
