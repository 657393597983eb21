//! A temporary branch in a file: all of it for head office and the host, and for a unit that lent members
//! what concerns them.
//!
//! Either is JSON lines. The first says what it is and carries the digest of the others, in BLAKE3 over
//! their bytes; then comes a line for each record as `fenbu export` writes it, in an archive with the
//! record's history beside. The same records give the same bytes on every node, so that whoever holds an
//! archive can tell that another holds the same. Personal data is left out.

use super::{Task, kind, space_of};
use crate::records::{RecordError, Records, Shown, home_name};
use fenbu_protocol::directory::{Directory, Template};
use fenbu_protocol::duty::Secondment;
use fenbu_protocol::id::{DocId, SpaceId, hex};
use fenbu_protocol::record::personal::masked;
use fenbu_protocol::record::{HistoryItem, Schema, schema};
use serde_json::{Map, Value, json};

/// A full archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    pub records: usize,
    /// Of all lines but the first, hex.
    pub digest: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// What a branch was to one unit.
pub type Extract = Archive;

/// What of the branch's own record goes on changing while it is being archived.
const CHANGING: [&str; 3] = ["status", "checklist", "courses"];

struct Lines {
    directory: std::sync::Arc<Directory>,
    out: Vec<u8>,
    count: usize,
}

impl Lines {
    fn add(&mut self, shown: &Shown, leave_out: &[&str], with_history: bool) {
        let schema = shown.record.schema();
        let mut fields = shown.record.to_json();
        if let Some(fields) = fields.as_object_mut() {
            let personal = |name: &str| schema.field(name).is_some_and(|f| f.personal);
            let dropped = |name: &str| ["conflicts", "courses"].contains(&name) || personal(name);
            fields.retain(|name, value| {
                !dropped(name) && !leave_out.contains(&name.as_str()) && !is_empty(value)
            });
        }
        let mut line = json!({
            "kind": schema.name,
            "id": shown.document,
            "fields": fields,
        });
        if let Some(unit) = home_name(&self.directory, &shown.space) {
            line["unit"] = unit.into();
        }
        if with_history {
            line["history"] = history(schema, shown.record.history());
        }
        self.out.extend_from_slice(line.to_string().as_bytes());
        self.out.push(b'\n');
        self.count += 1;
    }

    fn finish(self, mut head: Value) -> Archive {
        let digest = blake3::hash(&self.out).to_hex().to_string();
        head["records"] = self.count.into();
        head["digest"] = digest.as_str().into();
        let mut bytes = head.to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.out);
        Archive { records: self.count, digest, bytes }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(parts) => parts.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// In an order that does not depend on which change came first.
fn history(schema: &Schema, mut items: Vec<HistoryItem>) -> Value {
    items.sort_by_key(|item| (item.time_ms, item.hash));
    let item = |item: HistoryItem| {
        let changes: Map<String, Value> = item
            .changes
            .into_iter()
            .map(|(field, value)| {
                let personal = schema.field(&field).is_some_and(|f| f.personal);
                (field, if personal { masked(&value) } else { value })
            })
            .collect();
        json!({
            "hash": hex(&item.hash),
            "actor": hex(&item.actor),
            "account": item.account,
            "time_ms": item.time_ms,
            "changes": changes,
        })
    };
    items.into_iter().map(item).collect()
}

impl Records {
    /// Everything there is of a temporary branch.
    ///
    /// # Errors
    /// This node does not read its space.
    pub fn archive(&self, task: &Task) -> Result<Archive, RecordError> {
        let directory = self.shared.directory.now();
        let space = space_of(&directory, &task.code).map(|space| space.id);
        if space.is_some_and(|space| !self.shared.readable().contains(&space)) {
            return Err(RecordError::TaskUnread(task.code.clone()));
        }
        let mut lines = Lines { directory: directory.clone(), out: Vec::new(), count: 0 };
        let own = self.show(kind("temporary-branch"), &task.id.to_string())?;
        lines.add(&own, &CHANGING, false);
        let lent = self.lent_to(task)?;
        for (name, ids) in [
            ("secondment", lent.iter().map(|one| one.id).collect()),
            ("term", self.naming("term", task)?),
            ("honour", self.honours_of(task, &lent)?),
        ] {
            for id in ids {
                lines.add(&self.show(kind(name), &id.to_string())?, &[], true);
            }
        }
        if let Some(space) = space {
            self.add_space(&mut lines, space)?;
        }
        Ok(lines.finish(json!({
            "schema": "fenbu.archive/1",
            "branch": task.code,
            "name": task.name,
            "host_unit": task.host_unit,
        })))
    }

    fn add_space(&self, lines: &mut Lines, space: SpaceId) -> Result<(), RecordError> {
        // Aliases too: everything there is.
        for place in self.shared.readers.with(|r| r.places(Some(space), None, usize::MAX))? {
            let Some(schema) = schema(place.kind) else { continue };
            if let Some(shown) = self.record(schema, place)? {
                lines.add(&shown, &[], true);
            }
        }
        Ok(())
    }

    /// Records of the federation's space that name the branch.
    fn naming(&self, name: &str, task: &Task) -> Result<Vec<DocId>, RecordError> {
        let rows = self.rows(name, &["branch"], &self.shared.readable())?;
        let own = rows.iter().filter(|row| row.text(0) == Some(&task.code));
        let mut ids: Vec<DocId> = own.map(|row| row.0.document).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// What concerns the members that a unit lent to a temporary branch: that they were, where they were
    /// credited with attendance, and their honours.
    ///
    /// # Errors
    /// The unit lent nobody, or this node does not read what that unit keeps.
    pub fn extract(&self, task: &Task, unit: &str) -> Result<Extract, RecordError> {
        let directory = self.shared.directory.now();
        let mut lent = self.lent_to(task)?;
        lent.retain(|one| one.home_unit == unit && one.is_confirmed());
        if lent.is_empty() {
            return Err(RecordError::LentNobody { unit: unit.to_owned(), code: task.code.clone() });
        }
        let own = directory.unit_space(unit).filter(|s| s.template == Template::UNIT);
        let own = own.map(|space| space.id).filter(|space| self.shared.readable().contains(space));
        let Some(own) = own else { return Err(RecordError::UnitUnread(unit.to_owned())) };
        let mut lines = Lines { directory: directory.clone(), out: Vec::new(), count: 0 };
        let branch = self.show(kind("temporary-branch"), &task.id.to_string())?;
        lines.add(&branch, &CHANGING, false);
        let credits = self.rows("attendance-credit", &["branch"], &[own])?;
        let credits = credits.iter().filter(|row| row.text(0) == Some(&task.code));
        let mut credits: Vec<DocId> = credits.map(|row| row.0.document).collect();
        credits.sort_unstable();
        for (name, ids) in [
            ("secondment", lent.iter().map(|one| one.id).collect()),
            ("attendance-credit", credits),
            ("honour", self.honours_of_people(&lent)?),
        ] {
            for id in ids {
                lines.add(&self.show(kind(name), &id.to_string())?, &[], false);
            }
        }
        Ok(lines.finish(json!({
            "schema": "fenbu.extract/1",
            "branch": task.code,
            "name": task.name,
            "host_unit": task.host_unit,
            "unit": unit,
        })))
    }

    fn honours_of_people(&self, lent: &[Secondment]) -> Result<Vec<DocId>, RecordError> {
        let nobody = Task {
            id: DocId([0; 16]),
            code: String::new(),
            name: String::new(),
            host_unit: String::new(),
            status: String::new(),
        };
        self.honours_of(&nobody, lent)
    }
}
