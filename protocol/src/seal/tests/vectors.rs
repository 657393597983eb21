//! Bytes that other versions hold on disk. `WIRE.md` describes them.

use crate::id::{DocId, FederationId, LogId, NodeId, SpaceId, hex};
use crate::log::Kind;
use crate::seal::{Place, SpaceKey, WrapPlace, open, seal, sealing_public, sealing_secret};
use ed25519_dalek::SigningKey;

#[test]
fn golden_seals_hold() {
    let golden = include_str!("../../../../tests/vectors/seal.hex");
    let golden: Vec<_> = golden.lines().filter(|line| !line.starts_with('#')).collect();
    let space = SpaceId([1; 16]);
    let (key, reader) = (SpaceKey::new([9; 32]), SigningKey::from_bytes(&[4; 32]));
    let place = Place {
        space,
        log: LogId([2; 32]),
        seq: 7,
        document: DocId([3; 16]),
        kind: Kind(2),
        key_epoch: 1,
    };
    let sealed = seal(&key, [5; 24], &place, b"hello");
    assert_eq!(open(&key, &place, &sealed), Ok(b"hello".to_vec()));
    let (federation, node) = (FederationId([6; 32]), NodeId([7; 32]));
    let place = WrapPlace { federation, space, key_epoch: 1, node };
    let wrapped = key.wrap(&place, &sealing_public(&reader), [8; 32]).unwrap();
    let check = key.check(&space, 1);
    let unwrapped = SpaceKey::unwrap(&place, &sealing_secret(&reader), &wrapped, &check);
    assert_eq!(unwrapped, Ok(key));
    let ours = [
        format!("sealed {}", hex(&sealed)),
        format!("reader {}", sealing_public(&reader)),
        format!("wrapped {}", hex(&wrapped)),
        format!("check {}", check),
    ];
    assert_eq!(golden, ours);
}
