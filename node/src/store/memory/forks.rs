//! Forked logs in memory.

use super::State;
use crate::store::forks::lost_part;
use crate::store::{LostBranch, StoreError, Switching, WriteBatch};
use fenbu_protocol::log::Run;

impl State {
    /// Whether each other branch begins where a stored run ends.
    pub(super) fn can_switch(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        for Switching { switch, .. } in &batch.switches {
            let held = switch.log().and_then(|log| self.logs.get(&log));
            let next = held.and_then(|log| log.runs.get(&(switch.base.seq + 1)));
            if next.is_none_or(|run| run.previous() != switch.base.hash) {
                let what = format!("no checkpoint is held at {}", switch.base.seq);
                return Err(StoreError::Inconsistent(what));
            }
        }
        Ok(())
    }

    pub(super) fn switch(&mut self, Switching { switch, at_ms, own }: &Switching) {
        let Some(id) = switch.log() else { return };
        let Some(log) = self.logs.get_mut(&id) else { return };
        let gone: Vec<Run> = log.runs.split_off(&(switch.base.seq + 1)).into_values().collect();
        let lost = lost_part(&gone, switch.parted);
        let branch = LostBranch {
            id: self.lost.len() as u64 + 1,
            log: id,
            space: log.stored.opening.space,
            author: log.stored.opening.node,
            first: switch.parted,
            last: lost.last().map_or(0, Run::last),
            at_ms: *at_ms,
            own: *own,
            remade: false,
        };
        log.runs.extend(switch.runs.iter().map(|run| (run.first(), run.clone())));
        let before = std::mem::replace(&mut log.stored.tip, switch.tip);
        log.stored.cursor = log.stored.cursor.min(switch.parted - 1);
        let sum = &mut self.digests.entry(branch.space).or_default().log;
        sum.advance(branch.space, id, &before, &switch.tip);
        self.lost.push((branch, lost));
        let stays = |(log, seq): &(_, u64)| *log != id || *seq < switch.parted;
        self.waiting.retain(|at, _| stays(at));
        self.refused.retain(|at, _| stays(at));
    }

    /// Proofs, and what lost branches leave to be done.
    pub(super) fn forked(&mut self, batch: &WriteBatch) {
        for proof in &batch.proofs {
            let (log, space) = (proof.log(), proof.opening().space);
            let before = self.forks.insert(log, proof.clone()).map(|held| held.seq());
            let sum = &mut self.digests.entry(space).or_default().log;
            sum.fork(space, log, before, Some(proof.seq()));
        }
        for (branch, _) in &mut self.lost {
            branch.remade |= batch.remade.contains(&branch.id);
        }
        for pending in &batch.amendments {
            let same = |held: &&_| {
                let held: &crate::store::Pending = held;
                (held.place, held.change) == (pending.place, pending.change)
            };
            if !self.amendments.iter().any(|held| same(&held)) {
                self.amendments.push(pending.clone());
            }
        }
        self.amendments.retain(|held| !batch.amended.contains(&(held.place, held.change)));
    }
}
