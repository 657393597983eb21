//! What the directory is made of: statements, each signed and chained to the one before.

use super::act::Act;
use crate::id::{FederationId, Hash, NodeId, SpaceId};
use crate::limits::{SIGNED_BYTES_MAX, STATEMENT_BYTES_MAX};
use crate::log::{signature_of, verify};
use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};

const DOMAIN: &str = "fenbu/statement/1";

/// One statement: its place in the chain, who makes it, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statement {
    #[n(0)]
    pub federation: FederationId,
    /// The epoch this statement makes: its place in the chain, from 1.
    #[n(1)]
    pub epoch: u64,
    /// Hash of the statement before; zero for the first.
    #[n(2)]
    pub previous: Hash,
    /// The root key or the admin node.
    #[n(3)]
    pub author: NodeId,
    /// Milliseconds since 1970, for display.
    #[n(4)]
    pub time_ms: u64,
    /// Which act the payload is; open, so that an older node can say what it does not know.
    #[n(5)]
    pub act: u16,
    #[cbor(n(6), with = "minicbor::bytes")]
    pub payload: Vec<u8>,
}

impl Statement {
    pub fn to_wire(&self) -> Vec<u8> {
        to_vec(self)
    }

    pub fn from_wire(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        from_slice(bytes, STATEMENT_BYTES_MAX)
    }

    /// What it does; `Ok(None)` for an act of a newer version.
    pub fn act(&self) -> Result<Option<Act>, minicbor::decode::Error> {
        Act::parse(self.act, &self.payload)
    }

    /// What [`Signed::hash`] will be.
    pub(super) fn hash(&self) -> Hash {
        Hash::of(DOMAIN, &[&to_vec(self)])
    }
}

/// A statement's exact bytes and the author's signature over them. The bytes are what is hashed,
/// stored and relayed; they are never encoded again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signed {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Signed {
    pub fn sign(key: &SigningKey, statement: &Statement) -> Self {
        let bytes = to_vec(statement);
        let signature = signature_of(key, DOMAIN, &bytes);
        Self { bytes, signature }
    }

    /// What the next statement points at.
    pub fn hash(&self) -> Hash {
        Hash::of(DOMAIN, &[&self.bytes])
    }

    pub fn verify(&self, author: &NodeId) -> bool {
        verify(author, DOMAIN, &self.bytes, &self.signature)
    }

    /// The statement inside; the signature is not looked at.
    pub fn open(&self) -> Result<Statement, minicbor::decode::Error> {
        from_slice(&self.bytes, STATEMENT_BYTES_MAX)
    }

    /// Whether it takes the place of what was said at its epoch; the signature is not looked at.
    pub fn is_recovery(&self) -> bool {
        self.open().is_ok_and(|s| matches!(s.act(), Ok(Some(Act::Recover(_)))))
    }

    pub fn to_wire(&self) -> Vec<u8> {
        to_vec(self)
    }

    pub fn from_wire(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        from_slice(bytes, SIGNED_BYTES_MAX)
    }
}

/// A space's id follows from its federation and label, so that it can be named before it exists.
pub fn space_id(federation: &FederationId, label: &str) -> SpaceId {
    let hash = Hash::of("fenbu/space/1", &[federation.as_bytes(), label.as_bytes()]);
    let mut out = [0; 16];
    out.copy_from_slice(&hash.0[..16]);
    SpaceId(out)
}

pub(super) fn to_vec<T: Encode<()>>(value: &T) -> Vec<u8> {
    // INVARIANT: writing to memory cannot fail, and none of these types refuses to encode.
    minicbor::to_vec(value).expect("encoding to memory")
}

/// Decodes one whole value: too long or with bytes after it is an error.
pub(super) fn from_slice<'b, T: Decode<'b, ()>>(
    bytes: &'b [u8],
    bytes_max: usize,
) -> Result<T, minicbor::decode::Error> {
    if bytes.len() > bytes_max {
        return Err(minicbor::decode::Error::message("statement over the limit"));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode()?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message("bytes after the end"));
    }
    Ok(value)
}
