//! Names of things. All are fixed-size byte strings shown as lower-case hex.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    #[error("expected {expected} hex digits, found {found} characters")]
    Length { expected: usize, found: usize },
    #[error("'{0}' is not a hex digit")]
    Digit(char),
}

/// Lower-case hex of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)] as char);
        out.push(DIGITS[usize::from(b & 15)] as char);
    }
    out
}

/// The bytes of a hex text of exactly `N` bytes.
pub fn unhex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let found = text.chars().count();
    if found != N * 2 {
        return Err(ParseIdError::Length { expected: N * 2, found });
    }
    let mut out = [0u8; N];
    for (i, c) in text.chars().enumerate() {
        let digit = c.to_digit(16).ok_or(ParseIdError::Digit(c))?;
        out[i / 2] = (out[i / 2] << 4) | digit as u8;
    }
    Ok(out)
}

/// The bytes of a hex text of any even length.
pub fn unhex_vec(text: &str) -> Result<Vec<u8>, ParseIdError> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8).ok_or(ParseIdError::Digit(c)))
        .collect::<Result<_, _>>()?;
    if digits.len() % 2 == 1 {
        return Err(ParseIdError::Length { expected: digits.len() + 1, found: digits.len() });
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                hex(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                unhex(text).map(Self)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;
            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(
                d: &mut Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                Self::try_from(d.bytes()?)
                    .map_err(|_| minicbor::decode::Error::message("wrong id length").at(at))
            }
        }
    };
}

id!(
    /// A node's Ed25519 public key. A node *is* its key.
    NodeId,
    32
);
id!(
    /// A node's X25519 public key, to which space keys are wrapped; follows from its signing key.
    SealingKey,
    32
);
id!(
    /// The root public key of a federation, which names it.
    FederationId,
    32
);
id!(
    /// A set of records with the same readers.
    SpaceId,
    16
);
id!(
    /// One author's log in one space: BLAKE3(space ‖ node ‖ incarnation).
    LogId,
    32
);
id!(
    /// A document in its space; random, so two offices never collide.
    DocId,
    16
);
id!(
    /// A BLAKE3 hash.
    Hash,
    32
);

impl Hash {
    /// What stands before anything: the previous hash of a chain's first item.
    pub const ZERO: Self = Self([0; 32]);

    /// BLAKE3 over a domain tag and parts. The tag ends in NUL so that no tag is a prefix of
    /// another; parts must be of fixed length, or the last one.
    pub fn of(domain: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes()).update(&[0]);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first eight bytes, where a full hash would only cost room.
    pub fn prefix(&self) -> HashPrefix {
        let mut out = [0; 8];
        out.copy_from_slice(&self.0[..8]);
        HashPrefix(out)
    }
}

id!(
    /// The first eight bytes of a hash: tells forks apart by accident, proves nothing.
    HashPrefix,
    8
);

impl LogId {
    /// The actor every change in this log must carry: the log id's first 16 bytes.
    pub fn actor(&self) -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&self.0[..16]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects() {
        let id = DocId([0xab; 16]);
        assert_eq!(id.to_string().parse::<DocId>(), Ok(id));
        assert_eq!("ab".parse::<DocId>(), Err(ParseIdError::Length { expected: 32, found: 2 }));
        assert_eq!("zz".repeat(16).parse::<DocId>(), Err(ParseIdError::Digit('z')));
    }

    #[test]
    fn domains_separate() {
        assert_ne!(Hash::of("a", &[b"b"]), Hash::of("b", &[b"b"]));
    }
}
