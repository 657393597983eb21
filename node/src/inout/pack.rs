//! What a packed file may unpack to.
//!
//! A few kilobytes can unpack to gigabytes, and the sizes such a file states of itself may lie. So it is
//! unpacked once, into nothing, and counted, before anything is kept of it.

use std::io::{Cursor, Read};

/// What all parts of a file may unpack to, in MiB.
pub(super) const UNPACKED_MIB_MAX: u64 = 256;
/// Parts of a file: workbooks and documents have tens.
const PARTS_MAX: usize = 4096;

/// Why a packed file is not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PackError {
    Bomb,
    Broken(String),
}

/// A packed file that is within the bounds.
pub(super) type Pack<'a> = zip::ZipArchive<Cursor<&'a [u8]>>;

/// Opens a file, once all of it has been unpacked within `mib_max`.
pub(super) fn open(bytes: &[u8], mib_max: u64) -> Result<Pack<'_>, PackError> {
    let broken = |e: &dyn std::fmt::Display| PackError::Broken(e.to_string());
    let mut pack = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    if pack.len() > PARTS_MAX {
        return Err(PackError::Bomb);
    }
    let mut left = mib_max << 20;
    for at in 0..pack.len() {
        let part = pack.by_index(at).map_err(|e| broken(&e))?;
        let mut bounded = part.take(left + 1);
        let count = std::io::copy(&mut bounded, &mut std::io::sink()).map_err(|e| broken(&e))?;
        left = left.checked_sub(count).ok_or(PackError::Bomb)?;
    }
    Ok(pack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("a.xml", SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn a_bomb_is_seen_before_it_goes_off() {
        let file = packed(&vec![0; 3 << 20]);
        assert!(file.len() < 1 << 20, "it is packed well: {}", file.len());
        assert_eq!(open(&file, 2).err(), Some(PackError::Bomb));
        assert_eq!(open(&file, 3).unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_packed_is_broken() {
        assert!(matches!(open(b"PK nothing", 1), Err(PackError::Broken(_))));
        let mut file = packed(b"some text that is packed");
        let end = file.len() / 3;
        file[end] ^= 0xff;
        let _ = open(&file, 1);
    }
}
