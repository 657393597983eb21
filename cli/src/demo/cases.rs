//! What people do in the demo besides editing posts: kinds of records that come from using the system, and
//! what merging cannot settle.

use super::office::Office;
use super::story::Story;
use crate::client::Route;
use crate::error::{Error, Kind, Result};
use crate::lang::Text;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Code of the sample's temporary branch that is active; the second unit is its host.
const TASK: &str = "temporary-2";
const HOST: usize = 1;

/// What the two halves contradict each other in.
const CASES: [&str; 3] = ["two_in_office", "two_transfers", "same_meeting"];

/// What the admin node does by itself takes no longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

impl Story {
    /// A rally of the temporary branch, whose attendance is credited where its members come from; a look at
    /// personal data; a sealed report; a mark that says how far the data goes.
    pub(super) async fn use_it(&mut self) -> Result<()> {
        for office in &self.offices {
            super::people::settle_in(office).await?;
        }
        let host = HOST % self.offices.len();
        self.until("the space of the temporary branch", async |story| {
            let route = Route::new("directory/spaces").segment(TASK);
            story.offices[host].client.get(route).await.is_ok()
        })
        .await?;
        let attendance: Value = self
            .sample_values("secondment", 0, "branch", TASK, "member")
            .into_iter()
            .map(|member| (member, json!("present")))
            .collect();
        let rally = json!({"kind": "rally", "branch": TASK, "title": "誓师动员大会",
            "start": "2018-08-08T09:00:00+08:00", "status": "held", "attendance": attendance});
        self.offices[host].write("meetings", rally, None).await?;
        self.count_meeting(host);
        self.until("attendance credited at home", async |story| {
            let route = Route::new("attendance-credits");
            let listed = story.offices[0].client.get(route).await.unwrap_or_default();
            listed["items"].as_array().is_some_and(|items| !items.is_empty())
        })
        .await?;
        let head = &self.offices[0];
        let member = self.member_of(0)?;
        let reveal = Route::new("members").segment(&member).segment("reveal");
        let reason = json!({"field": "birth", "reason": "核对预备期"});
        head.client.post(reveal, &reason).await?;
        let seal = Route::new("reports").segment("posts").segment("seal");
        head.client.post(seal, &json!({"period": "2018-Q3"})).await?;
        head.client.post(Route::new("freshness"), &json!({})).await?;
        Ok(())
    }

    /// Both halves, each without the other: a secretary is proposed, a member transferred, one meeting
    /// entered. The right half's first unit is whose secretary, member and meeting it is.
    pub(super) async fn contradict(&mut self) -> Result<()> {
        let right = self.offices.len() / 2;
        let unit = self.offices[right].unit.clone();
        let branches = &self.sample.branches;
        let branch = branches.iter().find(|b| b.unit == right).map(|b| b.code.clone());
        let branch = branch.unwrap_or_default();
        let member = self.member_of(right)?;
        let people = ["赵建国", "钱卫东"];
        for (office, person) in [0, right].into_iter().zip(people) {
            let office = &self.offices[office];
            let term = json!({"person": person, "branch": branch, "post": "secretary",
                "basis": "appointed", "from": "2019-01-01"});
            office.write("terms", term, None).await?;
            let transfer = json!({"member": member, "from_unit": unit, "to_unit": office.unit,
                "from_branch": branch, "letter": format!("党组介字〔2019〕{person}"),
                "issued": "2018-12-10", "expiry": "2019-03-10"});
            office.write("transfers", transfer, None).await?;
            let seminar = json!({"kind": "seminar", "branch": branch, "title": "品牌研讨",
                "start": "2019-01-08T09:00:00+08:00", "recorder": person});
            office.write("meetings", seminar, Some(&unit)).await?;
            self.expected.terms += 1;
            *self.expected.ledgers.entry("transfer".to_owned()).or_default() += 1;
            self.count_meeting(right);
        }
        Ok(())
    }

    /// One is settled where the right half's unit is, one at head office, which lets both transfers stand. The
    /// rest is left for people to look at. Returns what was settled, and where.
    pub(super) async fn settle(&self) -> Result<BTreeMap<String, String>> {
        let mut settled = BTreeMap::new();
        let right = self.offices.len() / 2;
        for (case, way, at) in [("same_meeting", "1", right), ("two_transfers", "stand", 0)] {
            let office = &self.offices[at];
            let conflicts = open(office).await?;
            let Some((_, id)) = conflicts.iter().find(|(found, _)| found == case) else { continue };
            let route = Route::new("conflicts").segment(id).segment("settle");
            office.client.post(route, &json!({"way": way, "note": "经核对"})).await?;
            settled.insert(case.to_owned(), office.unit.clone());
        }
        Ok(settled)
    }

    /// How many conflicts are open at an office, by case.
    pub(super) async fn cases(&self, office: usize) -> Result<BTreeMap<String, u64>> {
        let mut cases = BTreeMap::new();
        for (case, _) in open(&self.offices[office]).await? {
            *cases.entry(case).or_default() += 1;
        }
        Ok(cases)
    }

    /// Each case came once, two were settled, and head office and the other half see the same.
    pub(super) async fn check_cases(
        &self,
        found: &BTreeMap<String, u64>,
        settled: &BTreeMap<String, String>,
    ) -> Result<Vec<String>> {
        let mut out = Vec::new();
        for case in CASES {
            let count = found.get(case).copied().unwrap_or(0);
            if count != 1 {
                out.push(format!("conflict {case}: {count}, expected 1"));
            }
        }
        if settled.len() != 2 {
            out.push(format!("settled: {settled:?}, expected two cases"));
        }
        let (head, right) = (&self.offices[0], &self.offices[self.offices.len() / 2]);
        let (here, there) = (open(head).await?, open(right).await?);
        for case in CASES {
            let of = |all: &[(String, String)]| -> Vec<String> {
                all.iter().filter(|(found, _)| found == case).map(|(_, id)| id.clone()).collect()
            };
            if of(&here) != of(&there) {
                out.push(format!("conflict {case}: {} and {} differ", head.unit, right.unit));
            }
            if settled.contains_key(case) && !of(&here).is_empty() {
                out.push(format!("conflict {case}: still open after it was settled"));
            }
        }
        Ok(out)
    }

    /// One more meeting in the space of a unit, or of a temporary branch whose host it is.
    fn count_meeting(&mut self, unit: usize) {
        self.expected.meetings += 1;
        let unit = &self.offices[unit].unit;
        self.expected.by_unit.entry(unit.clone()).or_default().meetings += 1;
    }

    /// What the sample's records of a unit say under `name`, where they say `value` under `field`.
    fn sample_values(
        &self,
        kind: &str,
        unit: usize,
        field: &str,
        value: &str,
        name: &str,
    ) -> Vec<String> {
        let records = self.sample.records_of(&self.offices[unit].unit);
        let found = records.filter(|r| r.kind == kind && r.fields[field] == value);
        found.filter_map(|r| r.fields[name].as_str().map(str::to_owned)).collect()
    }

    /// Id of a member on a unit's roster.
    fn member_of(&self, unit: usize) -> Result<String> {
        let unit = &self.offices[unit].unit;
        let member = self.sample.records_of(unit).find(|r| r.kind == "member");
        let missing = || Error::failed(Text::from(format!("{unit}: the sample has no member")));
        member.map(|r| r.id.to_string()).ok_or_else(missing)
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !holds(self).await {
            if Instant::now() > end {
                let what = format!("{what} did not come within {PATIENCE:?}");
                return Err(Error::new(Kind::TimedOut, Text::from(what)));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Case and id of what is open at an office.
async fn open(office: &Office) -> Result<Vec<(String, String)>> {
    let answer = office.client.get(Route::new("conflicts")).await?;
    let items = answer["items"].as_array().into_iter().flatten();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items.map(|item| (text(item, "case"), text(item, "id"))).collect())
}
