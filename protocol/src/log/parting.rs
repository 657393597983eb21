//! Where a peer's history of a log leaves ours.

use super::run::Run;
use crate::log::{Opening, Tip};

/// What comparing a run with the history held came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once; a box would cost more")]
pub enum Parting {
    /// They have parted before the run begins.
    Earlier,
    /// As far as both go they are the same.
    Nowhere,
    /// They part within the run.
    At {
        opening: Opening,
        /// The last entry both have; at seq 0 they share nothing.
        common: Tip,
        /// The last checkpoint held at or before it. What is held ends at a checkpoint and at nothing else,
        /// so this is where another branch can take over.
        base: Tip,
        /// What is held after `common`, at least up to a checkpoint.
        ours: Run,
    },
}

/// A log as the disk holds it.
pub trait History {
    type Error;

    /// What is held from exactly this seq on, at least up to the next checkpoint; `None` past the end.
    fn run(&mut self, from: u64) -> Result<Option<Run>, Self::Error>;

    /// The last seq at or before this one at which a checkpoint is held; 0 if none is.
    fn checkpoint(&mut self, seq: u64) -> Result<u64, Self::Error>;
}

/// Compares `run` with the log that is held up to `tip`.
///
/// # Errors
/// Those of `held`.
pub fn part<H: History>(
    run: &Run,
    opening: Opening,
    tip: &Tip,
    held: &mut H,
) -> Result<Parting, H::Error> {
    let before = run.first() - 1;
    if tip.seq <= before {
        let same = tip.seq < before || tip.hash == run.previous();
        return Ok(if same { Parting::Nowhere } else { Parting::Earlier });
    }
    let Some(mut ours) = held.run(run.first())? else { return Ok(Parting::Nowhere) };
    if ours.previous() != run.previous() {
        return Ok(Parting::Earlier);
    }
    let mut theirs = run.entries();
    let parted = 'compare: loop {
        for entry in ours.entries() {
            let Some(their) = theirs.next() else { return Ok(Parting::Nowhere) };
            if their.hash != entry.hash {
                break 'compare entry.header.seq;
            }
        }
        match held.run(ours.last() + 1)? {
            Some(next) => ours = next,
            None => return Ok(Parting::Nowhere),
        }
    };
    let Some(ours) = ours.starting_at(parted) else { return Ok(Parting::Nowhere) };
    let common = tip_at(held, tip, parted - 1)?;
    let base = match held.checkpoint(common.seq)? {
        seq if seq == common.seq => common,
        seq => tip_at(held, tip, seq)?,
    };
    Ok(Parting::At { opening, common, base, ours })
}

/// The log as it was when it ended at `seq`, before its end.
fn tip_at<H: History>(held: &mut H, tip: &Tip, seq: u64) -> Result<Tip, H::Error> {
    let mut at = Tip { seq, ..*tip };
    at.epoch = match seq {
        0 => 0,
        seq => held.run(seq)?.and_then(|r| r.entries().next().map(|e| e.header.epoch)).unwrap_or(0),
    };
    let mut next = held.run(seq + 1)?;
    at.hash = next.as_ref().map_or(tip.hash, Run::previous);
    while let Some(run) = next {
        let bytes: u64 = run.entries().map(|e| u64::from(e.header.body_len)).sum();
        at.body_bytes = at.body_bytes.saturating_sub(bytes);
        next = held.run(run.last() + 1)?;
    }
    Ok(at)
}
