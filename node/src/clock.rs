//! The node's one clock: wall time at start, then time that never goes back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::time::Instant as Deadline;

/// Milliseconds since 1970 that never go back while the daemon runs, whatever happens to the
/// system's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_ms: u64,
    since: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { wall_ms: wall_ms(), since: Instant::now() }
    }

    /// One that starts at this time: tests choose when they live.
    #[cfg(test)]
    pub(crate) fn starting_at(wall_ms: u64) -> Self {
        Self { wall_ms, since: Instant::now() }
    }

    pub fn now_ms(&self) -> u64 {
        self.wall_ms + self.since.elapsed().as_millis() as u64
    }

    /// Milliseconds since the daemon started.
    pub fn uptime_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }

    /// The moment of a time on this clock, for a timer.
    pub fn deadline(&self, at_ms: u64) -> Deadline {
        let after = std::time::Duration::from_millis(at_ms.saturating_sub(self.wall_ms));
        Deadline::from_std(self.since + after)
    }
}

/// The system's clock, in milliseconds since 1970; 0 before that.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
