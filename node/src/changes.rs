//! Who waits for something to change is told as soon as that is on disk.
//!
//! What is announced here is a nudge, not a record: whoever hears nothing, too late, or that it fell
//! behind reads what there is from the store, which knows the order of all changes.
//!
//! | module | what it does |
//! |---|---|
//! | `lives` | cursors into that order, and whether one is of this database's past |
//! | `shown` | records that are the same and can be read now, or no longer, change too |

mod lives;
mod shown;

pub use lives::Cursor;
pub(crate) use lives::{Lives, SETTING as LIVES_SETTING};
pub(crate) use shown::{SETTING as SHOWN_SETTING, turned};

use crate::store::Place;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Announcements a listener may fall behind before it is told that it missed some.
const BEHIND_MAX: usize = 1024;

/// Documents that are not what they were before one commit, or are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Those of one commit; a place may be named twice.
    pub places: Arc<[Place]>,
}

/// Tells everybody in this process who listens.
#[derive(Debug, Clone)]
pub struct Changes {
    sender: broadcast::Sender<Changed>,
    ended: watch::Sender<bool>,
    lives: Arc<Lives>,
}

impl Default for Changes {
    fn default() -> Self {
        Self::of(Lives::default())
    }
}

impl Changes {
    /// Those of a database with this past.
    pub(crate) fn of(lives: Lives) -> Self {
        let sender = broadcast::Sender::new(BEHIND_MAX);
        Self { sender, ended: watch::Sender::new(false), lives: Arc::new(lives) }
    }

    /// What cursors are held to.
    pub(crate) fn lives(&self) -> &Lives {
        &self.lives
    }

    /// The node stops: whoever follows for good is let go.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// True once the node stops.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Hears of every commit from now on. A listener that falls behind is told so
    /// ([`broadcast::error::RecvError::Lagged`]) and has to look at everything it shows anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Changed> {
        self.sender.subscribe()
    }

    /// These documents have changed, and that is on disk.
    pub fn announce(&self, places: Vec<Place>) {
        if places.is_empty() || self.sender.receiver_count() == 0 {
            return;
        }
        // Nobody listening any more is fine.
        let _ = self.sender.send(Changed { places: places.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fenbu_protocol::id::{DocId, SpaceId};
    use fenbu_protocol::log::Kind;
    use tokio::sync::broadcast::error::TryRecvError;

    fn place(number: u8) -> Place {
        Place { document: DocId([number; 16]), space: SpaceId([1; 16]), kind: Kind(1) }
    }

    #[test]
    fn listeners_hear_what_comes_after_them_and_that_they_fell_behind() {
        let changes = Changes::default();
        changes.announce(vec![place(1)]);
        let mut listener = changes.subscribe();
        changes.announce(Vec::new());
        changes.announce(vec![place(2), place(3)]);
        let heard = listener.try_recv().unwrap();
        assert_eq!(heard.places[..], [place(2), place(3)]);
        assert_eq!(listener.try_recv(), Err(TryRecvError::Empty));
        for _ in 0..=BEHIND_MAX {
            changes.announce(vec![place(4)]);
        }
        assert!(matches!(listener.try_recv(), Err(TryRecvError::Lagged(_))));
    }
}
