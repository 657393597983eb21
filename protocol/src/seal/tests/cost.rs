//! What sealing costs, printed and not judged.

use crate::directory::space_id;
use crate::id::{DocId, FederationId, LogId, NodeId, SpaceId};
use crate::log::Kind;
use crate::record::{Edits, Record, schema_named};
use crate::seal::{Place, SpaceKey, WrapPlace, open, seal, sealing_public, sealing_secret};
use ed25519_dalek::SigningKey;
use serde_json::json;

/// By hand: `cargo test --release -p fenbu-protocol -- --ignored --nocapture cost`.
#[test]
#[ignore = "prints timings"]
fn cost() {
    let (key, reader) = (SpaceKey::new([9; 32]), SigningKey::from_bytes(&[4; 32]));
    let (federation, space) = (FederationId([1; 32]), SpaceId([1; 16]));
    let place = |seq| Place {
        space: space_id(&federation, "unit"),
        log: LogId([2; 32]),
        seq,
        document: DocId([3; 16]),
        kind: Kind(2),
        key_epoch: 1,
    };
    for bytes in [300, 4 << 10, 64 << 10] {
        let plain = vec![7; bytes];
        timed(&format!("seal {bytes} bytes"), || seal(&key, [5; 24], &place(1), &plain));
        let sealed = seal(&key, [5; 24], &place(1), &plain);
        timed(&format!("open {bytes} bytes"), || open(&key, &place(1), &sealed).unwrap());
    }
    let at = WrapPlace { federation, space, key_epoch: 1, node: NodeId([7; 32]) };
    let wrap = || key.wrap(&at, &sealing_public(&reader), [8; 32]).unwrap();
    timed("wrap a key", wrap);
    let (wrapped, check, secret) = (wrap(), key.check(&space, 1), sealing_secret(&reader));
    timed("unwrap a key", || SpaceKey::unwrap(&at, &secret, &wrapped, &check).unwrap());

    let bodies = bodies();
    let sealed: Vec<Vec<u8>> =
        (1..).zip(&bodies).map(|(seq, b)| seal(&key, nonce(seq), &place(seq), b)).collect();
    let packed = |all: &[Vec<u8>]| zstd::bulk::compress(&all.concat(), 3).unwrap().len();
    eprintln!("{} members, bodies alone", bodies.len());
    for (name, all) in [("plain", &bodies), ("sealed", &sealed)] {
        eprintln!("  {name}: {} bytes, as a batch {}", all.concat().len(), packed(all));
    }
    let each: usize = bodies.iter().map(|b| zstd::bulk::compress(b, 3).unwrap().len()).sum();
    eprintln!("  each body by itself: {each}");
}

fn bodies() -> Vec<Vec<u8>> {
    let schema = schema_named("member").unwrap();
    let surnames: Vec<char> = "王李张刘陈杨赵黄周吴".chars().collect();
    let given: Vec<char> = "海伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂".chars().collect();
    let member = |n: usize| {
        let name: String =
            [surnames[n % 10], given[n * 7 % 23], given[n * 11 % 23]].iter().collect();
        let gender = ["male", "male", "female"][n % 3];
        let fields = json!({
            "name": name,
            "stage": "full",
            "gender": gender,
            "education": "本科",
            "job": format!("{}科副科长", n % 7),
        });
        let edits = Edits::from_json(schema, &fields).unwrap();
        Record::new(schema).edit([2; 16], 1, "account", &edits).unwrap().unwrap()
    };
    (0..256).map(member).collect()
}

fn nonce(n: u64) -> [u8; 24] {
    let mut out = [0; 24];
    out.copy_from_slice(&crate::id::Hash::of("nonce", &[&n.to_be_bytes()]).0[..24]);
    out
}

fn timed<T>(name: &str, mut work: impl FnMut() -> T) {
    const ROUNDS: u32 = 2000;
    (0..50).for_each(|_| drop(std::hint::black_box(work())));
    let start = std::time::Instant::now();
    (0..ROUNDS).for_each(|_| drop(std::hint::black_box(work())));
    eprintln!("{name}: {:.1} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
}
