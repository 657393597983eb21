//! The end of a run: are all level, and is everything there?

use super::invariants::Breach;
use super::world::World;
use super::writes::{Entries, Opened};
use fenbu_node::store::Reader;
use fenbu_node::views::update_of;
use fenbu_protocol::directory::{Signed, Template};
use fenbu_protocol::id::{DocId, LogId, SpaceId};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::{Header, Kind};
use fenbu_protocol::record::{self, Incoming};
use fenbu_protocol::sync::Engine;
use std::collections::BTreeMap;

impl World {
    /// Why the nodes are not level yet; `None` once they are.
    pub(super) fn unsettled(&self) -> Option<String> {
        if !self.is_quiet() {
            return Some("writes or statements are still to be made".into());
        }
        let engines: Option<Vec<&Engine>> = self.nodes.iter().map(|n| n.engine.as_ref()).collect();
        let Some(engines) = engines else { return Some("a node is down".into()) };
        let directory = engines[0].directory();
        for (n, engine) in engines.iter().enumerate() {
            if engine.directory().head() != directory.head() {
                return Some(format!("node {n} has another directory"));
            }
            for space in directory.spaces() {
                if engine.log_digest(&space.id) != engines[0].log_digest(&space.id) {
                    return Some(self.difference(n));
                }
            }
        }
        self.nodes.iter().enumerate().find_map(|(n, node)| {
            let behind = node.disk.behind || !node.disk.is_idle();
            if behind {
                return Some(format!("node {n} has not shown all it holds"));
            }
            if !node.disk.reader().amendments().unwrap_or_default().is_empty() {
                return Some(format!("node {n} has something to write anew"));
            }
            // A disk that refused a statement is asked again a little later.
            (!self.directory_is_kept(n))
                .then(|| format!("node {n} goes by statements that are not on its disk"))
        })
    }

    /// The first log of which a node and node 0 hold different lengths.
    fn difference(&self, node: usize) -> String {
        let synced = |n: usize| &self.nodes[n].disk.synced;
        let held = |n: usize, log: &LogId| synced(n).get(log).map_or(0, Vec::len);
        let differs = |log: &&LogId| held(node, log) != held(0, log);
        let log = synced(node).keys().chain(synced(0).keys()).find(differs);
        log.map_or_else(String::new, |log| {
            let (here, there, author) = (held(node, log), held(0, log), self.authors.get(log));
            let short = log.short();
            format!("log {short} of node {author:?}: {here} on node {node}, {there} on node 0")
        })
    }

    /// Checks everything once more, from the beginning.
    pub(super) fn finale(&mut self) -> Result<(), Breach> {
        for node in 0..self.nodes.len() {
            let acknowledged = &self.ledger.acknowledged;
            for (log, hashes) in acknowledged.iter().filter(|(log, _)| !self.is_twice(log)) {
                self.ledger.holds(&self.nodes[node].disk, *log, hashes)?;
            }
            let once = self.authors.keys().filter(|log| !self.is_twice(log));
            let own: Vec<LogId> = once.copied().collect();
            self.ledger.still_there(&mut self.nodes[node].disk, &own)?;
            self.sums_agree(node)?;
        }
        let Some(directory) = self.nodes[0].directory().cloned() else { return Ok(()) };
        for space in directory.spaces() {
            let readers: Vec<usize> = (0..self.nodes.len())
                .filter(|n| directory.may_read(&self.nodes[*n].id, &space.id))
                .collect();
            if !readers.is_empty() {
                self.space_is_whole(space.id, &readers)?;
            }
            if space.template == Template::UNIT {
                self.carriers_see_nothing(space.id, &readers)?;
            }
        }
        Ok(())
    }

    fn is_twice(&self, log: &LogId) -> bool {
        self.ledger.twice.contains(log)
    }

    /// The engine's sums are the disk's.
    fn sums_agree(&self, node: usize) -> Result<(), Breach> {
        let Some(engine) = &self.nodes[node].engine else { return Ok(()) };
        let digests = self.nodes[node].disk.reader().digests().unwrap_or_default();
        for (space, sums) in digests {
            if engine.log_digest(&space) != sums.log {
                let what = format!("node {node}: engine and disk disagree on {}", space.short());
                return Err(("I2", what));
            }
        }
        Ok(())
    }

    /// The directory the engine goes by is on the disk, whole.
    fn directory_is_kept(&self, node: usize) -> bool {
        let Some(directory) = self.nodes[node].directory() else { return true };
        let stored = self.nodes[node].disk.reader().statements(1, usize::MAX).unwrap_or_default();
        let chain = directory.statements_after(0).iter().map(Signed::to_wire);
        stored.into_iter().map(|(_, bytes)| bytes).eq(chain)
    }

    /// Readers show the same documents, a rebuild from the logs gives them too, and every
    /// acknowledged word is in them.
    fn space_is_whole(&mut self, space: SpaceId, readers: &[usize]) -> Result<(), Breach> {
        let rebuilder = readers[self.rng.below(readers.len())];
        let entries = self.entries_of(rebuilder, space);
        for document in self.ledger.model.documents(space) {
            if !entries.keys().any(|(d, _)| *d == document) {
                return Err(("I1", format!("no entry of document {document} is left")));
            }
        }
        for ((document, kind), entries) in entries {
            let rebuilt = self.nodes[rebuilder].open(space, &entries);
            let rebuilt = rebuilt.and_then(|(opened, locked)| match locked.is_empty() {
                // What built on a lost branch waits for it.
                true => rebuild(kind, &opened, self.ledger.twice.is_empty()),
                false => Err("a reader lacks the key of an entry".into()),
            });
            let rebuilt = rebuilt.map_err(|what| ("I10", what))?;
            let expected = update_of(space, document, &rebuilt, Vec::new());
            for reader in readers {
                self.shows(*reader, &expected)?;
            }
            if let Some(word) = self.ledger.model.missing(space, document, &rebuilt) {
                let what =
                    format!("document {document} does not show {word}, an acknowledged word");
                return Err(("I1", what));
            }
        }
        Ok(())
    }

    /// Who never was a reader has no key and no record of the space.
    fn carriers_see_nothing(&self, space: SpaceId, readers: &[usize]) -> Result<(), Breach> {
        for (n, node) in self.nodes.iter().enumerate().filter(|(n, _)| !readers.contains(n)) {
            let defined = node.directory().and_then(|d| d.space(&space));
            let key = defined.is_some_and(|space| node.keyring.newest(space).is_some());
            let shown = record::ALL.iter().any(|schema| {
                node.disk.reader().count(schema.kind, Some(&[space])).is_ok_and(|n| n > 0)
            });
            if key || shown {
                return Err(("I8", format!("node {n} reads space {}", space.short())));
            }
        }
        Ok(())
    }

    /// A reader's document and view row are those of a rebuild.
    fn shows(
        &self,
        node: usize,
        expected: &fenbu_node::store::DocumentUpdate,
    ) -> Result<(), Breach> {
        let (place, document) = (expected.place(), expected.document);
        let reader = self.nodes[node].disk.reader();
        let stored = reader.document(place).ok().flatten();
        let differs = |what| Err(("I10", format!("node {node}, document {document}: {what}")));
        let Some(stored) = stored else { return differs("not there") };
        if stored.heads != expected.heads {
            return differs("other heads than a rebuild gives");
        }
        if stored.conflicts != expected.conflicts {
            return differs("other conflicts than a rebuild gives");
        }
        match reader.row(place).ok().flatten() {
            Some(listed) if listed.row == expected.row => Ok(()),
            Some(_) => differs("another row than a rebuild gives"),
            None => differs("no row"),
        }
    }

    /// All entries of a space on a node's disk, by document.
    fn entries_of(&self, node: usize, space: SpaceId) -> BTreeMap<(DocId, Kind), Entries<'static>> {
        let disk = &self.nodes[node].disk;
        let mut documents: BTreeMap<(DocId, Kind), Entries<'static>> = BTreeMap::new();
        for (log, _) in disk.spaces.iter().filter(|(_, s)| **s == space) {
            for_each_entry(disk.reader(), *log, |header, body| {
                let key = (header.document, header.shape.kind);
                documents.entry(key).or_default().push((header, body.into()));
            });
        }
        documents
    }
}

fn for_each_entry(reader: &dyn Reader, log: LogId, mut each: impl FnMut(Header, Vec<u8>)) {
    let mut from = 1;
    while let Ok(Some(run)) = reader.run(log, from, RUN_BYTES_MAX) {
        for entry in run.entries() {
            each(entry.header, entry.body.unwrap_or_default().to_vec());
        }
        from = run.last() + 1;
    }
}

fn rebuild(kind: Kind, entries: &Opened<'_>, whole: bool) -> Result<record::Record, String> {
    let schema = record::schema(kind).ok_or("an unknown kind")?;
    let incoming: Vec<_> =
        entries.iter().map(|(log, seq, body)| Incoming { log: *log, seq: *seq, body }).collect();
    let outcome = record::materialise(schema, None, None, &incoming).map_err(|e| e.to_string())?;
    if (whole && !outcome.waiting.is_empty()) || !outcome.refused.is_empty() {
        return Err("an entry of a whole space waits or is refused".into());
    }
    Ok(outcome.record)
}
