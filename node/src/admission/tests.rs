//! The door over a clock that the test sets: who is let in, and until when.

use super::*;
use crate::clock::Clock;
use crate::store::MemoryStore;
use crate::testing::Bench;
use ed25519_dalek::SigningKey;
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
    let answer = door.admit(id, &EXPORTER, &request);
    let (engine, directory) = (&mut bench.engine, &bench.directory);
    let shared = &bench.records.shared;
    let folding = async {
        loop {
            if let Some(Input::Declared { statement }) = engine.recv().await {
                let mut longer = Directory::clone(&directory.borrow());
                longer.apply(statement).unwrap();
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
