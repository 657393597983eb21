//! Room ahead in the write-ahead log.
//!
//! A flush of a file that has grown is a commit of the file system's own journal; of one that has not,
//! it is a flush and no more, two to four times as fast on an idle disk. SQLite writes the log anew
//! from its front after each checkpoint, so a node that has run for a while has a log that no longer
//! grows; this gives a new log that length while nobody is waiting. Zeros behind the last frame are no
//! frame (SQLite file format, 4.4): a reader stops at them as it does at frames of an earlier round.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Written at a time, so that whoever comes in between does not wait long.
const STEP: usize = 1 << 20;
/// Left free on the disk, whatever a longer log would gain.
const FREE_BYTES_MIN: u64 = 512 << 20;

/// The log's file, and how long it is to be. Only the thread that commits may use it.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    bytes: u64,
    /// There is enough, or there is no way to make it.
    done: bool,
}

impl Room {
    /// For the log beside a database, which is given `bytes` in all.
    pub(super) fn beside(database: &Path, bytes: u64) -> Self {
        let mut path = OsString::from(database);
        path.push("-wal");
        Self { path: path.into(), bytes, done: false }
    }

    /// The log was begun anew, as short as can be.
    pub(super) fn again(&mut self) {
        self.done = false;
    }

    /// Adds a step. Returns whether more are needed.
    pub(super) fn grow(&mut self) -> bool {
        self.done = self.done
            || self.step().unwrap_or_else(|error| {
                // The commits that follow work as well; if the disk fails, they say so.
                tracing::debug!(%error, "the write-ahead log is not lengthened");
                true
            });
        !self.done
    }

    /// Returns whether that was enough.
    fn step(&self) -> io::Result<bool> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        let length = file.metadata()?.len();
        if length >= self.bytes || free(&file)? < FREE_BYTES_MIN {
            return Ok(true);
        }
        file.write_all(&vec![0; STEP])?;
        file.sync_data()?;
        Ok(length + STEP as u64 >= self.bytes)
    }
}

fn free(file: &File) -> io::Result<u64> {
    let disk = rustix::fs::fstatvfs(file)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
