//! Who is answered at the door: decisions about handshakes others begin, before any key is known.
//!
//! A first packet's sender may be forged, so what it costs must not grow with their number. An address
//! that has shown that it receives there (by a Retry, which costs this node no memory) has places of
//! its own, so that forged callers take none from it.

use super::pace::Bucket;
use crate::limits::{
    HANDSHAKES_MAX, HANDSHAKES_PER_SOURCE_MAX, UNVALIDATED_MAX, UNVALIDATED_PER_S,
    UNVALIDATED_PER_SOURCE_MAX,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How many handshakes may be under way.
#[derive(Debug, Clone, Copy)]
pub struct DoorLimits {
    pub handshakes_max: usize,
    /// From one source, its address validated.
    pub per_source_max: usize,
    /// From addresses not validated, under way at a time …
    pub unvalidated_max: usize,
    /// … of these from one source …
    pub unvalidated_per_source_max: usize,
    /// … and begun within a second.
    pub unvalidated_per_s: u64,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            handshakes_max: HANDSHAKES_MAX,
            per_source_max: HANDSHAKES_PER_SOURCE_MAX,
            unvalidated_max: UNVALIDATED_MAX,
            unvalidated_per_source_max: UNVALIDATED_PER_SOURCE_MAX,
            unvalidated_per_s: UNVALIDATED_PER_S,
        }
    }
}

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// Its handshake goes on; [`Door::left`] is called when it has ended.
    Answer,
    /// It must first show that it receives at its address.
    Retry,
    /// Too many are under way.
    Refuse,
}

/// Where a caller is: an IPv4 address, or the /64 an IPv6 host may choose its addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source([u8; 8]);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        let mut source = [0; 8];
        match address.to_canonical() {
            // 192.0.2.1 is not ::192.0.2.1's network: no host has addresses under 0000::/32.
            IpAddr::V4(v4) => source[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => source.copy_from_slice(&v6.octets()[..8]),
        }
        Self(source)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Callers {
    validated: usize,
    unvalidated: usize,
}

/// The handshakes under way.
#[derive(Debug)]
pub struct Door {
    limits: DoorLimits,
    all: Callers,
    /// As many as handshakes under way, at most.
    sources: BTreeMap<Source, Callers>,
    unvalidated: Bucket,
}

impl Door {
    pub fn new(now_ms: u64, limits: DoorLimits) -> Self {
        let per_s = limits.unvalidated_per_s;
        Self {
            limits,
            all: Callers::default(),
            sources: BTreeMap::new(),
            unvalidated: Bucket::new(now_ms, per_s, per_s),
        }
    }

    /// Somebody calls.
    pub fn knock(&mut self, now_ms: u64, source: Source, validated: bool) -> Welcome {
        let from = self.sources.get(&source).copied().unwrap_or_default();
        let limits = &self.limits;
        if !validated
            && (self.all.unvalidated >= limits.unvalidated_max
                || from.unvalidated >= limits.unvalidated_per_source_max
                || !self.unvalidated.try_take(now_ms, 1))
        {
            return Welcome::Retry;
        }
        if self.all.validated + self.all.unvalidated >= limits.handshakes_max
            || (validated && from.validated >= limits.per_source_max)
        {
            return Welcome::Refuse;
        }
        let from = self.sources.entry(source).or_default();
        for callers in [from, &mut self.all] {
            callers.validated += usize::from(validated);
            callers.unvalidated += usize::from(!validated);
        }
        Welcome::Answer
    }

    /// A handshake from an address not validated is done, which validates it.
    pub fn proved(&mut self, source: Source) {
        let Some(from) = self.sources.get_mut(&source) else { return };
        for callers in [from, &mut self.all] {
            callers.unvalidated = callers.unvalidated.saturating_sub(1);
            callers.validated += 1;
        }
    }

    /// A handshake that was answered has ended, one way or the other.
    pub fn left(&mut self, source: Source, validated: bool) {
        let Some(from) = self.sources.get_mut(&source) else { return };
        for callers in [&mut *from, &mut self.all] {
            callers.validated = callers.validated.saturating_sub(usize::from(validated));
            callers.unvalidated = callers.unvalidated.saturating_sub(usize::from(!validated));
        }
        if from.validated + from.unvalidated == 0 {
            self.sources.remove(&source);
        }
    }

    /// Handshakes under way.
    pub fn under_way(&self) -> usize {
        self.all.validated + self.all.unvalidated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn ten_thousand_forged_callers_a_second_leave_room_for_those_who_prove_their_address() {
        let mut door = Door::new(0, DoorLimits::default());
        let mut answered = Vec::new();
        for n in 0..10_000_u64 {
            let source = Source::from(IpAddr::from((n as u32).to_be_bytes()));
            match door.knock(n / 10, source, false) {
                Welcome::Answer => answered.push(source),
                Welcome::Retry => {}
                Welcome::Refuse => panic!("a forged caller is never told so"),
            }
        }
        assert_eq!(answered.len(), UNVALIDATED_MAX);
        for n in 0..HANDSHAKES_PER_SOURCE_MAX {
            assert_eq!(door.knock(1000, v4(1), true), Welcome::Answer, "{n}");
        }
        assert_eq!(door.knock(1000, v4(1), true), Welcome::Refuse);
        assert_eq!(door.knock(1000, v4(2), true), Welcome::Answer);
        answered.into_iter().for_each(|source| door.left(source, false));
        door.left(v4(2), true);
        assert_eq!(door.under_way(), HANDSHAKES_PER_SOURCE_MAX);
        assert_eq!(door.sources.len(), 1);
    }

    #[test]
    fn handshakes_that_end_at_once_are_bounded_by_the_second() {
        let mut door = Door::new(0, DoorLimits::default());
        let mut answered = 0;
        for n in 0..20_000_u64 {
            let now = n / 10;
            if door.knock(now, v4(1), false) == Welcome::Answer {
                answered += 1;
                door.left(v4(1), false);
            }
        }
        assert!((200..=301).contains(&answered), "{answered} in two seconds");
    }

    #[test]
    fn a_source_is_a_host_or_the_network_it_chooses_addresses_from() {
        let of = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
