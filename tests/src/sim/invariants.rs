//! What must hold after every step, kept from outside: nothing here asks the engine what it thinks.
//!
//! I1 an acknowledged write is never lost · I2 equal logs mean equal states · I3 nobody shows two
//! entries for one place of a log, but two copies of its disk · I5 nothing is told that is not synced · I6 queues and frames are
//! bounded · I7 nodes come level (`finale`) · I8 what leaves a node is sealed for its readers · "honest" no node of these is ever to blame.

use super::disk::Disk;
use super::founding;
use super::writes::SpaceState;
use crate::model::Model;
use fenbu_protocol::id::{Hash, LogId, SpaceId};
use fenbu_protocol::limits::{
    FRAME_BYTES_MAX, OUTBOX_BYTES_MAX, RUN_BYTES_MAX, UNPERSISTED_BYTES_MAX,
};
use fenbu_protocol::log::{Encoding, Run, StateDigest};
use fenbu_protocol::sync::{Close, Notice, Output};
use fenbu_protocol::wire::Message;
use std::collections::{BTreeMap, BTreeSet};

/// Links to one peer that may be open at a time: one each way and a dead one each way.
pub(super) const LINKS_PER_PEER_MAX: usize = 4;

/// An invariant's name and how it was broken.
pub(super) type Breach = (&'static str, String);

/// What was promised and shown so far, on all nodes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Header hashes of entries whose writers were told that they are safe.
    pub(super) acknowledged: BTreeMap<LogId, Vec<Hash>>,
    /// Header hashes that left a node, by log and seq.
    left: BTreeMap<LogId, BTreeMap<u64, Hash>>,
    /// What each state of a space's logs came to under each directory.
    states: BTreeMap<(SpaceId, Hash, Hash), StateDigest>,
    pub(super) model: Model,
    /// Logs that two copies of a disk may write.
    pub(super) twice: BTreeSet<LogId>,
}

impl Ledger {
    pub(super) fn acknowledge(&mut self, run: &Run) -> Result<(), Breach> {
        if self.twice.contains(&run.log()) {
            // Whichever of two histories stands; the words of both are in the model.
            return Ok(());
        }
        let hashes = self.acknowledged.entry(run.log()).or_default();
        if run.first() != hashes.len() as u64 + 1 {
            return Err(("I1", format!("{run:?} was acknowledged after {} entries", hashes.len())));
        }
        hashes.extend(run.entries().map(|entry| entry.hash));
        Ok(())
    }

    /// Entries leave `disk`'s node, in a batch.
    pub(super) fn leaves(&mut self, disk: &Disk, run: &Run) -> Result<(), Breach> {
        // What an adversary does with bodies in its own log is its own affair.
        let foreign = !self.acknowledged.contains_key(&run.log());
        let synced = disk.synced.get(&run.log()).map_or(&[][..], Vec::as_slice);
        let twice = self.twice.contains(&run.log());
        let left = self.left.entry(run.log()).or_default();
        // The one space that every node reads.
        let plain = disk.spaces.get(&run.log()) == Some(&founding::common_space());
        for entry in run.entries() {
            let seq = entry.header.seq;
            if synced.get(seq as usize - 1) != Some(&entry.hash) {
                return Err(("I5", format!("{run:?} was sent and seq {seq} is not synced")));
            }
            let expected = if plain { Encoding::CHANGE } else { Encoding::SEALED };
            if !foreign && entry.header.shape.encoding != expected {
                return Err((
                    "I8",
                    format!("{run:?}: the body of seq {seq} is not as it should be"),
                ));
            }
            if twice {
                continue;
            }
            if *left.entry(seq).or_insert(entry.hash) != entry.hash {
                return Err(("I3", format!("{run:?}: another seq {seq} was shown before")));
            }
        }
        Ok(())
    }

    /// A message leaves: what it claims must be on the disk.
    pub(super) fn claims(&mut self, disk: &Disk, message: &Message) -> Result<(), Breach> {
        match message {
            Message::Batch(run) => self.leaves(disk, run),
            Message::Have(have) => {
                for position in have.spaces.iter().flat_map(|s| &s.positions) {
                    let synced = disk.synced.get(&position.log);
                    let hash = synced.and_then(|s| s.get(position.seq.checked_sub(1)? as usize));
                    if hash.map(Hash::prefix) != Some(position.prefix) {
                        let (log, seq) = (position.log.short(), position.seq);
                        return Err(("I5", format!("log {log} told up to {seq}, not synced")));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Readers with the same logs must show the same records, whenever and wherever.
    pub(super) fn state(&mut self, at: &SpaceState) -> Result<(), Breach> {
        let seen =
            self.states.entry((at.space, at.log.0.to_hash(), at.directory)).or_insert(at.state);
        if *seen != at.state {
            let what = format!("space {}: two states of the same logs", at.space.short());
            return Err(("I2", what));
        }
        Ok(())
    }

    /// A disk after a crash, or at the end: what was acknowledged to anyone is there.
    pub(super) fn still_there(&self, disk: &mut Disk, own: &[LogId]) -> Result<(), Breach> {
        let stored = disk.load();
        for (log, hashes) in &disk.synced {
            let tip = stored.logs.iter().find(|l| l.log == *log).map(|l| l.tip);
            let expected = hashes.last().map(|hash| (hashes.len() as u64, *hash));
            if tip.map(|tip| (tip.seq, tip.hash)) != expected {
                return Err(("I1", format!("log {} was synced and is not there", log.short())));
            }
        }
        for log in own {
            let acknowledged = self.acknowledged.get(log).map_or(&[][..], Vec::as_slice);
            self.holds(disk, *log, acknowledged)?;
        }
        Ok(())
    }

    /// Reads a log back and compares it with what was acknowledged.
    pub(super) fn holds(&self, disk: &Disk, log: LogId, hashes: &[Hash]) -> Result<(), Breach> {
        let mut next = 0;
        while next < hashes.len() {
            let run = disk.reader().run(log, next as u64 + 1, RUN_BYTES_MAX);
            let Ok(Some(run)) = run else {
                let what = format!("log {}: seq {} is lost", log.short(), next + 1);
                return Err(("I1", what));
            };
            for entry in run.entries() {
                if hashes.get(next).is_some_and(|hash| *hash != entry.hash) {
                    let what = format!("log {}: seq {} is another", log.short(), next + 1);
                    return Err(("I1", what));
                }
                next += 1;
            }
        }
        Ok(())
    }
}

/// What no node may ever say among honest ones.
/// Except of logs that two copies of a disk wrote, and of a node whose disk was copied or put back.
pub(super) fn honest(
    output: &Output,
    twice: &BTreeSet<LogId>,
    changed: bool,
) -> Result<(), Breach> {
    match output {
        Output::OwnLogAhead { .. } if changed => Ok(()),
        Output::Notice(Notice::Fork { log, .. }) if twice.contains(log) => Ok(()),
        Output::Close {
            code: Close::Violation | Close::Federation | Close::Version,
            reason,
            ..
        } => Err(("honest", format!("a node was blamed: {reason}"))),
        Output::OwnLogAhead { log, seq } => {
            Err(("I3", format!("seq {seq} of log {} came back to its author", log.short())))
        }
        Output::Notice(Notice::StatesDiffer { peer, space }) => Err((
            "I2",
            format!("space {}: other records than node {}'s", space.short(), peer.short()),
        )),
        Output::Notice(
            notice @ (Notice::Fork { .. }
            | Notice::DirectoryFork { .. }
            | Notice::DirectoryRecovered { .. }
            | Notice::DirectoryStopped { .. }),
        ) => Err(("honest", format!("{notice:?}"))),
        _ => Ok(()),
    }
}

/// Bytes handed to one link and not yet taken.
pub(super) fn outbox(batch_bytes: usize) -> Result<(), Breach> {
    if batch_bytes > OUTBOX_BYTES_MAX + FRAME_BYTES_MAX {
        return Err(("I6", format!("an outbox holds {batch_bytes} bytes of batches")));
    }
    Ok(())
}

pub(super) fn frame(bytes: usize) -> Result<(), Breach> {
    if bytes > FRAME_BYTES_MAX {
        return Err(("I6", format!("a frame has {bytes} bytes")));
    }
    Ok(())
}

/// Received and not yet durable. Each lane may have had one frame read when the limit was met.
pub(super) fn unpersisted(bytes: usize) -> Result<(), Breach> {
    if bytes > UNPERSISTED_BYTES_MAX + RUN_BYTES_MAX {
        return Err(("I6", format!("{bytes} bytes of runs are on their way to the disk")));
    }
    Ok(())
}
