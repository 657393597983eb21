//! The messages and their numbers.

use super::frame::{self, FrameError};
use super::{Decline, Digests, Have, Hello, Parted, Prune, State, Statements, Want};
use crate::limits::{
    LOGS_PER_SPACE_MAX, NAME_BYTES_MAX, PARTED_HEADS_MAX, POSITIONS_MAX, SPACES_MAX,
    STATEMENT_BYTES_MAX, STATEMENTS_PER_MESSAGE_MAX, WANTS_MAX,
};
use crate::log::{Proof, ProofError, Run, RunError};
use minicbor::{Decode, Encode};
use std::sync::Arc;

/// Why a frame is not a message we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("message {0} cannot be read: {1}")]
    Body(&'static str, String),
    #[error("message {0} breaks its bound")]
    Bound(&'static str),
    #[error("batch: {0}")]
    Run(#[from] RunError),
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// One message. Numbers are the frame's type byte and are never reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Hello(Hello),
    Digests(Digests),
    Have(Have),
    Want(Want),
    Decline(Decline),
    Prune(Prune),
    Statements(Statements),
    /// A run, in its own bytes.
    Batch(Run),
    Parted(Parted),
    State(State),
    /// Two histories of one log, signed by its author.
    Proof(Box<Proof>),
    /// A type this version does not know; ignored, so that newer nodes can say more.
    Unknown(u8),
}

impl Message {
    pub fn to_frame(&self) -> Arc<[u8]> {
        match self {
            Self::Hello(m) => cbor(1, m),
            Self::Digests(m) => cbor(2, m),
            Self::Have(m) => cbor(3, m),
            Self::Want(m) => cbor(4, m),
            Self::Decline(m) => cbor(5, m),
            Self::Prune(m) => cbor(6, m),
            Self::Statements(m) => cbor(7, m),
            Self::Batch(run) => frame::encode(8, run.as_bytes()),
            Self::Parted(m) => cbor(9, m),
            Self::State(m) => cbor(10, m),
            Self::Proof(m) => frame::encode(11, &m.to_wire()),
            Self::Unknown(kind) => frame::encode(*kind, &[]),
        }
    }

    pub fn from_frame(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (kind, body) = frame::decode(bytes)?;
        let message = match kind {
            1 => Self::Hello(read("Hello", &body)?),
            2 => Self::Digests(read("Digests", &body)?),
            3 => Self::Have(read("Have", &body)?),
            4 => Self::Want(read("Want", &body)?),
            5 => Self::Decline(read("Decline", &body)?),
            6 => Self::Prune(read("Prune", &body)?),
            7 => Self::Statements(read("Statements", &body)?),
            8 => Self::Batch(Run::parse(body)?),
            9 => Self::Parted(read("Parted", &body)?),
            10 => Self::State(read("State", &body)?),
            11 => Self::Proof(Box::new(Proof::from_wire(&body)?)),
            other => Self::Unknown(other),
        };
        message.check_bounds()?;
        Ok(message)
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        let holds = match self {
            Self::Hello(m) => m.agent.len() <= NAME_BYTES_MAX && m.version_min <= m.version_max,
            Self::Digests(m) => m.spaces.len() <= SPACES_MAX,
            Self::Have(m) => {
                m.spaces.len() <= SPACES_MAX
                    && m.spaces.iter().map(|s| s.positions.len()).sum::<usize>() <= POSITIONS_MAX
                    && m.spaces.iter().all(|s| s.positions.len() <= LOGS_PER_SPACE_MAX)
            }
            Self::Want(m) => {
                m.ranges.len() <= WANTS_MAX
                    && m.ranges.iter().all(|r| r.from >= 1 && r.from <= r.to)
            }
            Self::Statements(m) => {
                m.statements.len() <= STATEMENTS_PER_MESSAGE_MAX
                    && m.statements.iter().all(|s| s.bytes.len() <= STATEMENT_BYTES_MAX)
            }
            Self::Parted(m) => m.heads.len() <= PARTED_HEADS_MAX,
            Self::State(m) => m.spaces.len() <= SPACES_MAX,
            // Runs and proofs are checked as they are read.
            Self::Batch(_) | Self::Proof(_) => true,
            Self::Decline(_) | Self::Prune(_) | Self::Unknown(_) => true,
        };
        if holds { Ok(()) } else { Err(DecodeError::Bound(self.name())) }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "Hello",
            Self::Digests(_) => "Digests",
            Self::Have(_) => "Have",
            Self::Want(_) => "Want",
            Self::Decline(_) => "Decline",
            Self::Prune(_) => "Prune",
            Self::Statements(_) => "Statements",
            Self::Batch(_) => "Batch",
            Self::Parted(_) => "Parted",
            Self::State(_) => "State",
            Self::Proof(_) => "Proof",
            Self::Unknown(_) => "unknown",
        }
    }
}

fn cbor<T: Encode<()>>(kind: u8, value: &T) -> Arc<[u8]> {
    // INVARIANT: encoding to memory cannot fail.
    frame::encode(kind, &minicbor::to_vec(value).expect("encoding to memory"))
}

fn read<'b, T: Decode<'b, ()>>(name: &'static str, body: &'b [u8]) -> Result<T, DecodeError> {
    let mut decoder = minicbor::Decoder::new(body);
    let value = decoder.decode().map_err(|e| DecodeError::Body(name, e.to_string()))?;
    if decoder.position() != body.len() {
        return Err(DecodeError::Body(name, "bytes after the end".into()));
    }
    Ok(value)
}
