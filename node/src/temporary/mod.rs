//! Temporary branches: what a node does for them by itself, and what it tells of how they end.
//!
//! | file | what it does |
//! |---|---|
//! | `keeper` | the admin node founds a branch's space, credits attendance at home, ends writing |
//! | `ending` | the checklist before a branch ends |
//! | `archive` | a full archive of a branch, an extract for a unit that lent members |
//!
//! Everything here but the keeper's loop blocks on disk, as [`crate::records`] does.

mod archive;
mod ending;
mod keeper;

use crate::records::{RecordError, Records, Save};
use crate::reports::Row;
use crate::store::StoreError;
use fenbu_protocol::directory::{Directory, Space, Template};
use fenbu_protocol::duty::{Attended, Secondment, meets};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::{EditError, Edits, Record, Schema, schema_named};
use serde_json::Value;

pub use archive::{Archive, Extract};
pub(crate) use keeper::keep;

/// Kinds whose records may live in a temporary branch's space, and go there when they name the branch.
const MOVED_IN: [&str; 2] = ["meeting", "journal-issue"];

/// A temporary branch as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: DocId,
    pub code: String,
    pub name: String,
    pub host_unit: String,
    pub status: String,
}

/// The space of a temporary branch, by the branch's code.
pub fn space_of<'a>(directory: &'a Directory, code: &str) -> Option<&'a Space> {
    directory.space_labelled(code).filter(|s| s.template == Template::TEMPORARY)
}

/// Where a new record belongs that names no space: its temporary branch's, if it names one.
pub(crate) fn moved_in(directory: &Directory, schema: &Schema, fields: &Value) -> Option<String> {
    let code = fields.get("branch")?.as_str().filter(|_| MOVED_IN.contains(&schema.name))?;
    space_of(directory, code).map(|space| space.label.clone())
}

/// Whether a record of this kind may live in a temporary branch's space, wherever its kind lives else.
pub(crate) fn may_move_in(schema: &Schema) -> bool {
    MOVED_IN.contains(&schema.name)
}

/// Holds a write to what temporary branches may have.
pub(crate) fn check(directory: &Directory, save: &Save, record: &Record) -> Result<(), EditError> {
    let here = directory.space(&save.space).is_some_and(|s| s.template == Template::TEMPORARY);
    record.check_temporary(&save.edits, here, |code| space_of(directory, code).is_some())
}

/// A code that labels the space of something else can be no temporary branch's.
pub(crate) fn check_code(directory: &Directory, code: &str) -> Result<(), RecordError> {
    match directory.space_labelled(code) {
        Some(space) if space.template != Template::TEMPORARY => {
            Err(RecordError::CodeTaken(code.to_owned()))
        }
        _ => Ok(()),
    }
}

fn kind(name: &str) -> &'static Schema {
    // INVARIANT: only kinds of this version are asked for.
    schema_named(name).expect("a kind of ours")
}

impl Records {
    fn rows(
        &self,
        name: &str,
        columns: &[&str],
        spaces: &[SpaceId],
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.shared.readers.with(|r| r.scan(kind(name).kind, columns, Some(spaces)))?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Every temporary branch this node knows of, by code.
    pub(crate) fn tasks(&self) -> Result<Vec<Task>, StoreError> {
        let columns = ["code", "name", "host_unit", "status"];
        let rows = self.rows("temporary-branch", &columns, &self.shared.readable())?;
        let mut tasks: Vec<Task> = rows
            .iter()
            .map(|row| Task {
                id: row.0.document,
                code: row.own(0),
                name: row.own(1),
                host_unit: row.own(2),
                status: row.own(3),
            })
            .collect();
        tasks.sort_by(|a, b| (&a.code, a.id).cmp(&(&b.code, b.id)));
        Ok(tasks)
    }

    /// The temporary branch of this code; of two with one code that with the lower id.
    pub fn task(&self, code: &str) -> Result<Task, RecordError> {
        let found = self.tasks()?.into_iter().find(|task| task.code == code);
        found.ok_or_else(|| RecordError::NoTask(code.to_owned()))
    }

    pub(crate) fn secondments(&self) -> Result<Vec<Secondment>, StoreError> {
        let columns =
            ["member", "person", "home_unit", "home_branch", "branch", "from", "to", "status"];
        let rows = self.rows("secondment", &columns, &self.shared.readable())?;
        let lent = rows.iter().map(|row| Secondment {
            id: row.0.document,
            member: row.text(0).map(str::to_owned),
            person: row.own(1),
            home_unit: row.own(2),
            home_branch: row.text(3).map(str::to_owned),
            branch: row.own(4),
            from: row.day(5),
            to: row.day(6),
            status: row.own(7),
        });
        let mut lent: Vec<Secondment> = lent.collect();
        lent.sort_by_key(|one| one.id);
        Ok(lent)
    }

    /// What was held in some spaces, with everybody's attendance.
    fn held(&self, spaces: &[SpaceId]) -> Result<Vec<Attended>, StoreError> {
        let columns = ["branch", "kind", "start", "planned", "status", "attendance"];
        let rows = self.rows("meeting", &columns, spaces)?;
        let held = rows.iter().filter_map(|row| {
            let day = meets(row.text(4)?, row.int(2), row.int(3))?;
            let said = row.json(5);
            let said = said.as_object().into_iter().flatten();
            Some(Attended {
                id: row.0.document,
                branch: row.own(0),
                kind: row.own(1),
                day,
                expected: std::collections::BTreeSet::new(),
                attendance: said
                    .filter_map(|(who, how)| Some((who.clone(), how.as_str()?.to_owned())))
                    .collect(),
            })
        });
        Ok(held.collect())
    }

    /// Changes the record of a temporary branch.
    fn edit_task(&self, task: &Task, fields: &Value, account: &str) -> Result<(), RecordError> {
        let schema = kind("temporary-branch");
        let edits = Edits::from_json(schema, fields)?;
        let (space, document) = self.resolve(schema, &task.id.to_string())?;
        self.check_writer(space)?;
        self.save_all(&[Save { schema, space, document, edits }], account).map(|_| ())
    }
}
