//! Real daemons on hosts of their own, and all that befalls networks: two halves joined by a lossy
//! relay, packets that vanish above a size, hosts that hear and are not heard, links that flap, hosts
//! whose address changes. Once it stops, all must agree.
//!
//! | module | owns |
//! |---|---|
//! | here | the federation, what is written, what is looked at in the end |
//! | `net` | namespaces, links, routes |
//! | `passage` | the relay between the halves |
//! | `weather` | the faults, one after the other |
//!
//! It needs root and `ip`. Loss comes from the relay, since not every kernel has `netem`.

mod net;
mod passage;
mod weather;

use crate::cluster::{Node, SETTINGS, Start, agreed};
use crate::random::Random;
use anyhow::{Context, Result, bail, ensure};
use net::Net;
use passage::Passage;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Two in each half are the least that can be cut and still meet somebody; addresses end at 64.
pub const HOSTS: RangeInclusive<u64> = 4..=64;
/// By then all agree, counted from the last fault.
const AGREE_MAX: Duration = Duration::from_secs(60);
/// By then a federation that nothing befalls agrees.
const CALM_MAX: Duration = Duration::from_secs(60);
/// Between two looks: each look asks every node.
const LOOK: Duration = Duration::from_millis(200);
/// Text of each record: several packets, and packing does not make it fewer than one.
const TEXT_BYTES: usize = 8 << 10;
/// Lines of each daemon's log that tell of trouble, shown when a run fails.
const TROUBLE_LINES: usize = 12;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Within [`HOSTS`].
    pub hosts: usize,
    pub seed: u64,
    /// How long faults go on, in all.
    pub time: Duration,
}

/// How a run ended, if no promise was broken.
#[derive(Debug)]
pub enum Outcome {
    Agreed(Report),
    /// Namespaces cannot be made here; why, and what to do.
    Impossible(String),
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    pub hosts: usize,
    pub records: usize,
    pub packets_lost: u64,
    pub packets_too_large: u64,
    pub link_failures: u64,
    pub agreed_after: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} hosts agree on {} records {:.1} s after the last fault; {} packets lost at the relay, \
             {} too large for their link, {} link failures",
            self.hosts,
            self.records,
            self.agreed_after.as_secs_f64(),
            self.packets_lost,
            self.packets_too_large,
            self.link_failures
        )
    }
}

/// Founds the federation, breaks its network, and looks whether all agree in the end. What happens
/// is told on stderr.
///
/// # Errors
/// A promise that was broken, with the daemons' own account of trouble; or a system that gives no
/// more of what it gave at first.
pub fn run(plan: &Plan) -> Result<Outcome> {
    if let Some(why) = Net::lacking() {
        return Ok(Outcome::Impossible(why));
    }
    let mut world = World::found(plan)?;
    let report = weather::befall(&mut world, plan);
    if report.is_err() {
        world.tell_trouble();
    }
    report.map(Outcome::Agreed)
}

/// The federation, its network, and what every node must show in the end.
#[derive(Debug)]
struct World {
    // Dropped in this order: daemons, relay, namespaces, folder.
    nodes: Vec<Node>,
    passage: Passage,
    net: Net,
    random: Random,
    /// Titles by id, as their writers were told they are kept.
    written: BTreeMap<String, String>,
    /// A record that everybody changes.
    shared: String,
    began: Instant,
    _home: TempDir,
}

impl World {
    fn found(plan: &Plan) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("fenbu-netns-").tempdir()?;
        let binary = home.path().join("fenbu");
        std::os::unix::fs::symlink(std::env::current_exe()?, &binary)?;
        let net = Net::make(plan.hosts, home.path())?;
        let passage = Passage::open(&net, plan.seed)?;
        let nodes = nodes(&net, &passage, &binary, home.path())?;
        let mut world = Self {
            nodes,
            passage,
            net,
            random: Random::new(plan.seed),
            written: BTreeMap::new(),
            shared: String::new(),
            began: Instant::now(),
            _home: home,
        };
        world.say(&format!("{} hosts, two bridges, a router, a relay", plan.hosts));
        world.join_all().inspect_err(|_| world.tell_trouble())?;
        Ok(world)
    }

    fn join_all(&mut self) -> Result<()> {
        self.make(0, &["init", "--name", "head"])?;
        for number in 1..self.nodes.len() {
            let unit = format!("unit-{number}");
            let invite = ["invite", "--unit", &unit, "--name", &unit];
            let token = self.nodes[0].fenbu(&invite)?.ok().context("inviting")?;
            let name = self.nodes[number].name.clone();
            self.make(number, &["join", token.trim(), "--name", &name])?;
        }
        self.shared = self.nodes[0].writes("topics", json!({ "title": "Everybody's" }))?;
        self.written.insert(self.shared.clone(), "Everybody's".to_owned());
        self.until("all have joined", CALM_MAX, |world| agreed(world.nodes.iter()).map(drop))?;
        self.say("all have joined and agree");
        Ok(())
    }

    fn make(&mut self, number: usize, verb: &[&str]) -> Result<()> {
        let node = &mut self.nodes[number];
        let addresses = [node.listen, node.advertised, self.passage.ports[number]];
        let [listen, direct, relayed] = addresses.map(|address| address.to_string());
        let places = ["--listen", &listen, "--advertise", &direct, "--advertise", &relayed];
        let args = [verb, &places].concat();
        node.fenbu(&args)?.ok().with_context(|| format!("making {}", node.name))?;
        node.start()
    }

    /// Every node writes a record and changes everybody's.
    fn write(&mut self, during: &str) -> Result<()> {
        (0..self.nodes.len()).try_for_each(|number| self.write_at(number, during).map(drop))
    }

    /// One node writes a record and changes everybody's; says which record it wrote.
    fn write_at(&mut self, number: usize, during: &str) -> Result<String> {
        let title = format!("{during}, written by {}", self.nodes[number].name);
        let brief = text(&mut self.random);
        let node = &self.nodes[number];
        let id = node.writes("topics", json!({ "title": title, "brief": brief }))?;
        node.edits("topics", &self.shared, json!({ "brief": title }))?;
        self.written.insert(id.clone(), title);
        Ok(id)
    }

    /// Whether a node has a record.
    fn has(&self, number: usize, id: &str) -> bool {
        self.nodes[number].shows("topics", id).is_ok()
    }

    /// Every node has every record as it was written, the same documents, and no complaint.
    fn is_whole(&self) -> Result<()> {
        let states = agreed(self.nodes.iter())?;
        let documents: BTreeSet<String> = states.iter().map(federation_state).collect();
        ensure!(documents.len() == 1, "the documents differ: {documents:?}");
        for (node, status) in self.nodes.iter().zip(&states) {
            let shown = titles(&node.lists("topics")?);
            ensure!(shown == self.written, "{} shows other records than were written", node.name);
            ensure!(
                status["refused"] == 0 && status["alarms"] == json!([]),
                "{}: {status}",
                node.name
            );
        }
        Ok(())
    }

    /// Waits until something holds; says how long that took.
    fn until(
        &self,
        what: &str,
        patience: Duration,
        lacking: impl Fn(&Self) -> Result<()>,
    ) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let Err(why) = lacking(self) else { return Ok(began.elapsed()) };
            if began.elapsed() >= patience {
                bail!("not so after {patience:?}: {what}: {why:#}");
            }
            std::thread::sleep(LOOK);
        }
    }

    fn say(&self, what: &str) {
        eprintln!("{:>6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn tell_trouble(&self) {
        for node in &self.nodes {
            let log = node.log_text();
            let trouble = |line: &&str| line.contains("WARN") || line.contains("ERROR");
            let lines: Vec<&str> = log.lines().filter(trouble).collect();
            let last = &lines[lines.len().saturating_sub(TROUBLE_LINES)..];
            eprintln!(
                "--- {} warned {} times, last ---\n{}",
                node.name,
                lines.len(),
                last.join("\n")
            );
            match node.get(fenbu::client::Route::new("peers")) {
                Ok(peers) => eprintln!("{}", links(&peers)),
                Err(error) => eprintln!("it does not answer: {error:#}"),
            }
        }
    }
}

/// Plans with addresses, without folders.
fn nodes(net: &Net, passage: &Passage, binary: &Path, home: &Path) -> Result<Vec<Node>> {
    ensure!(net.hosts.len() == passage.ports.len(), "a host has no port at the relay");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Arc::new(runtime);
    let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let start = |number| Start {
        under: net.inside(number),
        binary: PathBuf::from(binary),
        home: PathBuf::from(home),
        settings: settings.clone().into(),
    };
    let node = |(number, host): (usize, &net::Host)| {
        let name = if number == 0 { "head".to_owned() } else { format!("node-{number}") };
        let direct = host.socket();
        // Bound to no address, since addresses change.
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, direct.port()));
        Node::new(&name, listen, direct, start(number), Arc::clone(&runtime))
    };
    Ok(net.hosts.iter().enumerate().map(node).collect())
}

/// Hexadecimal noise.
fn text(random: &mut Random) -> String {
    let words: Vec<String> =
        (0..TEXT_BYTES / 16).map(|_| format!("{:016x}", random.next())).collect();
    words.concat()
}

fn titles(records: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    records.iter().map(|record| (text(&record["id"]), text(&record["title"]))).collect()
}

fn federation_state(status: &Value) -> String {
    let mut spaces = status["spaces"].as_array().into_iter().flatten();
    let found = spaces.find(|space| space["label"] == "federation");
    found.map(|space| space["state_digest"].to_string()).unwrap_or_default()
}

/// Which peers a node has links to, in a line.
fn links(peers: &Value) -> String {
    let peers = peers["peers"].as_array().into_iter().flatten();
    let shown = peers.map(|peer| {
        let sign = if peer["connected"] == true { '+' } else { '-' };
        format!("{sign}{}", peer["name"].as_str().unwrap_or_default())
    });
    shown.collect::<Vec<_>>().join(" ")
}
