//! Packets held back by delays, in the order in which they are due.

use std::collections::BinaryHeap;

use quinn::udp::EcnCodepoint;
use tokio::time::Instant;

use super::Route;

/// Held back by delays; a packet that finds no room is dropped, as in any router.
const DELAYED_BYTES_MAX: usize = 32 << 20;
/// A held packet's bookkeeping, so that empty packets are bounded as well.
const HELD_BYTES: usize = size_of::<Held>();

/// Packets on their way, the next one due on top.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    heap: BinaryHeap<Held>,
    /// What all packets together take, bookkeeping included.
    bytes: usize,
    turn: u64,
}

#[derive(Debug)]
pub(super) struct Held {
    due: Instant,
    /// Packets due at the same time leave as they came.
    turn: u64,
    pub(super) route: Route,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: Vec<u8>,
}

impl Ord for Held {
    /// The earliest is the greatest, as `BinaryHeap` wants it.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.turn).cmp(&(self.due, self.turn))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

/// What became of a packet to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    /// It is due before all others.
    First,
    Later,
    NoRoom,
}

impl Delayed {
    pub(super) fn push(
        &mut self,
        due: Instant,
        route: &Route,
        ecn: Option<EcnCodepoint>,
        bytes: &[u8],
    ) -> Push {
        if self.bytes + bytes.len() + HELD_BYTES > DELAYED_BYTES_MAX {
            return Push::NoRoom;
        }
        let is_first = self.heap.peek().is_none_or(|next| due < next.due);
        self.bytes += bytes.len() + HELD_BYTES;
        self.turn += 1;
        let (turn, route, bytes) = (self.turn, route.clone(), bytes.to_vec());
        self.heap.push(Held { due, turn, route, ecn, bytes });
        if is_first { Push::First } else { Push::Later }
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.bytes = 0;
    }

    /// Packets held so far, delivered ones included.
    #[cfg(test)]
    pub(super) fn turns(&self) -> u64 {
        self.turn
    }

    /// The next packet that is due, or when there will be one.
    pub(super) fn pop(&mut self, now: Instant) -> Result<Held, Option<Instant>> {
        match self.heap.peek().map(|held| held.due) {
            Some(due) if due <= now => {
                let held = self.heap.pop().ok_or(None)?;
                self.bytes -= held.bytes.len() + HELD_BYTES;
                Ok(held)
            }
            next => Err(next),
        }
    }
}
