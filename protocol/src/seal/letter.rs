//! A few bytes for one node's eyes: HPKE (RFC 9180) in base mode, suite DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, ChaCha20Poly1305. It does not say who sent it.

use crate::id::SealingKey;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::convert::Infallible;
use zeroize::{Zeroize, Zeroizing};

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Why a letter cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    #[error("the reader's sealing key is not one that can be sealed for")]
    Recipient,
    #[error("it is not sealed to this node for this purpose, or was altered")]
    Unopened,
}

/// Seals `plain` to one reader. `info` says what it is for, and opens nothing else. `chance` must be 32
/// random bytes used for nothing else: the ephemeral key is made from them.
pub fn seal_letter(
    info: &[u8],
    reader: &SealingKey,
    plain: &[u8],
    chance: [u8; 32],
) -> Result<Vec<u8>, LetterError> {
    let reader = PublicKey::from_bytes(&reader.0).map_err(|_| LetterError::Recipient)?;
    let (encapsulated, sealed) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &reader,
            info,
            plain,
            &[],
            &mut Chance(Zeroizing::new(chance)),
        )
        .map_err(|_| LetterError::Recipient)?;
    let mut out = encapsulated.to_bytes().to_vec();
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// What is in a letter to whoever has `secret`, sealed for the purpose `info` says.
pub fn open_letter(
    info: &[u8],
    secret: &[u8; 32],
    letter: &[u8],
) -> Result<Zeroizing<Vec<u8>>, LetterError> {
    let (encapsulated, sealed) = letter.split_at_checked(32).ok_or(LetterError::Unopened)?;
    let encapsulated = EncappedKey::from_bytes(encapsulated).map_err(|_| LetterError::Unopened)?;
    let secret = PrivateKey::from_bytes(secret).map_err(|_| LetterError::Unopened)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        info,
        sealed,
        &[],
    )
    .map(Zeroizing::new)
    .map_err(|_| LetterError::Unopened)
}

/// Randomness handed in, as a generator that gives it once.
struct Chance(Zeroizing<[u8; 32]>);

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("INVARIANT: key generation asks for bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("INVARIANT: key generation asks for bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        assert_eq!(out.len(), self.0.len(), "INVARIANT: an ephemeral key is asked for once");
        out.copy_from_slice(&self.0[..]);
        self.0.zeroize();
        Ok(())
    }
}

impl TryCryptoRng for Chance {}
