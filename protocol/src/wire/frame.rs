//! Frames: a type byte and a body, compressed where that pays.
//!
//! The transport prefixes each frame with its length as a big-endian `u32`. A `Batch` body is a
//! run's own bytes; every other body is CBOR.

use crate::limits::FRAME_BYTES_MAX;
use std::sync::Arc;

/// Set on the type byte when the body is zstd behind its plain length (big-endian `u32`).
const COMPRESSED: u8 = 0x80;
/// Below this a compressed body saves less than its header costs.
const COMPRESS_FROM_BYTES: usize = 400;
/// zstd's default level: a third of the bytes at several hundred MB/s.
const ZSTD_LEVEL: i32 = 3;

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("empty frame")]
    Empty,
    #[error("frame of {0} bytes is over the limit")]
    TooLarge(usize),
    #[error("compressed body is damaged or not as long as it says")]
    Compression,
}

/// Puts a frame together; compresses bodies from a few hundred bytes on.
pub fn encode(kind: u8, body: &[u8]) -> Arc<[u8]> {
    debug_assert!(kind & COMPRESSED == 0);
    if body.len() >= COMPRESS_FROM_BYTES
        && let Ok(packed) = zstd::bulk::compress(body, ZSTD_LEVEL)
        && packed.len() + 4 < body.len()
        && body.len() <= unfolded_max(packed.len())
    {
        let mut out = Vec::with_capacity(packed.len() + 5);
        out.push(kind | COMPRESSED);
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
        return out.into();
    }
    let mut out = Vec::with_capacity(body.len() + 1);
    out.push(kind);
    out.extend_from_slice(body);
    out.into()
}

/// Takes a frame apart: its type and plain body. Allocates at most [`FRAME_BYTES_MAX`].
pub fn decode(frame: &[u8]) -> Result<(u8, Vec<u8>), FrameError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(frame.len()));
    }
    let (&kind, body) = frame.split_first().ok_or(FrameError::Empty)?;
    if kind & COMPRESSED == 0 {
        return Ok((kind, body.to_vec()));
    }
    let (length, packed) = body.split_first_chunk::<4>().ok_or(FrameError::Compression)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(length));
    }
    if length > unfolded_max(packed.len()) {
        return Err(FrameError::Compression);
    }
    let plain = zstd::bulk::decompress(packed, length).map_err(|_| FrameError::Compression)?;
    if plain.len() != length {
        return Err(FrameError::Compression);
    }
    Ok((kind & !COMPRESSED, plain))
}

/// The longest body a packed one may claim: a short lie must not cost a long allocation. zstd's best
/// is about 1:20,000 on runs of one byte, honest text stays under 1:100; what compresses better than
/// this travels plain.
fn unfolded_max(packed: usize) -> usize {
    packed.saturating_mul(1024).max(64 << 10)
}
