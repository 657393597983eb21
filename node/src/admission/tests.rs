//! The door over a clock that the test sets: who is let in, and until when.

use super::*;
use crate::clock::Clock;
use crate::store::{MemoryStore, WriteBatch};
use crate::testing::Bench;
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{Cut, Statement};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::limits::CUTS_PER_STATEMENT_MAX;
use fenbu_protocol::log::{
    Author, Draft, Encoding, HEADER_VERSION, Kind, Lane, Opening, Shape, Tip,
};
use fenbu_protocol::seal::{Keyring, sealing_public, sealing_secret};
use fenbu_protocol::sync::Input;

const NOW_MS: u64 = 1_700_000_000_000;
const MINUTE_MS: u64 = 60_000;
const EXPORTER: [u8; 32] = [9; 32];

fn bench() -> Bench {
    let store = MemoryStore::new(&crate::views::specs()).unwrap();
    Bench::start(Box::new(store), Clock::starting_at(NOW_MS))
}

/// The door of the bench's node, at another time.
fn door(bench: &Bench, now_ms: u64) -> Admission {
    let shared = Shared { clock: Clock::starting_at(now_ms), ..bench.records.shared.clone() };
    Admission::new(shared, bench.records.writer.clone(), vec!["head:1".into()])
}

async fn token(bench: &Bench, valid_minutes: u64) -> (Token, u64) {
    let invite = Invite {
        unit: "yancheng".into(),
        unit_name: Some("盐城分局".into()),
        role: "server".into(),
        valid_minutes,
    };
    door(bench, NOW_MS).invite(invite).await.unwrap()
}

fn peer(seed: u8) -> (SigningKey, NodeId) {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let id = NodeId(key.verifying_key().to_bytes());
    (key, id)
}

/// Somebody knocks with a token at this time; the engine folds what the door declares.
async fn knock(
    bench: &mut Bench,
    token: &Token,
    seed: u8,
    now_ms: u64,
) -> Result<Vec<Signed>, AdmissionError> {
    let (key, id) = peer(seed);
    let request = JoinRequest {
        federation: token.federation,
        secret: token.secret,
        proof: JoinRequest::prove(&key, &EXPORTER),
        name: format!("node {seed}"),
        addresses: vec![format!("node{seed}:1")],
        sealing: sealing_public(&key),
    };
    let request = minicbor::to_vec(&request).unwrap();
    let door = door(bench, now_ms);
    folding(bench, door.admit(id, &EXPORTER, &request)).await
}

/// Waits for an answer while the engine folds what is declared.
async fn folding<T>(bench: &mut Bench, answer: impl Future<Output = T>) -> T {
    let (engine, directory) = (&mut bench.engine, &bench.directory);
    let shared = &bench.records.shared;
    let folding = async {
        loop {
            if let Some(Input::Declared { statement }) = engine.recv().await {
                let mut longer = Directory::clone(&directory.borrow());
                if longer.apply(statement.clone()).is_err() {
                    let branch = longer.branch(statement).unwrap();
                    longer.take_over(branch);
                }
                shared.keys.learn(&longer, &shared.me, &shared.key);
                directory.send_replace(Arc::new(longer));
            }
        }
    };
    tokio::select! {
        answer = answer => answer,
        () = folding => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn a_token_lives_as_long_as_it_says() {
    let mut bench = bench();
    let (token, expires_ms) = token(&bench, 15).await;
    assert!((NOW_MS + 15 * MINUTE_MS..NOW_MS + 16 * MINUTE_MS).contains(&expires_ms));

    // One millisecond late is late, and changes nothing.
    let late = knock(&mut bench, &token, 3, expires_ms + 1).await;
    assert!(matches!(late, Err(AdmissionError::TokenExpired)), "{late:?}");
    assert!(!bench.directory.borrow().is_member(&peer(3).1));

    // A minute before its end it lets one node in.
    let chain = knock(&mut bench, &token, 3, expires_ms - MINUTE_MS).await.unwrap();
    assert_eq!(chain.len() as u64, bench.directory.borrow().epoch());
    assert!(bench.directory.borrow().is_member(&peer(3).1));

    // Its answer may have been lost: the same node gets it again, also when the token has ended.
    let again = knock(&mut bench, &token, 3, expires_ms + 99 * MINUTE_MS).await.unwrap();
    assert_eq!(again, chain);
    let another = knock(&mut bench, &token, 4, expires_ms - MINUTE_MS).await;
    assert!(matches!(another, Err(AdmissionError::TokenUsed)), "{another:?}");
    bench.stop();
}

#[tokio::test]
async fn a_token_is_checked_before_anything_is_told() {
    let mut bench = bench();
    let (token, expires_ms) = token(&bench, 60).await;
    let unknown = Token { secret: [7; 16], ..token.clone() };
    let refused = knock(&mut bench, &unknown, 3, expires_ms - 1).await;
    assert!(matches!(refused, Err(AdmissionError::TokenUnknown)), "{refused:?}");
    let elsewhere =
        Token { federation: fenbu_protocol::id::FederationId([8; 32]), ..token.clone() };
    let refused = knock(&mut bench, &elsewhere, 3, expires_ms - 1).await;
    assert!(matches!(refused, Err(AdmissionError::OtherFederation)), "{refused:?}");
    let bytes = b"not a request".as_slice();
    let refused = door(&bench, NOW_MS).admit(peer(3).1, &EXPORTER, bytes).await;
    assert!(matches!(refused, Err(AdmissionError::Request(_))), "{refused:?}");

    // A proof made on another connection, or for another key.
    let (key, _) = peer(3);
    let request = JoinRequest {
        federation: token.federation,
        secret: token.secret,
        proof: JoinRequest::prove(&key, &[1; 32]),
        name: "n".into(),
        addresses: vec![],
        sealing: sealing_public(&key),
    };
    let request = minicbor::to_vec(&request).unwrap();
    for (who, exporter) in [(3, EXPORTER), (4, [1; 32])] {
        let refused = door(&bench, NOW_MS).admit(peer(who).1, &exporter, &request).await;
        assert!(matches!(refused, Err(AdmissionError::Unproven)), "{refused:?}");
    }
    bench.stop();
}

#[tokio::test]
async fn of_a_thousand_who_bring_one_token_one_is_let_in() {
    let mut bench = bench();
    let (token, _) = token(&bench, 15).await;
    let door = door(&bench, NOW_MS);
    let before = bench.directory.borrow().nodes().count();
    let attempts = (0..1000u32).map(|n| {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let key = SigningKey::from_bytes(&seed);
        let request = JoinRequest {
            federation: token.federation,
            secret: token.secret,
            proof: JoinRequest::prove(&key, &EXPORTER),
            name: format!("node {n}"),
            addresses: vec![],
            sealing: sealing_public(&key),
        };
        let (door, id) = (door.clone(), NodeId(key.verifying_key().to_bytes()));
        let request = minicbor::to_vec(&request).unwrap();
        async move { (id, door.admit(id, &EXPORTER, &request).await) }
    });
    let all = futures_util::future::join_all(attempts);
    let outcomes = folding(&mut bench, all).await;
    let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, o)| o.is_ok());
    assert_eq!((winners.len(), losers.len()), (1, 999));
    let used = |o: &Result<_, _>| matches!(o, Err(AdmissionError::TokenUsed));
    assert!(losers.iter().all(|(_, outcome)| used(outcome)));
    let directory = bench.directory.borrow().clone();
    assert!(directory.is_member(&winners[0].0));
    assert_eq!(directory.nodes().count(), before + 1);
    bench.stop();
}

/// Whoever is let in can read its unit's space at once, and nobody else's.
#[tokio::test]
async fn admission_brings_the_keys() {
    let mut bench = bench();
    let held = |directory: &Directory, seed: u8, unit: &str| {
        let (key, id) = peer(seed);
        let mut keyring = Keyring::default();
        keyring.learn(directory, &id, &sealing_secret(&key));
        keyring.newest(directory.unit_space(unit).unwrap()).map(|(key_epoch, _)| key_epoch)
    };
    for seed in [3, 4] {
        let (token, _) = token(&bench, 15).await;
        knock(&mut bench, &token, seed, NOW_MS).await.unwrap();
    }
    let directory = bench.directory.borrow().clone();
    for seed in [3, 4] {
        assert_eq!(held(&directory, seed, "yancheng"), Some(1), "the same key for both");
    }
    let admin = bench.records.shared.keys.now();
    assert_eq!(admin.newest(directory.unit_space("yancheng").unwrap()).unwrap().0, 1);
    let epoch = directory.epoch();
    door(&bench, NOW_MS).hand_out_keys().await.unwrap();
    assert_eq!(bench.directory.borrow().epoch(), epoch, "and nothing more is due");
    bench.stop();
}

/// More logs of this node in a space than one statement can cut, an entry in each.
async fn many_logs(bench: &Bench, seed: u8, space: SpaceId) -> Vec<Cut> {
    let (key, _) = peer(seed);
    let mut runs = Vec::new();
    for incarnation in 0..CUTS_PER_STATEMENT_MAX as u32 + 32 {
        let opening = Opening::sign(&key, space, incarnation);
        let mut author = Author::new(opening, Tip::start(opening.log()), 0);
        author.append(&Draft {
            epoch: 1,
            directory: bench.directory.borrow().head_at(1).unwrap().prefix(),
            now_ms: NOW_MS,
            shape: Shape {
                version: HEADER_VERSION,
                lane: Lane::RECORDS,
                kind: Kind(2),
                genesis: 1,
                encoding: Encoding::SEALED,
                key_epoch: 1,
            },
            document: DocId([1; 16]),
            body: b"",
        });
        let run = author.close(&key).unwrap();
        runs.push((run, author.tip()));
    }
    let mut cuts: Vec<Cut> = runs
        .iter()
        .map(|(run, tip)| Cut { log: run.log(), seq: tip.seq, hash: tip.hash })
        .collect();
    cuts.sort_by_key(|cut| cut.log);
    let (reply, answer) = oneshot::channel();
    let batch = WriteBatch { runs, ..WriteBatch::default() };
    bench.records.writer.send(Command::Store { batch, reply }).unwrap();
    answer.await.unwrap().unwrap();
    cuts
}

/// What counts of each log by the last removal of `node`'s right in `space`.
fn cut(directory: &Directory, node: &NodeId, space: &SpaceId, cuts: &[Cut]) -> usize {
    let taken = directory.cuts_after(node, space, 1).next().expect("a right was taken");
    cuts.iter().filter(|cut| taken.of(&cut.log) == Some((cut.seq, cut.hash))).count()
}

#[tokio::test]
async fn a_right_is_taken_with_all_its_cuts_however_many() {
    let mut bench = bench();
    let (token, _) = token(&bench, 15).await;
    knock(&mut bench, &token, 3, NOW_MS).await.unwrap();
    let space = bench.directory.borrow().unit_space("yancheng").unwrap().id;
    let cuts = many_logs(&bench, 3, space).await;
    let door = door(&bench, NOW_MS);
    let only_head = SpaceChange {
        label: "yancheng".into(),
        readers: Some(Scope::units(["head".into()])),
        writers: Some(Scope::units(["head".into()])),
        ..SpaceChange::default()
    };
    let before = bench.directory.borrow().epoch();
    let asked = door.change_space(only_head.clone(), How::Preview);
    let seen = folding(&mut bench, asked).await.unwrap();
    assert_eq!((seen.epoch, seen.logs_cut, seen.new_key), (None, cuts.len(), true));
    let refused = folding(&mut bench, door.change_space(only_head.clone(), How::Give)).await;
    assert!(matches!(refused, Err(AdmissionError::Space(SpaceRefused::Takes(_)))), "{refused:?}");
    assert_eq!(bench.directory.borrow().epoch(), before, "nothing was said");

    let done = folding(&mut bench, door.change_space(only_head, How::Take)).await.unwrap();
    assert_eq!(done.epoch, Some(before + 1));
    let directory = bench.directory.borrow().clone();
    assert_eq!(directory.epoch(), before + 3, "the space, more cuts, and a new key");
    assert_eq!(cut(&directory, &peer(3).1, &space, &cuts), cuts.len());
    assert!(!directory.may_write(&peer(3).1, &space, directory.epoch()));

    let revoked = folding(&mut bench, door.revoke(peer(3).1)).await.unwrap();
    let expected = Revoked { epoch: before + 4, logs: cuts.len() };
    assert_eq!(revoked, expected, "the revocation's own epoch");
    let directory = bench.directory.borrow().clone();
    assert_eq!(cut(&directory, &peer(3).1, &space, &cuts), cuts.len());
    assert_eq!(directory.node(&peer(3).1).unwrap().revoked.as_ref().unwrap().epoch, before + 4);
    bench.stop();
}

/// Where this node sees nothing it can say nothing.
#[tokio::test]
async fn no_right_is_taken_blindly() {
    let mut bench = bench();
    let (token, _) = token(&bench, 15).await;
    knock(&mut bench, &token, 3, NOW_MS).await.unwrap();
    let door = door(&bench, NOW_MS);
    let units = |codes: &[&str]| Some(Scope::units(codes.iter().map(|c| (*c).to_owned())));
    let change = |readers, writers| SpaceChange {
        label: "yancheng".into(),
        readers,
        writers,
        carriers: units(&[]),
        ..SpaceChange::default()
    };
    let theirs = change(units(&["yancheng"]), None);
    folding(&mut bench, door.change_space(theirs, How::Take)).await.unwrap();
    let blind = folding(&mut bench, door.change_space(change(None, units(&[])), How::Take)).await;
    assert!(matches!(blind, Err(AdmissionError::Blind(_))), "{blind:?}");
    let blind = folding(&mut bench, door.revoke(peer(3).1)).await;
    assert!(matches!(blind, Err(AdmissionError::Blind(_))), "{blind:?}");
    bench.stop();
}

/// The root key's statements are taken where they go on from here, and nowhere else.
#[tokio::test]
async fn what_the_root_key_signs_is_drafted_and_taken() {
    let mut bench = bench();
    let root = SigningKey::from_bytes(&[1; 32]);
    let (token, _) = token(&bench, 15).await;
    knock(&mut bench, &token, 3, NOW_MS).await.unwrap();
    let door = door(&bench, NOW_MS);
    let (me, third) = (bench.records.shared.me, peer(3).1);
    let info = |bench: &Bench, node: &NodeId| bench.directory.borrow().node(node).unwrap().clone();

    let none = door.draft_recovery(None);
    assert!(matches!(none, Err(AdmissionError::Root(RootRefused::NotForked))), "{none:?}");
    let far = door.draft_recovery(Some(99));
    assert!(matches!(far, Err(AdmissionError::Root(RootRefused::Epoch { .. }))), "{far:?}");
    let again = door.draft_appointment(&info(&bench, &me), false).await;
    assert!(matches!(again, Err(AdmissionError::Root(RootRefused::AdminAlready(_)))), "{again:?}");

    let drafted = door.draft_appointment(&info(&bench, &third), false).await.unwrap();
    assert_eq!((drafted.old, drafted.logs_cut), (me, None));
    assert!(drafted.unread.is_empty(), "in this federation every unit reads every space");
    let forged = Signed::sign(&SigningKey::from_bytes(&[9; 32]), &drafted.statement);
    let refused = door.take_from_root(forged).await;
    assert!(matches!(refused, Err(AdmissionError::Directory(_))), "{refused:?}");
    let signed = Signed::sign(&root, &drafted.statement);
    let epoch = folding(&mut bench, door.take_from_root(signed.clone())).await.unwrap();
    assert_eq!(bench.directory.borrow().admin(), third);
    // The same statement again is known; another that was drafted before it is late.
    let late = Signed::sign(&root, &Statement { time_ms: 1, ..drafted.statement });
    let refused = door.take_from_root(late).await;
    assert!(matches!(refused, Err(AdmissionError::Root(RootRefused::Other))), "{refused:?}");

    let back = door.draft_recovery(Some(epoch - 1)).unwrap();
    assert_eq!((back.stands, back.voided), (epoch - 1, 1));
    let signed = Signed::sign(&root, &back.statement);
    folding(&mut bench, door.take_from_root(signed)).await.unwrap();
    assert_eq!(bench.directory.borrow().admin(), me, "the appointment is void");
    bench.stop();
}
