//! Gathering, joining and compacting stored runs: arithmetic both stores share.

use fenbu_protocol::limits::{
    JOINED_RUN_BYTES_TARGET, JOINED_RUN_ENTRIES_MAX, RUN_BYTES_TARGET, RUN_ENTRIES_MAX,
};
use fenbu_protocol::log::Run;

/// A log whose last runs are small (a person writes one entry at a time) joins them once there are
/// this many, so that a log never comes to a row an entry. The last joined run takes part again
/// until it is as large as an author's own full run: each entry is rewritten about eight times.
pub(super) const SMALL_RUNS_MAX: usize = 32;

/// Whether a run is below what an author would have closed by itself.
pub(super) fn is_small(entries: u64, bytes: usize) -> bool {
    entries < RUN_ENTRIES_MAX as u64 && bytes < RUN_BYTES_TARGET
}

pub(super) fn run_is_small(run: &Run) -> bool {
    is_small(u64::from(run.count()), run.as_bytes().len())
}

/// How many runs at the end of `runs` are small.
pub(super) fn small_tail(runs: &[Run]) -> usize {
    runs.iter().rev().take_while(|run| run_is_small(run)).count()
}

/// Joins adjacent runs, in pairs and pairs of pairs so that bytes are copied few times. `None` if
/// they do not follow each other or the result would pass a joined run's bounds.
pub(super) fn join(mut runs: Vec<Run>) -> Option<Run> {
    while runs.len() > 1 {
        runs = runs
            .chunks(2)
            .map(|pair| match pair {
                [one, two] => one.joined(two),
                _ => pair.first().cloned(),
            })
            .collect::<Option<_>>()?;
    }
    runs.pop()
}

/// Joins small adjacent runs into runs about as large as an author's full one. `None` if they do
/// not follow each other.
pub(super) fn compacted(runs: Vec<Run>) -> Option<Vec<Run>> {
    let mut out = Vec::new();
    let mut group = Vec::new();
    let (mut entries, mut bytes) = (0, 0);
    for run in runs {
        entries += u64::from(run.count());
        bytes += run.as_bytes().len();
        group.push(run);
        if !is_small(entries, bytes) {
            out.push(join(std::mem::take(&mut group))?);
            (entries, bytes) = (0, 0);
        }
    }
    if !group.is_empty() {
        out.push(join(group)?);
    }
    Some(out)
}

/// Decides which following runs still go into a joined one.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    entries: u64,
}

impl Room {
    pub(super) fn after(first: &Run, bytes_max: usize) -> Self {
        let bytes = bytes_max.min(JOINED_RUN_BYTES_TARGET);
        Self {
            bytes: bytes.saturating_sub(first.as_bytes().len()),
            entries: (JOINED_RUN_ENTRIES_MAX as u64).saturating_sub(u64::from(first.count())),
        }
    }

    /// Takes the run's room if there is enough.
    pub(super) fn admits(&mut self, entries: u64, bytes: usize) -> bool {
        if bytes > self.bytes || entries > self.entries {
            return false;
        }
        self.bytes -= bytes;
        self.entries -= entries;
        true
    }
}
