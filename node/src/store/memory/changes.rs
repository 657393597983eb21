//! The order of changes, and receipts.

use super::State;
use crate::store::{Change, Place, RECEIPT_KEPT_MS, Receipt, Row};
use fenbu_protocol::log::Kind;

impl State {
    /// The document is not what it was: it gets the next number.
    pub(super) fn changed(&mut self, place: Place) {
        let last = self.changes.last_key_value().map_or(0, |(number, _)| *number);
        if let Some(before) = self.changed_last.insert(place, last + 1) {
            self.changes.remove(&before);
        }
        self.changes.insert(last + 1, place);
    }

    /// Whether lists show just this of a document.
    pub(super) fn shows(&self, place: Place, row: Option<&Row>, conflicts: u32) -> bool {
        self.documents.get(&place).is_some_and(|held| {
            held.row.as_deref() == row && (row.is_none() || held.stored.conflicts == conflicts)
        })
    }

    pub(super) fn receipts(&mut self, receipts: &[Receipt]) {
        for receipt in receipts {
            let oldest = receipt.at_ms.saturating_sub(RECEIPT_KEPT_MS);
            self.receipts.retain(|_, kept| kept.at_ms >= oldest);
            self.receipts.insert(receipt.key, receipt.clone());
        }
    }

    pub(super) fn changes_after(
        &self,
        after: u64,
        kind: Option<Kind>,
        limit: usize,
    ) -> Vec<Change> {
        let Some(from) = after.checked_add(1) else { return Vec::new() };
        let all = self.changes.range(from..);
        let wanted = all.filter(|(_, place)| kind.is_none_or(|kind| place.kind == kind));
        wanted
            .take(limit)
            .map(|(number, place)| Change { number: *number, place: *place })
            .collect()
    }

    pub(super) fn last_change(&self, kind: Option<Kind>) -> u64 {
        let wanted = |place: &Place| kind.is_none_or(|kind| place.kind == kind);
        let found = self.changes.iter().rev().find(|(_, place)| wanted(place));
        found.map_or(0, |(number, _)| *number)
    }
}
