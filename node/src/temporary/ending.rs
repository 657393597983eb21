//! The checklist before a temporary branch ends, computed from its records.

use super::{Task, keeper, kind, space_of};
use crate::records::{RecordError, Records};
use fenbu_protocol::duty::{Before, Ending, Kept, Point, Secondment, checklist, in_the_way};
use fenbu_protocol::id::DocId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Steps that need the checklist, the states they lead to, and how much of it.
const GATED: [(&str, &str, Before); 2] =
    [("dissolve", "dissolved", Before::Dissolving), ("archive", "archived", Before::Archiving)];

/// Entry of the branch's checklist that says somebody has looked and there are no honours to record.
const HONOURS: &str = "honours";

/// Entry that says this unit holds an archive; its text is the archive's digest.
pub(super) fn archived_key(unit: &str) -> String {
    format!("archive.{unit}")
}

/// Entry that says this unit was handed its extract.
pub(super) fn extracted_key(unit: &str) -> String {
    format!("extract.{unit}")
}

impl Records {
    /// The checklist of a branch.
    ///
    /// # Errors
    /// There is no such branch, or this node does not read its space.
    pub fn checklist(&self, task: &Task) -> Result<Vec<Point>, RecordError> {
        let directory = self.shared.directory.now();
        let readable = self.shared.readable();
        let space = space_of(&directory, &task.code);
        if space.is_some_and(|space| !readable.contains(&space.id)) {
            return Err(RecordError::TaskUnread(task.code.clone()));
        }
        let (meetings, seconded) = (self.kept(task)?, self.lent_to(task)?);
        let honours = self.honours_of(task, &seconded)?;
        let mut conflicts: Vec<DocId> = Vec::new();
        for open in self.conflicts()? {
            if space.is_some_and(|space| space.id == open.conflict.space) {
                conflicts.extend(open.conflict.records.iter().map(|of| of.document));
            }
        }
        let entries = self.entries(task)?;
        let done = |key: &str| entries[key]["done"].as_str().is_some_and(|day| !day.is_empty());
        let digest = self.archive(task)?.digest;
        let keepers = BTreeSet::from([directory.head_office(), task.host_unit.as_str()]);
        let holds = |unit: &&str| entries[archived_key(unit)]["text"] == digest.as_str();
        let handed = |unit: &&str| done(&extracted_key(unit));
        let lenders: BTreeSet<&str> = seconded.iter().map(|s| s.home_unit.as_str()).collect();
        Ok(checklist(&Ending {
            meetings: &meetings,
            seconded: &seconded,
            honours: &honours,
            no_honours: done(HONOURS),
            conflicts: &conflicts,
            archived: keepers.iter().copied().filter(holds).collect(),
            keepers,
            extracted: lenders.into_iter().filter(handed).collect(),
            closed: space.is_none_or(|space| !keeper::is_written(&directory, space.writers())),
        }))
    }

    /// Refuses a step that the checklist does not allow yet.
    pub(crate) fn check_ending(&self, id: DocId, fields: &Value) -> Result<(), RecordError> {
        let said = |op: &str, state: &str| {
            fields["status"] == state || fields["status"]["op"].as_str() == Some(op)
        };
        let Some((op, _, before)) = GATED.iter().find(|(op, state, _)| said(op, state)) else {
            return Ok(());
        };
        let Some(task) = self.tasks()?.into_iter().find(|task| task.id == id) else {
            return Ok(());
        };
        let points = self.checklist(&task)?;
        let open = in_the_way(&points, *before);
        if open.is_empty() {
            return Ok(());
        }
        let (op, points) = ((*op).to_owned(), open.join(", "));
        Err(RecordError::NotYet { op, points, code: task.code })
    }

    fn kept(&self, task: &Task) -> Result<Vec<Kept>, RecordError> {
        let rows =
            self.rows("meeting", &["branch", "status", "actions"], &self.shared.readable())?;
        let own = rows.iter().filter(|row| row.text(0) == Some(&task.code));
        let kept = own.map(|row| {
            let actions = row.json(2);
            let actions = actions.as_object();
            let open = |action: &&Value| action["done"].is_null() && action["handed"].is_null();
            Kept {
                id: row.0.document,
                status: row.own(1),
                open_actions: actions.map_or(0, |a| a.values().filter(open).count()),
                actions: actions.map_or(0, serde_json::Map::len),
            }
        });
        Ok(kept.collect())
    }

    pub(super) fn lent_to(&self, task: &Task) -> Result<Vec<Secondment>, RecordError> {
        let mut lent = self.secondments()?;
        lent.retain(|one| one.branch == task.code);
        Ok(lent)
    }

    /// Honours of the branch, and of those who were lent to it.
    pub(super) fn honours_of(
        &self,
        task: &Task,
        lent: &[Secondment],
    ) -> Result<Vec<DocId>, RecordError> {
        let rows = self.rows("honour", &["of", "name", "status"], &self.shared.readable())?;
        let own = rows.iter().filter(|row| {
            let name = row.text(1).unwrap_or_default();
            let of = match row.text(0) {
                Some("branch") => name == task.code || name == task.name,
                Some("person") => lent.iter().any(|one| one.person == name),
                _ => false,
            };
            of && row.text(2) != Some("refused")
        });
        let mut own: Vec<DocId> = own.map(|row| row.0.document).collect();
        own.sort_unstable();
        Ok(own)
    }

    /// What people have noted on the branch's own list.
    fn entries(&self, task: &Task) -> Result<Value, RecordError> {
        let shown = self.show(kind("temporary-branch"), &task.id.to_string())?;
        Ok(shown.record.to_json()["checklist"].clone())
    }

    /// Notes that this node's unit holds the archive with this digest.
    ///
    /// # Errors
    /// It is not an archive of what there is now.
    pub fn note_archived(
        &self,
        task: &Task,
        digest: &str,
        account: &str,
    ) -> Result<(), RecordError> {
        if self.archive(task)?.digest != digest {
            return Err(RecordError::OldArchive(task.code.clone()));
        }
        self.note(task, &archived_key(&self.shared.unit()), digest, account)
    }

    /// Notes that a unit was handed its extract; `false` where this node is neither head office's nor the
    /// host's, whose list it is: a unit may write its own extract at any time.
    pub fn note_extracted(
        &self,
        task: &Task,
        unit: &str,
        account: &str,
    ) -> Result<bool, RecordError> {
        let own = self.shared.unit();
        if own != task.host_unit && own != self.shared.directory.now().head_office() {
            return Ok(false);
        }
        self.note(task, &extracted_key(unit), unit, account).map(|()| true)
    }

    fn note(&self, task: &Task, key: &str, text: &str, account: &str) -> Result<(), RecordError> {
        let today = fenbu_protocol::duty::Day::of_ms(self.shared.clock.now_ms() as i64);
        let by = self.shared.unit();
        let entry = json!({ "text": text, "done": today.to_string(), "by": by });
        self.edit_task(task, &json!({ "checklist": { key: entry } }), account)
    }
}
