//! Requests that may come again are carried out once.
//!
//! Whoever does not hear the answer to a write asks again under the key it chose. What came of the
//! first time is stored in the very commit that carried it out, so that there is no moment in which a
//! crash leaves the one without the other.

use crate::records::{RecordError, Records, Saved};
use crate::shared::lock;
use crate::store::{RECEIPT_KEPT_MS, Receipt};
use crate::writer::Written;
use fenbu_protocol::id::{DocId, Hash, LogId, SpaceId};
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// A request that is to be carried out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    key: [u8; 32],
    request: [u8; 32],
}

impl Once {
    /// `request` is all that makes it this request and no other.
    pub fn new(account: &str, key: &str, request: &[&[u8]]) -> Self {
        Self { key: hash(&[account.as_bytes(), key.as_bytes()]), request: hash(request) }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    // With their lengths, so that no two lists of parts run together to the same bytes.
    let lengths: Vec<u8> =
        parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes()).collect();
    let whole = [&[&lengths[..]], parts].concat();
    Hash::of("fenbu/receipt/1", &whole).0
}

/// A receipt that lacks what only the writer knows: where the entries went.
#[derive(Debug)]
pub struct Pledge {
    once: Once,
    at_ms: u64,
    /// Which records, and whether an entry says something new of each.
    saves: Vec<(SpaceId, DocId, bool)>,
}

impl Pledge {
    pub(crate) fn new(once: Once, at_ms: u64, saves: Vec<(SpaceId, DocId, bool)>) -> Self {
        Self { once, at_ms, saves }
    }

    pub(crate) fn receipt(self, written: &[Written]) -> Receipt {
        let mut written = written.iter();
        let mut outcome = Vec::new();
        for (space, document, changed) in self.saves {
            outcome.extend([&space.0[..], &document.0[..]].concat());
            match if changed { written.next() } else { None } {
                Some(entry) => {
                    outcome.push(1);
                    outcome.extend([&entry.log.0[..], &entry.seq.to_be_bytes()].concat());
                }
                None => outcome.push(0),
            }
        }
        let Once { key, request } = self.once;
        Receipt { key, request, at_ms: self.at_ms, outcome }
    }
}

/// What a receipt says; `None` if it cannot be read.
fn saved(mut outcome: &[u8]) -> Option<Vec<Saved>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*first)
    }
    let mut out = Vec::new();
    while !outcome.is_empty() {
        let space = SpaceId(take(&mut outcome)?);
        let document = DocId(take(&mut outcome)?);
        let entry = match take(&mut outcome)? {
            [0] => None,
            [_] => {
                let log = LogId(take(&mut outcome)?);
                Some(Written { log, seq: u64::from_be_bytes(take(&mut outcome)?) })
            }
        };
        out.push(Saved { space, document, entry });
    }
    Some(out)
}

/// Requests under one key come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<BTreeSet<[u8; 32]>>,
    over: Condvar,
}

struct Turn<'a> {
    turns: &'a Turns,
    key: [u8; 32],
}

impl Turns {
    fn take(&self, key: [u8; 32]) -> Turn<'_> {
        let mut taken = lock(&self.taken);
        while !taken.insert(key) {
            taken = self.over.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Turn { turns: self, key }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.turns.taken).remove(&self.key);
        self.turns.over.notify_all();
    }
}

impl Records {
    /// Does the work, or says what came of it when it was done before.
    pub(crate) fn once(
        &self,
        once: Option<Once>,
        work: impl FnOnce() -> Result<Vec<Saved>, RecordError>,
    ) -> Result<Vec<Saved>, RecordError> {
        let Some(once) = once else { return work() };
        let _turn = self.shared.turns.take(once.key);
        let before = self.shared.readers.with(|r| r.receipt(&once.key))?;
        let oldest = self.shared.clock.now_ms().saturating_sub(RECEIPT_KEPT_MS);
        match before.filter(|receipt| receipt.at_ms >= oldest) {
            Some(receipt) if receipt.request != once.request => Err(RecordError::OtherRequest),
            Some(receipt) => match saved(&receipt.outcome) {
                Some(saved) => Ok(saved),
                // Whatever it says, it was done.
                None => Err(RecordError::DoneBefore),
            },
            None => work(),
        }
    }
}

#[cfg(test)]
mod tests;
