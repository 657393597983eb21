//! How far this node's own logs had come, noted beside the database.
//!
//! The nonces tell another disk from this one, not this one from what it was an hour ago: a database that
//! lost its write-ahead log finds its nonce. So after each commit of entries of ours their number is
//! noted in a second file, by overwriting it in place: what a killed process has written there stays.
//! It is not flushed. After a power failure it may say too little, never too much, and a database that is
//! behind it has lost something.

use crate::folder::{Folder, FolderError};
use fenbu_protocol::id::{hex, unhex};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;

/// Entries of ours in the logs of one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) incarnation: u32,
    pub(crate) entries: u64,
}

/// The file, open.
#[derive(Debug)]
pub(crate) struct Mark(File);

impl Mark {
    /// Opens the file, or makes it; returns what it says. Nothing, if it was not there or is not ours.
    pub(crate) fn open(folder: &Folder) -> Result<(Self, Option<Extent>), FolderError> {
        let path = folder.written();
        let io = |doing| {
            let path = path.clone();
            move |source| FolderError::Io { doing, path, source }
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(io("open"))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io("read"))?;
        Ok((Self(file), extent(&text)))
    }

    /// Notes how far our logs have come. A failure costs nothing but a warning less after a loss.
    pub(crate) fn note(&self, extent: Extent) {
        let Extent { incarnation, entries } = extent;
        let bytes = [&incarnation.to_be_bytes()[..], &entries.to_be_bytes()].concat();
        if let Err(error) = self.0.write_all_at(format!("{}\n", hex(&bytes)).as_bytes(), 0) {
            tracing::debug!(%error, "how far this node has written is not noted");
        }
    }
}

fn extent(text: &[u8]) -> Option<Extent> {
    let bytes = unhex::<12>(std::str::from_utf8(text).ok()?.trim()).ok()?;
    let (incarnation, entries) = bytes.split_first_chunk()?;
    let entries = u64::from_be_bytes(entries.try_into().ok()?);
    Some(Extent { incarnation: u32::from_be_bytes(*incarnation), entries })
}
