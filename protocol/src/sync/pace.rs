//! How fast one peer may keep this node busy: token buckets over bytes and over work.
//!
//! Nothing is refused for coming too fast: the peer is held back, by not reading from it, until its
//! credit is whole again. So a flood costs its sender time, and everybody else nothing.

use crate::limits::{
    PEER_BURST_SECONDS, PEER_BYTES_PER_S, PEER_WORK_PER_S, WORK_BATCH, WORK_DIGESTS, WORK_MESSAGE,
    WORK_PROOF, WORK_RANGE, WORK_STATEMENT,
};
use crate::wire::Message;

/// A token bucket that lends: what is taken is taken at once, and the answer is how long to wait
/// until the debt is paid.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// In thousandths of a token, so that a millisecond's refill is whole.
    level: i64,
    burst: i64,
    per_s: i64,
    at_ms: u64,
}

impl Bucket {
    /// A full bucket of `burst` tokens that gains `per_s` a second.
    pub fn new(now_ms: u64, per_s: u64, burst: u64) -> Self {
        let whole = |n: u64| i64::try_from(n.min(1 << 40)).unwrap_or(1 << 40);
        let burst = whole(burst) * 1000;
        Self { level: burst, burst, per_s: whole(per_s).max(1), at_ms: now_ms }
    }

    fn refill(&mut self, now_ms: u64) {
        let passed = now_ms.saturating_sub(self.at_ms).min(86_400_000);
        self.at_ms = self.at_ms.max(now_ms);
        let gained = self.per_s.saturating_mul(passed.cast_signed());
        self.level = self.level.saturating_add(gained).min(self.burst);
    }

    /// Takes `tokens`; milliseconds to wait until the bucket is out of debt.
    pub fn take(&mut self, now_ms: u64, tokens: u64) -> u64 {
        self.refill(now_ms);
        let cost = i64::try_from(tokens.min(1 << 40)).unwrap_or(1 << 40) * 1000;
        self.level = self.level.saturating_sub(cost);
        let debt = self.level.min(0).unsigned_abs();
        debt.div_ceil(self.per_s.unsigned_abs())
    }

    /// Takes `tokens` only if they are there.
    pub fn try_take(&mut self, now_ms: u64, tokens: u64) -> bool {
        self.refill(now_ms);
        let cost = i64::try_from(tokens.min(1 << 40)).unwrap_or(1 << 40) * 1000;
        let there = self.level >= cost;
        if there {
            self.level -= cost;
        }
        there
    }

    /// Nothing is owed and nothing was taken lately: forgetting it changes nothing.
    pub fn is_full(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        self.level >= self.burst
    }
}

/// What one peer may ask of this node, over all its links.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    bytes: Bucket,
    work: Bucket,
    waits: u64,
    waited_ms: u64,
}

impl Pace {
    /// A peer not heard of yet. `bytes_per_s` and `work_per_s` as in [`PaceSettings`].
    pub fn new(now_ms: u64, settings: &PaceSettings) -> Self {
        let bucket = |per_s: u64| Bucket::new(now_ms, per_s, per_s * PEER_BURST_SECONDS);
        let (bytes, work) = (bucket(settings.bytes_per_s), bucket(settings.work_per_s));
        Self { bytes, work, waits: 0, waited_ms: 0 }
    }

    /// A frame of `bytes` arrived and is this `message` (`None`: no message at all). How many
    /// milliseconds to leave the peer unread.
    pub fn take(&mut self, now_ms: u64, bytes: usize, message: Option<&Message>) -> u64 {
        let by_bytes = self.bytes.take(now_ms, bytes as u64);
        let by_work = self.work.take(now_ms, message.map_or(WORK_MESSAGE, work_of));
        let wait = by_bytes.max(by_work);
        if wait > 0 {
            self.waits += 1;
            self.waited_ms = self.waited_ms.saturating_add(wait);
        }
        wait
    }

    /// How often the peer was held back, and for how long in all, in milliseconds.
    pub fn held_back(&self) -> (u64, u64) {
        (self.waits, self.waited_ms)
    }

    /// Forgetting this peer's pace would give it nothing.
    pub fn is_fresh(&mut self, now_ms: u64) -> bool {
        self.waits == 0 && self.bytes.is_full(now_ms) && self.work.is_full(now_ms)
    }
}

/// The two rates of a [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSettings {
    pub bytes_per_s: u64,
    pub work_per_s: u64,
}

impl Default for PaceSettings {
    fn default() -> Self {
        Self { bytes_per_s: PEER_BYTES_PER_S, work_per_s: PEER_WORK_PER_S }
    }
}

/// What answering a message costs, in units of about a microsecond; see [`PEER_WORK_PER_S`].
pub fn work_of(message: &Message) -> u64 {
    let items = match message {
        Message::Hello(_) | Message::Digests(_) | Message::Parted(_) | Message::State(_) => {
            WORK_DIGESTS
        }
        Message::Have(have) => have.spaces.iter().map(|s| 1 + s.positions.len() as u64).sum(),
        Message::Want(want) => want.ranges.len() as u64 * WORK_RANGE,
        Message::Statements(statements) => statements.statements.len() as u64 * WORK_STATEMENT,
        Message::Batch(run) => WORK_BATCH + u64::from(run.count()) / 2,
        Message::Proof(proof) => WORK_PROOF + proof.headers(),
        Message::Decline(_) | Message::Prune(_) | Message::Unknown(_) => 0,
    };
    WORK_MESSAGE + items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{HashPrefix, LogId, SpaceId};
    use crate::log::Position;
    use crate::wire::{Have, Prune, SpacePositions};

    #[test]
    fn a_bucket_lends_and_is_paid_back_in_time() {
        let mut bucket = Bucket::new(0, 1000, 50);
        assert_eq!(bucket.take(0, 50), 0);
        assert_eq!(bucket.take(0, 30), 30);
        assert_eq!(bucket.take(30, 1), 1);
        assert!(!bucket.try_take(31, 1));
        assert!(bucket.try_take(32, 1));
        assert!(!bucket.is_full(81) && bucket.is_full(82));
        assert_eq!(bucket.take(10, 0), 0, "a clock that goes back gives nothing and takes nothing");
        assert!(bucket.take(u64::MAX, u64::MAX) > 0);
    }

    #[test]
    fn an_honest_day_is_never_held_back_and_a_flood_is() {
        let settings = PaceSettings::default();
        let mut pace = Pace::new(0, &settings);
        let prune = Message::Prune(Prune { log: LogId([1; 32]) });
        // A thousand small messages a second for a minute.
        for n in 0..60_000 {
            assert_eq!(pace.take(n, 60, Some(&prune)), 0);
        }
        let position = Position {
            log: LogId([2; 32]),
            seq: 1,
            prefix: HashPrefix([0; 8]),
            body_bytes: 0,
            fork: None,
        };
        let space = SpacePositions {
            space: SpaceId([3; 16]),
            positions: vec![position; 1024],
            whole: true,
        };
        let have = Message::Have(Have { spaces: vec![space; 8] });
        let mut now = 60_000;
        let before = now;
        for _ in 0..1000 {
            now += pace.take(now, 500, Some(&have));
        }
        // A thousand such messages are eight million units of work.
        let least = (1000 * 8192 - PEER_BURST_SECONDS * PEER_WORK_PER_S) * 1000 / PEER_WORK_PER_S;
        assert!(now - before >= least, "{} ms, not {least}", now - before);
        assert!(pace.held_back().0 > 0 && pace.held_back().1 >= least);
        assert!(!pace.is_fresh(now));
    }
}
