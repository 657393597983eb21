//! What happens in the demo, in order.

use super::agree::{Standing, agree, agreeing, ask};
use super::figures;
use super::office::{Office, free_address};
use crate::error::{Error, Kind, Result};
use crate::lang::{Key, Text};
use crate::output::Output;
use crate::relay::Relay;
use crate::sample::{Expected, Sample};
use crate::wiring::{self, DemoOptions, InitOptions, JoinOptions};
use fenbu_protocol::record::schema_named;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Each wait for agreement, at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// Posts edited on both sides of the cut.
const EDITED: usize = 12;
/// The cut lasts longer than links live in silence, so that healing begins with dialling.
const CUT: Duration = Duration::from_secs(6);
/// Between the looks that decide whether all agree.
const LOOK: Duration = Duration::from_millis(100);

/// A running demo.
pub(super) struct Story {
    pub(super) sample: Sample,
    pub(super) expected: Expected,
    pub(super) offices: Vec<Office>,
    relay: Relay,
    began: Instant,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) standings: Vec<Standing>,
    pub(super) posts: u64,
    pub(super) posts_by_column: BTreeMap<String, u64>,
    pub(super) members: u64,
    pub(super) meetings: u64,
    /// Records whose concurrent values a person is asked to settle.
    pub(super) conflicts: u64,
    /// Conflicts that are open in the end, of whatever case.
    pub(super) conflicts_open: u64,
    /// How many the cut brought, by the code of their case.
    pub(super) conflicts_by_case: BTreeMap<String, u64>,
    /// Cases that were settled after it, and where.
    pub(super) conflicts_settled: BTreeMap<String, String>,
    pub(super) bulk_ms: u64,
    pub(super) heal_ms: u64,
    pub(super) total_ms: u64,
    /// What is not as it should be.
    pub(super) complaints: Vec<String>,
}

impl Report {
    pub(super) fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }
}

fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

impl Story {
    /// The sample, the relay, and one place for each unit.
    pub(super) async fn begin(options: &DemoOptions, root: &Path) -> Result<Self> {
        let began = Instant::now();
        let sample = Sample::generate(options.seed, usize::from(options.units));
        let expected = sample.expected();
        let relay = Relay::start(options.seed);
        let mut offices = Vec::new();
        for unit in &sample.units {
            offices.push(Office::new(&unit.code, root.join(&unit.code), free_address()?));
        }
        Ok(Self { sample, expected, offices, relay, began })
    }

    pub(super) fn offices(&self) -> &[Office] {
        &self.offices
    }

    pub(super) async fn tell(&mut self, output: &mut Output) -> Result<Report> {
        self.found(output).await?;
        let bulk_ms = self.take_in(output).await?;
        self.say(output, Key::DemoUsed);
        self.use_it().await?;
        self.wait_for_agreement(output).await?;
        self.say(output, Key::DemoCut);
        let edited = self.cut(output).await?;
        self.say(output, Key::DemoHeal);
        let healed = Instant::now();
        self.relay.heal();
        let standings = self.wait_for_agreement(output).await?;
        let heal_ms = millis(healed);
        let mut complaints = self.miscounts(&standings);
        complaints.extend(figures::check(&self.offices[0], &self.expected).await?);
        let conflicts = self.check_merges(&edited, &mut complaints).await?;
        let by_case = self.cases(0).await?;
        let settled = self.settle().await?;
        let after = self.wait_for_agreement(output).await?;
        complaints.extend(self.check_cases(&by_case, &settled).await?);
        let standings: Vec<Standing> = after
            .into_iter()
            .zip(&standings)
            .map(|(s, healed)| s.healed_at(healed.heal_ms))
            .collect();
        let head = &standings[0];
        let empty = head.by_kind().into_iter().filter(|(_, count)| *count == 0);
        complaints.extend(empty.map(|(kind, _)| format!("{}: no {kind}", head.unit)));
        let conflicts_open = self.cases(0).await?.values().sum();
        Ok(Report {
            posts: head.published(),
            posts_by_column: head.posts_by_column.clone(),
            members: head.count("members"),
            meetings: head.count("meetings"),
            conflicts,
            conflicts_open,
            conflicts_by_case: by_case,
            conflicts_settled: settled,
            bulk_ms,
            heal_ms,
            total_ms: millis(self.began),
            complaints,
            standings,
        })
    }

    fn say(&self, output: &mut Output, text: impl Into<Text>) {
        let text = text.into().render(output.lang());
        output.say(Text::from(format!("{:>5.1}s  {text}", self.began.elapsed().as_secs_f64())));
    }

    /// Founds the federation and lets every unit's node in, through the relay.
    async fn found(&mut self, output: &mut Output) -> Result<()> {
        let name = self.sample.units[0].name_zh.to_owned();
        let relayed = self.relay_to(0)?;
        let options = InitOptions {
            dir: self.offices[0].dir.clone(),
            name,
            listen: Some(self.offices[0].address),
            advertise: vec![relayed],
        };
        off_thread(move || wiring::init(options)).await?;
        self.offices[0].start()?;
        self.offices[0].ready().await?;
        for i in 1..self.offices.len() {
            let unit = self.sample.units[i].clone();
            let token = self.offices[0].invite(&unit.code, &unit.name_zh).await?;
            let options = JoinOptions {
                dir: self.offices[i].dir.clone(),
                token,
                name: None,
                listen: Some(self.offices[i].address),
                advertise: vec![self.relay_to(i)?],
            };
            off_thread(move || wiring::join(options)).await?;
        }
        for office in &mut self.offices[1..] {
            office.start()?;
        }
        for office in &mut self.offices {
            office.ready().await?;
        }
        let nodes = self.offices.len().to_string();
        self.say(output, Key::DemoFounded.with([("nodes", nodes)]));
        Ok(())
    }

    fn relay_to(&self, office: usize) -> Result<String> {
        let address = self.offices[office].address;
        let relayed = self.relay.forward(address).map_err(|e| Error::file(address, &e))?;
        Ok(relayed.to_string())
    }

    /// Each unit's node takes in that unit's records, all at once.
    async fn take_in(&self, output: &mut Output) -> Result<u64> {
        let files: Vec<String> = self
            .offices
            .iter()
            .map(|office| {
                let lines = self.sample.records_of(&office.unit).map(|r| r.to_jsonl_line() + "\n");
                lines.collect()
            })
            .collect();
        let count = self.expected.records().to_string();
        self.say(output, Key::DemoImport.with([("records", count)]));
        let since = Instant::now();
        let imports = self.offices.iter().zip(files).map(|(office, lines)| office.import(lines));
        for result in join_all(imports).await {
            result?;
        }
        self.say(output, Key::DemoImported);
        self.wait_for_agreement(output).await?;
        Ok(millis(since))
    }

    /// Head office and units that cannot reach it edit the same posts; a node loses its power.
    async fn cut(&mut self, output: &mut Output) -> Result<Vec<Edited>> {
        let since = Instant::now();
        let half = self.offices.len() / 2;
        let right: Vec<_> = self.offices[half..].iter().map(|o| o.address).collect();
        self.relay.cut(&right);
        self.contradict().await?;
        let victim = self.offices.len() - 1;
        let posts = self.to_be_edited(half);
        for (i, post) in posts.iter().enumerate() {
            if i == posts.len() / 2 {
                self.say(output, Key::DemoKill.with([("unit", self.offices[victim].unit.clone())]));
                self.offices[victim].kill();
            }
            // The one that dies has to be back before it can write again.
            if post.office == victim && !self.offices[victim].is_running() {
                self.offices[victim].start()?;
                self.offices[victim].ready().await?;
            }
            self.edit_post(0, &post.id, "左", true).await?;
            self.edit_post(post.office, &post.id, "右", false).await?;
        }
        if !self.offices[victim].is_running() {
            self.offices[victim].start()?;
        }
        self.offices[victim].ready().await?;
        self.say(output, Key::DemoRestarted.with([("unit", self.offices[victim].unit.clone())]));
        tokio::time::sleep(CUT.saturating_sub(since.elapsed())).await;
        Ok(posts)
    }

    /// Posts of the units that are cut off from head office, by turns; those of the one that dies first.
    fn to_be_edited(&self, half: usize) -> Vec<Edited> {
        let count = self.offices.len() - half;
        let of_unit = |turn: usize| {
            let office = self.offices.len() - 1 - turn % count;
            let posts = self.sample.records_of(&self.offices[office].unit);
            let published = posts.filter(|r| r.kind == "post" && r.fields["status"] == "published");
            let id = published.map(|r| r.id.to_string()).nth(turn / count)?;
            Some(Edited { id, office })
        };
        (0..EDITED).filter_map(of_unit).collect()
    }

    /// One side writes a new title and a first line, the other a new title and a last line.
    async fn edit_post(&self, office: usize, id: &str, side: &str, first: bool) -> Result<()> {
        let office = &self.offices[office];
        let shown = office.show("posts", id).await?;
        let text = |field: &str| shown["fields"][field].as_str().unwrap_or_default().to_owned();
        let line = mark(side, &office.unit);
        let body = text("body");
        let body = if first { format!("{line}\n{body}") } else { format!("{body}\n{line}") };
        let title = format!("{}（{side}）", text("title"));
        office.edit("posts", id, json!({ "title": title, "body": body })).await
    }

    /// Waits until all nodes agree; notes when each came to.
    async fn wait_for_agreement(&self, output: &mut Output) -> Result<Vec<Standing>> {
        let since = Instant::now();
        let mut told = Instant::now();
        let mut reached: Vec<Option<u64>> = vec![None; self.offices.len()];
        loop {
            let standings = ask(&self.offices).await;
            let level = agreeing(&standings);
            for (when, level) in reached.iter_mut().zip(&level) {
                *when = if *level { when.or(Some(millis(since))) } else { None };
            }
            if agree(&standings) {
                let all = standings.into_iter().flatten().zip(reached);
                return Ok(all.map(|(s, ms)| s.healed_at(ms.unwrap_or(0))).collect());
            }
            if since.elapsed() > PATIENCE {
                let behind = self.offices.iter().zip(&level).filter(|(_, level)| !**level);
                let units: Vec<_> = behind.map(|(o, _)| o.unit.clone()).collect();
                return Err(Error::new(
                    Kind::TimedOut,
                    Key::DemoDisagree.with([("units", units.join(", "))]),
                ));
            }
            if told.elapsed() > Duration::from_secs(2) {
                told = Instant::now();
                let count = level.iter().filter(|l| **l).count();
                self.say(
                    output,
                    Key::DemoProgress.with([
                        ("agreeing", count.to_string()),
                        ("nodes", self.offices.len().to_string()),
                    ]),
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every node must show exactly what the sample says it may read.
    fn miscounts(&self, standings: &[Standing]) -> Vec<String> {
        let mut out = Vec::new();
        let mut check = |unit: &str, what: &str, found: u64, expected: usize| {
            if found != expected as u64 {
                out.push(format!("{unit}: {found} {what}, expected {expected}"));
            }
        };
        for (i, standing) in standings.iter().enumerate() {
            let own = self.expected.by_unit.get(&standing.unit);
            let (members, meetings) = match own {
                Some(own) if i > 0 => (own.members, own.meetings),
                _ => (self.expected.members, self.expected.meetings),
            };
            check(&standing.unit, "branches", standing.count("branches"), self.expected.branches);
            check(&standing.unit, "terms", standing.count("terms"), self.expected.terms);
            let unpublished = match own {
                Some(own) if i > 0 => own.unpublished,
                _ => self.expected.unpublished(),
            };
            let posts = self.expected.posts + unpublished;
            check(&standing.unit, "published posts", standing.published(), self.expected.posts);
            check(&standing.unit, "posts", standing.count("posts"), posts);
            check(&standing.unit, "members", standing.count("members"), members);
            check(&standing.unit, "meetings", standing.count("meetings"), meetings);
            for (kind, expected) in &self.expected.ledgers {
                let Some(schema) = schema_named(kind) else { continue };
                let expected = match (own, kind.as_str()) {
                    (Some(own), "care-visit") if i > 0 => own.care_visits,
                    _ => *expected,
                };
                check(&standing.unit, schema.plural, standing.count(schema.plural), expected);
            }
            for (column, expected) in &self.expected.posts_by_column {
                let found = standing.posts_by_column.get(column).copied().unwrap_or(0);
                check(&standing.unit, column, found, *expected);
            }
        }
        out
    }

    /// What both sides wrote must be in the body, and both titles before a person's eyes.
    async fn check_merges(&self, posts: &[Edited], complaints: &mut Vec<String>) -> Result<u64> {
        let mut conflicts = 0;
        for Edited { id, office } in posts {
            for office in [&self.offices[*office], &self.offices[0]] {
                let shown = office.show("posts", id).await?;
                let body = shown["fields"]["body"].as_str().unwrap_or_default();
                let titles = shown["conflicts"]["title"].as_array().map_or(0, Vec::len);
                if !(body.contains("左") && body.contains("右")) {
                    complaints.push(format!("{}: {id} lacks one side's text", office.unit));
                }
                if titles != 2 {
                    let unit = &office.unit;
                    complaints.push(format!("{unit}: {id} shows {titles} titles, not 2"));
                }
                conflicts += u64::from(titles > 1 && office.unit == self.offices[0].unit);
            }
        }
        Ok(conflicts)
    }

    /// Stops every daemon in order.
    pub(super) async fn end(&mut self) {
        for office in &mut self.offices {
            office.terminate();
        }
        for office in &mut self.offices {
            office.ended().await;
        }
    }
}

/// A post that both sides edit: at head office and at its unit.
#[derive(Debug)]
struct Edited {
    id: String,
    /// The unit's place among the offices.
    office: usize,
}

fn mark(side: &str, unit: &str) -> String {
    format!("【{side}】{unit} 在断网期间补充。")
}

/// Runs what blocks away from the async threads.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::failed(Text::from(e.to_string())))?
}

/// Runs futures side by side on this task, and keeps their order.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
