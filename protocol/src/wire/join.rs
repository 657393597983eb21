//! The join conversation: one request and one answer on an ALPN of its own, or in files.

use crate::directory::{Role, Signed};
use crate::id::{FederationId, NodeId, SealingKey};
use crate::log::{signature_of, verify};
use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};

const PROOF: &str = "fenbu/join/1";

/// From the joining node to the node that invited it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinRequest {
    #[n(0)]
    pub federation: FederationId,
    /// The token's secret.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub secret: [u8; 16],
    /// Over the TLS exporter of this very connection: the key is held here and now.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub proof: [u8; 64],
    #[n(3)]
    pub name: String,
    #[n(4)]
    pub addresses: Vec<String>,
    #[n(5)]
    pub sealing: SealingKey,
}

/// One whole value and nothing after it.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode()?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message("bytes after the end"));
    }
    Ok(value)
}

impl JoinRequest {
    pub fn prove(key: &SigningKey, exporter: &[u8; 32]) -> [u8; 64] {
        signature_of(key, PROOF, exporter)
    }

    pub fn is_proven(&self, node: &NodeId, exporter: &[u8; 32]) -> bool {
        verify(node, PROOF, exporter, &self.proof)
    }
}

/// The answer: the whole directory with the new node in it, or why not, in words.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinAnswer {
    #[n(0)]
    pub statements: Vec<Signed>,
    #[n(1)]
    pub refusal: Option<String>,
}

/// What a token says; its text form is `fenbu1` and base32 of this in CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Token {
    #[n(0)]
    pub federation: FederationId,
    /// The node that issued it and must answer.
    #[n(1)]
    pub issuer: NodeId,
    #[n(2)]
    pub addresses: Vec<String>,
    /// 128 random bits; the issuer keeps their hash.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub secret: [u8; 16],
    #[n(4)]
    pub unit: String,
    #[n(5)]
    pub role: Role,
}

const TOKEN_PREFIX: &str = "fenbu1";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "a token begins with '{TOKEN_PREFIX}'; copy the whole line that `fenbu invite` printed"
    )]
    Prefix,
    #[error("the token is damaged: copy the whole line that `fenbu invite` printed")]
    Damaged,
}

impl Token {
    /// The text a person copies: prefix, base32 (RFC 4648, lower case) of CBOR and a 4-byte check.
    pub fn to_text(&self) -> String {
        // INVARIANT: encoding to memory cannot fail.
        let cbor = minicbor::to_vec(self).expect("encoding to memory");
        text_of(TOKEN_PREFIX, "fenbu/token/1", cbor)
    }

    pub fn from_text(text: &str) -> Result<Self, TokenError> {
        let digits = text.trim().strip_prefix(TOKEN_PREFIX).ok_or(TokenError::Prefix)?;
        let cbor = cbor_of("fenbu/token/1", digits).ok_or(TokenError::Damaged)?;
        decode(&cbor).map_err(|_| TokenError::Damaged)
    }
}

const REQUEST_PREFIX: &str = "fenbureq1";
const BY_FILE: &str = "fenbu/join-file/1";

/// A node without a network asks to be let in: its file is `fenbureq1` and base32 of this in CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FileRequest {
    #[n(0)]
    pub node: NodeId,
    #[n(1)]
    pub sealing: SealingKey,
    /// Its unit's code if none.
    #[n(2)]
    pub name: Option<String>,
    #[n(3)]
    pub addresses: Vec<String>,
    /// Over the rest: whoever asks has the key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(super) proof: [u8; 64],
}

/// Why a text is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRequestError {
    #[error(
        "this is no request to join: it begins with '{REQUEST_PREFIX}', as `fenbu join --request` wrote it"
    )]
    Prefix,
    #[error("the request is damaged: copy the whole file that `fenbu join --request` wrote")]
    Damaged,
}

impl FileRequest {
    pub fn sign(
        key: &SigningKey,
        sealing: SealingKey,
        name: Option<String>,
        addresses: Vec<String>,
    ) -> Self {
        let node = NodeId(key.verifying_key().to_bytes());
        let mut request = Self { node, sealing, name, addresses, proof: [0; 64] };
        request.proof = signature_of(key, BY_FILE, &request.to_cbor());
        request
    }

    fn to_cbor(&self) -> Vec<u8> {
        // INVARIANT: encoding to memory cannot fail.
        minicbor::to_vec(self).expect("encoding to memory")
    }

    pub fn to_text(&self) -> String {
        text_of(REQUEST_PREFIX, BY_FILE, self.to_cbor())
    }

    /// The request, if whoever wrote it has the key it names.
    pub fn from_text(text: &str) -> Result<Self, FileRequestError> {
        let digits = text.trim().strip_prefix(REQUEST_PREFIX).ok_or(FileRequestError::Prefix)?;
        let cbor = cbor_of(BY_FILE, digits).ok_or(FileRequestError::Damaged)?;
        let request: Self = decode(&cbor).map_err(|_| FileRequestError::Damaged)?;
        let said = Self { proof: [0; 64], ..request.clone() }.to_cbor();
        match verify(&request.node, BY_FILE, &said, &request.proof) {
            true => Ok(request),
            false => Err(FileRequestError::Damaged),
        }
    }
}

/// Prefix and base32 (RFC 4648, lower case) of CBOR and a 4-byte check.
fn text_of(prefix: &str, domain: &'static str, mut bytes: Vec<u8>) -> String {
    let check = crate::id::Hash::of(domain, &[&bytes]);
    bytes.extend_from_slice(&check.0[..4]);
    let mut out = String::from(prefix);
    let (mut acc, mut bits) = (0u32, 0);
    for byte in bytes {
        acc = (acc << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(BASE32[(acc >> bits) as usize & 31] as char);
        }
        acc &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(BASE32[(acc << (5 - bits)) as usize & 31] as char);
    }
    out
}

/// What [`text_of`] made text of, without the prefix; `None` if it is not whole.
fn cbor_of(domain: &'static str, digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() * 5 / 8);
    let (mut acc, mut bits) = (0u32, 0);
    for c in digits.bytes() {
        let digit = BASE32.iter().position(|b| *b == c.to_ascii_lowercase())?;
        acc = (acc << 5) | digit as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((acc >> bits) as u8);
        }
        acc &= (1 << bits) - 1;
    }
    let (cbor, check) = bytes.split_last_chunk::<4>()?;
    (crate::id::Hash::of(domain, &[cbor]).0[..4] == check[..]).then(|| cbor.to_vec())
}
