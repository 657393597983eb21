//! What is right, told from outside: whose an entry is, and who may write where and when.
//!
//! A fold of its own over what the admin said, a page long and without any of the directory's code, so
//! that the two must go wrong alike for a wrong verdict to pass.

use super::founding;
use fenbu_protocol::directory::{Act, Cut, Scope, Signed};
use fenbu_protocol::id::{Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Header, Run};
use std::collections::{BTreeMap, BTreeSet};

/// A right that was taken from somebody, and up to where each of their logs still counts.
#[derive(Debug)]
struct Taken {
    epoch: u64,
    /// All who lose it.
    whose: BTreeSet<NodeId>,
    /// In one space, or everywhere.
    space: Option<SpaceId>,
    cuts: BTreeMap<LogId, u64>,
}

/// The truth of one run.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// By epoch, from 1.
    heads: Vec<Hash>,
    /// Unit and epoch of admission.
    nodes: BTreeMap<NodeId, (String, u64)>,
    /// Who writes, each from an epoch on.
    writers: BTreeMap<SpaceId, Vec<(u64, Scope)>>,
    taken: Vec<Taken>,
    /// Header hashes that adversaries signed in logs of their own.
    signed: BTreeSet<Hash>,
    /// Those of them that must never count, and why.
    never: BTreeMap<Hash, &'static str>,
}

impl Oracle {
    /// The admin, or the founder, said this.
    pub(super) fn hears(&mut self, said: &Signed) {
        let statement = said.open().expect("a statement of the admin");
        let epoch = statement.epoch;
        assert_eq!(epoch, self.heads.len() as u64 + 1, "the admin says one thing after the other");
        self.heads.push(said.hash());
        match Act::parse(statement.act, &statement.payload).expect("an act").expect("a known act") {
            Act::AdmitNode(admit) => {
                self.nodes.insert(admit.node, (admit.unit, epoch));
            }
            Act::DefineSpace(define) => {
                if let Some(cuts) = define.cuts {
                    let lost = |unit: &String| !define.writers.includes(unit);
                    let whose = self.nodes.iter().filter(|(_, (unit, _))| lost(unit));
                    // What a revoked node no longer has cannot be taken from it.
                    let whose = whose.map(|(node, _)| *node).filter(|n| !self.is_revoked(n, epoch));
                    let whose = whose.collect();
                    self.take(epoch, whose, Some(define.space), &cuts);
                }
                self.writers.entry(define.space).or_default().push((epoch, define.writers));
            }
            Act::RevokeNode(revoke) => {
                self.take(epoch, BTreeSet::from([revoke.node]), None, &revoke.cuts);
            }
            _ => {}
        }
    }

    fn take(&mut self, epoch: u64, whose: BTreeSet<NodeId>, space: Option<SpaceId>, cuts: &[Cut]) {
        let cuts = cuts.iter().map(|cut| (cut.log, cut.seq)).collect();
        self.taken.push(Taken { epoch, whose, space, cuts });
    }

    pub(super) fn signs(&mut self, hash: Hash, never: Option<&'static str>) {
        self.signed.insert(hash);
        if let Some(why) = never {
            self.never.insert(hash, why);
        }
    }

    /// Whether every entry of a run was signed by the author of its log.
    pub(super) fn is_authentic(
        &self,
        run: &Run,
        acknowledged: &BTreeMap<LogId, Vec<Hash>>,
    ) -> bool {
        let honest = acknowledged.get(&run.log());
        run.entries().all(|entry| {
            let written = honest.and_then(|hashes| hashes.get(entry.header.seq as usize - 1));
            written == Some(&entry.hash) || self.signed.contains(&entry.hash)
        })
    }

    /// Whether somebody has the right at an epoch.
    pub(super) fn may_write(&self, author: &NodeId, space: &SpaceId, epoch: u64) -> bool {
        let Some((unit, admitted)) = self.nodes.get(author) else { return false };
        let mut writers = self.writers.get(space).into_iter().flatten();
        let writers = writers.rfind(|(from, _)| *from <= epoch);
        *admitted <= epoch
            && !self.is_revoked(author, epoch)
            && writers.is_some_and(|(_, writers)| writers.includes(unit))
    }

    fn is_revoked(&self, node: &NodeId, epoch: u64) -> bool {
        let everywhere = |t: &&Taken| t.space.is_none() && t.whose.contains(node);
        self.taken.iter().filter(everywhere).any(|taken| taken.epoch <= epoch)
    }

    /// Why an entry cannot count for somebody who knows the directory up to `known`.
    pub(super) fn objection(
        &self,
        author: &NodeId,
        space: &SpaceId,
        header: &Header,
        known: u64,
    ) -> Option<String> {
        if let Some(why) = self.never.get(&header.hash()) {
            return Some((*why).to_owned());
        }
        let cited = self.heads.get((header.epoch as usize).checked_sub(1)?);
        if header.epoch > known || cited.map(Hash::prefix) != Some(header.directory) {
            return Some(format!("it cites epoch {} of no history known here", header.epoch));
        }
        let right = self.may_write(author, space, header.epoch);
        (!right).then(|| format!("its author had no right at epoch {}", header.epoch))
    }

    /// Whether a right was taken since that entry's epoch, and its log cut before it.
    pub(super) fn is_past_cut(&self, author: &NodeId, space: &SpaceId, header: &Header) -> bool {
        self.taken.iter().any(|taken| {
            taken.epoch > header.epoch
                && taken.whose.contains(author)
                && taken.space.is_none_or(|taken| taken == *space)
                && header.seq > taken.cuts.get(&header.log).copied().unwrap_or(0)
        })
    }

    /// The last epoch of the admin's chain.
    pub(super) fn epoch(&self) -> u64 {
        self.heads.len() as u64
    }

    /// The head there was at an epoch, from 1.
    pub(super) fn head_at(&self, epoch: u64) -> Option<Hash> {
        self.heads.get((epoch as usize).checked_sub(1)?).copied()
    }

    /// The admin's chain up to that epoch ends so.
    pub(super) fn is_head(&self, epoch: u64, head: &Hash) -> bool {
        match epoch {
            0 => *head == Hash::ZERO,
            epoch => self.heads.get(epoch as usize - 1) == Some(head),
        }
    }

    pub(super) fn is_outsider(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|(unit, _)| unit == founding::OUTSIDERS)
    }
}
