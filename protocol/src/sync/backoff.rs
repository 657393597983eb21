//! When to dial again: pure arithmetic.

/// A small seeded generator (SplitMix64, Steele et al. 2014) for jitter; nothing secret.
#[derive(Debug, Clone)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between half of `ms` and `ms` and a half: a thousand nodes that lost one peer at one instant
    /// do not come back at one instant.
    pub(super) fn around(&mut self, ms: u64) -> u64 {
        ms / 2 + self.next() % (ms + 1)
    }
}

/// Doubles from `min_ms` with each failed attempt, up to `max_ms`.
pub(super) fn delay_ms(attempt: u32, min_ms: u64, max_ms: u64) -> u64 {
    min_ms.saturating_mul(1u64 << attempt.min(32)).min(max_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_and_stops() {
        let delays: Vec<_> = (0..6).map(|n| delay_ms(n, 500, 5_000)).collect();
        assert_eq!(delays, [500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(delay_ms(u32::MAX, 500, 5_000), 5_000);
    }

    #[test]
    fn jitter_stays_in_its_half() {
        let mut jitter = Jitter::new(1);
        for _ in 0..1000 {
            let ms = jitter.around(1000);
            assert!((500..=1500).contains(&ms));
        }
    }
}
