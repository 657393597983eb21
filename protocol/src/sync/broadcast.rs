//! New entries: pushed to those who are level and want them, announced to the rest.
//!
//! After Plumtree (Leitão, Pereira, Rodrigues 2007), on a mesh: an author pushes to every neighbour;
//! a relay pushes only logs a peer has pulled from it, until the peer prunes. Everyone announces
//! what is durable, so a lost branch of the tree is mended by a pull.

use super::engine::Engine;
use super::input::LinkId;
use crate::id::LogId;
use crate::limits::{OUTBOX_BYTES_MAX, POSITIONS_MAX};
use crate::log::{Lane, Run};
use crate::wire::{Have, Message, Prune, SpacePositions};
use std::sync::Arc;

impl Engine {
    /// `log` is durable up to the end of `run`, which came over `from`, or was written here.
    pub(super) fn grew(&mut self, log: LogId, run: &Run, from: Option<LinkId>) {
        let Some(state) = self.logs.get(&log) else { return };
        let (space, mine) = (state.space, state.author == self.me);
        let mut frame: Option<(Lane, Arc<[u8]>)> = None;
        for link in self.live_links() {
            let peer = self.sessions[&link].peer;
            if !self.directory.carries(&peer, &space) {
                continue;
            }
            if Some(link) != from && self.push_due(link, log, run, mine) {
                let (lane, frame) = frame
                    .get_or_insert_with(|| {
                        (self.lane_of_log(&log), Message::Batch(run.clone()).to_frame())
                    })
                    .clone();
                self.send_frame(link, lane, frame);
                if let Some(session) = self.sessions.get_mut(&link) {
                    session.pushed.insert(log, run.last());
                }
                continue;
            }
            let delay = if Some(link) == from {
                self.settings.ack_delay_ms
            } else {
                self.settings.announce_delay_ms
            };
            let at = self.now + delay;
            if let Some(session) = self.sessions.get_mut(&link) {
                session.tell(log, at);
            }
        }
    }

    /// Whether `run` is to be pushed over `link`: it wants pushes of this log, has everything before
    /// the run, lacks its end, and its outbox has room.
    fn push_due(&self, link: LinkId, log: LogId, run: &Run, mine: bool) -> bool {
        let Some(session) = self.sessions.get(&link) else { return false };
        let Some(state) = self.logs.get(&log) else { return false };
        let acknowledged = self.peers[&session.peer].held(&state.space, &log).seq;
        let has = acknowledged.max(session.pushed.get(&log).copied().unwrap_or(0));
        let wants = session.push.get(&log).copied().unwrap_or(mine);
        let serving = session.serving.keys().any(|(_, l)| *l == log);
        wants
            && !serving
            && (has >= run.first() - 1 || planted!(PushesBlindly))
            && has < run.last()
            && session.outbox_bytes < OUTBOX_BYTES_MAX
    }

    /// A batch held nothing new: unless we asked for it, the sender may spare us such pushes.
    pub(super) fn duplicate(&mut self, link: LinkId, log: LogId) {
        if !self.is_asked(link, &log) {
            self.send(link, &Message::Prune(Prune { log }));
        }
    }

    pub(super) fn pruned(&mut self, link: LinkId, log: LogId) {
        // A log we do not hold is not pushed anyway, and must not be remembered.
        if self.logs.get(&log).is_none() {
            return;
        }
        if let Some(session) = self.sessions.get_mut(&link) {
            session.push.insert(log, false);
            session.serving.retain(|(_, l), _| *l != log);
        }
    }

    /// Tells each peer of the logs that grew, when its time has come.
    pub(super) fn flush_news(&mut self) {
        let now = self.now;
        let due: Vec<LinkId> = self
            .sessions
            .values()
            .filter(|s| s.have_at.is_some_and(|at| at <= now))
            .map(|s| s.link)
            .collect();
        for link in due {
            let spaces = self.news_for(link);
            self.send_have(link, spaces);
        }
    }

    fn news_for(&mut self, link: LinkId) -> Vec<SpacePositions> {
        let Some(session) = self.sessions.get_mut(&link) else { return Vec::new() };
        session.have_at = None;
        let news = std::mem::take(&mut session.news);
        if !session.is_live() || planted!(NoNews) {
            return Vec::new();
        }
        let mut spaces: Vec<SpacePositions> = Vec::new();
        for log in news {
            let Some(state) = self.logs.get(&log) else { continue };
            let tip = state.durable;
            let told = session.told.entry(log).or_default();
            if tip.seq <= *told {
                continue;
            }
            *told = tip.seq;
            let position = self.logs.position(&log);
            match spaces.iter_mut().find(|s| s.space == state.space) {
                Some(entry) => entry.positions.push(position),
                None => spaces.push(SpacePositions {
                    space: state.space,
                    positions: vec![position],
                    whole: false,
                }),
            }
        }
        spaces
    }

    /// Sends positions in as many messages as their bound asks for.
    pub(super) fn send_have(&mut self, link: LinkId, spaces: Vec<SpacePositions>) {
        let (mut batch, mut count) = (Vec::new(), 0);
        for space in spaces {
            if count + space.positions.len() > POSITIONS_MAX {
                let spaces = std::mem::take(&mut batch);
                self.send(link, &Message::Have(Have { spaces }));
                count = 0;
            }
            count += space.positions.len();
            batch.push(space);
        }
        if !batch.is_empty() {
            self.send(link, &Message::Have(Have { spaces: batch }));
        }
    }
}
