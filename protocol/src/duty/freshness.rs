//! Up to when a unit's data is known to be here.
//!
//! A node's log arrives without gaps, and every entry carries its author's signed clock: whoever holds an
//! entry of a log holds everything the node wrote there before. So the last entry of a log is its as-of mark,
//! and a node that has nothing to say writes a `mark` once a day. A unit is as fresh as the stalest of its
//! unretired nodes. Marks come from clocks: they tell freshness, and settle nothing else.

use super::calendar::Day;
use crate::id::{DocId, Hash, NodeId, SpaceId};
use std::collections::BTreeMap;

/// Clocks may differ by this much; a mark further ahead tells nothing.
const AHEAD_MS: u64 = 24 * 3_600_000;

/// The document of a node's mark in a space.
pub fn mark_id(space: &SpaceId, node: &NodeId) -> DocId {
    let hash = Hash::of("fenbu/mark/1", &[&space.0, &node.0]);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.0[..16]);
    DocId(id)
}

/// Whether a node that last wrote in a space at `last_ms` has to say that it is still there: on each day once,
/// so that a period's end is passed as soon as its last day is over. One that never wrote there says so once it
/// has been up for `grace_ms`: a node that was just made has nothing to mark. A log whose clock was ahead cannot
/// be marked before that time has come.
pub fn is_mark_due(now_ms: u64, last_ms: Option<u64>, uptime_ms: u64, grace_ms: u64) -> bool {
    let day = |ms: u64| Day::of_ms(ms.min(i64::MAX as u64) as i64);
    match last_ms {
        Some(last) => day(last) < day(now_ms),
        None => uptime_ms >= grace_ms,
    }
}

/// What is here of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMark {
    pub unit: String,
    pub node: NodeId,
    /// Clock of the last entry taken in, for each space that matters; `None` where there is none.
    pub marks_ms: Vec<Option<u64>>,
}

/// How fresh a unit's data is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Everything the unit wrote up to then is here, in milliseconds since 1970; `None` if nothing is known
    /// of a node, or there is none.
    pub as_of_ms: Option<u64>,
    /// The node the unit waits for: the stalest.
    pub stalest: Option<NodeId>,
    pub nodes: usize,
    /// A node's clock is so far ahead that its mark tells nothing.
    pub clock_ahead: bool,
}

impl Freshness {
    /// Whether all that was written before this instant is here.
    pub fn reaches(&self, ms: i64) -> bool {
        self.as_of_ms.is_some_and(|as_of| i128::from(as_of) >= i128::from(ms))
    }
}

/// The freshness of each unit, from the marks of its unretired nodes.
pub fn freshness(nodes: &[NodeMark], now_ms: u64) -> BTreeMap<String, Freshness> {
    let mut units: BTreeMap<String, Freshness> = BTreeMap::new();
    for node in nodes {
        let ahead = node.marks_ms.iter().flatten().any(|ms| *ms > now_ms + AHEAD_MS);
        let oldest = node.marks_ms.iter().copied().min().flatten();
        let mark = oldest.filter(|_| !ahead).map(|ms| ms.min(now_ms));
        let unit = units.entry(node.unit.clone()).or_default();
        if unit.nodes == 0 || mark < unit.as_of_ms {
            (unit.as_of_ms, unit.stalest) = (mark, Some(node.node));
        }
        unit.nodes += 1;
        unit.clock_ahead |= ahead;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(unit: &str, n: u8, marks_ms: &[Option<u64>]) -> NodeMark {
        NodeMark { unit: unit.into(), node: NodeId([n; 32]), marks_ms: marks_ms.to_vec() }
    }

    #[test]
    fn a_unit_is_as_fresh_as_its_stalest_node() {
        const NOW: u64 = 100 * AHEAD_MS;
        let units = freshness(
            &[
                node("a", 1, &[Some(NOW - 5), Some(NOW - 9)]),
                node("a", 2, &[Some(NOW - 90), Some(NOW)]),
                node("b", 3, &[Some(NOW), None]),
                node("c", 4, &[Some(NOW + 5)]),
                node("d", 5, &[Some(NOW + 2 * AHEAD_MS)]),
                node("d", 6, &[Some(NOW)]),
                node("e", 7, &[]),
            ],
            NOW,
        );
        assert_eq!(units["a"].as_of_ms, Some(NOW - 90));
        assert_eq!((units["a"].stalest, units["a"].nodes), (Some(NodeId([2; 32])), 2));
        assert_eq!(units["b"].as_of_ms, None, "silent in one space");
        assert_eq!(units["c"].as_of_ms, Some(NOW), "a little ahead is now");
        assert_eq!((units["d"].as_of_ms, units["d"].clock_ahead), (None, true));
        assert_eq!(units["e"].as_of_ms, None);
        assert!(units["a"].reaches((NOW - 90) as i64) && !units["a"].reaches((NOW - 89) as i64));
    }

    #[test]
    fn a_mark_is_due_on_each_day_once() {
        let at = |day: &str, ms: i64| (Day::parse(day).unwrap().start_ms() + ms) as u64;
        let last = Some(at("2018-11-30", 5));
        assert!(!is_mark_due(at("2018-12-01", -1), last, 0, 1000));
        assert!(is_mark_due(at("2018-12-01", 0), last, 0, 1000), "November is over");
        assert!(!is_mark_due(at("2018-11-20", 0), last, 9999, 1000), "the clock was ahead");
        assert!(!is_mark_due(at("2018-12-01", 0), None, 999, 1000));
        assert!(is_mark_due(at("2018-12-01", 0), None, 1000, 1000));
    }

    #[test]
    fn a_mark_has_one_place_in_each_space() {
        let id = |space, node| mark_id(&SpaceId([space; 16]), &NodeId([node; 32]));
        assert_eq!(id(1, 1), id(1, 1));
        assert!(id(1, 1) != id(2, 1) && id(1, 1) != id(1, 2));
    }
}
