//! Who waits for something to change is told as soon as that is on disk.
//!
//! What is announced here is a nudge, not a record: whoever hears nothing, too late, or that it fell
//! behind reads what there is from the store, which knows the order of all changes.

use crate::store::Place;
use std::sync::Arc;
use tokio::sync::broadcast;

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
pub struct Changes(broadcast::Sender<Changed>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

impl Changes {
    /// Hears of every commit from now on. A listener that falls behind is told so
    /// ([`broadcast::error::RecvError::Lagged`]) and has to look at everything it shows anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Changed> {
        self.0.subscribe()
    }

    /// These documents have changed, and that is on disk.
    pub fn announce(&self, places: Vec<Place>) {
        if places.is_empty() || self.0.receiver_count() == 0 {
            return;
        }
        // Nobody listening any more is fine.
        let _ = self.0.send(Changed { places: places.into() });
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
