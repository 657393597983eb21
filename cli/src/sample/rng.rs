//! SplitMix64 (Steele, Lea, Flood 2014): 64 bits of state, one addition and a mix per number.
//!
//! It is not for secrets. It is here so that a sample, a workload or a run of the relay can be
//! made again from its seed on any machine, whatever version of any library is in use.

use fenbu_protocol::id::DocId;

/// A seeded stream of numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for item `index` of a named family, so that items can be made in any
    /// order, or not at all, without disturbing one another.
    pub fn derive(seed: u64, family: &str, index: u64) -> Self {
        let mut state = mix(seed ^ GAMMA);
        for byte in family.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self { state: mix(state ^ mix(index.wrapping_add(GAMMA))) }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number under `bound`, which must not be 0. Multiply and shift: the bias is below
    /// `bound` / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0, "nothing is below 0");
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number between two, both included; `low` must not exceed `high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True `permille` times in a thousand.
    pub fn chance(&mut self, permille: u16) -> bool {
        self.below(1000) < usize::from(permille)
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An index into `weights`, each as likely as its weight; at least one must be above 0.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: usize = weights.iter().map(|w| *w as usize).sum();
        let mut left = self.below(total);
        for (i, weight) in weights.iter().enumerate() {
            match left.checked_sub(*weight as usize) {
                Some(rest) => left = rest,
                None => return i,
            }
        }
        weights.len() - 1
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    pub fn doc_id(&mut self) -> DocId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_be_bytes());
        DocId(bytes)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published outputs for seed 1234567.
    #[test]
    fn it_is_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| rng.next_u64()), expected);
    }

    #[test]
    fn numbers_stay_in_bounds_and_reach_them() {
        let mut rng = Rng::new(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[rng.between(10, 14) - 10] += 1;
        }
        assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
        assert_eq!(rng.weighted(&[0, 3, 0]), 1);
    }

    #[test]
    fn families_and_indices_are_apart() {
        let first = |seed, family, index| Rng::derive(seed, family, index).next_u64();
        let base = first(1, "post", 0);
        for other in [first(2, "post", 0), first(1, "member", 0), first(1, "post", 1)] {
            assert_ne!(base, other);
        }
    }
}
