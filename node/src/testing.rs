//! For this crate's tests: a founded node without a network, over whatever store a test brings.

use crate::changes::Changes;
use crate::clock::Clock;
use crate::materialiser::Progress;
use crate::rebuild::Rebuilder;
use crate::records::{RecordError, Records, Saved};
use crate::scrub::Scrub;
use crate::search::Search;
use crate::shared::{DirectoryView, DocumentLocks, Keys, Readers, Shared};
use crate::store::{ListQuery, Store};
use crate::writer::{Command, Writer};
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope, Template, space_id,
};
use fenbu_protocol::id::{FederationId, NodeId};
use fenbu_protocol::record::schema_named;
use fenbu_protocol::seal::{self, Keyring};
use fenbu_protocol::sync::Input;
use serde_json::json;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// The node's key.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// A federation of one node, its admin, and one space for all and one for its unit.
pub(crate) fn directory() -> Directory {
    let mut directory = keyless_directory();
    let mut draws = 0;
    // The same each time, as a node that starts again finds it.
    let mut chance = || {
        draws += 1;
        [draws; 32]
    };
    for act in seal::due(&directory, &Keyring::default(), &mut chance) {
        let signed = directory.draft(&key(), &act, 0);
        directory.apply(signed).unwrap();
    }
    directory
}

/// The same before the keys of its unit's space are handed out.
pub(crate) fn keyless_directory() -> Directory {
    let root = SigningKey::from_bytes(&[1; 32]);
    let federation = FederationId(root.verifying_key().to_bytes());
    let admin = key();
    let node = NodeId(admin.verifying_key().to_bytes());
    let mut directory = Directory::empty(federation);
    let found = Found { name: "f".into(), admin: node, head_office: "head".into() };
    let space = |label: &str, template, unit| {
        Act::DefineSpace(DefineSpace {
            space: space_id(&federation, label),
            label: label.into(),
            template,
            unit,
            readers: Scope::everyone(),
            writers: Scope::everyone(),
            carriers: Scope::everyone(),
            cuts: None,
        })
    };
    let acts = [
        Act::Found(found),
        Act::DefineUnit(DefineUnit { code: "head".into(), name: "局机关".into() }),
        space("federation", Template::FEDERATION, None),
        space("head", Template::UNIT, Some("head".into())),
        Act::AdmitNode(AdmitNode {
            node,
            unit: "head".into(),
            name: "head".into(),
            role: Role::SERVER,
            addresses: vec![],
            sealing: seal::sealing_public(&admin),
        }),
    ];
    for (i, act) in acts.iter().enumerate() {
        let signed = directory.draft(if i == 0 { &root } else { &admin }, act, 0);
        directory.apply(signed).unwrap();
    }
    directory
}

/// A writer's thread and the record service before it.
pub(crate) struct Bench {
    pub(crate) records: Records,
    pub(crate) progress: Arc<Progress>,
    /// What the writer tells the engine.
    pub(crate) engine: mpsc::UnboundedReceiver<Input>,
    pub(crate) directory: watch::Sender<Arc<Directory>>,
    thread: JoinHandle<()>,
}

impl Bench {
    pub(crate) fn start(store: Box<dyn Store>, clock: Clock) -> Self {
        Self::searched(store, clock, Search::default())
    }

    /// One whose documents are told to a search index.
    pub(crate) fn searched(mut store: Box<dyn Store>, clock: Clock, search: Search) -> Self {
        let loaded = store.load().unwrap();
        let key = key();
        let directory = directory();
        let me = NodeId(key.verifying_key().to_bytes());
        let keys = Keys::default();
        keys.learn(&directory, &me, &key);
        let (sender, view) = watch::channel(Arc::new(directory));
        let shared = Shared {
            me,
            key,
            clock,
            directory: DirectoryView::new(view),
            keys,
            readers: Arc::new(Readers::new(store.reader().unwrap(), 2).unwrap()),
            documents: Arc::new(DocumentLocks::default()),
            authors: Arc::default(),
            ledger: Arc::default(),
            turns: Arc::default(),
            search,
            changes: Changes::default(),
            tasks_changed: Arc::default(),
        };
        let (inputs, engine) = mpsc::unbounded_channel();
        let reader = store.reader().unwrap();
        let (writer, handle) =
            Writer::new(store, shared.clone(), &loaded, reader.as_ref(), inputs, Scrub::new().0)
                .unwrap();
        let thread = std::thread::spawn(move || writer.run());
        let progress = Arc::new(Progress::default());
        let rebuilder = Rebuilder::new(shared.clone(), handle.clone(), progress.clone());
        let records = Records { shared, writer: handle, rebuilder };
        Self { records, progress, engine, directory: sender, thread }
    }

    pub(crate) fn topic(&self, title: &str) -> Result<Saved, RecordError> {
        let schema = schema_named("topic").unwrap();
        self.records.create(schema, &json!({ "title": title }), None, None, "test")
    }

    pub(crate) fn member(&self, name: &str) -> Result<Saved, RecordError> {
        let schema = schema_named("member").unwrap();
        self.records.create(schema, &json!({ "name": name }), None, None, "test")
    }

    pub(crate) fn titles(&self) -> usize {
        let schema = schema_named("topic").unwrap();
        self.records.list(schema, ListQuery::default()).unwrap().rows.len()
    }

    /// Stops the writer; returns everything the engine was told.
    pub(crate) fn stop(mut self) -> Vec<Input> {
        self.records.writer.send(Command::Stop).unwrap();
        self.thread.join().unwrap();
        std::iter::from_fn(|| self.engine.try_recv().ok()).collect()
    }
}

/// Prints how long work takes at the median of 21 times, and whether that is within what is promised.
pub(crate) fn median<T>(name: &str, aim_ms: f64, mut work: impl FnMut() -> T) {
    const ROUNDS: usize = 21;
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = std::time::Instant::now();
            std::hint::black_box(work());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    let verdict = if median <= aim_ms { "within" } else { "OVER" };
    eprintln!("{name}: {median:.2} ms (worst {worst:.2}), {verdict} {aim_ms} ms");
}
