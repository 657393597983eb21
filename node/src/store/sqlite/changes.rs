//! The order of changes, and receipts.

use super::write::Writing;
use super::{Fault, read, views};
use crate::store::query::stored_ms;
use crate::store::{Change, Place, RECEIPT_KEPT_MS, Receipt, Row};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::log::Kind;
use rusqlite::{Connection, params};

impl Writing<'_> {
    /// The document is not what it was: it gets the next number.
    pub(super) fn changed(&mut self, place: Place) -> Result<(), Fault> {
        let space_id = self.space(place.space)?.id;
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO changes (document, space_id, kind) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![place.document.0, space_id, place.kind.0])?;
        Ok(())
    }

    /// Whether lists show just this of a document.
    pub(super) fn shows(&self, place: Place, row: &Row, conflicts: u32) -> Result<bool, Fault> {
        let Some(view) = self.view(place.kind) else { return Ok(true) };
        let held = views::row(self.tx, view, place)?;
        Ok(held.is_some_and(|held| held.conflicts == conflicts && held.row == row.stored()))
    }

    pub(super) fn receipts(&self, receipts: &[Receipt]) -> Result<(), Fault> {
        for receipt in receipts {
            let oldest = stored_ms(receipt.at_ms.saturating_sub(RECEIPT_KEPT_MS));
            self.tx.prepare_cached("DELETE FROM receipts WHERE at_ms < ?1")?.execute([oldest])?;
            self.tx
                .prepare_cached(
                    "INSERT OR REPLACE INTO receipts (key, request, at_ms, outcome)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    receipt.key,
                    receipt.request,
                    stored_ms(receipt.at_ms),
                    receipt.outcome
                ])?;
        }
        Ok(())
    }
}

pub(super) fn list(
    connection: &Connection,
    after: u64,
    kind: Option<Kind>,
    limit: usize,
) -> Result<Vec<Change>, Fault> {
    let of_kind = if kind.is_some() { "c.kind = ?3 AND" } else { "?3 IS NULL AND" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT c.number, c.document, s.space, c.kind FROM changes c
         JOIN spaces s ON s.id = c.space_id
         WHERE {of_kind} c.number > ?1 ORDER BY c.number LIMIT ?2"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![after, limit, kind.map(|k| k.0)])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let (document, space) = (DocId(row.get(1)?), SpaceId(row.get(2)?));
        let place = Place { document, space, kind: Kind(row.get(3)?) };
        out.push(Change { number: read::unsigned(row, 0)?, place });
    }
    Ok(out)
}

pub(super) fn last(connection: &Connection, kind: Option<Kind>) -> Result<u64, Fault> {
    let sql = match kind {
        Some(_) => "SELECT max(number) FROM changes WHERE kind = ?1",
        None => "SELECT max(number) FROM changes WHERE ?1 IS NULL",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let last: Option<i64> = statement.query_row([kind.map(|k| k.0)], |row| row.get(0))?;
    Ok(last.unwrap_or(0).cast_unsigned())
}

pub(super) fn receipt(connection: &Connection, key: &[u8; 32]) -> Result<Option<Receipt>, Fault> {
    let mut statement =
        connection.prepare_cached("SELECT request, at_ms, outcome FROM receipts WHERE key = ?1")?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (request, outcome) = (row.get(0)?, row.get(2)?);
    Ok(Some(Receipt { key: *key, request, at_ms: read::unsigned(row, 1)?, outcome }))
}
