//! Full-text search: an index beside the store, kept by a thread that the writer tells what changed.
//!
//! A write does not wait for the index, and a question waits for what was written before it. After a
//! crash, or beside a database that is not the one it was made from, the index finds out by itself what
//! it lacks.

mod index;

use crate::shared::{Readers, Shared, lock};
use crate::store::{Place, StoreError, StoredDocument};
use fenbu_protocol::id::{DocId, Hash, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::{Record, schema};
use index::{Entry, Index};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Name of the index in a node's folder.
pub(crate) const FILE: &str = "search.db";
/// Documents taken up in one transaction.
const GROUP: usize = 256;
/// Bytes of documents read at a time when the index is compared with the store.
const COMPARED_BYTES: usize = 4 << 20;
/// How long a question waits for the index to take up what was written before it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most documents one question finds.
pub const FOUND_MAX: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    pub text: String,
    pub kind: Option<Kind>,
    /// The unit a record belongs to.
    pub unit: Option<String>,
    /// A post's column.
    pub column: Option<String>,
    /// First and last day, `YYYY-MM-DD`.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Only these spaces.
    pub spaces: Vec<SpaceId>,
    /// The one in which what is published lies: it is found where the draft is not.
    pub everyones: Option<SpaceId>,
    /// Last change and document of the last one found before.
    pub after: Option<(u64, DocId)>,
    /// At most [`FOUND_MAX`].
    pub limit: usize,
}

/// A document that has what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub place: Place,
    pub unit: Option<String>,
    pub day: Option<String>,
    pub updated_ms: u64,
}

/// Why nothing was found because nothing could be looked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SearchError {
    #[error("the search index cannot be read: {0}; restart the node, it is then made again")]
    Index(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SearchError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.to_string())
    }
}

/// What the indexing thread is told.
#[derive(Debug)]
enum Told {
    Changed(Vec<Place>),
    /// Somebody waits for everything told before.
    Waits(mpsc::SyncSender<()>),
    Stop,
}

/// The writer's side, and whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Search {
    told: Option<mpsc::Sender<Told>>,
    path: Option<PathBuf>,
    /// Connections of those who ask.
    idle: Arc<Mutex<Vec<Index>>>,
}

/// The indexing thread before it starts.
#[derive(Debug)]
pub struct Indexer {
    index: Index,
    shared: Shared,
    told: mpsc::Receiver<Told>,
    /// Something could not be taken up, so that the index has to be compared again.
    lacking: bool,
}

impl Search {
    /// Opens the index in a node's folder.
    pub fn open(folder: &Path) -> Result<(Self, IndexerSeed), SearchError> {
        let path = folder.join(FILE);
        let index = Index::open(&path)?;
        let (told, telling) = mpsc::channel();
        let search = Self { told: Some(told), path: Some(path), idle: Arc::default() };
        Ok((search, IndexerSeed { index, told: telling }))
    }

    /// These documents have changed, and that is on disk.
    pub fn changed(&self, places: Vec<Place>) {
        if let Some(told) = self.told.as_ref().filter(|_| !places.is_empty()) {
            // Nobody listening: the node is stopping, and the index will notice at the next start.
            let _ = told.send(Told::Changed(places));
        }
    }

    /// The index is brought to an end.
    pub fn stop(&self) {
        if let Some(told) = &self.told {
            let _ = told.send(Told::Stop);
        }
    }

    /// Documents that have what is asked for. Waits for what was written before; blocks.
    pub fn find(&self, query: &SearchQuery) -> Result<Vec<Found>, SearchError> {
        let (Some(told), Some(path)) = (&self.told, &self.path) else {
            return Err(SearchError::Index("it could not be opened".into()));
        };
        let (done, waits) = mpsc::sync_channel(1);
        if told.send(Told::Waits(done)).is_ok() {
            // Too long: what is there is shown.
            let _ = waits.recv_timeout(PATIENCE);
        }
        let idle = { lock(&self.idle).pop() };
        let index = idle.map_or_else(|| Index::open(path), Ok)?;
        let found = index.find(query)?;
        lock(&self.idle).push(index);
        Ok(found)
    }
}

/// An index that waits for the node to be put together.
#[derive(Debug)]
pub struct IndexerSeed {
    index: Index,
    told: mpsc::Receiver<Told>,
}

impl IndexerSeed {
    pub fn with(self, shared: Shared) -> Indexer {
        Indexer { index: self.index, shared, told: self.told, lacking: true }
    }
}

impl Indexer {
    /// Runs until told to stop.
    pub fn run(mut self) {
        self.compare_if_lacking();
        let mut waiting = Vec::new();
        loop {
            let mut places = BTreeSet::new();
            let Ok(first) = self.told.recv() else { return };
            let mut stop = self.hear(first, &mut places, &mut waiting);
            while !stop && places.len() < GROUP && waiting.is_empty() {
                match self.told.try_recv() {
                    Ok(told) => stop = self.hear(told, &mut places, &mut waiting),
                    Err(_) => break,
                }
            }
            self.compare_if_lacking();
            if let Err(error) = self.take_up(&places) {
                self.lacking = true;
                tracing::error!(%error, "the search index could not take up changes");
            }
            // Whoever asked is told once what came before is there.
            for waits in waiting.drain(..) {
                let waits: mpsc::SyncSender<()> = waits;
                // Nobody waiting any more is fine.
                let _ = waits.try_send(());
            }
            if stop {
                if let Err(error) = self.complete() {
                    tracing::warn!(%error, "the search index will be compared at the next start");
                }
                return;
            }
        }
    }

    fn compare_if_lacking(&mut self) {
        if !self.lacking {
            return;
        }
        match self.compare() {
            Ok(()) => self.lacking = false,
            Err(error) => {
                tracing::error!(%error, "the search index could not be compared with the records");
            }
        }
    }

    fn hear(
        &self,
        told: Told,
        places: &mut BTreeSet<Place>,
        waiting: &mut Vec<mpsc::SyncSender<()>>,
    ) -> bool {
        match told {
            Told::Changed(changed) => places.extend(changed),
            Told::Waits(waits) => waiting.push(waits),
            Told::Stop => return true,
        }
        false
    }

    /// What the store's documents are, in few bytes: equal sums mean equal documents.
    fn sums(readers: &Readers) -> Result<Vec<u8>, StoreError> {
        let digests = readers.with(|reader| reader.digests())?;
        let sums =
            digests.iter().map(|(space, d)| [space.0.to_vec(), d.state.0.to_hash().0.to_vec()]);
        Ok(sums.flatten().flatten().collect())
    }

    /// Finds out what the index lacks, unless it was complete when the node last stopped.
    fn compare(&mut self) -> Result<(), SearchError> {
        let sums = Self::sums(&self.shared.readers)?;
        if self.index.mark()?.is_some_and(|mark| mark == sums) {
            self.index.set_mark(None)?;
            return Ok(());
        }
        self.index.set_mark(None)?;
        let started = Instant::now();
        let mut left: BTreeSet<Place> = self.index.places()?.into_iter().collect();
        let (mut after, mut made) = (None, 0);
        loop {
            let documents = self.shared.readers.with(|r| r.documents(after, COMPARED_BYTES))?;
            let Some(last) = documents.last() else { break };
            after = Some(last.place());
            let mut lacking = Vec::new();
            for document in documents {
                left.remove(&document.place());
                if self.index.heads(document.place())? != Some(hash_of(&document)) {
                    lacking.push(document);
                }
            }
            made += lacking.len();
            self.index_all(lacking, &[])?;
        }
        let gone: Vec<Place> = left.into_iter().collect();
        self.index.update(&[], &gone)?;
        if made + gone.len() > 0 {
            let ms = started.elapsed().as_millis();
            tracing::info!(
                documents = made,
                gone = gone.len(),
                ms,
                "the search index was completed"
            );
        }
        Ok(())
    }

    fn take_up(&mut self, places: &BTreeSet<Place>) -> Result<(), SearchError> {
        let (mut documents, mut gone) = (Vec::new(), Vec::new());
        for &place in places {
            match self.shared.readers.with(|r| r.document(place)) {
                Ok(Some(document)) => documents.push(document),
                Ok(None) => gone.push(place),
                // It is made again, and then told of again.
                Err(StoreError::Corrupted { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.index_all(documents, &gone)
    }

    fn index_all(
        &mut self,
        documents: Vec<StoredDocument>,
        gone: &[Place],
    ) -> Result<(), SearchError> {
        let mut made = Vec::with_capacity(documents.len());
        for document in &documents {
            let Some(schema) = schema(document.place().kind) else { continue };
            let Ok(record) = Record::load(schema, &document.snapshot) else { continue };
            let record = self.shared.name(record, document.place().space)?;
            made.push((document, record.findable(), record.row().updated_ms));
        }
        let entries: Vec<Entry<'_>> = made
            .iter()
            .map(|(document, findable, updated_ms)| Entry {
                place: document.place(),
                heads: hash_of(document),
                updated_ms: *updated_ms,
                findable: findable.as_ref(),
            })
            .collect();
        self.index.update(&entries, gone)?;
        Ok(())
    }

    /// The index is complete, and says of what.
    fn complete(&mut self) -> Result<(), SearchError> {
        let mut places = BTreeSet::new();
        let mut waiting = Vec::new();
        while let Ok(told) = self.told.try_recv() {
            self.hear(told, &mut places, &mut waiting);
        }
        self.compare_if_lacking();
        self.take_up(&places)?;
        if self.lacking {
            return Ok(());
        }
        let sums = Self::sums(&self.shared.readers)?;
        self.index.set_mark(Some(&sums))?;
        Ok(())
    }
}

/// Which version of a document it is.
fn hash_of(document: &StoredDocument) -> Hash {
    Hash::of("fenbu/search/1", &[document.heads.as_flattened()])
}

#[cfg(test)]
mod tests;
