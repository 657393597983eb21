//! Names instead of keys and hashes, so that a trace reads as a story and outlives a new format.

use super::super::founding;
use fenbu_protocol::directory::space_id;
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Opening, Position, Run};
use fenbu_protocol::wire::{Have, Message, Range};
use std::collections::BTreeMap;

/// Labels of the spaces a story may name.
pub(super) const SPACES: [&str; 3] = ["federation", "head", "task-force"];
/// Incarnations a story may come to.
const INCARNATIONS: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Words {
    names: Vec<String>,
    nodes: BTreeMap<NodeId, usize>,
    logs: BTreeMap<LogId, String>,
    spaces: BTreeMap<SpaceId, &'static str>,
    lines: Vec<String>,
    /// The time of the last line.
    told_at: u64,
    quiet: bool,
}

pub(super) fn space(label: &str) -> SpaceId {
    space_id(&founding::federation(), label)
}

impl Words {
    pub(super) fn know(&mut self, names: &[&str]) {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
        self.spaces = SPACES.iter().map(|&label| (space(label), label)).collect();
        for (number, name) in names.iter().enumerate() {
            let node = founding::id(number);
            self.nodes.insert(node, number);
            for label in SPACES {
                for incarnation in 0..INCARNATIONS {
                    let space = space(label);
                    // The id does not depend on the signature.
                    let log = Opening { space, node, incarnation, signature: [0; 64] }.log();
                    self.logs.insert(log, log_name(name, label, incarnation));
                }
            }
        }
    }

    pub(super) fn name(&self, node: usize) -> &str {
        &self.names[node]
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn node(&self, id: &NodeId) -> Option<usize> {
        self.nodes.get(id).copied()
    }

    /// A log is called by its author, its space unless that is the federation's, and its
    /// incarnation unless that is the first: `alice`, `alice@head`, `alice#1`.
    pub(super) fn log(&self, log: &LogId) -> String {
        self.logs.get(log).cloned().unwrap_or_else(|| log.short())
    }

    pub(super) fn space(&self, space: &SpaceId) -> String {
        self.spaces.get(space).map_or_else(|| space.short(), |&label| label.to_owned())
    }

    pub(super) fn be_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// What happened on a node; after a time has passed, when.
    pub(super) fn note(&mut self, now: u64, node: usize, what: &str) {
        if self.quiet {
            return;
        }
        if now != self.told_at {
            self.told_at = now;
            self.lines.push(format!("{now} ms"));
        }
        let name = &self.names[node];
        // Ids within reasons are hashes, which a new format would change.
        let mut what = what.to_owned();
        for (log, name) in &self.logs {
            what = what.replace(&format!("log {}", log.short()), &format!("log {name}"));
        }
        self.lines.push(format!("{name:<6} {what}"));
    }

    /// Lines since the last [`Words::take`].
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Takes lines back.
    pub(super) fn cut_to(&mut self, len: usize) {
        self.lines.truncate(len);
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn run(&self, run: &Run) -> String {
        format!("{} {}", self.log(&run.log()), span(run.first(), run.last()))
    }

    pub(super) fn message(&self, message: &Message) -> String {
        let of = match message {
            Message::Hello(hello) => format!("epoch {}", hello.epoch),
            Message::Digests(digests) => {
                list(digests.spaces.iter().map(|digest| self.space(&digest.space)))
            }
            Message::Have(have) => self.have(have),
            Message::Want(want) => list(want.ranges.iter().map(|range| self.range(range))),
            Message::Decline(decline) => format!(
                "{} from {}: {}",
                self.log(&decline.log),
                decline.from,
                decline.reason.as_str()
            ),
            Message::Prune(prune) => self.log(&prune.log),
            Message::Statements(statements) => list(statements.statements.iter().map(|signed| {
                signed.open().map_or_else(|e| e.to_string(), |s| s.epoch.to_string())
            })),
            Message::Batch(run) => self.run(run),
            Message::Parted(parted) => list(parted.heads.iter().map(|head| head.epoch.to_string())),
            Message::Proof(proof) => format!("{} at {}", self.log(&proof.log()), proof.seq()),
            Message::State(state) => list(state.spaces.iter().map(|sum| self.space(&sum.space))),
            Message::Unknown(kind) => kind.to_string(),
        };
        format!("{} {of}", message.name())
    }

    fn have(&self, have: &Have) -> String {
        let forked = |p: &Position| p.fork.map(|at| format!(" forked at {at}")).unwrap_or_default();
        let position = |p: &Position| format!("{} {}{}", self.log(&p.log), p.seq, forked(p));
        let spaces = have.spaces.iter().map(|told| {
            let positions = list(told.positions.iter().map(position));
            let whole = if told.whole { "all of " } else { "" };
            format!("{whole}{} [{positions}]", self.space(&told.space))
        });
        list(spaces)
    }

    fn range(&self, range: &Range) -> String {
        format!("{} {}", self.log(&range.log), span(range.from, range.to))
    }
}

fn log_name(author: &str, space: &str, incarnation: u32) -> String {
    let space = if space == SPACES[0] { String::new() } else { format!("@{space}") };
    let incarnation = if incarnation == 0 { String::new() } else { format!("#{incarnation}") };
    format!("{author}{space}{incarnation}")
}

fn span(first: u64, last: u64) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}
