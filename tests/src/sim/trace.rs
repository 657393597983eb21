//! What happened, one line for each event, and a hash over all of it.

use fenbu_protocol::id::Hash;
use std::fmt;

/// Lines a failing run shows of its end.
pub const TAIL_LINES: usize = 40;

/// The same seed gives the same lines, and so the same hash, whether the lines are kept or not.
pub(super) struct Trace {
    hasher: blake3::Hasher,
    lines: Option<Vec<String>>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl Trace {
    pub(super) fn new(keep: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), lines: keep.then(Vec::new) }
    }

    /// `what` happened on `node`. The numbers are part of the hash, the words are for people.
    pub(super) fn note(
        &mut self,
        at: u64,
        node: usize,
        what: &'static str,
        numbers: [u64; 2],
        words: impl FnOnce() -> String,
    ) {
        self.hasher.update(&at.to_le_bytes()).update(&(node as u64).to_le_bytes());
        self.hasher.update(what.as_bytes());
        self.hasher.update(&numbers[0].to_le_bytes()).update(&numbers[1].to_le_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{at:>8} ms  node {node:<2}  {what:<12} {}", words()));
        }
    }

    pub(super) fn hash(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
