//! How old a node's knowledge of the directory is.
//!
//! A node that is cut off works on with the directory it has: it is not locked out, and it cannot know
//! who was let in or revoked since. So it remembers when it last had a link to the admin node, and to any
//! node, also over restarts, and says so.

use crate::store::Reader;
use crate::store::StoreError;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::sync::LinkId;
use std::collections::BTreeMap;

/// Name of the setting: two times in milliseconds since 1970, 8 bytes each, 0 for never.
const SETTING: &str = "directory-heard";
/// A link that stays up is remembered at least this often, so that a power cut makes nobody old.
const SAVED_EVERY_MS: u64 = 10 * 60_000;

/// When a node last had a link, in milliseconds since 1970 by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// To the admin node of then.
    pub admin_ms: Option<u64>,
    /// To any node.
    pub anyone_ms: Option<u64>,
}

impl Heard {
    /// As the store remembers it; nothing of what it cannot read.
    pub(crate) fn stored(reader: &dyn Reader) -> Result<Self, StoreError> {
        let bytes = reader.setting(SETTING)?;
        Ok(bytes.and_then(|b| Self::from_bytes(&b)).unwrap_or_default())
    }

    /// That of a node which has just been let in.
    pub(crate) fn at(now_ms: u64) -> Self {
        Self { admin_ms: Some(now_ms), anyone_ms: Some(now_ms) }
    }

    pub(crate) fn setting(self) -> (String, Option<Vec<u8>>) {
        let times = [self.admin_ms, self.anyone_ms].map(|ms| ms.unwrap_or(0).to_be_bytes());
        (SETTING.into(), Some(times.concat()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (admin, anyone) = bytes.split_first_chunk()?;
        let time = |bytes: [u8; 8]| Some(u64::from_be_bytes(bytes)).filter(|ms| *ms > 0);
        Some(Self { admin_ms: time(*admin), anyone_ms: time(anyone.try_into().ok()?) })
    }
}

/// What the driver keeps of it.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    heard: Heard,
    live: BTreeMap<LinkId, NodeId>,
    saved_ms: u64,
}

impl Freshness {
    pub(crate) fn new(heard: Heard) -> Self {
        Self { heard, ..Self::default() }
    }

    /// A peer has greeted on this link.
    pub(crate) fn up(&mut self, link: LinkId, peer: NodeId) {
        self.live.insert(link, peer);
        self.saved_ms = 0;
    }

    /// The link is no more: until now it was.
    pub(crate) fn down(&mut self, link: LinkId, directory: &Directory, now_ms: u64) {
        self.heard = self.heard(directory, now_ms);
        if self.live.remove(&link).is_some() {
            self.saved_ms = 0;
        }
    }

    /// As of now.
    pub(crate) fn heard(&self, directory: &Directory, now_ms: u64) -> Heard {
        let mut heard = self.heard;
        if !self.live.is_empty() {
            heard.anyone_ms = Some(now_ms);
        }
        if self.live.values().any(|peer| *peer == directory.admin()) {
            heard.admin_ms = Some(now_ms);
        }
        heard
    }

    /// What is to be remembered now, if it is time.
    pub(crate) fn due(&mut self, directory: &Directory, now_ms: u64) -> Option<Heard> {
        let known = self.heard(directory, now_ms);
        if known == Heard::default() || now_ms < self.saved_ms.saturating_add(SAVED_EVERY_MS) {
            return None;
        }
        // Without a link nothing gets older by waiting.
        self.saved_ms = if self.live.is_empty() { u64::MAX } else { now_ms };
        Some(known)
    }
}

/// The directory's age for people: whether this node signs it itself, is linked to the node that does,
/// or when it last was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Own,
    Linked,
    Since(Option<u64>),
}

pub(crate) fn age(heard: &Heard, directory: &Directory, me: &NodeId, linked: bool) -> Age {
    if directory.admin() == *me {
        Age::Own
    } else if linked {
        Age::Linked
    } else {
        Age::Since(heard.admin_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{directory, key};

    #[test]
    fn a_link_keeps_it_fresh_and_its_end_is_remembered() {
        let directory = directory();
        let (admin, other) = (NodeId(key().verifying_key().to_bytes()), NodeId([9; 32]));
        let mut freshness = Freshness::new(Heard::default());
        assert_eq!(freshness.due(&directory, 1_000_000), None, "never heard of anybody");

        freshness.up(LinkId(1), other);
        let anyone = |ms| Heard { admin_ms: None, anyone_ms: Some(ms) };
        assert_eq!(freshness.due(&directory, 1_000_000), Some(anyone(1_000_000)));
        assert_eq!(freshness.due(&directory, 1_000_001), None, "not again at once");
        freshness.up(LinkId(2), admin);
        assert_eq!(freshness.due(&directory, 2_000_000), Some(Heard::at(2_000_000)));
        assert_eq!(freshness.due(&directory, 2_000_000 + SAVED_EVERY_MS - 1), None);
        let later = 2_000_000 + SAVED_EVERY_MS;
        assert_eq!(freshness.due(&directory, later), Some(Heard::at(later)));

        freshness.down(LinkId(2), &directory, later + 5);
        let told = freshness.heard(&directory, later + 9);
        assert_eq!(told, Heard { admin_ms: Some(later + 5), anyone_ms: Some(later + 9) });
        assert_eq!(freshness.due(&directory, later + 9), Some(told));
        freshness.down(LinkId(1), &directory, later + 10);
        assert!(freshness.due(&directory, later + 11).is_some());
        assert_eq!(freshness.due(&directory, u64::MAX - 1), None, "and nothing more");

        let (_, bytes) = told.setting();
        assert_eq!(Heard::from_bytes(&bytes.unwrap()), Some(told));
        assert_eq!(Heard::from_bytes(b"short"), None);
    }
}
