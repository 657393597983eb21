//! What the commands of a story do; the table is in the [module](super).

use super::super::disk::Job;
use super::super::founding;
use super::super::writes::{EPOCH_MS, LocalEdit, LocalWrite};
use super::stage::{Stage, What};
use super::words::{self, SPACES};
use fenbu_protocol::directory::Act;
use fenbu_protocol::id::{DocId, Hash};
use fenbu_protocol::record::{Home, Schema, schema_named};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Every verb there is.
pub const VERBS: [&str; 20] = [
    "nodes",
    "link",
    "cut",
    "heal",
    "write",
    "declare",
    "deliver",
    "stabilize",
    "tick",
    "hold",
    "sync",
    "refuse",
    "crash",
    "restart",
    "backup",
    "restore",
    "spoil",
    "status",
    "count",
    "trace",
];

/// Records one save may hold.
const RECORDS_MAX: u64 = 256;

/// A command's words: plain ones in order, and `name=value`.
struct Arguments<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Arguments<'a> {
    fn of(words: impl Iterator<Item = &'a str>, known: &[&str]) -> Result<Self, String> {
        let (mut plain, mut named) = (Vec::new(), BTreeMap::new());
        for word in words {
            match word.split_once('=') {
                Some((name, _)) if !known.contains(&name) => {
                    return Err(format!("'{name}=' means nothing here"));
                }
                Some((name, value)) => drop(named.insert(name, value)),
                None => plain.push(word),
            }
        }
        Ok(Self { plain, named })
    }

    fn exactly<const N: usize>(&self, wanted: &str) -> Result<[&'a str; N], String> {
        let found: Result<[&str; N], _> = self.plain.clone().try_into();
        found.map_err(|_| format!("it takes {wanted}"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.named.get(name).map(|value| number(value)).transpose()
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("'{word}' is no number"))
}

impl Stage {
    /// Does what a line says and returns what followed.
    pub(super) fn command(&mut self, line: &str) -> Result<Vec<String>, String> {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let known: &[&str] = match verb {
            "nodes" => &["members"],
            "write" => &["on", "in"],
            "deliver" => &["only", "drop", "first"],
            _ => &[],
        };
        let given = Arguments::of(words, known)?;
        if self.nodes.is_empty() && !["nodes", "trace"].contains(&verb) {
            return Err("a story begins with `nodes`".into());
        }
        let mut said = Vec::new();
        match verb {
            "nodes" => self.cast(&given)?,
            "link" => {
                let [a, b] = self.two(&given)?;
                if !self.network.meet(a, b) || !self.is_up(a) || !self.is_up(b) {
                    return Err("one of them is down, or they are cut off from each other".into());
                }
                self.connect(a, b)?;
            }
            "cut" => {
                let [a, b] = self.two(&given)?;
                self.network.cut(a, b);
                self.sever(a, b)?;
            }
            "heal" => {
                let [a, b] = self.two(&given)?;
                self.network.mend(a, b);
            }
            "write" => self.write_records(&given)?,
            "declare" => self.declare(&given)?,
            "deliver" => self.deliver(&given)?,
            "stabilize" => {
                let ms = given.plain.first().map_or(Ok(0), |word| number(word))?;
                self.pass(ms, true)?;
            }
            "tick" => {
                let [ms] = given.exactly("milliseconds")?;
                self.pass(number(ms)?, false)?;
            }
            "status" => said = self.status(&given)?,
            "count" => said = self.count(),
            "trace" => match given.exactly("on or off")? {
                ["on"] => self.words.be_quiet(false),
                ["off"] => self.words.be_quiet(true),
                [other] => return Err(format!("trace is on or off, not {other}")),
            },
            _ => self.one_node(verb, &given)?,
        }
        let mut followed = self.words.take();
        followed.extend(said);
        Ok(followed)
    }

    /// The verbs that strike one node.
    fn one_node(&mut self, verb: &str, given: &Arguments<'_>) -> Result<(), String> {
        if !VERBS.contains(&verb) {
            return Err(format!("'{verb}' is no verb; there are {}", VERBS.join(", ")));
        }
        let [name] = given.exactly("a node's name")?;
        let node = self.named(name)?;
        let wants_up = !["restart", "restore"].contains(&verb);
        if self.is_up(node) != wants_up {
            return Err(format!("{name} is {}", if wants_up { "down" } else { "up" }));
        }
        match verb {
            "hold" => drop(self.held.insert(node)),
            "sync" => self.release(node)?,
            "refuse" => self.nodes[node].disk.refuse_next(),
            "crash" => {
                self.crash(node);
                self.settle()?;
            }
            "restart" => {
                self.start(node);
                self.settle()?;
            }
            "spoil" => self.spoil(node)?,
            "backup" => drop(self.backups.insert(node, self.nodes[node].disk.copy())),
            _ => {
                let kept = self.backups.remove(&node);
                self.restore(node, &kept.ok_or("no backup was made")?);
            }
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Result<usize, String> {
        let found = self.words.names().iter().position(|known| known == name);
        found.ok_or_else(|| format!("there is no node {name}"))
    }

    fn two(&self, given: &Arguments<'_>) -> Result<[usize; 2], String> {
        let [a, b] = given.exactly("two nodes' names")?;
        let pair = [self.named(a)?, self.named(b)?];
        if a == b { Err(format!("{a} is one node, not two")) } else { Ok(pair) }
    }

    fn cast(&mut self, given: &Arguments<'_>) -> Result<(), String> {
        if !self.nodes.is_empty() {
            return Err("a story has one cast".into());
        }
        let count = given.plain.len();
        let members = given.number("members")?.map_or(count, |n| n as usize);
        if members == 0 || members > count {
            return Err("it takes names, and at most as many members".into());
        }
        self.found(&given.plain, members);
        // Who dials whom at first is the same in every story.
        self.words.be_quiet(true);
        for node in 0..members {
            self.start(node);
            self.settle()?;
        }
        self.words.be_quiet(false);
        Ok(())
    }

    fn write_records(&mut self, given: &Arguments<'_>) -> Result<(), String> {
        let [name, kind, count] = given.exactly("a node, a kind and a number")?;
        let node = self.named(name)?;
        let schema = schema_named(kind).ok_or_else(|| format!("there is no kind {kind}"))?;
        let count = number(count)?;
        if !self.is_up(node) || !(1..=RECORDS_MAX).contains(&count) {
            return Err(format!("{name} must be up, and writes 1 to {RECORDS_MAX} records"));
        }
        // A post is the record everybody reads here: it is written where the published ones lie.
        let home = if schema.home == Home::Unit { SPACES[1] } else { SPACES[0] };
        let space = words::space(given.named.get("in").copied().unwrap_or(home));
        let mut saves: Vec<Vec<LocalEdit>> = Vec::new();
        match given.named.get("on") {
            Some(on) => {
                saves.extend((0..count).map(|_| vec![self.edit(node, schema, Some(on))]));
            }
            None => saves.push((0..count).map(|_| self.edit(node, schema, None)).collect()),
        }
        for edits in saves {
            let time_ms = EPOCH_MS + self.now;
            self.write(node, LocalWrite { space, edits, time_ms })?;
        }
        Ok(())
    }

    fn edit(&mut self, node: usize, schema: &Schema, on: Option<&str>) -> LocalEdit {
        self.saves += 1;
        let word = format!("w{}", self.saves);
        let title = on.map_or_else(
            || {
                let number = self.records.entry(node).or_default();
                *number += 1;
                format!("{}-{number}", self.words.name(node))
            },
            str::to_owned,
        );
        let mut document = [0; 16];
        document.copy_from_slice(&Hash::of("fenbu/scenario/1", &[title.as_bytes()]).0[..16]);
        let required: &[(&str, &str)] = match schema.name {
            "post" => &[("title", &title)],
            "member" => &[("name", &title)],
            _ => &[("kind", "general"), ("branch", &title)],
        };
        let fields = required.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        let fields: Map<String, Value> = fields.collect();
        LocalEdit { kind: schema.kind, document: DocId(document), word, fields }
    }

    fn declare(&mut self, given: &Arguments<'_>) -> Result<(), String> {
        let act: Act = match given.plain[..] {
            [_, "space"] => founding::late_space(),
            [_, "admit", who] => founding::admission(self.named(who)?, 1),
            _ => return Err("it takes a node and `space`, or a node, `admit` and a node".into()),
        };
        let node = self.named(given.plain[0])?;
        self.job(node, Job::Declare(act))
    }

    fn deliver(&mut self, given: &Arguments<'_>) -> Result<(), String> {
        let pair = if given.plain.is_empty() { None } else { Some(self.two(given)?) };
        let only = given.named.get("only").copied();
        let mut lose = given.number("drop")?.unwrap_or(0);
        let mut first = given.number("first")?.unwrap_or(u64::MAX);
        let (now, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.wire).into_iter().partition(|f| {
                let of_these = pair.is_none_or(|[from, to]| (f.from, f.to) == (from, to))
                    && only.is_none_or(|only| only == f.name());
                let now = of_these && first > 0;
                first -= u64::from(now);
                now
            });
        self.wire = left.into();
        if now.is_empty() {
            return Err("nothing of the kind is under way".into());
        }
        for flight in now {
            let name = flight.name();
            let lost = lose > 0 && matches!(flight.what, What::Frame { .. });
            lose -= u64::from(lost);
            let (from, to) = (flight.from, flight.to);
            let text = format!("< {}: {name}", self.words.name(from));
            let text = if lost { format!("{text}, lost") } else { text };
            // Told before what follows, and taken back where nobody was there to hear it.
            let told = self.words.len();
            self.note(to, &text);
            if !self.arrive(flight, lost)? {
                self.words.cut_to(told);
            }
        }
        Ok(())
    }

    fn status(&self, given: &Arguments<'_>) -> Result<Vec<String>, String> {
        let asked: Result<Vec<usize>, _> = given.plain.iter().map(|n| self.named(n)).collect();
        let asked = asked?;
        let all = asked.is_empty();
        let nodes = if all { (0..self.nodes.len()).collect() } else { asked };
        let mut out: Vec<String> = nodes.into_iter().map(|node| self.node_status(node)).collect();
        if all {
            out.push(format!("same records: {}", self.alike()));
        }
        Ok(out)
    }

    fn node_status(&self, node: usize) -> String {
        let name = self.words.name(node);
        let Some(engine) = &self.nodes[node].engine else { return format!("{name:<6} down") };
        let status = engine.status();
        let mut out = format!("{name:<6} epoch {}", status.epoch);
        let mut logs: Vec<(String, u64, usize)> = status
            .logs
            .iter()
            .map(|log| (self.words.log(&log.log), log.tip.seq, log.safe_on))
            .collect();
        logs.sort();
        // Writing to a string cannot fail.
        for (log, seq, safe_on) in logs {
            let _ = write!(out, "; {log} {seq} safe on {safe_on}");
        }
        let live = status.peers.iter().filter(|peer| peer.live);
        let live: BTreeSet<usize> = live.filter_map(|p| self.words.node(&p.peer)).collect();
        let live: Vec<&str> = live.into_iter().map(|peer| self.words.name(peer)).collect();
        let _ = write!(
            out,
            "; talks with {}",
            if live.is_empty() { "nobody".into() } else { live.join(", ") }
        );
        let waiting = self.nodes[node].disk.reader().counts().map_or(0, |c| c.waiting);
        if waiting > 0 {
            let _ = write!(out, "; waiting {waiting}");
        }
        if status.storage_failing {
            out.push_str("; its disk refuses");
        }
        out
    }

    /// Nodes that are up, grouped by what they show.
    fn alike(&self) -> String {
        let mut groups: Vec<(_, Vec<&str>)> = Vec::new();
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.engine.is_some()) {
            let digests = node.disk.reader().digests().unwrap_or_default();
            // A space nothing was written to is as good as one never heard of.
            let empty = fenbu_node::store::Digests::default();
            let sums: Vec<_> = digests.into_iter().filter(|(_, sums)| *sums != empty).collect();
            let name = self.words.name(number);
            match groups.iter_mut().find(|(known, _)| *known == sums) {
                Some((_, names)) => names.push(name),
                None => groups.push((sums, vec![name])),
            }
        }
        groups.into_iter().map(|(_, names)| names.join(" ")).collect::<Vec<_>>().join(" | ")
    }

    fn count(&mut self) -> Vec<String> {
        let sent = std::mem::take(&mut self.sent);
        let bytes: u64 = sent.values().map(|(_, bytes)| bytes).sum();
        let counts: Vec<String> =
            sent.into_iter().map(|(name, (count, _))| format!("{name} {count}")).collect();
        if counts.is_empty() {
            return vec!["nothing was sent".into()];
        }
        vec![format!("{}; {bytes} bytes", counts.join(", "))]
    }
}
