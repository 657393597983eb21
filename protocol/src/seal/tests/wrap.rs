//! A wrapped key opens for its reader, and for nobody and nothing else.

use crate::id::{FederationId, Hash, NodeId, SealingKey, SpaceId};
use crate::seal::{SpaceKey, WRAP_BYTES, WrapError, WrapPlace, sealing_public, sealing_secret};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

fn place() -> WrapPlace {
    WrapPlace {
        federation: FederationId([1; 32]),
        space: SpaceId([2; 16]),
        key_epoch: 1,
        node: NodeId([3; 32]),
    }
}

fn reader() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn unwrap(place: &WrapPlace, wrapped: &[u8]) -> Result<SpaceKey, WrapError> {
    SpaceKey::unwrap(place, &sealing_secret(&reader()), wrapped, &check())
}

fn key() -> SpaceKey {
    SpaceKey::new([9; 32])
}

fn check() -> Hash {
    key().check(&place().space, place().key_epoch)
}

fn wrapped() -> Vec<u8> {
    key().wrap(&place(), &sealing_public(&reader()), [5; 32]).unwrap()
}

proptest! {
    #[test]
    fn what_is_wrapped_unwraps(
        key: [u8; 32],
        seed: [u8; 32],
        chance: [u8; 32],
        federation: [u8; 32],
        space: [u8; 16],
        key_epoch: u32,
        node: [u8; 32],
    ) {
        let (key, reader) = (SpaceKey::new(key), SigningKey::from_bytes(&seed));
        let place = WrapPlace {
            federation: FederationId(federation),
            space: SpaceId(space),
            key_epoch,
            node: NodeId(node),
        };
        let wrapped = key.wrap(&place, &sealing_public(&reader), chance).unwrap();
        prop_assert_eq!(wrapped.len(), WRAP_BYTES);
        let check = key.check(&place.space, key_epoch);
        prop_assert!(SpaceKey::unwrap(&place, &sealing_secret(&reader), &wrapped, &check) == Ok(key));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let wrapped = wrapped();
    for bit in 0..wrapped.len() * 8 {
        let mut bent = wrapped.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let opened = unwrap(&place(), &bent);
        assert_eq!(opened, Err(WrapError::Altered), "bit {bit}");
    }
    for len in [0, WRAP_BYTES - 1] {
        let opened = unwrap(&place(), &wrapped[..len]);
        assert_eq!(opened, Err(WrapError::Length(len)));
    }
}

#[test]
fn a_wrap_holds_for_one_federation_space_key_epoch_and_node() {
    let p = place();
    for other in [
        WrapPlace { federation: FederationId([8; 32]), ..p },
        WrapPlace { space: SpaceId([8; 16]), ..p },
        WrapPlace { key_epoch: 2, ..p },
        WrapPlace { node: NodeId([8; 32]), ..p },
    ] {
        let opened = unwrap(&other, &wrapped());
        assert_eq!(opened, Err(WrapError::Altered), "{other:?}");
    }
}

#[test]
fn another_reader_unwraps_nothing() {
    let other = sealing_secret(&SigningKey::from_bytes(&[8; 32]));
    let opened = SpaceKey::unwrap(&place(), &other, &wrapped(), &check());
    assert_eq!(opened, Err(WrapError::Altered));
}

/// One who signs the directory cannot hand two readers two keys and let them see two histories.
#[test]
fn a_key_other_than_the_one_named_is_refused() {
    let named = SpaceKey::new([7; 32]).check(&place().space, place().key_epoch);
    let opened = SpaceKey::unwrap(&place(), &sealing_secret(&reader()), &wrapped(), &named);
    assert_eq!(opened, Err(WrapError::OtherKey));
}

/// A public key of small order gives away what is sealed to it.
#[test]
fn a_reader_without_a_sound_key_gets_nothing() {
    let refused = key().wrap(&place(), &SealingKey([0; 32]), [5; 32]);
    assert_eq!(refused, Err(WrapError::Recipient));
}
