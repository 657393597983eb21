//! What counts when rights are taken: the same whatever comes first, entries or statements.

use super::order::{Act, act, story};
use super::*;
use crate::directory::{
    self, AdmitNode, Cut, DefineSpace, DefineUnit, Directory, Found, RevokeNode, Role, Scope,
    Signed, Standing, Template, space_id,
};
use crate::id::{DocId, FederationId, Hash, NodeId, SpaceId};
use crate::log::{Encoding, HEADER_VERSION, Header, Lane, Shape};
use crate::seal::sealing_public;
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::convert::Infallible;

const ADMIN: u8 = 9;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn node(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

fn federation() -> FederationId {
    FederationId(node(ADMIN).0)
}

fn space() -> SpaceId {
    space_id(&federation(), "s")
}

fn say(directory: &mut Directory, act: directory::Act) {
    let signed = directory.draft(&key(ADMIN), &act, 0);
    directory.apply(signed).unwrap();
}

/// Authors 1 and 2 write the space; 3 does only if `third` says so.
fn founded(third: bool) -> Directory {
    let mut d = Directory::empty(federation());
    let found = Found { name: "f".into(), admin: node(ADMIN), head_office: "a".into() };
    say(&mut d, directory::Act::Found(found));
    for code in ["a", "b"] {
        let unit = DefineUnit { code: code.into(), name: code.into() };
        say(&mut d, directory::Act::DefineUnit(unit));
    }
    let writers = if third { Scope::everyone() } else { Scope::units(["a".to_owned()]) };
    let define = DefineSpace {
        space: space(),
        label: "s".into(),
        template: Template::TEMPORARY,
        unit: None,
        readers: Scope::everyone(),
        writers,
        carriers: Scope::everyone(),
        cuts: None,
    };
    say(&mut d, directory::Act::DefineSpace(define));
    for author in 1..=3 {
        let admit = AdmitNode {
            node: node(author),
            unit: if author == 3 { "b" } else { "a" }.into(),
            name: format!("n{author}"),
            role: Role::SERVER,
            addresses: vec![],
            sealing: sealing_public(&key(author)),
        };
        say(&mut d, directory::Act::AdmitNode(admit));
    }
    d
}

/// Entries with the directory their authors knew, and what was said meanwhile.
struct Case {
    base: Directory,
    statements: Vec<Signed>,
    entries: Vec<(Header, Vec<u8>)>,
}

/// A right taken: when in the story, whose, and how many of his entries still count.
type Taken = (usize, u8, u64);

/// `deaf` authors never hear of what is said.
fn case(acts: &[Act], third: bool, taken: &[Taken], deaf: [bool; 3]) -> Case {
    let base = founded(third);
    let written = story(acts, |_, body| body.to_vec());
    let mut now = base.clone();
    let mut entries = Vec::new();
    let own = written.into_iter().filter(|(author, ..)| *author != EVE);
    for (at, (author, seq, body)) in own.enumerate() {
        for (_, whose, left) in taken.iter().filter(|(when, ..)| *when == at) {
            let again = now.node(&node(*whose)).is_none_or(|n| n.revoked.is_some());
            let cut = Cut { log: log(*whose), seq: *left, hash: Hash([1; 32]) };
            let cuts = if *left == 0 { vec![] } else { vec![cut] };
            if !again {
                say(&mut now, directory::Act::RevokeNode(RevokeNode { node: node(*whose), cuts }));
            }
        }
        let known = if deaf[usize::from(author) - 1] { &base } else { &now };
        entries.push((header(known, author, seq), body));
    }
    Case { statements: now.statements_after(base.epoch()).to_vec(), base, entries }
}

fn header(directory: &Directory, author: u8, seq: u64) -> Header {
    Header {
        log: log(author),
        seq,
        previous: Hash::ZERO,
        epoch: directory.epoch(),
        directory: directory.head_prefix(),
        clock: 0,
        shape: Shape {
            version: HEADER_VERSION,
            lane: Lane::POSTS,
            kind: post().kind,
            genesis: post().genesis,
            encoding: Encoding::CHANGE,
            key_epoch: 0,
        },
        document: DocId([1; 16]),
        body_len: 0,
        body_hash: Hash::ZERO,
    }
}

fn standing(directory: &Directory, header: &Header) -> Standing {
    let author = node(header.log.0[0]);
    directory.standing(&author, &space(), header, |_| Ok::<_, Infallible>(None)).unwrap()
}

/// One document at a node, as the daemon makes it: what counts so far, and what waits.
struct Replica<'a> {
    case: &'a Case,
    directory: Directory,
    snapshot: Option<Vec<u8>>,
    arrived: Vec<usize>,
    waiting: BTreeSet<usize>,
}

impl<'a> Replica<'a> {
    fn new(case: &'a Case) -> Self {
        let directory = case.base.clone();
        Self { case, directory, snapshot: None, arrived: vec![], waiting: BTreeSet::new() }
    }

    fn entry(&mut self, which: usize) {
        self.arrived.push(which);
        self.waiting.insert(which);
        self.look_again();
    }

    /// A right may be taken: the document is made again from all there is.
    fn statement(&mut self, signed: Signed) {
        self.directory.apply(signed).unwrap();
        self.snapshot = None;
        self.waiting = self.arrived.iter().copied().collect();
        self.look_again();
    }

    fn look_again(&mut self) {
        let (mut anchored, mut past) = (Vec::new(), Vec::new());
        for which in std::mem::take(&mut self.waiting) {
            let (header, body) = &self.case.entries[which];
            let incoming = Incoming { log: header.log, seq: header.seq, body };
            match standing(&self.directory, header) {
                Standing::Anchored => anchored.push(incoming),
                Standing::PastCut => past.push((which, incoming)),
                Standing::NoRight => {}
                Standing::Unknown => drop(self.waiting.insert(which)),
            }
        }
        let incoming: Vec<_> = past.iter().map(|(_, incoming)| *incoming).collect();
        for ((which, incoming), rescued) in past.iter().zip(rescued(post(), &anchored, &incoming)) {
            match rescued {
                true => anchored.push(*incoming),
                false => drop(self.waiting.insert(*which)),
            }
        }
        let outcome = materialise(post(), None, self.snapshot.as_deref(), &anchored).unwrap();
        assert_eq!(outcome.refused, vec![], "nobody here breaks the gate");
        for (log, seq) in outcome.waiting {
            let same = |(header, _): &(Header, _)| (header.log, header.seq) == (log, seq);
            self.waiting.extend(self.case.entries.iter().position(same));
        }
        if outcome.accepted > 0 {
            self.snapshot = Some(outcome.snapshot);
        }
    }

    fn heads(&self) -> Vec<[u8; 32]> {
        match &self.snapshot {
            Some(bytes) => Record::load(post(), bytes).unwrap().heads(),
            None => Record::new(post()).heads(),
        }
    }
}

/// The definition, word by word, over everything at once.
fn expected(case: &Case) -> (Vec<[u8; 32]>, BTreeMap<usize, Standing>) {
    let mut directory = case.base.clone();
    case.statements.iter().for_each(|s| directory.apply(s.clone()).unwrap());
    let stand: Vec<Standing> = case.entries.iter().map(|(h, _)| standing(&directory, h)).collect();
    let seen: Vec<_> = case
        .entries
        .iter()
        .map(|(header, body)| inspect(post(), header.log.actor(), body).unwrap())
        .collect();
    let at: BTreeMap<[u8; 32], usize> = seen.iter().enumerate().map(|(n, i)| (i.hash, n)).collect();
    let had_right = |n: usize| matches!(stand[n], Standing::Anchored | Standing::PastCut);
    // Whatever an anchored entry reaches through entries whose authors had the right.
    let mut reached = BTreeSet::new();
    for start in (0..stand.len()).filter(|n| stand[*n] == Standing::Anchored) {
        let mut left = vec![start];
        while let Some(n) = left.pop() {
            reached.insert(n);
            let deps = seen[n].deps.iter().filter_map(|dep| at.get(dep).copied());
            left.extend(deps.filter(|n| had_right(*n)));
        }
    }
    let mut valid = BTreeSet::new();
    // In the order of writing every dependency comes first.
    for (n, entry) in seen.iter().enumerate() {
        let sound = |dep: &[u8; 32]| at.get(dep).is_none_or(|n| valid.contains(n));
        if reached.contains(&n) && entry.deps.iter().all(sound) {
            valid.insert(n);
        }
    }
    let entries: Vec<_> = valid
        .iter()
        .map(|n| {
            let (header, body) = &case.entries[*n];
            Incoming { log: header.log, seq: header.seq, body }
        })
        .collect();
    let outcome = materialise(post(), None, None, &entries).unwrap();
    assert_eq!(outcome.accepted, valid.len());
    (outcome.heads, stand.into_iter().enumerate().collect())
}

/// Gives a node statements in their order and each log in its order, mixed as `dice` falls.
fn delivered(case: &Case, dice: &[u8]) -> Vec<[u8; 32]> {
    let mut queues: Vec<Vec<usize>> = vec![(0..case.statements.len()).rev().collect()];
    for author in 1..=3 {
        let own = |n: &usize| case.entries[*n].0.log == log(author);
        queues.push((0..case.entries.len()).filter(own).rev().collect());
    }
    let mut replica = Replica::new(case);
    for roll in dice.iter().copied().cycle() {
        let left: Vec<usize> = (0..queues.len()).filter(|n| !queues[*n].is_empty()).collect();
        let Some(which) = left.get(usize::from(roll) % left.len().max(1)).copied() else { break };
        match (which, queues[which].pop()) {
            (0, Some(n)) => replica.statement(case.statements[n].clone()),
            (_, Some(n)) => replica.entry(n),
            (_, None) => {}
        }
    }
    replica.heads()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Late, mutual and early revocations, deaf authors, one without a right: what counts is what the
    /// definition says, and no order of delivery changes it.
    #[test]
    fn what_counts_does_not_depend_on_what_comes_first(
        acts in prop::collection::vec(act(), 4..24),
        third: bool,
        taken in prop::collection::vec((0usize..16, 1u8..=3, 0u64..5), 0..3),
        deaf: [bool; 3],
        orders in prop::collection::vec(prop::collection::vec(any::<u8>(), 40), 3),
    ) {
        let case = case(&acts, third, &taken, deaf);
        let (heads, _) = expected(&case);
        for dice in orders {
            prop_assert_eq!(delivered(&case, &dice), heads.clone());
        }
    }
}

/// Two who were revoked, each past his cut, and each building on the other: neither vouches for the
/// other. One entry of somebody within his rights who builds on both brings both back.
#[test]
fn the_revoked_do_not_vouch_for_each_other() {
    let acts = [
        Act::Edit(0, 0),
        Act::Pull(1, 0),
        Act::Edit(1, 6),
        Act::Pull(0, 1),
        Act::Edit(0, 12),
        Act::Pull(1, 0),
        Act::Edit(1, 18),
    ];
    // Both cut after their first entry, and neither hears of it.
    let taken = [(3, 1, 1), (3, 2, 1)];
    let mutual = case(&acts, true, &taken, [true; 3]);
    let (heads, stand) = expected(&mutual);
    let past = stand.values().filter(|s| **s == Standing::PastCut).count();
    assert_eq!((past, stand.len()), (2, 4));
    let second = inspect(post(), log(2).actor(), &mutual.entries[1].1).unwrap().hash;
    assert_eq!(heads, [second]);
    assert_eq!(delivered(&mutual, &[0, 1, 2, 3]), heads);

    let rescue = [&acts[..], &[Act::Pull(2, 1), Act::Edit(2, 24)]].concat();
    let rescued = case(&rescue, true, &taken, [true; 3]);
    let (heads, _) = expected(&rescued);
    let last = inspect(post(), log(3).actor(), &rescued.entries[4].1).unwrap().hash;
    assert_eq!(heads, [last]);
    for dice in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]] {
        assert_eq!(delivered(&rescued, &dice), heads);
    }
    // Without the right the third vouches for nobody.
    let without = case(&rescue, false, &taken, [true; 3]);
    assert_eq!(expected(&without).0, [second]);
    assert_eq!(delivered(&without, &[3, 2, 1, 0]), [second]);
}
