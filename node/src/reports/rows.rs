//! Rows of the views as the figures take them. What a row does not say is left out or, where a figure can do
//! without, empty.

use super::{Look, ReportError};
use crate::shared::Readers;
use crate::store::{Cell, Scanned, StoreError};
use crate::views::{MAKER, PUBLISHER};
use fenbu_protocol::directory::Template;
use fenbu_protocol::duty::{
    Activity, Adoption, Attended, Branch, Conveyed, Credited, Day, Directive, Honour, Meeting,
    Member, Packs, Post, TemporaryBranch, Term, Transfer, Unit, meets,
};
use fenbu_protocol::id::{DocId, SpaceId, hex};
use fenbu_protocol::record::conflict::Case;
use fenbu_protocol::record::schema_named;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A row, read by place.
pub(crate) struct Row(pub(crate) Scanned);

impl Row {
    pub(crate) fn text(&self, at: usize) -> Option<&str> {
        match &self.0.cells[at] {
            Cell::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn own(&self, at: usize) -> String {
        self.text(at).unwrap_or_default().to_owned()
    }

    pub(crate) fn int(&self, at: usize) -> Option<i64> {
        match self.0.cells[at] {
            Cell::Int(n) => Some(n),
            _ => None,
        }
    }

    pub(crate) fn day(&self, at: usize) -> Option<Day> {
        self.text(at).and_then(Day::parse)
    }

    /// The day it was entered.
    pub(super) fn entered(&self) -> Day {
        Day::of_ms(self.0.created_ms as i64)
    }

    pub(crate) fn json(&self, at: usize) -> Value {
        self.text(at).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    fn texts(&self, at: usize) -> Vec<String> {
        let json = self.json(at);
        let items = json.as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// Branch code, kind, start, planned, status.
const MEETING: [&str; 5] = ["branch", "kind", "start", "planned", "status"];

fn day_of(row: &Row) -> Option<Day> {
    meets(row.text(4)?, row.int(2), row.int(3))
}

fn scan(
    readers: &Readers,
    readable: &[SpaceId],
    kind: &str,
    columns: &[&str],
) -> Result<Vec<Row>, StoreError> {
    // INVARIANT: only kinds of this version are asked for.
    let kind = schema_named(kind).expect("a kind of ours").kind;
    let rows = readers.with(|r| r.scan(kind, columns, Some(readable)))?;
    Ok(rows.into_iter().map(Row).collect())
}

/// The rule packs in these spaces, after the program's own.
pub(crate) fn packs(readers: &Readers, readable: &[SpaceId]) -> Result<Packs, StoreError> {
    const SETS: [&str; 6] = ["duties", "reviews", "stages", "standings", "attended", "made_up"];
    let mut columns = vec!["title", "effective", "excluded"];
    columns.extend(SETS);
    let packs = scan(readers, readable, "rule-pack", &columns)?.into_iter().map(|row| {
        let mut fields = Map::new();
        fields.insert("title".into(), json!(row.text(0)));
        fields.insert("effective".into(), json!(row.text(1)));
        for (i, name) in columns.iter().enumerate().skip(2) {
            fields.insert((*name).to_owned(), row.json(i));
        }
        (row.0.document, Value::Object(fields))
    });
    Ok(Packs::of(packs))
}

impl Look<'_> {
    pub(super) fn scan(&self, kind: &str, columns: &[&str]) -> Result<Vec<Row>, ReportError> {
        Ok(scan(&self.records.shared.readers, &self.readable, kind, columns)?)
    }

    pub(super) fn unit_of_space(&self, space: &SpaceId) -> Option<String> {
        self.directory.space(space).and_then(|s| s.unit.clone())
    }

    /// The unit of each actor of the federation's space, by the actor's hex.
    pub(super) fn makers(&self) -> Result<BTreeMap<String, String>, ReportError> {
        let space = self.directory.spaces().find(|s| s.template == Template::FEDERATION);
        let Some(space) = space else { return Ok(BTreeMap::new()) };
        let logs = self.records.shared.readers.with(|r| r.logs(space.id))?;
        let unit = |log: &crate::store::StoredLog| {
            let info = self.directory.node(&log.opening.node)?;
            Some((hex(&log.log.actor()), info.unit.clone()))
        };
        Ok(logs.iter().filter_map(unit).collect())
    }

    pub(super) fn packs(&self) -> Result<Packs, ReportError> {
        Ok(packs(&self.records.shared.readers, &self.readable)?)
    }

    /// The tree of these units, temporary branches among them, by unit and code. Of two records with one code
    /// that with the lower id counts.
    pub(super) fn branches(&self, units: &[Unit]) -> Result<Vec<Branch>, ReportError> {
        let columns = [
            "code",
            "name",
            "unit",
            "kind",
            "established",
            "ended",
            "committee",
            "groups",
            "status",
        ];
        let mut rows = self.scan("branch", &columns)?;
        rows.sort_by_key(|row| row.0.document);
        let mut branches: Vec<Branch> = rows
            .iter()
            .map(|row| Branch {
                code: row.own(0),
                name: row.own(1),
                unit: row.own(2),
                kind: row.text(3).unwrap_or("branch").to_owned(),
                established: row.day(4),
                ended: row.day(5),
                dissolved: row.text(8) == Some("dissolved"),
                committee: row.int(6) == Some(1),
                groups: row.int(7).unwrap_or(0),
            })
            .collect();
        let active = |b: &TemporaryBranch| !matches!(b.status.as_str(), "proposed" | "approved");
        for branch in self.temporary()?.into_iter().filter(active) {
            let dissolved = matches!(branch.status.as_str(), "dissolved" | "archived");
            branches.push(Branch {
                code: branch.code,
                name: branch.name,
                unit: branch.host_unit,
                kind: "temporary".to_owned(),
                established: branch.established,
                ended: branch.planned_end.filter(|_| dissolved),
                dissolved,
                committee: false,
                groups: 0,
            });
        }
        let order: BTreeMap<&str, usize> =
            units.iter().enumerate().map(|(i, unit)| (unit.code.as_str(), i)).collect();
        branches.retain(|branch| order.contains_key(branch.unit.as_str()));
        let mut seen = BTreeSet::new();
        branches.retain(|branch| seen.insert(branch.code.clone()));
        branches.sort_by(|a, b| {
            let key = |x: &Branch| (order[x.unit.as_str()], x.code.clone());
            key(a).cmp(&key(b))
        });
        Ok(branches)
    }

    /// Key, unit and name of each branch.
    pub(super) fn branch_lines(
        &self,
        units: &[Unit],
    ) -> Result<Vec<(String, String, String)>, ReportError> {
        let branches = self.branches(units)?;
        Ok(branches.into_iter().map(|b| (b.code, b.unit, b.name)).collect())
    }

    /// Says which meetings no line shows: their branch is not in the tree.
    pub(super) fn remark_strays<'b>(
        &mut self,
        branches: &[Branch],
        named: impl Iterator<Item = &'b str>,
    ) {
        if self.wanted.is_some() {
            return;
        }
        let known: BTreeSet<&str> = branches.iter().map(|b| b.code.as_str()).collect();
        let mut strays: BTreeMap<&str, usize> = BTreeMap::new();
        for code in named.filter(|code| !known.contains(code)) {
            *strays.entry(code).or_default() += 1;
        }
        for (code, count) in strays {
            self.remarks.push(format!(
                "{count} meetings are in no line: their branch '{code}' is not in the tree of branches; add it, or correct them"
            ));
        }
    }

    pub(super) fn meetings(&self) -> Result<Vec<Meeting>, ReportError> {
        let rows = self.scan("meeting", &MEETING)?;
        let held = rows.iter().filter_map(|row| {
            let (branch, kind) = (row.own(0), row.own(1));
            Some(Meeting { id: row.0.document, branch, kind, day: day_of(row)? })
        });
        Ok(held.collect())
    }

    /// The period's meetings with everybody's attendance.
    pub(super) fn attended(&self) -> Result<Vec<Attended>, ReportError> {
        let columns: Vec<&str> = MEETING.into_iter().chain(["expected", "attendance"]).collect();
        let rows = self.scan("meeting", &columns)?;
        let held = rows.iter().filter_map(|row| {
            let day = day_of(row).filter(|day| self.period.contains(*day))?;
            let attendance = row.json(6);
            let said = attendance.as_object().into_iter().flatten();
            Some(Attended {
                id: row.0.document,
                branch: row.own(0),
                kind: row.own(1),
                day,
                expected: row.texts(5).into_iter().collect(),
                attendance: said
                    .filter_map(|(who, how)| Some((who.clone(), how.as_str()?.to_owned())))
                    .collect(),
            })
        });
        Ok(held.collect())
    }

    pub(super) fn members(&self) -> Result<Vec<Member>, ReportError> {
        let columns = ["branch", "stage", "standing", "joined", "gender", "groups", "birth"];
        let rows = self.scan("member", &columns)?;
        let members = rows.iter().map(|row| Member {
            id: row.0.document,
            unit: self.unit_of_space(&row.0.space).unwrap_or_default(),
            branch: row.text(0).map(str::to_owned),
            stage: row.own(1),
            standing: row.own(2),
            joined: row.day(3),
            gender: row.text(4).map(str::to_owned),
            groups: row.texts(5),
            birth: row.day(6),
        });
        Ok(members.collect())
    }

    pub(super) fn transfers(&self) -> Result<Vec<Transfer>, ReportError> {
        let columns = ["member", "from_unit", "to_unit", "to_branch", "issued", "expiry", "status"];
        let rows = self.scan("transfer", &columns)?;
        // Until somebody decides the member stays at the source.
        let disputed = self.disputed_transfers()?;
        let status = |row: &Row| match row.own(6) {
            received if received == "received" && disputed.contains(&row.0.document) => {
                "frozen".to_owned()
            }
            status => status,
        };
        let transfers = rows.iter().map(|row| Transfer {
            id: row.0.document,
            member: row.own(0),
            from_unit: row.own(1),
            to_unit: row.own(2),
            to_branch: row.text(3).map(str::to_owned),
            issued: row.day(4),
            expiry: row.day(5),
            status: status(row),
        });
        Ok(transfers.collect())
    }

    /// Transfers that stand against another, or against their member's standing.
    fn disputed_transfers(&self) -> Result<BTreeSet<DocId>, ReportError> {
        let cases = [Case::TwoTransfers, Case::TransferOfSuspended];
        let open = self.records.conflicts()?;
        let open = open.into_iter().filter(|open| cases.contains(&open.conflict.case));
        Ok(open.flat_map(|open| open.conflict.records).map(|of| of.document).collect())
    }

    /// Attendance at temporary branches that was credited at home.
    pub(super) fn credited(&self) -> Result<Vec<Credited>, ReportError> {
        let rows = self.scan("attendance-credit", &["home_branch", "date", "attendance"])?;
        let credited = rows.iter().filter_map(|row| {
            Some(Credited {
                id: row.0.document,
                unit: self.unit_of_space(&row.0.space)?,
                home_branch: row.text(0).map(str::to_owned),
                day: row.day(1)?,
                attendance: row.text(2)?.to_owned(),
            })
        });
        Ok(credited.collect())
    }

    /// Terms that were approved, also those that have ended since.
    pub(super) fn terms(&self) -> Result<Vec<Term>, ReportError> {
        let columns = ["member", "person", "branch", "post", "from", "to", "status"];
        let rows = self.scan("term", &columns)?;
        let held = rows.iter().filter(|row| matches!(row.text(6), Some("approved" | "ended")));
        let terms = held.map(|row| Term {
            id: row.0.document,
            member: row.text(0).map(str::to_owned),
            person: row.own(1),
            branch: row.own(2),
            post: row.own(3),
            from: row.day(4),
            to: row.day(5),
        });
        Ok(terms.collect())
    }

    /// The unit of a post of which the publisher is the first column.
    pub(super) fn unit_of_post(&self, row: &Row) -> Option<String> {
        row.text(0).map(str::to_owned).or_else(|| self.unit_of_space(&row.0.space))
    }

    pub(super) fn posts(&self, units: &[Unit]) -> Result<Vec<Post>, ReportError> {
        let rows = self.scan("post", &[PUBLISHER, "column", "status", "written", "bylines"])?;
        let shown: BTreeSet<&str> = units.iter().map(|unit| unit.code.as_str()).collect();
        let mut posts = Vec::new();
        for row in &rows {
            let unit = self.unit_of_post(row);
            if unit.as_ref().is_some_and(|unit| !shown.contains(unit.as_str())) {
                continue;
            }
            posts.push(Post {
                id: row.0.document,
                unit,
                column: row.text(1).map(str::to_owned),
                status: row.own(2),
                day: row.day(3).unwrap_or_else(|| row.entered()),
                bylines: row.texts(4),
            });
        }
        Ok(posts)
    }

    pub(super) fn activities(&self, units: &[Unit]) -> Result<Vec<Activity>, ReportError> {
        let makers = self.makers()?;
        let shown: BTreeSet<&str> = units.iter().map(|unit| unit.code.as_str()).collect();
        let columns =
            [MAKER, "programme", "date", "participants", "hours", "people", "donation_fen"];
        let rows = self.scan("activity", &columns)?;
        let own = rows.iter().filter(|row| {
            let unit = row.text(0).and_then(|actor| makers.get(actor));
            unit.is_none_or(|unit| shown.contains(unit.as_str()))
        });
        let activities = own.map(|row| Activity {
            id: row.0.document,
            programme: row.text(1).unwrap_or("custom").to_owned(),
            day: row.day(2).unwrap_or_else(|| row.entered()),
            participants: row.int(3).unwrap_or(0),
            hours: row.int(4).unwrap_or(0),
            people: row.int(5).unwrap_or(0),
            donation_fen: row.int(6).unwrap_or(0),
        });
        Ok(activities.collect())
    }

    pub(super) fn adoptions(&self) -> Result<Vec<Adoption>, ReportError> {
        let makers = self.makers()?;
        let rows = self.scan("adoption", &[MAKER, "kind", "date", "status"])?;
        let adoptions = rows.iter().map(|row| Adoption {
            id: row.0.document,
            unit: row.text(0).and_then(|actor| makers.get(actor)).cloned(),
            kind: row.own(1),
            day: row.day(2).unwrap_or_else(|| row.entered()),
            status: row.own(3),
        });
        Ok(adoptions.collect())
    }

    pub(super) fn honours(&self) -> Result<Vec<Honour>, ReportError> {
        let makers = self.makers()?;
        let rows = self.scan("honour", &[MAKER, "level", "year", "status"])?;
        let honours = rows.iter().map(|row| Honour {
            id: row.0.document,
            unit: row.text(0).and_then(|actor| makers.get(actor)).cloned(),
            level: row.own(1),
            year: row.int(2).unwrap_or_else(|| row.entered().civil().0),
            status: row.own(3),
        });
        Ok(honours.collect())
    }

    pub(super) fn directives(&self) -> Result<Vec<Directive>, ReportError> {
        let rows = self.scan("directive", &["title", "issued", "due", "receipts"])?;
        let mut directives: Vec<Directive> = rows
            .iter()
            .map(|row| {
                let receipts = row.json(3);
                let told = receipts.as_object().into_iter().flatten();
                let told = told.filter_map(|(branch, receipt)| {
                    let on = receipt["on"].as_str().or(receipt.as_str()).and_then(Day::parse)?;
                    Some((branch.clone(), Conveyed { on }))
                });
                Directive {
                    id: row.0.document,
                    title: row.own(0),
                    issued: row.day(1).unwrap_or_else(|| row.entered()),
                    due: row.day(2),
                    receipts: told.collect(),
                }
            })
            .collect();
        directives.sort_by_key(|d| (d.issued, d.id));
        Ok(directives)
    }

    pub(super) fn temporary(&self) -> Result<Vec<TemporaryBranch>, ReportError> {
        let mut seconded: BTreeMap<String, Vec<(DocId, bool)>> = BTreeMap::new();
        for row in self.scan("secondment", &["branch", "status"])? {
            let confirmed = matches!(row.text(1), Some("confirmed" | "returned"));
            if row.text(1) != Some("declined") {
                seconded.entry(row.own(0)).or_default().push((row.0.document, confirmed));
            }
        }
        let columns = ["code", "name", "host_unit", "established", "planned_end", "status"];
        let mut branches: Vec<TemporaryBranch> = self
            .scan("temporary-branch", &columns)?
            .iter()
            .map(|row| TemporaryBranch {
                id: row.0.document,
                seconded: seconded.get(&row.own(0)).cloned().unwrap_or_default(),
                code: row.own(0),
                name: row.own(1),
                host_unit: row.own(2),
                established: row.day(3),
                planned_end: row.day(4),
                status: row.own(5),
            })
            .collect();
        branches.retain(|branch| self.wanted.is_none_or(|unit| branch.host_unit == unit));
        branches.sort_by(|a, b| (&a.code, a.id).cmp(&(&b.code, b.id)));
        Ok(branches)
    }
}
