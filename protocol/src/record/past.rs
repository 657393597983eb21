//! The changes of a document as a graph, and the questions the gate asks about a causal past.

use std::collections::{BTreeMap, BTreeSet};

/// A change of the document: what its descendants need to know of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) hash: [u8; 32],
    pub(super) start_op: u64,
    pub(super) max_op: u64,
    /// For each interned actor the sequence of its last change in this one's past, itself included.
    pub(super) clock: Vec<u64>,
    pub(super) has_child: bool,
}

/// The changes of a document, and the questions the gate asks about a causal past.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) nodes: Vec<Node>,
    pub(super) by_hash: BTreeMap<[u8; 32], usize>,
    pub(super) actors: BTreeMap<[u8; 16], usize>,
    /// Each interned actor's changes in sequence.
    pub(super) by_actor: Vec<Vec<usize>>,
    /// Interned actors whose first change builds on the first of the document alone: they made it.
    pub(super) makers: BTreeSet<usize>,
}

impl Past {
    pub(super) fn actor(&mut self, actor: [u8; 16]) -> usize {
        let next = self.by_actor.len();
        let at = *self.actors.entry(actor).or_insert(next);
        if at == next {
            self.by_actor.push(Vec::new());
        }
        at
    }

    /// The joint clock of some changes, and the greatest operation counter below them.
    pub(super) fn below(&self, deps: &[usize]) -> (Vec<u64>, u64) {
        let mut clock = Vec::new();
        let mut max_op = 0;
        for dep in deps {
            let node = &self.nodes[*dep];
            max_op = max_op.max(node.max_op);
            if clock.len() < node.clock.len() {
                clock.resize(node.clock.len(), 0);
            }
            for (mine, theirs) in clock.iter_mut().zip(&node.clock) {
                *mine = (*mine).max(*theirs);
            }
        }
        (clock, max_op)
    }

    pub(super) fn push(&mut self, hash: [u8; 32], actor: usize, deps: &[usize], ops: (u64, u64)) {
        let (mut clock, _) = self.below(deps);
        if clock.len() <= actor {
            clock.resize(actor + 1, 0);
        }
        clock[actor] += 1;
        for dep in deps {
            self.nodes[*dep].has_child = true;
        }
        if deps == [0] {
            self.makers.insert(actor);
        }
        let at = self.nodes.len();
        self.nodes.push(Node { hash, start_op: ops.0, max_op: ops.1, clock, has_child: false });
        self.by_hash.insert(hash, at);
        self.by_actor[actor].push(at);
    }

    /// The change in the past `clock` describes that made operation `counter` of `actor`.
    pub(super) fn find(&self, clock: &[u64], actor: [u8; 16], counter: u64) -> Option<usize> {
        let actor = *self.actors.get(&actor)?;
        let seen = usize::try_from(*clock.get(actor)?).ok()?;
        let changes = self.by_actor[actor].get(..seen)?;
        let after = changes.partition_point(|n| self.nodes[*n].start_op <= counter);
        let node = changes[after.checked_sub(1)?];
        (counter <= self.nodes[node].max_op).then_some(node)
    }

    pub(super) fn heads(&self) -> Vec<[u8; 32]> {
        let mut heads: Vec<_> =
            self.nodes.iter().filter(|n| !n.has_child).map(|n| n.hash).collect();
        heads.sort_unstable();
        heads
    }
}
