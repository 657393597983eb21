//! The floor of free disk space: below it nothing more is written, before SQLite or the file system
//! fails in the middle of something, and while there is still room to put things right.

use crate::store::StoreError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an answer of the file system is good for. A commit is at most a few MiB.
const FRESH: Duration = Duration::from_millis(500);
/// People are told in time when less than this is left, …
const WARN_BYTES: u64 = 1 << 30;
/// … or less than one part in so many of the disk.
const WARN_PART: u64 = 20;

/// Bytes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub free: u64,
    pub total: u64,
}

impl Space {
    /// Of the disk that holds `path`.
    pub fn at(path: &Path) -> std::io::Result<Self> {
        let disk = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
    }

    /// Whether it is time to say so.
    pub fn is_short(self) -> bool {
        self.free < WARN_BYTES || self.free < self.total / WARN_PART
    }
}

/// The floor, and whether we are below it.
pub(crate) struct Floor {
    path: PathBuf,
    bytes_min: u64,
    measure: fn(&Path) -> std::io::Result<Space>,
    measured: Option<Instant>,
    below: Option<u64>,
}

impl Floor {
    /// Under the database at `path`; 0 is no floor.
    pub(crate) fn new(path: PathBuf, bytes_min: u64) -> Self {
        Self { path, bytes_min, measure: Space::at, measured: None, below: None }
    }

    /// Whether something may be written.
    ///
    /// # Errors
    /// [`StoreError::Low`] below the floor, and from then on until a quarter more than it is free.
    pub(crate) fn admits(&mut self) -> Result<(), StoreError> {
        let now = Instant::now();
        if self.measured.is_none_or(|at| now >= at + FRESH) {
            self.measured = Some(now);
            self.look();
        }
        match self.below {
            None => Ok(()),
            Some(free) => Err(StoreError::Low {
                path: self.path.clone(),
                free_mib: free >> 20,
                floor_mib: self.bytes_min >> 20,
            }),
        }
    }

    fn look(&mut self) {
        // A disk that does not even say how full it is: writing will.
        let Ok(space) = (self.measure)(&self.path) else { return };
        let enough = match self.below {
            None => self.bytes_min,
            Some(_) => self.bytes_min.saturating_add(self.bytes_min / 4),
        };
        let was = self.below.is_some();
        self.below = (space.free < enough).then_some(space.free);
        match (was, self.below) {
            (false, Some(free)) => {
                tracing::error!(
                    free,
                    floor = self.bytes_min,
                    "too little disk space: writes are refused"
                );
            }
            (true, None) => {
                tracing::info!(free = space.free, "there is room again: writes are taken")
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static FREE: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn below_the_floor_nothing_is_written_until_there_is_clearly_more() {
        let mut floor = Floor::new("disk".into(), 100 << 20);
        floor.measure = |_| Ok(Space { free: FREE.get() << 20, total: 1 << 40 });
        let mut at = |free| {
            FREE.set(free);
            floor.measured = None;
            floor.admits()
        };
        at(100).unwrap();
        let said = at(99).unwrap_err().to_string();
        assert!(said.contains("99 MiB") && said.contains("100 MiB"), "{said}");
        at(110).unwrap_err();
        at(125).unwrap();
        at(100).unwrap();
        let mut none = Floor::new("disk".into(), 0);
        none.measure = |_| Ok(Space { free: 0, total: 1 });
        none.admits().unwrap();
        let mut mute = Floor::new("disk".into(), 1);
        mute.measure = |_| Err(std::io::ErrorKind::Other.into());
        mute.admits().unwrap();
    }

    #[test]
    fn a_warning_comes_long_before() {
        let space = |free: u64, total: u64| Space { free: free << 20, total: total << 20 };
        assert!(space(1023, 2000).is_short() && space(2000, 50_000).is_short());
        assert!(!space(2000, 30_000).is_short());
        assert!(Space::at(Path::new("/")).unwrap().total > 0);
    }
}
