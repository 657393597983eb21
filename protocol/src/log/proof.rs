//! Proof that an author signed two histories of one log.

use super::run::{Run, RunError};
use crate::id::{Hash, LogId, NodeId};
use crate::limits::PROOF_RUN_BYTES_MAX;
use crate::log::Opening;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// Two stretches of one log, each up to a checkpoint its author signed, that begin at the same place after
/// the same entry and differ in their first headers. Bodies are left out: a proof is about headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    opening: Opening,
    /// The branch that stands: its first header has the lower hash.
    standing: Run,
    other: Run,
}

/// Why bytes prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("proof cannot be read: {0}")]
    Decode(String),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("proof is longer than it may be, or holds bodies")]
    Bound,
    #[error("the two runs are not two histories of one log that part at their beginning")]
    NoFork,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Wire {
    #[n(0)]
    opening: ByteArray<{ Opening::LEN }>,
    #[n(1)]
    standing: ByteVec,
    #[n(2)]
    other: ByteVec,
}

impl Proof {
    /// The proof that lies in two runs which begin at the same place; `None` if there is none. Their
    /// bodies are left out. Nothing is verified.
    pub fn of(opening: Opening, a: &Run, b: &Run) -> Option<Self> {
        let (a, b) = (a.without_bodies(), b.without_bodies());
        let (standing, other) = if a.first_hash() < b.first_hash() { (a, b) } else { (b, a) };
        let proof = Self { opening, standing, other };
        proof.check().is_ok().then_some(proof)
    }

    fn check(&self) -> Result<(), ProofError> {
        let runs = [&self.standing, &self.other];
        if runs.iter().any(|r| r.as_bytes().len() > PROOF_RUN_BYTES_MAX || r.has_bodies()) {
            return Err(ProofError::Bound);
        }
        let [a, b] = runs;
        let part = a.log() == self.opening.log()
            && b.log() == a.log()
            && a.first() == b.first()
            && a.previous() == b.previous()
            && a.first_hash() < b.first_hash();
        if part { Ok(()) } else { Err(ProofError::NoFork) }
    }

    pub fn to_wire(&self) -> Vec<u8> {
        let wire = Wire {
            opening: self.opening.to_wire().into(),
            standing: self.standing.as_bytes().to_vec().into(),
            other: self.other.as_bytes().to_vec().into(),
        };
        // INVARIANT: encoding to memory cannot fail.
        minicbor::to_vec(&wire).expect("encoding to memory")
    }

    /// Checks structure and bounds; hashes and signatures come with [`Self::verify`].
    ///
    /// # Errors
    /// Where the bytes are no proof, whoever signed what.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let wire: Wire = decoder.decode().map_err(|e| ProofError::Decode(e.to_string()))?;
        if decoder.position() != bytes.len() {
            return Err(ProofError::Decode("bytes after the end".into()));
        }
        let (standing, other) = (Vec::from(wire.standing), Vec::from(wire.other));
        let proof = Self {
            opening: Opening::from_wire(&wire.opening),
            standing: Run::parse(standing)?,
            other: Run::parse(other)?,
        };
        proof.check()?;
        Ok(proof)
    }

    /// Whether the log's author signed all of it. Costs three signatures, and a hash for each header.
    pub fn verify(&self) -> bool {
        let author = &self.opening.node;
        self.opening.verify()
            && self.standing.is_signed_by(author)
            && self.other.is_signed_by(author)
    }

    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    pub fn author(&self) -> NodeId {
        self.opening.node
    }

    pub fn log(&self) -> LogId {
        self.standing.log()
    }

    /// The first seq that was used twice.
    pub fn seq(&self) -> u64 {
        self.standing.first()
    }

    /// Headers of the branch that stands, from [`Self::seq`] on.
    pub fn standing(&self) -> &Run {
        &self.standing
    }

    /// Headers of the branch that does not.
    pub fn other(&self) -> &Run {
        &self.other
    }

    /// Header hash at [`Self::seq`] on the branch that stands.
    pub fn standing_hash(&self) -> Hash {
        self.standing.first_hash()
    }

    /// When the author wrote the first entry that contradicts another, in milliseconds since 1970 by its
    /// own clock: the later of the two.
    pub fn since_ms(&self) -> u64 {
        let first = |run: &Run| run.entries().next().map_or(0, |e| e.header.time_ms());
        first(&self.standing).max(first(&self.other))
    }

    /// What verifying it takes, in headers.
    pub fn headers(&self) -> u64 {
        u64::from(self.standing.count()) + u64::from(self.other.count())
    }

    /// Whether it says more than `held`: of a fork further back, or of a lower branch there.
    pub fn outdoes(&self, held: &Self) -> bool {
        (self.seq(), self.standing_hash()) < (held.seq(), held.standing_hash())
    }
}
