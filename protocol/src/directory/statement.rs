//! What the directory is made of: statements, each signed and chained to the one before.

use crate::id::{FederationId, Hash, LogId, NodeId, SealingKey, SpaceId};
use crate::limits::STATEMENT_BYTES_MAX;
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
        from_slice(&self.bytes)
    }

    pub fn to_wire(&self) -> Vec<u8> {
        to_vec(self)
    }

    pub fn from_wire(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        from_slice(bytes)
    }
}

/// Units of a federation a right extends to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Scope {
    /// Every unit, present and future.
    #[n(0)]
    pub all: bool,
    /// These units, by code.
    #[n(1)]
    pub units: Vec<String>,
}

impl Scope {
    pub fn everyone() -> Self {
        Self { all: true, units: Vec::new() }
    }

    pub fn units(codes: impl IntoIterator<Item = String>) -> Self {
        Self { all: false, units: codes.into_iter().collect() }
    }

    pub fn includes(&self, unit: &str) -> bool {
        self.all || self.units.iter().any(|u| u == unit)
    }
}

macro_rules! open_code {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $konst:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub u8);
        impl $name {
            $($(#[$vdoc])* pub const $konst: Self = Self($value);)*

            /// The code's word, `unknown` for a newer node's.
            pub fn as_str(self) -> &'static str {
                match self.0 { $($value => $text,)* _ => "unknown" }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$konst),)* _ => None }
            }
        }
    };
}

open_code! {
    /// What a node is for. Open.
    Role {
        SERVER = 0, "server";
        /// Goes into the field and is often away.
        LAPTOP = 1, "laptop";
    }
}

open_code! {
    /// What a space was made from. Open.
    Template {
        /// Every node reads.
        FEDERATION = 0, "federation";
        /// A unit's nodes and head office read.
        UNIT = 1, "unit";
        /// The host unit and head office read, while a task force lasts.
        TEMPORARY = 2, "temporary";
    }
}

/// The first statement, by the root key: names the federation and its first admin node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub admin: NodeId,
    /// Code of the unit that is head office; it reads every unit's space.
    #[n(2)]
    pub head_office: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DefineUnit {
    /// Lower-case letters, digits and `-`; never changes.
    #[n(0)]
    pub code: String,
    #[n(1)]
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AdmitNode {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub unit: String,
    #[n(2)]
    pub name: String,
    #[n(3)]
    pub role: Role,
    /// `host:port`, best first.
    #[n(4)]
    pub addresses: Vec<String>,
    #[n(5)]
    pub sealing: SealingKey,
}

/// Changes what may change about a node; absent fields stay.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UpdateNode {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub name: Option<String>,
    #[n(2)]
    pub addresses: Option<Vec<String>>,
}

/// Defines a space, or defines its rights anew from this epoch on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DefineSpace {
    #[n(0)]
    pub space: SpaceId,
    #[n(1)]
    pub label: String,
    #[n(2)]
    pub template: Template,
    /// The unit it belongs to; none for `federation`.
    #[n(3)]
    pub unit: Option<String>,
    #[n(4)]
    pub readers: Scope,
    #[n(5)]
    pub writers: Scope,
    #[n(6)]
    pub carriers: Scope,
}

/// The last entry of a log that still counts when its author loses a right.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Cut {
    #[n(0)]
    pub log: LogId,
    #[n(1)]
    pub seq: u64,
    #[n(2)]
    pub hash: Hash,
}

/// Ends a node. Its logs count up to their cuts; a log not listed is cut at 0.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevokeNode {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub cuts: Vec<Cut>,
}

/// A space's key, wrapped for readers. The first of a key epoch makes it; further ones bring it to more
/// readers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantKey {
    #[n(0)]
    pub space: SpaceId,
    /// From 1, without gaps.
    #[n(1)]
    pub key_epoch: u32,
    /// Tells whether a key unwrapped is the one meant.
    #[n(2)]
    pub check: Hash,
    #[n(3)]
    pub wraps: Vec<Wrap>,
}

/// A space key for one reader.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Wrap {
    #[n(0)]
    pub node: NodeId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// By the root key alone: another node signs everyday statements from here on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AppointAdmin {
    #[n(0)]
    pub node: NodeId,
}

/// Every act this version knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Found(Found),
    DefineUnit(DefineUnit),
    AdmitNode(AdmitNode),
    UpdateNode(UpdateNode),
    DefineSpace(DefineSpace),
    RevokeNode(RevokeNode),
    AppointAdmin(AppointAdmin),
    GrantKey(GrantKey),
}

impl Act {
    /// The act's number on the wire; never reused.
    pub fn number(&self) -> u16 {
        match self {
            Self::Found(_) => 1,
            Self::DefineUnit(_) => 2,
            Self::AdmitNode(_) => 3,
            Self::UpdateNode(_) => 4,
            Self::DefineSpace(_) => 5,
            Self::RevokeNode(_) => 6,
            Self::AppointAdmin(_) => 7,
            Self::GrantKey(_) => 8,
        }
    }

    pub fn payload(&self) -> Vec<u8> {
        match self {
            Self::Found(a) => to_vec(a),
            Self::DefineUnit(a) => to_vec(a),
            Self::AdmitNode(a) => to_vec(a),
            Self::UpdateNode(a) => to_vec(a),
            Self::DefineSpace(a) => to_vec(a),
            Self::RevokeNode(a) => to_vec(a),
            Self::AppointAdmin(a) => to_vec(a),
            Self::GrantKey(a) => to_vec(a),
        }
    }

    /// `Ok(None)` for an act of a newer version.
    pub fn parse(number: u16, payload: &[u8]) -> Result<Option<Self>, minicbor::decode::Error> {
        Ok(Some(match number {
            1 => Self::Found(from_slice(payload)?),
            2 => Self::DefineUnit(from_slice(payload)?),
            3 => Self::AdmitNode(from_slice(payload)?),
            4 => Self::UpdateNode(from_slice(payload)?),
            5 => Self::DefineSpace(from_slice(payload)?),
            6 => Self::RevokeNode(from_slice(payload)?),
            7 => Self::AppointAdmin(from_slice(payload)?),
            8 => Self::GrantKey(from_slice(payload)?),
            _ => return Ok(None),
        }))
    }
}

/// A space's id follows from its federation and label, so that it can be named before it exists.
pub fn space_id(federation: &FederationId, label: &str) -> SpaceId {
    let hash = Hash::of("fenbu/space/1", &[federation.as_bytes(), label.as_bytes()]);
    let mut out = [0; 16];
    out.copy_from_slice(&hash.0[..16]);
    SpaceId(out)
}

fn to_vec<T: Encode<()>>(value: &T) -> Vec<u8> {
    // INVARIANT: writing to memory cannot fail, and none of these types refuses to encode.
    minicbor::to_vec(value).expect("encoding to memory")
}

/// Decodes one whole value: too long or with bytes after it is an error.
fn from_slice<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    if bytes.len() > STATEMENT_BYTES_MAX {
        return Err(minicbor::decode::Error::message("statement over the limit"));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode()?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message("bytes after the end"));
    }
    Ok(value)
}
