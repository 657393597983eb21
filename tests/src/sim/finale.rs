//! The end of a run: are all level, and is everything there?

use super::invariants::Breach;
use super::world::World;
use super::writes::Entries;
use fenbu_node::store::{Place, Reader};
use fenbu_node::views::update_of;
use fenbu_protocol::directory::{Directory, Signed, Template};
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::{Header, Kind};
use fenbu_protocol::record::{self, Judgement};
use fenbu_protocol::sync::Engine;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// Why the nodes are not level yet; `None` once they are.
    pub(super) fn unsettled(&self) -> Option<String> {
        if !self.is_quiet() {
            return Some("writes or statements are still to be made".into());
        }
        let engines: Option<Vec<(usize, &Engine)>> =
            self.honest().map(|n| Some((n, self.nodes[n].engine.as_ref()?))).collect();
        let Some(engines) = engines else { return Some("a node is down".into()) };
        let first = engines[0].1;
        let directory = first.directory();
        for (n, engine) in engines {
            if engine.directory().head() != directory.head() {
                return Some(format!("node {n} has another directory"));
            }
            for space in directory.spaces() {
                if engine.log_digest(&space.id) != first.log_digest(&space.id) {
                    return Some(self.difference(n));
                }
            }
        }
        self.honest().find_map(|n| {
            let node = &self.nodes[n];
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
        let honest: Vec<usize> = self.honest().collect();
        for node in honest.iter().copied() {
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
            let readers: Vec<usize> = honest
                .iter()
                .copied()
                .filter(|n| directory.may_read(&self.nodes[*n].id, &space.id))
                .collect();
            if !readers.is_empty() {
                self.space_is_whole(space.id, &readers)?;
            }
            // Whoever reads no more must not hold what is sealed with from here on.
            let holds = |node: &&NodeId| !directory.may_read(node, &space.id);
            if let Some(node) = space.wrapped_for(space.key_epoch()).find(holds) {
                let (node, space) = (node.short(), space.id.short());
                return Err(("I8", format!("{node} holds the key of {space} and may not read it")));
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
            let place = Place { document, space, kind };
            if record::schema(kind).is_none() {
                continue;
            }
            let rebuilt = self.nodes[rebuilder].judge(place, None, &entries);
            let rebuilt = rebuilt.map_err(|what| ("I10", what))?;
            self.is_right(rebuilder, place, &entries, &rebuilt)?;
            let Some(outcome) = rebuilt.outcome.filter(|outcome| outcome.accepted > 0) else {
                self.show_nothing(place, readers)?;
                continue;
            };
            let expected = update_of(space, document, &outcome.record, Vec::new());
            for reader in readers {
                self.shows(*reader, &expected)?;
            }
            if let Some(word) = self.ledger.model.missing(space, document, &outcome.record) {
                let what =
                    format!("document {document} does not show {word}, an acknowledged word");
                return Err(("I1", what));
            }
        }
        Ok(())
    }

    /// What counts of a whole document, held against the definition: what an anchored entry is or
    /// builds on, by authors who had the right. Of honest authors all of it counts.
    fn is_right(
        &mut self,
        node: usize,
        place: Place,
        entries: &Entries<'_>,
        judged: &Judgement,
    ) -> Result<(), Breach> {
        let not = |log: &LogId, seq: &u64| {
            judged.waiting.contains(&(*log, *seq))
                || judged.refused.iter().any(|(l, s, _)| (l, s) == (log, seq))
        };
        let known = self.nodes[node].directory().map_or(0, Directory::epoch);
        let mut counted = BTreeMap::new();
        let mut left = Vec::new();
        for (header, body) in entries {
            let stored = self.nodes[node].disk.reader().log(header.log).ok().flatten();
            let Some(author) = stored.map(|stored| stored.opening.node) else { continue };
            let (log, seq) = (header.log.short(), header.seq);
            if not(&header.log, &header.seq) {
                // What built on a lost branch waits for it.
                let lost = !self.ledger.twice.is_empty()
                    && judged.waiting.contains(&(header.log, header.seq));
                if lost || self.oracle.is_outsider(&author) {
                    continue;
                }
                return Err(("I1", format!("seq {seq} of log {log} is honest and does not count")));
            }
            if let Some(why) = self.oracle.objection(&author, &place.space, header, known) {
                return Err(("I4", format!("seq {seq} of log {log} counts: {why}")));
            }
            let past_cut = self.oracle.is_past_cut(&author, &place.space, header);
            let plain = self.nodes[node].plain(&place.space, header, body);
            let seen = record::schema(place.kind).zip(plain).and_then(|(schema, plain)| {
                record::inspect(schema, header.log.actor(), &plain).ok()
            });
            let Some(seen) = seen else {
                return Err(("I4", format!("seq {seq} of log {log} counts and is no change")));
            };
            if !past_cut {
                left.push(seen.hash);
            }
            counted.insert(seen.hash, (seen.deps, past_cut, log, seq));
        }
        let mut reached = BTreeSet::new();
        while let Some(hash) = left.pop() {
            if reached.insert(hash)
                && let Some((deps, ..)) = counted.get(&hash)
            {
                left.extend(deps);
            }
        }
        for (hash, (_, past_cut, log, seq)) in &counted {
            if !reached.contains(hash) {
                let what =
                    format!("seq {seq} of log {log} counts past a cut, and nothing builds on it");
                return Err(("I4", what));
            }
            self.markers.past_cut_rescued += u64::from(*past_cut);
        }
        Ok(())
    }

    /// A document of which nothing counts is nowhere shown.
    fn show_nothing(&self, place: Place, readers: &[usize]) -> Result<(), Breach> {
        for reader in readers {
            let stored = self.nodes[*reader].disk.reader().document(place).ok().flatten();
            if stored.is_some() {
                let what =
                    format!("node {reader} shows {}, of which nothing counts", place.document);
                return Err(("I4", what));
            }
        }
        Ok(())
    }

    /// Who never was a reader has no key and no record of the space.
    fn carriers_see_nothing(&self, space: SpaceId, readers: &[usize]) -> Result<(), Breach> {
        for n in self.honest().filter(|n| !readers.contains(n)) {
            let node = &self.nodes[n];
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
