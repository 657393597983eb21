//! A walk along a log that looks for what is missing.

use fenbu_protocol::id::Hash;
use fenbu_protocol::log::{Run, Tip};

/// How far a log has been looked at, and what was found. Begin with the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Everything before this seq has been looked at.
    pub next: u64,
    /// Header hash before `next`, if the run that ends there was whole.
    pub(super) before: Option<Hash>,
    /// Ranges that no whole run holds, first and last seq.
    pub damaged: Vec<(u64, u64)>,
    /// Bytes that were read in the last step.
    pub bytes: usize,
    /// The log's end was reached.
    pub done: bool,
}

impl Default for Inspected {
    fn default() -> Self {
        Self { next: 1, before: None, damaged: Vec::new(), bytes: 0, done: false }
    }
}

impl Inspected {
    /// A run that is its author's. Runs may have been joined since the last step.
    pub(super) fn meet(&mut self, run: &Run) {
        let Some(run) = run.starting_at(self.next) else { return };
        let follows =
            run.first() == self.next && self.before.is_none_or(|hash| hash == run.previous());
        if run.first() > self.next {
            self.lack(run.first() - 1);
        } else if !follows {
            // It belongs to another history than the run before.
            return;
        }
        self.next = run.last() + 1;
        self.before = run.entries().last().map(|entry| entry.hash);
    }

    /// The log ends here.
    pub(super) fn end(&mut self, tip: &Tip) {
        if self.next <= tip.seq {
            self.lack(tip.seq);
            self.next = tip.seq + 1;
        }
    }

    fn lack(&mut self, to: u64) {
        match self.damaged.last_mut() {
            Some((_, end)) if *end + 1 == self.next => *end = to,
            _ => self.damaged.push((self.next, to)),
        }
    }
}
