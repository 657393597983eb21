//! A node's X25519 key pair, which follows from its signing key: one secret to keep, one to back up.

use crate::id::SealingKey;
use ed25519_dalek::SigningKey;
use x25519_dalek::{PublicKey, StaticSecret, x25519};

/// BLAKE3's key-derivation context: no other use of the seed gives the same bytes.
const CONTEXT: &str = "fenbu/sealing-secret/1";

/// The X25519 secret of the node that signs with `key`; unclamped, as RFC 7748 takes it. Never stored.
pub fn sealing_secret(key: &SigningKey) -> [u8; 32] {
    blake3::derive_key(CONTEXT, key.as_bytes())
}

/// The public half, which the directory states of each node.
pub fn sealing_public(key: &SigningKey) -> SealingKey {
    let secret = StaticSecret::from(sealing_secret(key));
    SealingKey(PublicKey::from(&secret).to_bytes())
}

/// Whether something sealed to `key` is secret at all: a point of small order gives every sender the
/// same shared secret, zero.
pub fn is_sound(key: &SealingKey) -> bool {
    // X25519 multiplies by eight times something, which sends exactly the small orders to zero.
    x25519([1; 32], key.0) != [0; 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_agree_on_a_secret_nobody_else_has() {
        let (alice, bob) = (SigningKey::from_bytes(&[3; 32]), SigningKey::from_bytes(&[4; 32]));
        let ours = x25519(sealing_secret(&alice), sealing_public(&bob).0);
        assert_eq!(ours, x25519(sealing_secret(&bob), sealing_public(&alice).0));
        assert_ne!(sealing_public(&alice), sealing_public(&bob));
        assert_ne!(&sealing_secret(&alice), alice.as_bytes(), "not the signing seed itself");
    }

    #[test]
    fn points_of_small_order_are_told_apart() {
        let mut one = [0; 32];
        one[0] = 1;
        for small in [[0; 32], one] {
            assert!(!is_sound(&SealingKey(small)));
        }
        assert!(is_sound(&sealing_public(&SigningKey::from_bytes(&[3; 32]))));
    }
}
