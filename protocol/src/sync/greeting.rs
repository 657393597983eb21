//! Links: dialling, greeting, comparing digests, and ending.

use super::backoff::delay_ms;
use super::engine::Engine;
use super::input::LinkId;
use super::output::{Close, Notice, Output};
use super::session::{Phase, Session, Tips};
use crate::id::{Hash, NodeId, SpaceId};
use crate::wire::{Digests, Hello, Message, SpaceDigest, SpacePositions, State, WIRE_VERSION};
use std::collections::BTreeMap;

/// Two links that came up within this time of each other are a simultaneous dial, settled by rule;
/// otherwise the newer one shows that the older is dead.
const SIMULTANEOUS_MS: u64 = 5_000;
/// A link that has lived for so long was worth its greeting.
const STEADY_MS: u64 = 10_000;
/// After so many that did not, one after the other, the next waits its turn: two copies of one node, each
/// of which takes the other's link over, would otherwise get nothing done but greetings.
const BRIEF_LINKS: u32 = 6;
/// About how long a turn is: enough to get some work done on the slowest of links.
const TURN_MS: u64 = 20_000;
/// How long turns are taken.
pub const CONTENDED_MS: u64 = 600_000;

impl Engine {
    pub(super) fn link_up(&mut self, link: LinkId, peer: NodeId, dialed: bool) {
        let entry = self.peers.entry(peer).or_default();
        if dialed {
            entry.dialing = false;
        }
        entry.last_contact_ms = Some(self.now);
        let revoked = self.directory.node(&peer).is_some_and(|n| n.revoked.is_some());
        if revoked || peer == self.me {
            let session = Session::new(link, peer, dialed, Phase::Stranger, self.now);
            self.sessions.insert(link, session);
            let reason = if revoked { "this node was revoked" } else { "this is my own key" };
            return self.close(link, Close::Revoked, reason.into());
        }
        let member = self.directory.is_member(&peer);
        let phase = if member { self.greeting_phase(&peer) } else { Phase::Stranger };
        let live = self.peers[&peer]
            .link
            .is_some_and(|l| self.sessions.get(&l).is_some_and(Session::is_live));
        self.sessions.insert(link, Session::new(link, peer, dialed, phase, self.now));
        if member && live {
            // Our dial was overtaken by the peer's; or the peer dials because it lost the other link,
            // which it proves by greeting. A second greeting for nothing would cost as much as the
            // first.
            if dialed {
                let reason = "another link to this peer is kept".into();
                self.close(link, Close::Duplicate, reason);
            }
            return;
        }
        if member && !self.keep_one_link(link, peer, dialed) {
            return;
        }
        self.greet(link);
    }

    /// Says Hello, with what we hold at this moment.
    fn greet(&mut self, link: LinkId) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        let member = self.directory.is_member(&peer);
        let tips = member.then(|| self.greeting_phase(&peer));
        if let Some(session) = self.sessions.get_mut(&link) {
            session.hello_sent = true;
            session.phase = tips.unwrap_or(Phase::Stranger);
        }
        let digest = if member { self.digest_with(&peer) } else { Hash::ZERO };
        let state = self.state_with(&peer).filter(|_| member);
        if let Some(state) = state {
            self.said_state(link, digest, state);
        }
        let hello = Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation: self.directory.federation(),
            epoch: self.directory.epoch(),
            directory: self.directory.head(),
            digest,
            agent: self.settings.agent.clone(),
            state,
        };
        self.send(link, &Message::Hello(hello));
    }

    pub(super) fn greeting_phase(&self, peer: &NodeId) -> Phase {
        let mut tips = BTreeMap::new();
        for space in self.shared_spaces(peer) {
            for log in self.logs.of_space(&space) {
                tips.insert(*log, (self.logs.durable(log), self.logs.mark(log)));
            }
        }
        Phase::Greeting { tips }
    }

    /// Settles which of two links to a peer stays. Returns whether it is the new one.
    fn keep_one_link(&mut self, link: LinkId, peer: NodeId, dialed: bool) -> bool {
        let entry = self.peers.entry(peer).or_default();
        let Some(old) = entry.link.filter(|old| self.sessions.contains_key(old)) else {
            entry.link = Some(link);
            return true;
        };
        let (old_dialed, old_since) = (self.sessions[&old].dialed, self.sessions[&old].since_ms);
        let simultaneous = old_dialed != dialed && self.now < old_since + SIMULTANEOUS_MS;
        // The link dialled by the smaller key stays; both sides see it so.
        let mine_stays = self.me < peer;
        let keep_new = !simultaneous || dialed == mine_stays;
        let loser = if keep_new { old } else { link };
        if keep_new {
            entry.link = Some(link);
        }
        if planted!(KeepsBothLinks) {
            return true;
        }
        self.close(loser, Close::Duplicate, "another link to this peer is kept".into());
        keep_new
    }

    /// One digest over all spaces shared with `peer`, as our directory has it.
    pub(super) fn digest_with(&self, peer: &NodeId) -> Hash {
        let mut bytes = self.directory.head().0.to_vec();
        for space in self.shared_spaces(peer) {
            bytes.extend_from_slice(space.as_bytes());
            bytes.extend_from_slice(self.logs.digest(&space).0.to_hash().as_bytes());
        }
        Hash::of("fenbu/digest/1", &[&bytes])
    }

    pub(super) fn hello(&mut self, link: LinkId, hello: Hello) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let peer = session.peer;
        if std::mem::replace(&mut session.greeted, true) {
            return self.close(link, Close::Violation, "greeted twice".into());
        }
        session.epoch = hello.epoch;
        if hello.version_min > WIRE_VERSION || hello.version_max < WIRE_VERSION {
            let reason = format!(
                "this node speaks wire version {WIRE_VERSION}, the peer {} to {}: upgrade the older",
                hello.version_min, hello.version_max
            );
            return self.close(link, Close::Version, reason);
        }
        if hello.federation != self.directory.federation() {
            return self.close(link, Close::Federation, "another federation".into());
        }
        let heard = |state| State { digest: hello.digest, state, spaces: Vec::new() };
        session.state_heard = hello.state.map(heard);
        self.peers.entry(peer).or_default().agent = hello.agent.clone();
        if !self.sessions[&link].hello_sent {
            let dialed = self.sessions[&link].dialed;
            if !self.keep_one_link(link, peer, dialed) {
                return;
            }
            self.greet(link);
        }
        self.compare_directories(link, &hello);
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if let Phase::Greeting { tips } = &mut session.phase {
            let tips = std::mem::take(tips);
            self.go_live(link);
            if planted!(TakenForLevel) || hello.digest == self.digest_of(&peer, &tips) {
                self.level_at(link, tips);
            } else {
                self.send_digests(link);
            }
            self.plan_state(link);
            self.compare_states(link);
        }
    }

    /// The digest we sent in our Hello, if nothing else changed; recomputed rather than kept so that
    /// an unchanged node matches whichever of the two moments the peer compared with.
    fn digest_of(&self, peer: &NodeId, tips: &Tips) -> Hash {
        let now = |log| (self.logs.durable(log), self.logs.mark(log));
        let unchanged = tips.iter().all(|(log, then)| now(log) == *then);
        if unchanged {
            return self.digest_with(peer);
        }
        let mut bytes = self.directory.head().0.to_vec();
        for space in self.shared_spaces(peer) {
            let mut digest = crate::log::LogDigest::default();
            for log in self.logs.of_space(&space) {
                if let Some((tip, fork)) = tips.get(log) {
                    digest.advance(space, *log, &crate::log::Tip::start(*log), tip);
                    digest.fork(space, *log, None, *fork);
                }
            }
            bytes.extend_from_slice(space.as_bytes());
            bytes.extend_from_slice(digest.0.to_hash().as_bytes());
        }
        Hash::of("fenbu/digest/1", &[&bytes])
    }

    pub(super) fn go_live(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.phase = Phase::Live;
        let peer = session.peer;
        let entry = self.peers.entry(peer).or_default();
        entry.attempt = 0;
        entry.why = None;
        entry.link = Some(link);
        self.notice(Notice::Live { link, peer });
    }

    /// The peer holds exactly what our Hello's digest stood for.
    fn level_at(&mut self, link: LinkId, tips: Tips) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        for (log, (tip, _)) in tips {
            let Some(space) = self.logs.get(&log).map(|s| s.space) else { continue };
            self.hear(peer, space, log, &tip);
            if let Some(session) = self.sessions.get_mut(&link) {
                session.told.insert(log, tip.seq);
            }
        }
        self.tell_all(link);
    }

    pub(super) fn send_digests(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.digests_sent = true;
        let peer = session.peer;
        let spaces = self
            .shared_spaces(&peer)
            .into_iter()
            .map(|space| SpaceDigest { space, digest: self.logs.digest(&space).0.to_hash() })
            .collect();
        self.send(link, &Message::Digests(Digests { spaces }));
    }

    /// Where a space's digest differs the peer gets our whole vector of it; it does the same for us.
    pub(super) fn digests(&mut self, link: LinkId, digests: Digests) {
        let Some(session) = self.sessions.get(&link) else { return };
        let peer = session.peer;
        // We took the greetings for level and it did not: one of us has grown in between. It needs
        // our digests too, or it would never tell us what it has.
        if !session.digests_sent {
            self.send_digests(link);
        }
        let theirs: BTreeMap<SpaceId, Hash> =
            digests.spaces.iter().map(|d| (d.space, d.digest)).collect();
        let nothing = crate::log::LogDigest::default().0.to_hash();
        let mut whole = Vec::new();
        for space in self.shared_spaces(&peer) {
            let ours = self.logs.digest(&space).0.to_hash();
            let level = *theirs.get(&space).unwrap_or(&nothing) == ours;
            let mut positions = Vec::new();
            for log in self.logs.of_space(&space).to_vec() {
                let tip = self.logs.durable(&log);
                if tip.seq == 0 {
                    continue;
                }
                if level {
                    self.hear(peer, space, log, &tip);
                }
                if let Some(session) = self.sessions.get_mut(&link) {
                    session.told.insert(log, tip.seq);
                }
                positions.push(self.logs.position(&log));
            }
            if !level {
                whole.push(SpacePositions { space, positions, whole: true });
            }
        }
        self.send_have(link, whole);
    }

    /// Every shared log is looked at again when news is next told.
    pub(super) fn tell_all(&mut self, link: LinkId) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        let at = self.now + self.settings.announce_delay_ms;
        for space in self.shared_spaces(&peer) {
            for log in self.logs.of_space(&space).to_vec() {
                let seq = self.logs.durable(&log).seq;
                if let Some(session) = self.sessions.get_mut(&link)
                    && session.told.get(&log).is_none_or(|told| *told < seq)
                {
                    session.tell(log, at);
                }
            }
        }
    }

    /// Ends a link from our side.
    pub(super) fn close(&mut self, link: LinkId, code: Close, reason: String) {
        self.output(Output::Close { link, code, reason: reason.clone() });
        let Some(session) = self.sessions.get(&link) else { return };
        let peer = session.peer;
        let entry = self.peers.entry(peer).or_default();
        match code {
            Close::Violation => entry.refusals.violations += 1,
            Close::Unread => entry.refusals.unread += 1,
            _ => {}
        }
        if matches!(code, Close::Violation | Close::Unread) {
            // Come back late: the same bytes would break the same rule.
            entry.attempt = entry.attempt.max(6);
        }
        self.link_down(link, reason);
    }

    pub(super) fn link_down(&mut self, link: LinkId, reason: String) {
        let Some(session) = self.sessions.remove(&link) else { return };
        self.withdraw_asks_of(link);
        self.withdraw_mends_of(link);
        let peer = session.peer;
        let entry = self.peers.entry(peer).or_default();
        if entry.link == Some(link) {
            entry.link = None;
            entry.why = Some(reason.clone());
            let brief = self.now < session.since_ms + STEADY_MS;
            entry.brief = if brief { entry.brief.saturating_add(1) } else { 0 };
            if entry.brief > BRIEF_LINKS {
                entry.contended_until = self.now + CONTENDED_MS;
            }
            if !session.is_live() {
                entry.attempt += 1;
            }
        }
        self.notice(Notice::Ended { link, peer, reason });
        self.plan_dial(peer);
    }

    pub(super) fn dial_failed(&mut self, peer: NodeId, reason: String) {
        let entry = self.peers.entry(peer).or_default();
        entry.dialing = false;
        entry.attempt += 1;
        entry.why = Some(reason);
        self.plan_dial(peer);
    }

    /// Plans a dial to every node of the directory that has none.
    pub(super) fn plan_dials(&mut self) {
        let nodes: Vec<NodeId> = self.directory.nodes().map(|n| n.node).collect();
        for node in nodes {
            self.plan_dial(node);
        }
    }

    fn plan_dial(&mut self, peer: NodeId) {
        let reachable = self
            .directory
            .node(&peer)
            .is_some_and(|n| n.revoked.is_none() && !n.addresses.is_empty());
        let entry = self.peers.entry(peer).or_default();
        if !reachable || peer == self.me || entry.link.is_some() || entry.dialing {
            entry.dial_at = None;
            return;
        }
        if entry.dial_at.is_some_and(|at| at > self.now) {
            return;
        }
        let wait = match entry.attempt {
            // Whoever lost a link to the other copy waits as long, whether it had it long or not.
            _ if self.now < entry.contended_until => self.jitter.around(TURN_MS),
            // Not heard of since this node started: the peer has most likely given up dialling us for
            // a while, so we do not wait for it.
            0 if entry.last_contact_ms.is_none() => 0,
            // Both have just lost the link. The smaller key dials at once, the larger gives it a moment:
            // mostly one link comes up.
            0 if self.me < peer => 0,
            0 => self.jitter.around(self.settings.redial_min_ms),
            n => {
                let (min, max) = (self.settings.redial_min_ms, self.settings.redial_max_ms);
                self.jitter.around(delay_ms(n - 1, min, max))
            }
        };
        entry.dial_at = Some(self.now + wait);
    }

    pub(super) fn dial_due(&mut self) {
        let now = self.now;
        let due: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.dial_at.is_some_and(|at| at <= now))
            .map(|(node, _)| *node)
            .collect();
        for peer in due {
            let addresses = self.directory.node(&peer).map(|n| n.addresses.clone());
            let entry = self.peers.entry(peer).or_default();
            entry.dial_at = None;
            if let Some(addresses) = addresses
                && entry.link.is_none()
                && !entry.dialing
            {
                entry.dialing = true;
                self.output(Output::Dial { peer, addresses });
            }
        }
    }

    pub(super) fn time_out_greetings(&mut self) {
        let limit = self.settings.greeting_ms;
        let late: Vec<(LinkId, bool)> = self
            .sessions
            .values()
            .filter(|s| !s.is_live() && s.since_ms + limit <= self.now)
            .map(|s| (s.link, s.phase == Phase::Stranger))
            .collect();
        for (link, stranger) in late {
            if stranger {
                let reason = "this federation's directory does not know your key: join it first";
                self.close(link, Close::Unknown, reason.into());
            } else {
                self.close(link, Close::Silent, "no Hello in time".into());
            }
        }
    }
}
