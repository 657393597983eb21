//! From the stored entries of a document to what counts of them: whose authors had the right, whose
//! bodies can be read, what waits; then the gate.
//!
//! The one place where the directory, the keys and the gate come together, for the daemon, the
//! simulator and the court of forgeries alike.

use super::authors::Authors;
use super::doc::LoadError;
use super::gate::Refusal;
use super::materialise::{Incoming, Outcome, materialise};
use super::rescue::rescued;
use super::schema::Schema;
use crate::directory::{Directory, Standing};
use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::log::{HEADER_VERSION, Header};
use crate::seal::{BodyError, Keyring, Reading};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// An entry to be judged, with its stored body.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub header: &'a Header,
    /// Who opened its log.
    pub author: NodeId,
    pub body: &'a [u8],
}

/// Why an entry does not count, as far as is known now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("its author had no right to write here at epoch {0}")]
    NoRight(u64),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Gate(#[from] Refusal),
}

impl Objection {
    /// A short stable name, for logs, metrics and the interface.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRight(_) => "no-right",
            Self::Body(why) => why.code(),
            Self::Gate(why) => why.code(),
        }
    }
}

/// What became of the candidates.
#[derive(Debug, Default)]
pub struct Judgement {
    /// The document with what was accepted; `None` if nothing got as far as the gate.
    pub outcome: Option<Outcome>,
    /// By (log, position).
    pub refused: Vec<(LogId, u64, Objection)>,
    /// To be looked at again when entries, statements or keys arrive.
    pub waiting: Vec<(LogId, u64)>,
}

/// Why no judgement was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoJudgement<E> {
    /// The document's snapshot is damaged: make it again from all entries.
    Snapshot(LoadError),
    /// The store failed.
    Store(E),
}

/// What entries of one space's documents of one kind are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    pub directory: &'a Directory,
    pub keyring: &'a Keyring,
    pub space: SpaceId,
    pub schema: &'static Schema,
    /// Contents are held to whose they are by these, who must be all authors of the document and of the
    /// candidates; to nobody's if `None`.
    pub authors: Option<&'a Authors>,
}

/// Whether an entry is offered to the gate, and with which plain body.
enum Verdict<'a> {
    Counts(Cow<'a, [u8]>),
    /// Only if what counts builds on it.
    PastCut(Cow<'a, [u8]>),
    /// Only if what somebody else wrote, and what counts, builds on it.
    Over(Cow<'a, [u8]>),
    Waits,
    Refused(Objection),
}

/// Entries by what becomes of them, with their plain bodies.
#[derive(Default)]
struct Sorted<'a> {
    offered: Vec<(LogId, u64, Cow<'a, [u8]>)>,
    /// The authors of what is offered.
    by: Vec<NodeId>,
    /// Past a cut or over a limit.
    past: Vec<(LogId, u64, Cow<'a, [u8]>)>,
    /// Who cannot save it: of what is past a cut nobody, of what is over a limit its author.
    vain: Vec<Option<NodeId>>,
}

impl Bench<'_> {
    /// What becomes of a document, made before up to `snapshot`, with these entries. `hash_at` gives
    /// the header hash of a log's entry that is held, and is asked only where a log was cut; `is_over`
    /// says whether an entry whose author had the right is beyond what one author may have.
    ///
    /// # Errors
    /// If `snapshot` cannot be loaded, or `hash_at` or `is_over` fails.
    pub fn judge<E>(
        &self,
        snapshot: Option<&[u8]>,
        candidates: &[Candidate<'_>],
        hash_at: impl Fn(LogId, u64) -> Result<Option<Hash>, E>,
        is_over: impl Fn(&Candidate<'_>) -> Result<bool, E>,
    ) -> Result<Judgement, NoJudgement<E>> {
        let mut judgement = Judgement::default();
        let sorted = self.sorted(candidates, &hash_at, &is_over, &mut judgement);
        let Sorted { offered, by, past, vain } = sorted.map_err(NoJudgement::Store)?;
        let mut incoming = incoming(&offered);
        if !past.is_empty() {
            let past = self::incoming(&past);
            let rescued = saved(self.schema, (&incoming, &by), (&past, &vain));
            for (entry, rescued) in past.into_iter().zip(rescued) {
                match rescued {
                    true => incoming.push(entry),
                    // Looked at again with whatever comes: it may be rescued yet.
                    false => judgement.waiting.push((entry.log, entry.seq)),
                }
            }
        }
        if !incoming.is_empty() {
            let mut outcome = materialise(self.schema, self.authors, snapshot, &incoming)
                .map_err(NoJudgement::Snapshot)?;
            let refused = std::mem::take(&mut outcome.refused).into_iter();
            judgement.refused.extend(refused.map(|(log, seq, why)| (log, seq, why.into())));
            judgement.waiting.append(&mut outcome.waiting);
            judgement.outcome = Some(outcome);
        }
        Ok(judgement)
    }

    /// Which of the entries, by log and seq, are offered to the gate, and which perhaps; the others wait
    /// or are refused.
    fn sorted<'a, E>(
        &self,
        candidates: &[Candidate<'a>],
        hash_at: &impl Fn(LogId, u64) -> Result<Option<Hash>, E>,
        is_over: &impl Fn(&Candidate<'_>) -> Result<bool, E>,
        judgement: &mut Judgement,
    ) -> Result<Sorted<'a>, E> {
        let mut candidates: Vec<&Candidate<'a>> = candidates.iter().collect();
        candidates.sort_by_key(|c| (c.header.log, c.header.seq));
        let mut sorted = Sorted::default();
        // Later entries of a log wait behind one that waits, here as in the gate: an honest author's
        // build on it.
        let mut blocked: Option<LogId> = None;
        for candidate in candidates {
            let (log, seq) = (candidate.header.log, candidate.header.seq);
            if blocked == Some(log) {
                judgement.waiting.push((log, seq));
                continue;
            }
            match self.verdict(candidate, hash_at, is_over)? {
                Verdict::Counts(body) => {
                    sorted.offered.push((log, seq, body));
                    sorted.by.push(candidate.author);
                }
                Verdict::PastCut(body) => {
                    sorted.past.push((log, seq, body));
                    sorted.vain.push(None);
                }
                Verdict::Over(body) => {
                    sorted.past.push((log, seq, body));
                    sorted.vain.push(Some(candidate.author));
                }
                Verdict::Waits => {
                    blocked = Some(log);
                    judgement.waiting.push((log, seq));
                }
                Verdict::Refused(why) => judgement.refused.push((log, seq, why)),
            }
        }
        Ok(sorted)
    }

    /// Whether the author had the right, as far as this directory tells, and what was written.
    fn verdict<'a, E>(
        &self,
        candidate: &Candidate<'a>,
        hash_at: &impl Fn(LogId, u64) -> Result<Option<Hash>, E>,
        is_over: &impl Fn(&Candidate<'_>) -> Result<bool, E>,
    ) -> Result<Verdict<'a>, E> {
        let header = candidate.header;
        let shape = &header.shape;
        if shape.version != HEADER_VERSION || self.schema.genesis != shape.genesis {
            return Ok(Verdict::Waits);
        }
        let hash_at = |seq| hash_at(header.log, seq);
        let author = &candidate.author;
        let past = match self.directory.standing(author, &self.space, header, hash_at)? {
            Standing::Anchored => false,
            Standing::PastCut => true,
            Standing::Unknown => return Ok(Verdict::Waits),
            Standing::NoRight => {
                return Ok(Verdict::Refused(Objection::NoRight(header.epoch)));
            }
        };
        let over = !past && is_over(candidate)?;
        Ok(match self.keyring.read(self.directory, &self.space, header, candidate.body) {
            Reading::Plain(body) if past => Verdict::PastCut(body),
            Reading::Plain(body) if over => Verdict::Over(body),
            Reading::Plain(body) => Verdict::Counts(body),
            Reading::Waits => Verdict::Waits,
            Reading::Refused(why) => Verdict::Refused(why.into()),
        })
    }
}

fn incoming<'a>(entries: &'a [(LogId, u64, Cow<'_, [u8]>)]) -> Vec<Incoming<'a>> {
    entries.iter().map(|(log, seq, body)| Incoming { log: *log, seq: *seq, body }).collect()
}

/// Which of `past` what counts builds on; an entry is saved by nobody it is `vain` for.
fn saved(
    schema: &Schema,
    (offered, by): (&[Incoming<'_>], &[NodeId]),
    (past, vain): (&[Incoming<'_>], &[Option<NodeId>]),
) -> Vec<bool> {
    let mut out = vec![false; past.len()];
    for but in vain.iter().collect::<BTreeSet<_>>() {
        let others = offered.iter().zip(by).filter(|(_, by)| Some(**by) != *but);
        let others: Vec<Incoming<'_>> = others.map(|(entry, _)| *entry).collect();
        let saved = rescued(schema, &others, past);
        for (at, saved) in saved.into_iter().enumerate().filter(|(at, _)| vain[*at] == *but) {
            out[at] = saved;
        }
    }
    out
}
