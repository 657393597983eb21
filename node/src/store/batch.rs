//! What one commit writes, and the checks that need no database.

use super::changes::Receipt;
use super::forks::{self, Pending, Switching};
use super::row::{Row, ViewSpec};
use super::{LogId, NodeId, Place, SpaceId, StoreError};
use fenbu_protocol::directory::Signed;
use fenbu_protocol::id::DocId;
use fenbu_protocol::log::{Kind, Proof, Run, Tip};
use fenbu_protocol::record::conflict::Match;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that becomes durable together. Applied in the order of the fields.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    /// First of all, statements of this epoch and later are dropped: another directory took over.
    pub drop_statements_from: Option<u64>,
    /// The directory's chain: epoch and signed bytes. One that is held already must be the same.
    pub statements: Vec<(u64, Vec<u8>)>,
    /// Other branches of logs that stand. Before the runs: one that comes after a run of its log belongs
    /// into another batch.
    pub switches: Vec<Switching>,
    /// Verified runs, each with its log's tip after it. What is held already is cut off; a run that
    /// begins at seq 1 makes its log known.
    pub runs: Vec<(Run, Tip)>,
    /// Runs, verified as their authors', that take the place of stored ones which are damaged or missing.
    /// Each must fit what stands before and after it; its entries are then made into documents again.
    pub mended: Vec<Run>,
    /// Documents that are made again from their entries: their rows, and what waits or is refused
    /// there, go before anything of this batch comes. Nothing of the old row need be readable.
    pub forget: Vec<Place>,
    pub documents: Vec<DocumentUpdate>,
    /// Rows of documents that did not change: for rebuilding views.
    pub rows: Vec<RowUpdate>,
    /// Documents that are the same and seen otherwise: whoever follows the changes meets them again.
    pub touched: Vec<Place>,
    /// Logs and the seq up to which they are materialised; may go back, for rebuilding.
    pub cursors: Vec<(LogId, u64)>,
    /// Entries whose dependencies are missing.
    pub waiting: Vec<EntryRef>,
    pub no_longer_waiting: Vec<EntryRef>,
    /// Entries that do not count; a later refusal of the same entry replaces the reason.
    pub refused: Vec<Refusal>,
    /// Entries that count after all, since the directory grew.
    pub no_longer_refused: Vec<EntryRef>,
    /// What peers say they hold durably; the last word stands, even if it is lower.
    pub acknowledgements: Vec<(NodeId, LogId, u64)>,
    /// Small named values; `None` deletes.
    pub settings: Vec<(String, Option<Vec<u8>>)>,
    /// Of requests that this carries out; a later one takes the place of one under the same key.
    pub receipts: Vec<Receipt>,
    /// That authors of logs signed two histories, each in place of what is known of its log.
    pub proofs: Vec<Arc<Proof>>,
    /// Lost branches whose documents were made again without them.
    pub remade: Vec<u64>,
    /// What is to be written anew; what is already to be is not added twice.
    pub amendments: Vec<Pending>,
    /// … and what has been.
    pub amended: Vec<(Place, [u8; 32])>,
    /// Every document has its row: rows without a document go, and the views are no longer stale.
    pub views_rebuilt: bool,
    /// Last of all, the state sums of these spaces are made again from their documents' heads: where
    /// heads were damaged, nobody knows what to take out of the sum. Heads that cannot be read count
    /// for nothing, and rows whose name cannot be read go.
    pub sum_anew: Vec<SpaceId>,
}

/// One document as it is after its entries were applied.
#[derive(Debug, Clone)]
pub struct DocumentUpdate {
    pub space: SpaceId,
    pub document: DocId,
    pub kind: Kind,
    pub genesis: u16,
    pub snapshot: Arc<[u8]>,
    /// Change hashes in ascending order.
    pub heads: Vec<[u8; 32]>,
    /// Kept if its kind has a view.
    pub row: Row,
    pub conflicts: u32,
    /// What others it may contradict have in common with it; ascending. Kept as the row is.
    pub keys: Vec<Match>,
}

impl DocumentUpdate {
    pub fn place(&self) -> Place {
        Place { document: self.document, space: self.space, kind: self.kind }
    }
}

/// The view's row of a document that is stored.
#[derive(Debug, Clone)]
pub struct RowUpdate {
    pub place: Place,
    pub row: Row,
    pub conflicts: u32,
    /// As [`DocumentUpdate::keys`].
    pub keys: Vec<Match>,
}

/// An entry and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryRef {
    pub place: Place,
    pub log: LogId,
    pub seq: u64,
}

/// An entry that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub entry: EntryRef,
    /// For programs.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// Name of the setting that holds the statement that forks the directory, as it travels.
pub const FORK_SETTING: &str = "directory-fork";

impl WriteBatch {
    /// Another history of the directory in place of what is held from `from` on.
    pub fn branch(from: u64, statements: &[Signed]) -> Self {
        let statements = (from..).zip(statements.iter().map(Signed::to_wire)).collect();
        Self { drop_statements_from: Some(from), statements, ..Self::default() }
    }

    /// What stops the directory; see [`fenbu_protocol::directory::Directory::stop_again`].
    pub fn fork(statement: &Signed) -> Self {
        let settings = vec![(FORK_SETTING.to_owned(), Some(statement.to_wire()))];
        Self { settings, ..Self::default() }
    }

    /// Adds what `later` writes, as if the two were committed one after the other: for group commit.
    pub fn merge(&mut self, later: Self) {
        if let Some(epoch) = later.drop_statements_from {
            self.statements.retain(|(e, _)| *e < epoch);
            let earlier = self.drop_statements_from.unwrap_or(epoch);
            self.drop_statements_from = Some(epoch.min(earlier));
        }
        self.statements.extend(later.statements);
        self.switches.extend(later.switches);
        self.runs.extend(later.runs);
        self.mended.extend(later.mended);
        self.forget(&later.forget);
        // Rows are written after documents, and a later document brings a newer row.
        let stale = |row: &RowUpdate| later.documents.iter().any(|d| d.place() == row.place);
        self.rows.retain(|row| !stale(row));
        self.documents.extend(later.documents);
        self.rows.extend(later.rows);
        self.touched.extend(later.touched);
        self.cursors.extend(later.cursors);
        // Within a batch removal has the last word, so what comes back must not be removed.
        self.no_longer_waiting.retain(|e| !later.waiting.contains(e));
        self.waiting.extend(later.waiting);
        self.no_longer_waiting.extend(later.no_longer_waiting);
        self.no_longer_refused.retain(|e| !later.refused.iter().any(|r| r.entry == *e));
        self.refused.extend(later.refused);
        self.no_longer_refused.extend(later.no_longer_refused);
        self.acknowledgements.extend(later.acknowledgements);
        self.settings.extend(later.settings);
        self.receipts.extend(later.receipts);
        self.proofs.extend(later.proofs);
        self.remade.extend(later.remade);
        self.amendments.extend(later.amendments);
        self.amended.extend(later.amended);
        self.views_rebuilt |= later.views_rebuilt;
        self.sum_anew.extend(later.sum_anew);
    }

    /// What this batch would write of documents that go after it is not written at all.
    fn forget(&mut self, places: &[Place]) {
        if places.is_empty() {
            return;
        }
        let gone: BTreeSet<Place> = places.iter().copied().collect();
        self.documents.retain(|update| !gone.contains(&update.place()));
        self.rows.retain(|update| !gone.contains(&update.place));
        self.waiting.retain(|entry| !gone.contains(&entry.place));
        self.refused.retain(|refusal| !gone.contains(&refusal.entry.place));
        self.forget.extend(places);
    }

    /// Whether everything in it follows from what is stored already: losing it with the power costs
    /// nothing but making it again, so it need not wait for the disk.
    pub fn is_derived(&self) -> bool {
        self.drop_statements_from.is_none()
            && self.statements.is_empty()
            && self.switches.is_empty()
            && self.runs.is_empty()
            && self.proofs.is_empty()
            && self.remade.is_empty()
            && self.amendments.is_empty()
            && self.amended.is_empty()
            && self.mended.is_empty()
            && self.settings.is_empty()
            && self.receipts.is_empty()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.drop_statements_from.is_none()
            && self.statements.is_empty()
            && self.switches.is_empty()
            && self.runs.is_empty()
            && self.proofs.is_empty()
            && self.remade.is_empty()
            && self.amendments.is_empty()
            && self.amended.is_empty()
            && self.mended.is_empty()
            && self.forget.is_empty()
            && self.documents.is_empty()
            && self.rows.is_empty()
            && self.touched.is_empty()
            && self.cursors.is_empty()
            && self.waiting.is_empty()
            && self.no_longer_waiting.is_empty()
            && self.refused.is_empty()
            && self.no_longer_refused.is_empty()
            && self.acknowledgements.is_empty()
            && self.settings.is_empty()
            && self.receipts.is_empty()
            && !self.views_rebuilt
            && self.sum_anew.is_empty()
    }
}

/// A run cut to what is new, and the log's end before and after it.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) run: Run,
    pub(super) from: Tip,
    pub(super) to: Tip,
}

/// Checks a batch against the tips of the logs it names, and cuts its runs. What a store has to look
/// up anyway (documents of `rows`, statements already held) it checks as it writes.
pub(super) fn plan(
    batch: &WriteBatch,
    views: &[ViewSpec],
    held: impl Fn(LogId) -> Option<Tip>,
) -> Result<Vec<Extension>, StoreError> {
    let mut tips = BTreeMap::new();
    let mut extensions = Vec::new();
    for switching in &batch.switches {
        let log = switching.switch.log();
        forks::check(switching, log.and_then(&held))?;
        tips.extend(log.map(|log| (log, switching.switch.tip)));
    }
    if let Some(proof) = batch.proofs.iter().find(|p| held(p.log()).is_none()) {
        let what = format!("log {} is forked and not known", proof.log().short());
        return Err(StoreError::Inconsistent(what));
    }
    for (run, tip) in &batch.runs {
        let log = run.log();
        let before = tips.get(&log).copied().or_else(|| held(log));
        if let Some(extension) = extension(before, run, tip)? {
            tips.insert(log, extension.to);
            extensions.push(extension);
        }
    }
    let tip = |log: LogId| {
        tips.get(&log)
            .copied()
            .or_else(|| held(log))
            .ok_or_else(|| StoreError::Inconsistent(format!("log {} is not known", log.short())))
    };
    for (log, cursor) in &batch.cursors {
        if *cursor > tip(*log)?.seq {
            return Err(StoreError::Inconsistent(format!(
                "log {} is materialised beyond its end",
                log.short()
            )));
        }
    }
    let removed = batch.no_longer_waiting.iter().chain(&batch.no_longer_refused);
    let added = batch.waiting.iter().chain(batch.refused.iter().map(|r| &r.entry));
    for entry in added.chain(removed) {
        if !(1..=tip(entry.log)?.seq).contains(&entry.seq) {
            return Err(StoreError::Inconsistent(format!(
                "log {} has no entry {}",
                entry.log.short(),
                entry.seq
            )));
        }
    }
    for update in &batch.documents {
        if !update.heads.is_sorted() {
            return Err(StoreError::Inconsistent("heads are not in ascending order".into()));
        }
        if let Some(view) = views.iter().find(|v| v.kind == update.kind) {
            view.check(&update.row)?;
        }
    }
    Ok(extensions)
}

/// `None` for a run that is held already.
fn extension(held: Option<Tip>, run: &Run, tip: &Tip) -> Result<Option<Extension>, StoreError> {
    let bad = |what: &str| Err(StoreError::Inconsistent(format!("{run:?} {what}")));
    if held.is_none() && run.opening().is_none_or(|o| o.log() != run.log()) {
        return bad("does not open its log");
    }
    let from = held.unwrap_or(Tip::start(run.log()));
    if run.last() != tip.seq {
        return bad("does not end at its tip");
    }
    // Kept as signed 64-bit numbers. A log that grows by a million entries a second would need
    // 292,000 years to come here.
    if i64::try_from(tip.seq).is_err() || i64::try_from(tip.body_bytes).is_err() {
        return bad("is beyond what can be stored");
    }
    if run.first() > from.seq + 1 {
        return bad("leaves a gap");
    }
    let Some(run) = run.starting_at(from.seq + 1) else {
        // Of what lies before the end, the caller knows that it is the same.
        return if tip.seq == from.seq && tip.hash != from.hash {
            bad("ends otherwise than what is held")
        } else {
            Ok(None)
        };
    };
    if run.previous() != from.hash {
        return Err(StoreError::Inconsistent(format!("{run:?} does not follow what is held")));
    }
    Ok(Some(Extension { run, from, to: *tip }))
}

pub(super) fn unknown_document(document: DocId) -> StoreError {
    StoreError::Inconsistent(format!("a row for document {document}, which is not stored"))
}

pub(super) fn other_statement(epoch: u64) -> StoreError {
    StoreError::Inconsistent(format!("the directory has another statement at epoch {epoch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_last_word() {
        let place = Place { document: DocId([2; 16]), space: SpaceId([1; 16]), kind: Kind(1) };
        let entry = EntryRef { place, log: LogId([3; 32]), seq: 1 };
        let mut batch = WriteBatch { no_longer_waiting: vec![entry], ..Default::default() };
        batch.merge(WriteBatch { waiting: vec![entry], ..Default::default() });
        assert!(batch.no_longer_waiting.is_empty(), "waits again");
        batch.merge(WriteBatch { no_longer_waiting: vec![entry], ..Default::default() });
        assert_eq!(batch.no_longer_waiting, [entry]);

        let row = Row { cells: vec![], created_ms: 0, updated_ms: 0 };
        let old = RowUpdate { place, row: row.clone(), conflicts: 0, keys: vec![] };
        let elsewhere = Place { document: DocId([4; 16]), ..place };
        let of_another_kind = Place { kind: Kind(2), ..place };
        let others = [elsewhere, of_another_kind];
        let kept = others.map(|place| RowUpdate { place, ..old.clone() });
        let newer = DocumentUpdate {
            space: place.space,
            document: place.document,
            kind: place.kind,
            genesis: 1,
            snapshot: Arc::default(),
            heads: vec![],
            row,
            conflicts: 1,
            keys: vec![],
        };
        let rows = kept.into_iter().chain([old]).collect();
        let mut batch = WriteBatch { rows, ..Default::default() };
        batch.merge(WriteBatch { documents: vec![newer], ..Default::default() });
        assert_eq!(batch.rows.iter().map(|r| r.place).collect::<Vec<_>>(), others);

        let mut batch = WriteBatch { waiting: vec![entry], ..Default::default() };
        batch.merge(WriteBatch { forget: vec![place], ..Default::default() });
        assert!(batch.waiting.is_empty(), "gone with its document");
        batch.merge(WriteBatch { waiting: vec![entry], ..Default::default() });
        assert_eq!((&batch.waiting[..], &batch.forget[..]), (&[entry][..], &[place][..]));

        let statements = vec![(1, vec![1]), (2, vec![2])];
        let mut batch = WriteBatch { statements, ..Default::default() };
        batch.merge(WriteBatch {
            drop_statements_from: Some(2),
            statements: vec![(2, vec![9])],
            ..Default::default()
        });
        assert_eq!(batch.statements, [(1, vec![1]), (2, vec![9])]);
        assert!(!batch.is_empty());
        assert!(WriteBatch::default().is_empty());
    }
}
