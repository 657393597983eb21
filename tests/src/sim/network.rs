//! Links as QUIC gives them: frames in order within a lane, late, or not at all.

use fenbu_protocol::log::Lane;
use fenbu_protocol::sync::LinkId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// One end of a link.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) node: usize,
    /// The engine was told that the link is up, and not yet that it is down.
    pub(super) up: bool,
    /// This end has gone; an `Up` still under way is void.
    pub(super) gone: bool,
    pub(super) dialed: bool,
    /// The peer's Hello has arrived.
    pub(super) greeted: bool,
    /// Frame bytes handed over and not yet taken; batches alone, and all.
    pub(super) outbox_batches: usize,
    pub(super) outbox: VecDeque<(usize, bool)>,
    /// Frames on their way here, by lane.
    lanes: [VecDeque<Arc<[u8]>>; Lane::COUNT],
    /// No frame of a lane arrives before this time, the last one's.
    floor: [u64; Lane::COUNT],
    /// Deliveries that met a cut, by lane.
    deferred: [u32; Lane::COUNT],
}

impl End {
    fn new(node: usize, dialed: bool) -> Self {
        Self {
            node,
            up: false,
            gone: false,
            dialed,
            greeted: false,
            outbox_batches: 0,
            outbox: VecDeque::new(),
            lanes: Default::default(),
            floor: [0; Lane::COUNT],
            deferred: [0; Lane::COUNT],
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Network {
    ends: BTreeMap<LinkId, End>,
    next: u64,
    /// (from, to) pairs whose words do not arrive.
    cut: BTreeSet<(usize, usize)>,
}

/// The other end of a link.
pub(super) fn other(link: LinkId) -> LinkId {
    LinkId(link.0 ^ 1)
}

impl Network {
    /// A link from a node that dialled to one that learns of it at `at`: both ends, dialler's first.
    pub(super) fn connect(&mut self, from: usize, to: usize, at: u64) -> (LinkId, LinkId) {
        let (a, b) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.ends.insert(a, End::new(from, true));
        self.ends.insert(b, End { floor: [at; Lane::COUNT], ..End::new(to, false) });
        (a, b)
    }

    pub(super) fn end(&self, link: LinkId) -> Option<&End> {
        self.ends.get(&link)
    }

    pub(super) fn end_mut(&mut self, link: LinkId) -> Option<&mut End> {
        self.ends.get_mut(&link)
    }

    /// Ends the engine of `node` believes to be up.
    pub(super) fn up_of(&self, node: usize) -> impl Iterator<Item = (LinkId, usize)> + '_ {
        let up = self.ends.iter().filter(move |(_, end)| end.up && end.node == node);
        up.map(|(link, _)| (*link, self.ends[&other(*link)].node))
    }

    /// All of a node's ends, up or coming up.
    pub(super) fn of(&self, node: usize) -> Vec<LinkId> {
        let of = |end: &End| !end.gone && end.node == node;
        self.ends.iter().filter(|(_, end)| of(end)).map(|(link, _)| *link).collect()
    }

    /// All ends that are up, one of each link.
    pub(super) fn up(&self) -> Vec<LinkId> {
        self.ends.iter().filter(|(_, end)| end.up).map(|(link, _)| *link).collect()
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Whether a handshake can succeed between two nodes.
    pub(super) fn meet(&self, a: usize, b: usize) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Ends the cut between two nodes, both ways.
    pub(super) fn mend(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
    }

    /// Links that a new cut makes silent.
    pub(super) fn silent(&self) -> Vec<LinkId> {
        let is_silent = |link: LinkId, end: &End| {
            !end.gone && !self.meet(end.node, self.ends[&other(link)].node)
        };
        self.ends.iter().filter(|(l, e)| is_silent(**l, e)).map(|(l, _)| *l).collect()
    }

    /// Ends all cuts; returns (link, lane) once for each delivery that waited.
    pub(super) fn heal(&mut self) -> Vec<(LinkId, usize)> {
        self.cut.clear();
        let mut waited = Vec::new();
        for (link, end) in &mut self.ends {
            for (lane, count) in end.deferred.iter_mut().enumerate() {
                waited.extend((0..std::mem::take(count)).map(|_| (*link, lane)));
            }
        }
        waited
    }

    /// Puts a frame on its way to the far end of `link`, to arrive at `at` unless an earlier one of
    /// the lane holds it up. Returns when it arrives; nothing if nobody is there any more.
    pub(super) fn send(
        &mut self,
        link: LinkId,
        lane: usize,
        frame: Arc<[u8]>,
        at: u64,
    ) -> Option<u64> {
        let end = self.ends.get_mut(&other(link)).filter(|end| !end.gone)?;
        end.lanes[lane].push_back(frame);
        end.floor[lane] = end.floor[lane].max(at);
        Some(end.floor[lane])
    }

    /// The next frame of a lane arrives, unless a cut holds it up: then it waits for the heal.
    pub(super) fn arrive(&mut self, to: LinkId, lane: usize) -> Option<Arc<[u8]>> {
        let (here, there) = (self.ends.get(&to)?.node, self.ends.get(&other(to))?.node);
        let held_up = self.is_cut(there, here);
        let end = self.ends.get_mut(&to)?;
        if held_up {
            end.deferred[lane] += 1;
            return None;
        }
        end.lanes[lane].pop_front()
    }

    /// An end goes; both gone, the link is forgotten. Returns whether the engine knew it as up.
    pub(super) fn end_gone(&mut self, link: LinkId) -> bool {
        let Some(end) = self.ends.get_mut(&link) else { return false };
        let was_up = std::mem::replace(&mut end.up, false);
        end.gone = true;
        if self.ends.get(&other(link)).is_none_or(|end| end.gone) {
            self.ends.remove(&link);
            self.ends.remove(&other(link));
        }
        was_up
    }
}
