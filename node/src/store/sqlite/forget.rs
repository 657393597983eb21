//! Letting go of documents that are made again, whatever is left of their rows.

use super::write::Writing;
use super::{Fault, keys, read, views};
use crate::store::Place;
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::log::StateDigest;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

impl Writing<'_> {
    pub(super) fn forget(&mut self, place: Place) -> Result<(), Fault> {
        let space_id = self.space(place.space)?.id;
        for table in ["waiting", "refused"] {
            self.tx
                .prepare_cached(&format!(
                    "DELETE FROM {table} WHERE document = ?1 AND kind = ?2
                     AND log_id IN (SELECT id FROM logs WHERE space_id = ?3)"
                ))?
                .execute(params![place.document.0, place.kind.0, space_id])?;
        }
        let held: Option<(i64, Value)> = self
            .tx
            .prepare_cached(
                "SELECT id, heads FROM documents
                 WHERE document = ?1 AND space_id = ?2 AND kind = ?3",
            )?
            .query_row(params![place.document.0, space_id, place.kind.0], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((id, heads)) = held else { return Ok(()) };
        self.space(place.space)?.state.advance(place.document, &legible(&heads), &[]);
        self.tx.prepare_cached("DELETE FROM documents WHERE id = ?1")?.execute([id])?;
        keys::put(self.tx, id, &[])?;
        self.changed(place)?;
        match self.view(place.kind) {
            Some(view) => views::delete(self.tx, view, id),
            None => Ok(()),
        }
    }

    pub(super) fn sum_anew(&mut self, space: SpaceId) -> Result<(), Fault> {
        let space_id = self.space(space)?.id;
        let mut nameless = self.tx.prepare_cached(
            "DELETE FROM documents WHERE space_id = ?1 AND
             NOT (typeof(document) = 'blob' AND length(document) = 16
                 AND typeof(kind) = 'integer' AND kind BETWEEN 0 AND 65535)
             RETURNING id",
        )?;
        for id in nameless.query_map([space_id], |row| row.get(0))? {
            let id = id?;
            keys::put(self.tx, id, &[])?;
            for view in self.views {
                views::delete(self.tx, view, id)?;
            }
        }
        let mut state = StateDigest::default();
        let mut statement =
            self.tx.prepare_cached("SELECT document, heads FROM documents WHERE space_id = ?1")?;
        let mut rows = statement.query([space_id])?;
        while let Some(row) = rows.next()? {
            state.advance(DocId(row.get(0)?), &[], &legible(&row.get(1)?));
        }
        self.space(space)?.state = state;
        Ok(())
    }
}

/// The heads in a row, or none if they are damaged.
fn legible(heads: &Value) -> Vec<[u8; 32]> {
    match heads {
        Value::Blob(bytes) => read::heads(bytes).unwrap_or_default(),
        _ => Vec::new(),
    }
}
