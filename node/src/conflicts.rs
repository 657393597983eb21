//! What somebody has to settle: found by the views, judged by the protocol, settled by ordinary writes.
//!
//! Nothing here looks through all records. The views say which documents are in conflict with
//! themselves, which keys are shared and whose clock is ahead; only those are read.

use crate::records::{RecordError, Records, Save, Saved};
use crate::store::{Cell, ListQuery, Order, OrderBy, Page, Place, SharedKey, StoreError};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::conflict::{
    Case, Conflict, Of, STANDS, Subject, across, ahead, clusters, dissolved_ms, is_ahead,
    match_case, settlers, within, without_repeats,
};
use fenbu_protocol::record::{
    ALL, By, Edits, Record, Schema, record_summary, schema, schema_named,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Documents of one kind, and keys, looked at for one answer. Whoever has more to settle than this
/// settles some first.
const LOOKED_AT_MAX: usize = 2000;
/// Records with clocks ahead that are told of, for each kind.
const AHEAD_MAX: usize = 100;

/// A conflict that is open here.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub conflict: Conflict,
    /// What its records are recognised by, in their order.
    pub summaries: Vec<Value>,
    /// Codes of the units that may settle it; none if whoever may write there does.
    pub settlers: Vec<String>,
}

fn of(place: Place) -> Of {
    Of { document: place.document, space: place.space, kind: place.kind }
}

fn place(of: Of) -> Place {
    Place { document: of.document, space: of.space, kind: of.kind }
}

impl Open {
    fn new(conflict: Conflict, records: &[&Record]) -> Self {
        let summaries = records.iter().map(|record| record_summary(record)).collect();
        let names = |record: &&&Record| match conflict.settled_by {
            By::UnitIn(field) | By::UnitInOrHeadOffice(field) => {
                record.schema().field(field).is_some()
            }
            _ => true,
        };
        let settlers = records.iter().find(names).map(|r| settlers(conflict.settled_by, r));
        Self { conflict, summaries, settlers: settlers.unwrap_or_default() }
    }

    fn of_one(conflict: Conflict, record: &Record) -> Self {
        Self::new(conflict, &[record])
    }
}

impl Records {
    /// Every conflict that is open in the spaces this node reads, by case and id. Blocks.
    pub fn conflicts(&self) -> Result<Vec<Open>, RecordError> {
        let mut out = self.between_records()?;
        for schema in ALL {
            let places = self.shared.readers.with(|r| r.in_conflict(schema.kind, LOOKED_AT_MAX))?;
            for record in self.readable_records(schema, places)? {
                let found = within(record.of, &record.record);
                out.extend(found.into_iter().map(|c| Open::of_one(c, &record.record)));
            }
        }
        out.extend(self.ahead()?);
        out.sort_by_key(|open| (open.conflict.case, open.conflict.id));
        Ok(out)
    }

    /// The one open conflict whose id begins with `prefix`.
    pub fn conflict(&self, prefix: &str) -> Result<Open, RecordError> {
        let prefix = prefix.to_ascii_lowercase();
        let mut found = self.conflicts()?;
        found.retain(|o| !prefix.is_empty() && o.conflict.id.to_string().starts_with(&prefix));
        match found.len() {
            0 => Err(RecordError::NoConflict { prefix }),
            1 => Ok(found.remove(0)),
            _ => {
                let candidates = found.iter().map(|o| o.conflict.id.to_string()).collect();
                Err(RecordError::Ambiguous { prefix, candidates })
            }
        }
    }

    /// Settles a conflict in one of its ways: all of its changes or none.
    pub fn settle(
        &self,
        prefix: &str,
        way: &str,
        note: Option<&str>,
        account: &str,
    ) -> Result<(Open, Vec<Saved>), RecordError> {
        let open = self.conflict(prefix)?;
        let unit = self.shared.unit();
        if !open.settlers.is_empty() && !open.settlers.contains(&unit) {
            return Err(RecordError::NotSettler { units: open.settlers.join(", ") });
        }
        let ways = &open.conflict.ways;
        let Some(chosen) = ways.iter().find(|w| w.code == way) else {
            let known = ways.iter().map(|w| w.code.as_str()).collect::<Vec<_>>().join(", ");
            return Err(RecordError::NoWay { way: way.to_owned(), known });
        };
        let mut saves = Vec::new();
        for change in chosen.noted(note) {
            self.check_writer(change.space)?;
            let edits = Edits::from_json(change.schema, &change.fields)?;
            let (schema, space, document) = (change.schema, change.space, change.document);
            saves.push(Save { schema, space, document, edits });
        }
        let saved = self.save_all(&saves, account)?;
        Ok((open, saved))
    }

    /// The records at these places, as far as this node may read them and they are still there.
    fn readable_records(
        &self,
        schema: &'static Schema,
        places: Vec<Place>,
    ) -> Result<Vec<Subject>, RecordError> {
        let readable = self.shared.readable();
        let mut out = Vec::new();
        for place in places.into_iter().filter(|place| readable.contains(&place.space)) {
            if let Some(shown) = self.record(schema, place)? {
                out.push(Subject { of: of(place), record: shown.record });
            }
        }
        Ok(out)
    }

    fn between_records(&self) -> Result<Vec<Open>, RecordError> {
        let shared = self.shared.readers.with(|r| r.shared_keys(LOOKED_AT_MAX))?;
        let readable: BTreeSet<_> = self.shared.readable().into_iter().collect();
        let groups = shared.into_iter().filter_map(|SharedKey { key, places }| {
            let here = places.into_iter().filter(|place| readable.contains(&place.space));
            Some((match_case(&key)?, here.map(of).collect()))
        });
        let (mut conflicts, mut subjects) = (Vec::new(), Vec::new());
        for (case, among) in clusters(groups) {
            let among = self.subjects(case, among)?;
            conflicts.extend(across(case, among.clone()));
            subjects.extend(among);
        }
        let mut open = Vec::with_capacity(conflicts.len());
        for conflict in conflicts {
            if !self.stands(&conflict)? {
                open.push(conflict);
            }
        }
        without_repeats(&mut open);
        let open = open.into_iter().map(|conflict| {
            let records = conflict.records.iter();
            let records = records.filter_map(|of| subjects.iter().find(|s| s.of == *of));
            let records: Vec<&Record> = records.map(|subject| &subject.record).collect();
            Open::new(conflict, &records)
        });
        Ok(open.collect())
    }

    /// Records that may contradict each other. Of the meetings of a branch that was dissolved, only
    /// those first written later are read; their rows tell.
    fn subjects(&self, case: Case, among: Vec<Of>) -> Result<Vec<Subject>, RecordError> {
        let is_meeting = |of: &Of| case == Case::LateMeeting && is_kind(of.kind, "meeting");
        let (meetings, others): (Vec<Of>, Vec<Of>) = among.into_iter().partition(is_meeting);
        let mut out = Vec::new();
        for of in others {
            out.extend(self.subject(of)?);
        }
        let since_ms = out.iter().filter_map(|s| dissolved_ms(&s.record)).min();
        for of in meetings {
            let row = self.shared.readers.with(|r| r.row(place(of)))?;
            if row.is_some_and(|row| since_ms.is_some_and(|since| row.row.created_ms > since)) {
                out.extend(self.subject(of)?);
            }
        }
        Ok(out)
    }

    fn subject(&self, of: Of) -> Result<Option<Subject>, RecordError> {
        let Some(schema) = schema(of.kind) else { return Ok(None) };
        Ok(self.readable_records(schema, vec![place(of)])?.pop())
    }

    /// Whether a settlement lets it stand.
    fn stands(&self, conflict: &Conflict) -> Result<bool, StoreError> {
        // INVARIANT: it is one of this version's kinds, and its list shows its state.
        let schema = schema_named("settlement").expect("a kind of this version");
        let status = schema.columns.iter().position(|c| *c == "status").expect("a column");
        let place = Place { document: conflict.id, space: conflict.space, kind: schema.kind };
        let row = self.shared.readers.with(|r| r.row(place))?;
        Ok(row.is_some_and(|row| row.row.cells[status] == Cell::Text(STANDS.into())))
    }

    /// Records written with a clock far ahead of ours, by their latest time.
    fn ahead(&self) -> Result<Vec<Open>, RecordError> {
        let now_ms = self.shared.clock.now_ms();
        let mut out = Vec::new();
        for schema in ALL {
            let latest = |limit| {
                let query = ListQuery {
                    spaces: Some(self.shared.readable()),
                    order: Order { by: OrderBy::Updated, descending: true },
                    limit,
                    ..ListQuery::default()
                };
                self.shared.readers.with(|r| r.list(schema.kind, &query))
            };
            let far = |page: &Page| {
                page.rows.first().is_some_and(|row| is_ahead(row.row.updated_ms, now_ms))
            };
            if !far(&latest(1)?) {
                continue;
            }
            let page = latest(AHEAD_MAX)?;
            let rows = page.rows.iter().take_while(|row| is_ahead(row.row.updated_ms, now_ms));
            let place = |row: &crate::store::ListedRow| Place {
                document: row.document,
                space: row.space,
                kind: schema.kind,
            };
            for subject in self.readable_records(schema, rows.map(place).collect())? {
                // Its draft tells.
                if subject.record.is_publication() {
                    continue;
                }
                let conflict = ahead(subject.of, &subject.record);
                if !self.stands(&conflict)? {
                    out.push(Open::of_one(conflict, &subject.record));
                }
            }
        }
        Ok(out)
    }
}

fn is_kind(kind: Kind, name: &str) -> bool {
    schema_named(name).is_some_and(|schema| schema.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::MemoryStore;
    use crate::testing::Bench;
    use crate::views::specs;
    use serde_json::json;

    const NOW_MS: u64 = 1_544_490_000_000;
    const TWO_DAYS_MS: u64 = 2 * 24 * 60 * 60 * 1000;

    fn bench(at_ms: u64) -> Bench {
        let store = MemoryStore::new(&specs()).unwrap();
        Bench::start(Box::new(store), Clock::starting_at(at_ms))
    }

    fn cases(records: &Records) -> Vec<Case> {
        records.conflicts().unwrap().iter().map(|open| open.conflict.case).collect()
    }

    #[test]
    fn a_clock_far_ahead_is_flagged_until_somebody_has_seen_it() {
        let mut bench = bench(NOW_MS + TWO_DAYS_MS);
        bench.member("甲").unwrap();
        assert_eq!(cases(&bench.records), [], "nobody knows better");
        bench.records.shared.clock = Clock::starting_at(NOW_MS);
        bench.member("乙").unwrap();
        assert_eq!(cases(&bench.records), [Case::ClockAhead]);
        let id = bench.records.conflicts().unwrap()[0].conflict.id.to_string();
        let unsaid = bench.records.settle(&id, "stand", None, "a").unwrap_err().to_string();
        assert!(unsaid.contains("note"), "{unsaid}");
        bench.records.settle(&id[..8], "stand", Some("已校时"), "a").unwrap();
        assert_eq!(cases(&bench.records), []);
        let again = bench.records.settle(&id, "stand", Some("n"), "a").unwrap_err().to_string();
        assert!(again.contains("no open conflict"), "{again}");
        bench.stop();
    }

    #[test]
    fn all_changes_of_a_way_are_made_or_none() {
        let bench = bench(NOW_MS);
        let schema = schema_named("term").unwrap();
        for person in ["甲", "乙"] {
            let fields = json!({"person": person, "branch": "b", "post": "secretary"});
            bench.records.create(schema, &fields, None, None, "a").unwrap();
        }
        assert_eq!(cases(&bench.records), [Case::TwoInOffice]);
        let id = bench.records.conflicts().unwrap()[0].conflict.id.to_string();
        let unsaid = bench.records.settle(&id, "1", None, "a").unwrap_err().to_string();
        assert!(unsaid.contains("note"), "{unsaid}");
        let states = |status: &str| {
            let equals = vec![("status".to_owned(), status.to_owned())];
            let query = ListQuery { equals, ..ListQuery::default() };
            bench.records.list(schema, query).unwrap().rows.len()
        };
        assert_eq!(states("proposed"), 2, "approving one has not happened either");
        bench.records.settle(&id, "1", Some("n"), "a").unwrap();
        assert_eq!((states("approved"), states("refused")), (1, 1));
        bench.stop();
    }
}
