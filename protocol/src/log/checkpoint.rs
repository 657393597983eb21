//! Signatures over a log's position, and the one way anything here is signed.

use crate::id::{Hash, LogId, NodeId};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

const DOMAIN: &str = "fenbu/checkpoint/1";

/// The author's signature over (log, seq, header hash): everything up to `seq` is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub log: LogId,
    pub seq: u64,
    pub hash: Hash,
    pub signature: [u8; 64],
}

impl Checkpoint {
    pub fn sign(key: &SigningKey, log: LogId, seq: u64, hash: Hash) -> Self {
        let signature = signature_of(key, DOMAIN, &statement(log, seq, hash));
        Self { log, seq, hash, signature }
    }

    pub fn verify(&self, author: &NodeId) -> bool {
        verify(author, DOMAIN, &statement(self.log, self.seq, self.hash), &self.signature)
    }
}

fn statement(log: LogId, seq: u64, hash: Hash) -> [u8; 72] {
    let mut out = [0; 72];
    out[..32].copy_from_slice(log.as_bytes());
    out[32..40].copy_from_slice(&seq.to_be_bytes());
    out[40..].copy_from_slice(hash.as_bytes());
    out
}

/// Ed25519 over `domain ‖ 0 ‖ message`. Every signature in fenbu goes through here, so no signed
/// bytes of one purpose can serve another.
pub fn signature_of(key: &SigningKey, domain: &'static str, message: &[u8]) -> [u8; 64] {
    key.sign(&separated(domain, message)).to_bytes()
}

/// Strict verification (RFC 8032 with small-order keys and non-canonical encodings refused), so
/// that every node gives the same verdict.
pub fn verify(node: &NodeId, domain: &'static str, message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(node.as_bytes()) else {
        return false;
    };
    let signature = Signature::from_bytes(signature);
    key.verify_strict(&separated(domain, message), &signature).is_ok()
}

fn separated(domain: &'static str, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(domain.len() + 1 + message.len());
    out.extend_from_slice(domain.as_bytes());
    out.push(0);
    out.extend_from_slice(message);
    out
}
