//! What a statement can say: the payloads, by act.

use super::statement::{from_slice, to_vec};
use crate::id::{Hash, LogId, NodeId, SealingKey, SpaceId};
use crate::limits::STATEMENT_BYTES_MAX;
use minicbor::{Decode, Encode};

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
    /// What space keys are wrapped to for it.
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
    /// Stands exactly where a unit loses the right to write: up to where its nodes' logs count.
    #[n(7)]
    pub cuts: Option<Vec<Cut>>,
}

/// The last entry of a log that still counts when its author loses a right. In a list, ascending by
/// log; a log that is not listed is cut at 0.
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

/// Ends a node. Its logs count up to their cuts, in every space.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevokeNode {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub cuts: Vec<Cut>,
}

/// By the root key alone: another node signs everyday statements from here on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AppointAdmin {
    #[n(0)]
    pub node: NodeId,
    /// Present: the admin that is replaced is revoked with it, as by [`RevokeNode`].
    #[n(1)]
    pub cuts: Option<Vec<Cut>>,
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
    /// Ascending by node.
    #[n(3)]
    pub wraps: Vec<Wrap>,
}

/// A space key sealed to one node's [`SealingKey`]; what its bytes mean is [`crate::seal`]'s.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Wrap {
    #[n(0)]
    pub node: NodeId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// How much one author may have in a space, from this epoch on; what is absent is the default.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SetLimits {
    #[n(0)]
    pub space: SpaceId,
    /// Body bytes.
    #[n(1)]
    pub bytes: Option<u64>,
    #[n(2)]
    pub entries: Option<u64>,
    /// Documents its entries name.
    #[n(3)]
    pub documents: Option<u64>,
}

/// More cuts than fit the statement just before, which takes a right, or which is such a continuation
/// itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ContinueCuts {
    #[n(0)]
    pub cuts: Vec<Cut>,
}

/// By the root key alone: everything said after `epoch` is void. Makes epoch `epoch + 1`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recover {
    /// The last epoch that stands.
    #[n(0)]
    pub epoch: u64,
    /// The directory's head there.
    #[n(1)]
    pub hash: Hash,
    /// The last epoch of what is void, as far as is known where this is signed.
    #[n(2)]
    pub voided: u64,
}

macro_rules! acts {
    ($($number:literal $name:ident,)*) => {
        /// Every act this version knows.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Act {
            $($name($name),)*
        }

        impl Act {
            /// The act's number on the wire; never reused.
            pub fn number(&self) -> u16 {
                match self { $(Self::$name(_) => $number,)* }
            }

            pub fn payload(&self) -> Vec<u8> {
                match self { $(Self::$name(act) => to_vec(act),)* }
            }

            /// `Ok(None)` for an act of a newer version.
            pub fn parse(
                number: u16,
                payload: &[u8],
            ) -> Result<Option<Self>, minicbor::decode::Error> {
                Ok(Some(match number {
                    $($number => Self::$name(from_slice(payload, STATEMENT_BYTES_MAX)?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

acts! {
    1 Found,
    2 DefineUnit,
    3 AdmitNode,
    4 UpdateNode,
    5 DefineSpace,
    6 RevokeNode,
    7 AppointAdmin,
    8 GrantKey,
    9 SetLimits,
    10 ContinueCuts,
    11 Recover,
}
