//! What a stranger's change cannot do.

use super::canonical::automerge_gives_back;
use super::*;

#[test]
fn run_length_bombs_are_never_unrolled() {
    // Ten million puts of nothing in 20 bytes of columns.
    let run = [0x80, 0xad, 0xe2, 0x04];
    let item = |value: &[u8]| [&run[..], value].concat();
    let (key, one, zero) = (item(&[1, b'a']), item(&[1]), item(&[0]));
    let columns: [(u8, &[u8]); 5] =
        [(0x15, &key), (0x34, &run), (0x42, &one), (0x56, &zero), (0x70, &zero)];
    let bomb = chunk(&columns);
    assert_eq!(verdict(EVE, &bomb), Err(Refusal::Chunk(ChunkError::Runs)));
    // A single operation that claims as many predecessors.
    let columns: [(u8, &[u8]); 7] = [
        (0x15, &[0x7f, 1, b'a']),
        (0x34, &[1]),
        (0x42, &[0x7f, 1]),
        (0x56, &[0x7f, 0]),
        (0x70, &[0x7f, 0x80, 0xad, 0xe2, 0x04]),
        (0x71, &zero),
        (0x73, &zero),
    ];
    assert_eq!(verdict(EVE, &chunk(&columns)), Err(Refusal::Chunk(ChunkError::Runs)));
}

#[test]
fn one_meaning_has_one_encoding() {
    assert_eq!(verdict(EVE, &signed(two_puts(&[2, 1]))), Ok(()));
    for twisted in [&[1, 1, 1, 1][..], &[0x7e, 1, 1], &[0x7f, 1, 0x7f, 1], &[0x7f, 1, 1, 1]] {
        let body = signed(two_puts(twisted));
        let refused = Err(Refusal::Chunk(ChunkError::Canonical));
        assert_eq!(verdict(EVE, &body), refused, "{twisted:?}");
        assert!(!automerge_gives_back(&body));
    }
    let overlong = two_puts(&[0x82, 0x00, 1]);
    assert_eq!(verdict(EVE, &overlong), Err(Refusal::Chunk(ChunkError::Number)));
}

#[test]
fn nothing_deflated_unknown_or_trailing_passes() {
    let (_, body) = created();
    let deflated = {
        let mut record = Record::new(post());
        let body = write(&mut record, ALICE, json!({"title": "t", "body": "党".repeat(2000)}));
        Change::try_from(&body[..]).unwrap().bytes().to_vec()
    };
    assert_eq!(verdict(ALICE, &deflated), Err(Refusal::Chunk(ChunkError::Type(2))));
    let saved = Record::new(post()).save();
    assert_eq!(verdict(ALICE, &saved), Err(Refusal::Chunk(ChunkError::Type(0))));
    for after in [&[0][..], &body] {
        let longer = [&body[..], after].concat();
        assert_eq!(verdict(ALICE, &longer), Err(Refusal::Chunk(ChunkError::Trailing)));
    }
    let mut inside = decoded(&body);
    inside.extra_bytes = vec![1, 2, 3];
    assert_eq!(verdict(ALICE, &encoded(inside)), Err(Refusal::Chunk(ChunkError::Trailing)));
    for spec in [0x5e, 0x66, 0x94, 0xa5] {
        let column = chunk(&[(spec, &[1])]);
        let refused = Refusal::Chunk(ChunkError::Column(u32::from(spec)));
        let found = verdict(EVE, &column).unwrap_err();
        assert!(found == refused || found == Refusal::Chunk(ChunkError::Number), "{found:?}");
    }
    let mut changed = body.clone();
    changed[4] ^= 1;
    assert_eq!(verdict(ALICE, &changed), Err(Refusal::Checksum));
    assert_eq!(verdict(BOB, &body), Err(Refusal::Actor));
    assert_eq!(verdict(0, &body), Err(Refusal::Actor));
    assert_eq!(verdict(ALICE, &vec![0; CHANGE_BYTES_MAX + 1]).unwrap_err().code(), "size");
}

/// Alice's first change with something else done to it.
fn twisted(twist: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
    let mut change = decoded(&created().1);
    twist(&mut change);
    encoded(change)
}

#[test]
fn documents_do_not_nest_and_keep_their_objects() {
    let cases: [fn(&mut Op); 8] = [
        |op| op.action = OpType::Make(ObjType::Map),
        |op| op.action = OpType::Increment(1),
        |op| op.key = Key::Map("body".into()),
        |op| op.key = Key::Map("@record".into()),
        |op| op.key = Key::Map("k".repeat(KEY_BYTES_MAX + 1).into()),
        |op| op.key = Key::head(),
        |op| op.action = OpType::Delete,
        |op| op.obj = ObjectId::Id(OpId(77, ActorId::from([0; 16]))),
    ];
    for (i, case) in cases.into_iter().enumerate() {
        let body = twisted(|c| case(&mut c.operations[0]));
        assert_eq!(verdict(ALICE, &body).unwrap_err().code(), "operation", "case {i}");
    }
    let nested = twisted(|c| {
        let start = c.start_op.get();
        for depth in 0..300u64 {
            let mut op = c.operations[0].clone();
            op.action = OpType::Make(ObjType::Map);
            if depth > 0 {
                op.obj = ObjectId::Id(OpId(start + depth - 1, c.actor_id.clone()));
            }
            c.operations[depth as usize % 2] = op.clone();
            c.operations.insert(depth as usize, op);
        }
    });
    assert_eq!(verdict(ALICE, &nested).unwrap_err().code(), "operation");
}

#[test]
fn counters_begin_where_the_past_ends() {
    let jump = twisted(|c| {
        c.operations.truncate(1);
        c.start_op = std::num::NonZeroU64::new((1 << 32) - 2).unwrap();
    });
    assert_eq!(verdict(ALICE, &jump), Err(Refusal::Counter));
    let gap = twisted(|c| {
        c.operations.truncate(1);
        c.start_op = std::num::NonZeroU64::new(1000).unwrap();
    });
    assert_eq!(verdict(ALICE, &gap), Ok(()));
    let outcome = gather(None, &[(ALICE, 1, &gap)]);
    // After the genesis change's mark and containers.
    let containers = post().fields.iter().filter(|f| f.merge.is_container()).count() as u64;
    let expected = Refusal::StartOp { expected: containers + 2, found: 1000 };
    assert_eq!(outcome.refused, [(log(ALICE), 1, expected)]);
    assert!(outcome.record.is_new());
    assert_eq!(verdict(ALICE, &twisted(|c| c.deps.clear())), Err(Refusal::Genesis));
    assert_eq!(verdict(ALICE, &twisted(|c| c.operations.clear())), Err(Refusal::Empty));
    let long = twisted(|c| c.message = Some("m".repeat(129)));
    assert_eq!(verdict(ALICE, &long), Err(Refusal::Message(129)));
}

#[test]
fn the_first_in_the_log_of_two_changes_with_one_number_stands() {
    let (mut one, mut two) = (Record::new(post()), Record::new(post()));
    let first = write(&mut one, EVE, json!({"title": "一"}));
    let second = write(&mut two, EVE, json!({"title": "二"}));
    let after = write(&mut two, EVE, json!({"status": "submitted"}));
    let entries = [(EVE, 1, &first[..]), (EVE, 2, &second[..]), (EVE, 3, &after[..])];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let outcome = gather(None, &order.map(|i| entries[i]));
        assert_eq!(outcome.heads, one.heads());
        assert_eq!(outcome.refused, [(log(EVE), 2, Refusal::Taken(1))]);
        assert_eq!(outcome.waiting, [(log(EVE), 3)], "what builds on it never counts");
    }
    let skipped = {
        let mut change = decoded(&first);
        change.seq = 2;
        encoded(change)
    };
    let outcome = gather(None, &[(EVE, 1, &skipped)]);
    assert_eq!(outcome.refused[0].2, Refusal::Sequence { expected: 1, found: 2 });
}

#[test]
fn orphans_wait_outside_the_document() {
    let orphans: Vec<Vec<u8>> = (0..200u8)
        .map(|i| {
            twisted(|c| {
                c.actor_id = ActorId::from([i; 16]);
                c.deps.push(ChangeHash([i; 32]));
                c.deps.sort();
            })
        })
        .collect();
    let entries: Vec<_> =
        orphans.iter().enumerate().skip(1).map(|(i, b)| (i as u8, 1, &b[..])).collect();
    let outcome = gather(None, &entries);
    assert_eq!((outcome.waiting.len(), outcome.accepted), (199, 0));
    assert_eq!(outcome.snapshot, Record::new(post()).save());
}

#[test]
fn operations_may_only_refer_to_their_past() {
    let (base, first) = created();
    let (mut alice, mut bob) = (base.clone(), base.clone());
    let a = write(&mut alice, ALICE, json!({"body": "今天天开会。", "title": "甲"}));
    let b = write(&mut bob, BOB, json!({"body": "今天开会了。", "title": "乙"}));
    let concurrent = decoded(&a).start_op.get();
    let by_alice = |counter| OpId(counter, ActorId::from([ALICE; 16]));
    // The first operation of the record's creation, its title.
    let own = decoded(&first).start_op.get();
    let insertion = decoded(&b).operations.iter().position(|o| o.insert).unwrap();
    let after = |counter| Key::Seq(ElementId::Id(by_alice(counter)));
    let case = |at: usize, twist: &dyn Fn(&mut Op)| {
        let mut change = decoded(&b);
        twist(&mut change.operations[at]);
        encoded(change)
    };
    let cases = [
        // After an element Alice inserted meanwhile: there, but not in Bob's past.
        case(insertion, &|op| op.key = after(concurrent + 1)),
        // After an operation of his past that is no element of the text.
        case(insertion, &|op| op.key = after(own)),
        // Overwriting a value under another key, and one that never was.
        case(0, &|op| op.pred = vec![by_alice(own + 2)].into()),
        case(0, &|op| op.pred = vec![by_alice(70)].into()),
    ];
    assert_eq!(gather(Some(&alice.save()), &[(BOB, 1, &b)]).accepted, 1);
    for (i, body) in cases.iter().enumerate() {
        assert_eq!(verdict(BOB, body), Ok(()), "case {i}");
        for snapshot in [base.save(), alice.save()] {
            let outcome = gather(Some(&snapshot), &[(BOB, 1, body)]);
            assert_eq!(outcome.refused.len(), 1, "case {i}");
            assert_eq!(outcome.refused[0].2.code(), "reference", "case {i}");
        }
    }
}

proptest! {
    #[test]
    fn flipped_bytes_are_refused_without_a_panic(at in 0usize..400, to: u8) {
        let (_, body) = created();
        let mut bytes = body.clone();
        let at = 4 + at % (bytes.len() - 4);
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(verdict(ALICE, &bytes).is_err());
        // With the checksum made right again only harmless differences remain.
        if let Ok(change) = std::panic::catch_unwind(|| Change::try_from(&bytes[..])) &&
            Chunk::parse(&bytes).is_ok() && let Ok(change) = change {
            let hash = change.hash().0;
            bytes[4..8].copy_from_slice(&hash[..4]);
            let outcome = gather(None, &[(ALICE, 1, &bytes)]);
            let again = Record::load(post(), &outcome.snapshot).unwrap();
            prop_assert_eq!(again.to_json(), outcome.record.to_json());
        }
    }
}
