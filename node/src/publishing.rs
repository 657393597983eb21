//! What is published of a record: written beside its draft, and read where the draft is not.

use crate::records::{RecordError, Records, Save, Shown};
use crate::shared::DocumentGuard;
use crate::store::Place;
use crate::views::update_of;
use crate::writer::LocalWrite;
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::{Home, Record, Schema};

impl Records {
    /// Where what is published of a record lies, if its kind is published.
    pub(crate) fn published_at(&self, save: &Save) -> Option<Place> {
        let space = self.shared.everyones().filter(|space| *space != save.space)?;
        (save.schema.home == Home::Published).then(|| Place { space, ..save.place() })
    }

    /// What has to be said to everybody now that a draft is as it is.
    pub(crate) fn publication(
        &self,
        save: &Save,
        draft: &Record,
        now_ms: u64,
        account: &str,
        _held: &DocumentGuard,
    ) -> Result<Option<LocalWrite>, RecordError> {
        let Some(place) = self.published_at(save).filter(|_| draft.has_steps()) else {
            return Ok(None);
        };
        let stored = self.document(place)?;
        let before = stored.as_ref().map(|s| &s.snapshot[..]);
        let record = match &stored {
            Some(stored) => Self::load(save.schema, stored)?,
            None => Record::new(save.schema),
        };
        let log = self.writer.log_of(place.space);
        let mut record = self.shared.name_for(record, place.space, log.actor())?;
        let Some(step) = draft.due(&record) else { return Ok(None) };
        self.check_writer(place.space)?;
        let Some(body) = record.publish(log.actor(), now_ms, account, &step)? else {
            return Ok(None);
        };
        let saved = record.saved_after(before, &body);
        let update = update_of(place.space, place.document, &record, saved);
        Ok(Some(LocalWrite { schema: save.schema, log, body, update, anew_of: None }))
    }

    /// Who does not read the draft of a record changes nothing of it.
    pub(crate) fn check_kept_here(&self, save: &Save) -> Result<(), RecordError> {
        if save.schema.home != Home::Published {
            return Ok(());
        }
        let shown = self.published(save.schema, save.document)?;
        let unit = shown.and_then(|shown| shown.record.owner());
        let here = self.shared.directory.now().space(&save.space).and_then(|s| s.unit.clone());
        let published = Some(save.space) == self.shared.everyones();
        if !published && unit.as_ref().is_none_or(|unit| here.as_ref() == Some(unit)) {
            return Ok(());
        }
        let (kind, unit) = (save.schema.name, unit.unwrap_or_default());
        Err(RecordError::KeptElsewhere { kind, unit })
    }

    /// What is published of a record, if this node has it.
    pub fn published(
        &self,
        schema: &'static Schema,
        document: DocId,
    ) -> Result<Option<Shown>, RecordError> {
        let Some(space) = self.shared.everyones() else { return Ok(None) };
        self.record(schema, Place { document, space, kind: schema.kind })
    }

    /// Everything that is or was published of a kind.
    pub fn each_published(
        &self,
        schema: &'static Schema,
        visit: impl FnMut(&Shown),
    ) -> Result<(), RecordError> {
        let space: Vec<SpaceId> = self.shared.everyones().into_iter().collect();
        self.each_in(schema, &space, visit)
    }
}
