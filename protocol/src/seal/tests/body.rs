//! A body opens where it was sealed, and nowhere else.

use crate::id::{DocId, FederationId, LogId, SpaceId};
use crate::limits::{BODY_BYTES_MAX, CHANGE_BYTES_MAX, SEAL_BYTES};
use crate::log::Kind;
use crate::seal::{OpenError, Place, SpaceKey, open, seal};
use proptest::prelude::*;

fn place() -> Place {
    let federation = FederationId([1; 32]);
    Place {
        space: crate::directory::space_id(&federation, "unit"),
        log: LogId([2; 32]),
        seq: 7,
        document: DocId([3; 16]),
        kind: Kind(2),
        key_epoch: 1,
    }
}

fn key() -> SpaceKey {
    SpaceKey::new([9; 32])
}

/// Every place that differs from [`place`] in one bit of one field.
fn neighbours() -> Vec<Place> {
    fn flips<const N: usize>(bytes: [u8; N]) -> impl Iterator<Item = [u8; N]> {
        (0..N * 8).map(move |bit| {
            let mut out = bytes;
            out[bit / 8] ^= 1 << (bit % 8);
            out
        })
    }
    let p = place();
    let spaces = flips(p.space.0).map(|b| Place { space: SpaceId(b), ..p });
    let logs = flips(p.log.0).map(|b| Place { log: LogId(b), ..p });
    let seqs = flips(p.seq.to_be_bytes()).map(|b| Place { seq: u64::from_be_bytes(b), ..p });
    let documents = flips(p.document.0).map(|b| Place { document: DocId(b), ..p });
    let kinds =
        flips(p.kind.0.to_be_bytes()).map(|b| Place { kind: Kind(u16::from_be_bytes(b)), ..p });
    let epochs =
        flips(p.key_epoch.to_be_bytes()).map(|b| Place { key_epoch: u32::from_be_bytes(b), ..p });
    spaces.chain(logs).chain(seqs).chain(documents).chain(kinds).chain(epochs).collect()
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        key: [u8; 32],
        nonce: [u8; 24],
        plain in prop::collection::vec(any::<u8>(), 0..2000),
        space: [u8; 16],
        log: [u8; 32],
        document: [u8; 16],
        seq: u64,
        kind: u16,
        key_epoch: u32,
    ) {
        let key = SpaceKey::new(key);
        let place = Place {
            space: SpaceId(space),
            log: LogId(log),
            seq,
            document: DocId(document),
            kind: Kind(kind),
            key_epoch,
        };
        let sealed = seal(&key, nonce, &place, &plain);
        prop_assert_eq!(sealed.len(), plain.len() + SEAL_BYTES);
        prop_assert_eq!(open(&key, &place, &sealed), Ok(plain));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let sealed = seal(&key(), [5; 24], &place(), b"minutes of the meeting");
    for bit in 0..sealed.len() * 8 {
        let mut bent = sealed.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&key(), &place(), &bent), Err(OpenError::Altered), "bit {bit}");
    }
}

#[test]
fn a_body_cut_or_lengthened_is_refused() {
    let sealed = seal(&key(), [5; 24], &place(), b"minutes");
    for len in 0..sealed.len() {
        let expected = if len < SEAL_BYTES { OpenError::Short(len) } else { OpenError::Altered };
        assert_eq!(open(&key(), &place(), &sealed[..len]), Err(expected));
    }
    let longer = [&sealed[..], &[0]].concat();
    assert_eq!(open(&key(), &place(), &longer), Err(OpenError::Altered));
}

/// One bit of any field of the associated data: another space, log, seq, document, kind, key epoch.
#[test]
fn a_body_played_again_elsewhere_is_refused() {
    let sealed = seal(&key(), [5; 24], &place(), b"minutes");
    for elsewhere in neighbours() {
        assert_eq!(open(&key(), &elsewhere, &sealed), Err(OpenError::Altered), "{elsewhere:?}");
    }
    let other = FederationId([2; 32]);
    let abroad = Place { space: crate::directory::space_id(&other, "unit"), ..place() };
    assert_eq!(open(&key(), &abroad, &sealed), Err(OpenError::Altered));
}

#[test]
fn another_key_opens_nothing() {
    let sealed = seal(&key(), [5; 24], &place(), b"minutes");
    for bit in 0..256 {
        let mut bytes = [9; 32];
        bytes[bit / 8] ^= 1 << (bit % 8);
        let other = SpaceKey::new(bytes);
        assert_eq!(open(&other, &place(), &sealed), Err(OpenError::Altered));
    }
}

#[test]
fn the_largest_change_fits_a_body_with_its_seal() {
    let plain = vec![7; CHANGE_BYTES_MAX];
    let sealed = seal(&key(), [5; 24], &place(), &plain);
    assert_eq!(sealed.len(), BODY_BYTES_MAX);
    assert_eq!(open(&key(), &place(), &sealed), Ok(plain));
}

#[test]
fn keys_are_never_shown() {
    assert_eq!(format!("{:?}", key()), "SpaceKey(…)");
}
