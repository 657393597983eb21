//! Digests that are kept up to date by addition, and compared instead of contents.

use crate::id::{DocId, Hash, LogId, SpaceId};
use crate::log::Tip;

/// A sum of hashes modulo 2^256: order-free, and items can be added and taken out.
///
/// Against accident, not against an author who grinds for a collision; verdicts never rest on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u64; 4]);

impl Sum {
    pub fn add(&mut self, hash: &Hash) {
        let mut carry = 0u128;
        for (mine, theirs) in self.0.iter_mut().zip(words(hash)) {
            let sum = u128::from(*mine) + u128::from(theirs) + carry;
            *mine = sum as u64;
            carry = sum >> 64;
        }
    }

    pub fn remove(&mut self, hash: &Hash) {
        let mut borrow = false;
        for (mine, theirs) in self.0.iter_mut().zip(words(hash)) {
            let (a, under_a) = mine.overflowing_sub(theirs);
            let (b, under_b) = a.overflowing_sub(u64::from(borrow));
            *mine = b;
            borrow = under_a || under_b;
        }
    }

    pub fn to_hash(self) -> Hash {
        let mut out = [0; 32];
        for (chunk, word) in out.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Hash(out)
    }

    pub fn from_hash(hash: &Hash) -> Self {
        Self(words(hash))
    }
}

fn words(hash: &Hash) -> [u64; 4] {
    let mut out = [0; 4];
    for (word, chunk) in out.iter_mut().zip(hash.0.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        *word = u64::from_le_bytes(bytes);
    }
    out
}

/// What one space's logs come to: a sum over (space, log, seq, header hash). Carriers that cannot
/// read compute it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogDigest(pub Sum);

impl LogDigest {
    /// A log moved from one tip to another. Tips at seq 0 count for nothing.
    pub fn advance(&mut self, space: SpaceId, log: LogId, from: &Tip, to: &Tip) {
        if from.seq > 0 && !planted!(LogDigestKeepsOld) {
            self.0.remove(&item(space, log, from));
        }
        if to.seq > 0 {
            self.0.add(&item(space, log, to));
        }
    }
}

impl LogDigest {
    /// The first seq that is proven to have been used twice in a log changed.
    pub fn fork(&mut self, space: SpaceId, log: LogId, from: Option<u64>, to: Option<u64>) {
        if let Some(seq) = from {
            self.0.remove(&fork_item(space, log, seq));
        }
        if let Some(seq) = to {
            self.0.add(&fork_item(space, log, seq));
        }
    }
}

fn fork_item(space: SpaceId, log: LogId, seq: u64) -> Hash {
    Hash::of("fenbu/fork-digest/1", &[space.as_bytes(), log.as_bytes(), &seq.to_be_bytes()])
}

fn item(space: SpaceId, log: LogId, tip: &Tip) -> Hash {
    Hash::of(
        "fenbu/log-digest/1",
        &[space.as_bytes(), log.as_bytes(), &tip.seq.to_be_bytes(), tip.hash.as_bytes()],
    )
}

/// What one space's documents come to: a sum over (document, heads). Only readers have one, and two
/// are comparable only at equal log digests and directory heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateDigest(pub Sum);

impl StateDigest {
    /// A document's heads (change hashes in ascending order) changed. Empty heads count for nothing.
    pub fn advance(&mut self, document: DocId, from: &[[u8; 32]], to: &[[u8; 32]]) {
        if !from.is_empty() && !planted!(StateDigestKeepsOld) {
            self.0.remove(&state_item(document, from));
        }
        if !to.is_empty() {
            self.0.add(&state_item(document, to));
        }
    }
}

fn state_item(document: DocId, heads: &[[u8; 32]]) -> Hash {
    Hash::of("fenbu/state-digest/1", &[document.as_bytes(), heads.as_flattened()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_ignore_order_and_undo(a: [u8; 32], b: [u8; 32], c: [u8; 32]) {
            let (a, b, c) = (Hash(a), Hash(b), Hash(c));
            let mut one = Sum::default();
            for h in [&a, &b, &c] { one.add(h); }
            let mut two = Sum::default();
            for h in [&c, &a, &b] { two.add(h); }
            prop_assert_eq!(one, two);
            two.remove(&b);
            two.remove(&a);
            prop_assert_eq!(two.to_hash(), c);
            prop_assert_eq!(Sum::from_hash(&two.to_hash()), two);
        }
    }
}
