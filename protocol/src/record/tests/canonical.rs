//! The gate takes exactly the encodings Automerge gives back: held against Automerge itself.

use super::*;
use crate::record::chunk::SPECS;
use crate::record::column::{Item, Runs};

/// Whether Automerge, having decoded the change, encodes it to the same bytes: what the gate must
/// promise of every change it passes.
pub(super) fn automerge_gives_back(body: &[u8]) -> bool {
    std::panic::catch_unwind(|| {
        let change = Change::try_from(body).ok()?;
        (Change::from(change.decode()).raw_bytes() == body).then_some(())
    })
    .is_ok_and(|same| same.is_some())
}

/// Draws from the bytes of a proptest case, over and over.
struct Draws<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Draws<'_> {
    fn below(&mut self, n: usize) -> usize {
        usize::from(*self.0.next().unwrap()) % n
    }
}

fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn signed_number(out: &mut Vec<u8>, mut value: i64) {
    while !(-64..64).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// The items of a column in runs cut at random: the same meaning, rarely the same bytes.
fn respelt<'a, T: Item<'a>>(
    data: &'a [u8],
    draws: &mut Draws<'_>,
    write: impl Fn(&mut Vec<u8>, T),
) -> Vec<u8> {
    let (mut runs, mut items) = (Runs::<T>::new(data), Vec::new());
    while !runs.is_done() {
        items.push(runs.next().unwrap());
    }
    let (mut out, mut left) = (Vec::new(), &items[..]);
    while let Some(first) = left.first() {
        let alike = left.iter().take_while(|item| *item == first).count();
        let filled = left.iter().take_while(|item| item.is_some()).count();
        // Mostly whole runs, so that some columns come out as they were.
        let cut = |n: usize, draws: &mut Draws<'_>| match draws.below(8) {
            0 => 1 + draws.below(n),
            _ => n,
        };
        let Some(value) = first else {
            let n = cut(alike, draws);
            out.push(0);
            unsigned(&mut out, n as u64);
            left = &left[n..];
            continue;
        };
        if (alike > 1) ^ (draws.below(32) == 0) {
            let n = cut(alike, draws);
            signed_number(&mut out, n as i64);
            write(&mut out, *value);
            left = &left[n..];
        } else {
            let lone = left[..filled].windows(2).take_while(|w| w[0] != w[1]).count();
            let whole = if lone + 1 < filled { lone.max(1) } else { filled };
            let n = cut(whole, draws);
            signed_number(&mut out, -(n as i64));
            left[..n].iter().flatten().for_each(|item| write(&mut out, *item));
            left = &left[n..];
        }
    }
    out
}

/// What a chunk's length counts.
fn contents(body: &[u8]) -> &[u8] {
    &body[9 + body[9..].iter().position(|b| b & 0x80 == 0).unwrap() + 1..]
}

/// A chunk of these contents, its length and checksum right.
fn framed(contents: &[u8]) -> Vec<u8> {
    let mut out = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
    unsigned(&mut out, contents.len() as u64);
    out.extend_from_slice(contents);
    let hash = Chunk::parse(&out).unwrap().hash();
    out[4..8].copy_from_slice(&hash[..4]);
    out
}

/// The change with its columns spelt otherwise.
fn respell(body: &[u8], draws: &mut Draws<'_>) -> Vec<u8> {
    let columns = Chunk::parse(body).unwrap().columns.data;
    let mut table = Vec::new();
    let present = || SPECS.iter().zip(&columns).filter(|(_, data)| !data.is_empty());
    unsigned(&mut table, present().count() as u64);
    for (spec, data) in present() {
        unsigned(&mut table, u64::from(*spec));
        unsigned(&mut table, data.len() as u64);
    }
    let behind = table.len() + columns.iter().map(|c| c.len()).sum::<usize>();
    let contents = contents(body);
    let mut data = contents[..contents.len() - behind].to_vec();
    let write_text = |out: &mut Vec<u8>, text: &str| {
        unsigned(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    };
    let written: Vec<Vec<u8>> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| match at {
            5 | 8 => column.to_vec(),
            3 | 11 => respelt::<i64>(column, draws, signed_number),
            4 => respelt::<&str>(column, draws, write_text),
            _ => respelt::<u64>(column, draws, unsigned),
        })
        .collect();
    unsigned(&mut data, written.iter().filter(|c| !c.is_empty()).count() as u64);
    for (spec, column) in SPECS.iter().zip(&written).filter(|(_, c)| !c.is_empty()) {
        unsigned(&mut data, u64::from(*spec));
        unsigned(&mut data, column.len() as u64);
    }
    written.iter().for_each(|column| data.extend_from_slice(column));
    framed(&data)
}

/// Honest changes of many shapes: a creation, edits of each kind, two authors.
fn honest() -> Vec<(u8, Vec<u8>)> {
    let (mut record, first) = created();
    let mut out = vec![(ALICE, first)];
    let edits = [
        json!({"title": "新题"}),
        json!({"body": "今天下午开会，学习。", "status": "submitted"}),
        json!({"body": "今天下午会，学习了。"}),
        json!({"tags": {"add": ["a", "b"], "remove": ["廉政"]}, "bylines": ["乙", "丙", "甲"]}),
        json!({"body": "", "title": "空", "written": null}),
        json!({"body": "党建".repeat(300)}),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let author = if n % 2 == 0 { BOB } else { ALICE };
        out.push((author, write(&mut record, author, edit)));
    }
    out
}

#[test]
fn honest_changes_are_given_back() {
    for (author, body) in honest() {
        assert_eq!(verdict(author, &body), Ok(()));
        assert!(automerge_gives_back(&body));
    }
}

#[test]
fn actors_are_listed_if_and_only_if_they_are_named() {
    let (author, body) = honest().swap_remove(1);
    assert_eq!(verdict(author, &body), Ok(()));
    let mut idle = contents(&body).to_vec();
    let alice = [[16].as_slice(), &[ALICE; 16]].concat();
    let at = idle.windows(17).position(|w| w == alice).unwrap();
    idle[at - 1] += 1;
    idle.splice(at + 17..at + 17, [[16].as_slice(), &[EVE; 16]].concat());
    let idle = framed(&idle);
    assert_eq!(verdict(author, &idle), Err(Refusal::Chunk(ChunkError::Canonical)));
    assert!(!automerge_gives_back(&idle));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_spelling_is_judged_as_automerge_would(
        which in 0usize..7,
        seeds in proptest::collection::vec(any::<u8>(), 64..256),
    ) {
        let (author, body) = honest().swap_remove(which);
        let spelt = respell(&body, &mut Draws(seeds.iter().cycle()));
        prop_assert_eq!(verdict(author, &spelt).is_ok(), automerge_gives_back(&spelt));
        prop_assert_eq!(spelt == body, verdict(author, &spelt).is_ok(), "one spelling each");
    }
}
