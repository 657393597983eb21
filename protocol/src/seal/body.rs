//! One entry's body: sealed where it is written, opened where it is read.

use super::key::SpaceKey;
use crate::id::{DocId, LogId, SpaceId};
use crate::limits::{BODY_BYTES_MAX, SEAL_BYTES};
use crate::log::{Header, Kind};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// Bytes of the nonce a sealed body begins with.
pub const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = SEAL_BYTES - NONCE_BYTES;

/// Where a body belongs. A seal holds nowhere else: not at another place of the log, not in another
/// document, log or space, and, a space's id being made from its federation's, not in another
/// federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub space: SpaceId,
    pub log: LogId,
    pub seq: u64,
    pub document: DocId,
    pub kind: Kind,
    /// Which of the space's keys seals it, from 1.
    pub key_epoch: u32,
}

/// Length of [`Place::to_bytes`]: space 16, log 32, seq 8, document 16, kind 2, key epoch 4.
const PLACE_BYTES: usize = 16 + 32 + 8 + 16 + 2 + 4;

impl Place {
    /// The place an entry's header states, in the space of its log.
    pub fn of(space: SpaceId, header: &Header) -> Self {
        Self {
            space,
            log: header.log,
            seq: header.seq,
            document: header.document,
            kind: header.shape.kind,
            key_epoch: header.shape.key_epoch,
        }
    }

    /// The seal's associated data. `WIRE.md`, "Sealed bodies".
    fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let mut out = [0; PLACE_BYTES];
        if planted!(SealHoldsAnywhere) {
            return out;
        }
        out[..16].copy_from_slice(self.space.as_bytes());
        out[16..48].copy_from_slice(self.log.as_bytes());
        out[48..56].copy_from_slice(&self.seq.to_be_bytes());
        out[56..72].copy_from_slice(self.document.as_bytes());
        out[72..74].copy_from_slice(&self.kind.0.to_be_bytes());
        out[74..].copy_from_slice(&self.key_epoch.to_be_bytes());
        out
    }
}

/// Why a sealed body does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("a sealed body of {0} bytes is too short to have a nonce and a tag")]
    Short(usize),
    #[error(
        "the sealed body is not what its author sealed: it was altered, or belongs to another place"
    )]
    Altered,
}

/// Seals a plain body: nonce ‖ ciphertext ‖ tag, [`SEAL_BYTES`] longer than `plain`.
///
/// `nonce` must be random: two bodies under one nonce and key give both away. At 192 bits, chance
/// will not bring one twice.
///
/// # Panics
/// If `plain` leaves no room for the seal in [`BODY_BYTES_MAX`]: changes are made within
/// [`CHANGE_BYTES_MAX`](crate::limits::CHANGE_BYTES_MAX).
pub fn seal(key: &SpaceKey, nonce: [u8; NONCE_BYTES], place: &Place, plain: &[u8]) -> Vec<u8> {
    assert!(plain.len() + SEAL_BYTES <= BODY_BYTES_MAX, "INVARIANT: changes leave room for a seal");
    let mut out = Vec::with_capacity(plain.len() + SEAL_BYTES);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let tag = cipher(key)
        .encrypt_inout_detached(
            &XNonce::from(nonce),
            &place.to_bytes(),
            out[NONCE_BYTES..].as_mut().into(),
        )
        // INVARIANT: the cipher refuses from 256 GiB on.
        .expect("a body is within the cipher's bounds");
    out.extend_from_slice(&tag);
    out
}

/// The plain body inside a sealed one, if it was sealed under this key for this place.
pub fn open(key: &SpaceKey, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let short = || OpenError::Short(sealed.len());
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
    let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or_else(short)?;
    let mut plain = text.to_vec();
    cipher(key)
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            &place.to_bytes(),
            plain.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| OpenError::Altered)?;
    Ok(plain)
}

fn cipher(key: &SpaceKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}
