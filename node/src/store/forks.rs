//! What a store keeps of forked logs: proofs, the branches that were lost, and what is to be written anew
//! because of them.

use super::{LogId, NodeId, Place, Reader, SpaceId, StoreError};
use fenbu_protocol::log::{History, Parting, Proof, Run, Tip, part};
use fenbu_protocol::sync::Switch;
use std::sync::Arc;

/// Another branch of a log takes over; what it takes the place of is kept as a [`LostBranch`].
#[derive(Debug, Clone)]
pub struct Switching {
    pub switch: Switch,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// This node wrote what is lost.
    pub own: bool,
}

/// A branch that gave way to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostBranch {
    /// Names it on this disk.
    pub id: u64,
    pub log: LogId,
    pub space: SpaceId,
    pub author: NodeId,
    pub first: u64,
    pub last: u64,
    /// When it gave way, in milliseconds since 1970.
    pub at_ms: u64,
    /// This node wrote it.
    pub own: bool,
    /// Documents show it no longer.
    pub remade: bool,
}

/// A change of ours that no longer counts and is to be written anew, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub place: Place,
    /// The change's hash.
    pub change: [u8; 32],
    /// [`fenbu_protocol::record::Amendment`] in its bytes.
    pub bytes: Vec<u8>,
}

/// A log on disk, to hold a peer's history against.
struct OnDisk<'a> {
    reader: &'a dyn Reader,
    log: LogId,
}

/// Bytes of runs read at a time.
const READ_BYTES: usize = 256 << 10;

impl History for OnDisk<'_> {
    type Error = StoreError;

    fn run(&mut self, from: u64) -> Result<Option<Run>, StoreError> {
        self.reader.run(self.log, from, READ_BYTES)
    }

    fn checkpoint(&mut self, seq: u64) -> Result<u64, StoreError> {
        self.reader.checkpoint(self.log, seq)
    }
}

/// Where a peer's history of a log leaves what is stored.
pub fn parting(reader: &dyn Reader, run: &Run) -> Result<Parting, StoreError> {
    let log = run.log();
    let Some(stored) = reader.log(log)? else { return Ok(Parting::Nowhere) };
    part(run, stored.opening, &stored.tip, &mut OnDisk { reader, log })
}

/// Checks a switch against the log's end. What becomes of the log's tip is in the switch.
pub(super) fn check(switching: &Switching, held: Option<Tip>) -> Result<(), StoreError> {
    let Switch { parted, base, runs, tip, .. } = &switching.switch;
    let bad = |what: &str| {
        let log = switching.switch.log().map_or_else(String::new, |log| log.short());
        Err(StoreError::Inconsistent(format!("another branch of log {log} {what}")))
    };
    let Some(held) = held else { return bad("that is not known") };
    if *parted <= base.seq || held.seq < *parted {
        return bad("parts where nothing is held");
    }
    let (mut seq, mut hash) = (base.seq, base.hash);
    for run in runs {
        if run.first() != seq + 1 || run.previous() != hash {
            return bad("does not follow what stays");
        }
        seq = run.last();
        hash = run.entries().last().map_or(hash, |e| e.hash);
    }
    if (seq, hash) != (tip.seq, tip.hash) || tip.seq < *parted {
        return bad("does not end where it should");
    }
    Ok(())
}

/// What is lost of stored runs, in order.
pub(super) fn lost_part(stored: &[Run], parted: u64) -> Vec<Run> {
    stored.iter().filter_map(|run| run.starting_at(parted)).collect()
}

/// A proof that is stored.
pub(super) fn proof(bytes: &[u8]) -> Result<Arc<Proof>, String> {
    Proof::from_wire(bytes).map(Arc::new).map_err(|e| format!("a stored proof: {e}"))
}
