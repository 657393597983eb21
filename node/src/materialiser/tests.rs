//! Sealed entries on their way to documents: what waits, what opens, what is refused.

use super::*;
use crate::admission::{chance, unit_space};
use crate::clock::Clock;
use crate::shared::{DirectoryView, DocumentLocks, Keys, Readers};
use crate::store::{MemoryStore, Store};
use crate::writer::Writer;
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope,
};
use fenbu_protocol::id::{FederationId, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Opening, Shape, Tip};
use fenbu_protocol::record::{Edits, Record, schema_named};
use fenbu_protocol::seal::{self, Keyring, Place, SpaceKey, seal, sealing_public, sealing_secret};
use serde_json::json;
use tokio::sync::{mpsc as tokio_mpsc, watch};

const ME: u8 = 2;
const AUTHOR: u8 = 3;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

/// A federation whose admin and only author is another node of head office.
fn directory() -> Directory {
    let root = key(1);
    let federation = FederationId(root.verifying_key().to_bytes());
    let mut directory = Directory::empty(federation);
    let found = Found { name: "f".into(), admin: id(AUTHOR), head_office: "head".into() };
    say(&mut directory, &root, &Act::Found(found));
    say(
        &mut directory,
        &key(AUTHOR),
        &Act::DefineUnit(DefineUnit { code: "head".into(), name: "局机关".into() }),
    );
    let space = unit_space(&directory, "head");
    say(&mut directory, &key(AUTHOR), &Act::DefineSpace(space));
    admit(&mut directory, AUTHOR);
    directory
}

fn say(directory: &mut Directory, by: &SigningKey, act: &Act) {
    let signed = directory.draft(by, act, 0);
    directory.apply(signed).unwrap();
}

fn admit(directory: &mut Directory, n: u8) {
    say(
        directory,
        &key(AUTHOR),
        &Act::AdmitNode(AdmitNode {
            node: id(n),
            unit: "head".into(),
            name: format!("node {n}"),
            role: Role::SERVER,
            addresses: vec![],
            sealing: sealing_public(&key(n)),
        }),
    );
}

fn hand_out_keys(directory: &mut Directory, keyring: &mut Keyring) {
    for act in seal::due(directory, keyring, &mut chance) {
        say(directory, &key(AUTHOR), &act);
    }
    keyring.learn(directory, &id(AUTHOR), &sealing_secret(&key(AUTHOR)));
}

/// The author's log, and how the bodies of its entries are bent on their way into it.
struct Story {
    author: Author,
    space: SpaceId,
    key: SpaceKey,
    epoch: (u64, fenbu_protocol::id::HashPrefix),
}

impl Story {
    fn new(directory: &Directory, keyring: &Keyring) -> Self {
        let space = directory.unit_space("head").unwrap();
        let opening = Opening::sign(&key(AUTHOR), space.id, 0);
        Self {
            author: Author::new(opening, Tip::start(opening.log()), 0),
            space: space.id,
            key: keyring.newest(space).unwrap().1.clone(),
            epoch: (directory.epoch(), directory.head_prefix()),
        }
    }

    /// A new member record; `store` makes the stored body of a sealed and a plain one.
    fn member(&mut self, store: impl Fn(Vec<u8>, Vec<u8>) -> (Encoding, Vec<u8>)) -> Run {
        let schema = schema_named("member").unwrap();
        let mut record = Record::new(schema);
        let edits = Edits::from_json(schema, &json!({ "name": "王海" })).unwrap();
        let actor = self.author.log().actor();
        let plain = record.edit(actor, 1_700_000_000_000, "t", &edits).unwrap().unwrap();
        let document = crate::records::Records::new_id();
        let place = Place {
            space: self.space,
            log: self.author.log(),
            seq: self.author.tip().seq + 1,
            document,
            kind: schema.kind,
            key_epoch: 1,
        };
        let (encoding, body) = store(seal(&self.key, [7; 24], &place, &plain), plain);
        self.author.append(&Draft {
            epoch: self.epoch.0,
            directory: self.epoch.1,
            now_ms: 1_700_000_000_000,
            shape: Shape {
                version: HEADER_VERSION,
                lane: schema.lane,
                kind: schema.kind,
                genesis: schema.genesis,
                encoding,
                key_epoch: u32::from(encoding == Encoding::SEALED),
            },
            document,
            body: &body,
        });
        self.author.close(&key(AUTHOR)).unwrap()
    }
}

/// A materialiser over a store in memory, and the writer it commits through.
struct Bench {
    shared: Shared,
    materialiser: Materialiser,
    directory: watch::Sender<Arc<Directory>>,
    _engine: tokio_mpsc::UnboundedReceiver<fenbu_protocol::sync::Input>,
}

impl Bench {
    fn start(directory: &Directory, runs: Vec<(Run, Tip)>) -> Self {
        let mut store = MemoryStore::new(&crate::views::specs()).unwrap();
        store.commit(&WriteBatch { runs, ..WriteBatch::default() }).unwrap();
        let (sender, view) = watch::channel(Arc::new(directory.clone()));
        let keys = Keys::default();
        keys.learn(directory, &id(ME), &key(ME));
        let shared = Shared {
            me: id(ME),
            key: key(ME),
            clock: Clock::start(),
            directory: DirectoryView::new(view),
            keys,
            readers: Arc::new(Readers::new(store.reader().unwrap(), 2).unwrap()),
            documents: Arc::new(DocumentLocks::default()),
            authors: Arc::default(),
            ledger: Arc::default(),
            turns: Arc::default(),
            search: crate::search::Search::default(),
            changes: crate::changes::Changes::default(),
            tasks_changed: Arc::default(),
        };
        let (inputs, engine) = tokio_mpsc::unbounded_channel();
        let loaded = store.load().unwrap();
        let reader = store.reader().unwrap();
        let (writer, handle) = Writer::new(
            Box::new(store),
            shared.clone(),
            &loaded,
            reader.as_ref(),
            inputs,
            Scrub::new().0,
        )
        .unwrap();
        std::thread::spawn(move || writer.run());
        let (_, woken) = mpsc::channel();
        let progress = Arc::new(Progress::default());
        let rebuilder = Rebuilder::new(shared.clone(), handle.clone(), progress.clone());
        let materialiser = Materialiser::new(
            shared.clone(),
            handle,
            rebuilder,
            woken,
            progress,
            Scrub::new().0,
            false,
        );
        Self { shared, materialiser, directory: sender, _engine: engine }
    }

    /// Runs become durable, and are not worked in yet.
    fn receives(&self, runs: Vec<(Run, Tip)>) {
        let batch = WriteBatch { runs, ..WriteBatch::default() };
        let (reply, answer) = oneshot::channel();
        self.materialiser.writer.send(Command::Store { batch, reply }).unwrap();
        answer.blocking_recv().unwrap().unwrap();
    }

    /// A new life: what was only in memory is gone.
    fn restarts(&mut self) {
        let (writer, progress) = (self.materialiser.writer.clone(), Arc::default());
        let (_, woken) = mpsc::channel();
        let (shared, rebuilder) = (self.shared.clone(), self.materialiser.rebuilder.clone());
        self.materialiser =
            Materialiser::new(shared, writer, rebuilder, woken, progress, Scrub::new().0, false);
    }

    /// As the driver does it when a statement comes.
    fn directory_grows(&mut self, directory: &Directory) {
        self.shared.keys.learn(directory, &id(ME), &key(ME));
        self.directory.send_replace(Arc::new(directory.clone()));
        self.materialiser.catch_up(true).unwrap();
    }

    fn members(&self) -> u64 {
        let kind = schema_named("member").unwrap().kind;
        self.shared.readers.with(|r| r.count(kind, None)).unwrap()
    }

    fn waiting(&self) -> usize {
        self.shared.readers.with(|r| r.all_waiting(None, 100)).unwrap().len()
    }

    fn refused(&self) -> Vec<String> {
        let refused = self.shared.readers.with(|r| r.refused(100)).unwrap();
        refused.into_iter().map(|r| r.code).collect()
    }
}

#[test]
fn a_right_to_read_that_turns_is_a_change_of_what_it_shows() {
    let (mut directory, mut keyring) = (directory(), Keyring::default());
    admit(&mut directory, ME);
    hand_out_keys(&mut directory, &mut keyring);
    let mut story = Story::new(&directory, &keyring);
    let run = story.member(|sealed, _| (Encoding::SEALED, sealed));
    let mut bench = Bench::start(&directory, vec![(run, story.author.tip())]);
    bench.directory_grows(&directory);
    let since = |bench: &Bench, number| {
        bench
            .shared
            .readers
            .with(|r| (r.changes(number, None, 9).unwrap(), r.last_change(None).unwrap()))
    };
    let (told, last) = since(&bench, 0);
    let places = |told: &[crate::store::Change]| -> Vec<crate::store::Place> {
        told.iter().map(|c| c.place).collect()
    };
    let member = places(&told);
    assert_eq!(member.len(), 1);
    bench.directory_grows(&directory);
    assert_eq!(since(&bench, last), (vec![], last), "nothing has turned");

    let turn = |bench: &mut Bench, directory: &mut Directory, readers: Scope| {
        let space = DefineSpace { readers, ..unit_space(directory, "head") };
        say(directory, &key(AUTHOR), &Act::DefineSpace(space));
        bench.directory_grows(directory);
    };
    turn(&mut bench, &mut directory, Scope::units(vec![]));
    assert!(!bench.shared.readable().contains(&member[0].space));
    let (told, last) = since(&bench, last);
    assert_eq!(places(&told), member, "it can no longer be read");
    bench.restarts();
    turn(&mut bench, &mut directory, Scope::everyone());
    assert_eq!(places(&since(&bench, last).0), member, "it can be read again");
}

#[test]
fn a_body_waits_for_its_key_and_opens_when_the_directory_brings_it() {
    let (mut directory, mut keyring) = (directory(), Keyring::default());
    hand_out_keys(&mut directory, &mut keyring);
    let mut story = Story::new(&directory, &keyring);
    let run = story.member(|sealed, _| (Encoding::SEALED, sealed));
    admit(&mut directory, ME);
    let mut bench = Bench::start(&directory, vec![(run, story.author.tip())]);
    bench.materialiser.catch_up(false).unwrap();
    assert_eq!((bench.members(), bench.waiting()), (0, 1), "a reader without the key");
    assert!(bench.refused().is_empty());

    // Something else happens, and it goes on waiting.
    let space = unit_space(&directory, "head");
    say(&mut directory, &key(AUTHOR), &Act::DefineSpace(space));
    bench.directory_grows(&directory);
    assert_eq!((bench.members(), bench.waiting()), (0, 1));

    bench.restarts();
    hand_out_keys(&mut directory, &mut keyring);
    bench.directory_grows(&directory);
    assert_eq!((bench.members(), bench.waiting()), (1, 0));
    assert!(bench.refused().is_empty());
}

/// More entries than are looked at together wait for one that another author's log brings; when it
/// comes, all of them count.
#[test]
fn a_long_queue_moves_on_window_by_window() {
    const LONG: usize = 2 * fenbu_protocol::limits::PENDING_PER_LOG_MAX + 9;
    let (mut directory, mut keyring) = (directory(), Keyring::default());
    admit(&mut directory, ME);
    let space = unit_space(&directory, "federation");
    let space = fenbu_protocol::directory::DefineSpace {
        template: fenbu_protocol::directory::Template::FEDERATION,
        unit: None,
        readers: fenbu_protocol::directory::Scope::everyone(),
        writers: fenbu_protocol::directory::Scope::everyone(),
        ..space
    };
    say(&mut directory, &key(AUTHOR), &Act::DefineSpace(space.clone()));
    hand_out_keys(&mut directory, &mut keyring);
    let schema = schema_named("topic").unwrap();
    let shape = Shape {
        version: HEADER_VERSION,
        lane: schema.lane,
        kind: schema.kind,
        genesis: schema.genesis,
        encoding: Encoding::CHANGE,
        key_epoch: 0,
    };
    let document = crate::records::Records::new_id();
    let mut record = Record::new(schema);
    let mut logs = [0, 1].map(|incarnation| {
        let opening = Opening::sign(&key(AUTHOR), space.space, incarnation);
        Author::new(opening, Tip::start(opening.log()), 0)
    });
    let mut runs = [Vec::new(), Vec::new()];
    for n in 0..=LONG {
        let which = usize::from(n > 0);
        let author = &mut logs[which];
        let edits = Edits::from_json(schema, &json!({ "title": format!("{n}") })).unwrap();
        let body = record.edit(author.log().actor(), 1, "t", &edits).unwrap().unwrap();
        author.append(&Draft {
            epoch: directory.epoch(),
            directory: directory.head_prefix(),
            now_ms: 1,
            shape,
            document,
            body: &body,
        });
        if author.is_full() || n == 0 || n == LONG {
            runs[which].push((author.close(&key(AUTHOR)).unwrap(), author.tip()));
        }
    }
    let [first, queue] = runs;
    let mut bench = Bench::start(&directory, queue);
    bench.materialiser.catch_up(false).unwrap();
    let waiting = || bench.shared.readers.with(|r| r.all_waiting(None, 10_000)).unwrap().len();
    assert_eq!(waiting(), LONG);
    bench.receives(first);
    bench.materialiser.catch_up(false).unwrap();
    let waiting = || bench.shared.readers.with(|r| r.all_waiting(None, 10_000)).unwrap().len();
    assert_eq!(waiting(), 0);
    let stored = bench.shared.readers.with(|r| r.counts()).unwrap();
    assert_eq!((stored.documents, stored.refused), (1, 0));
}

#[test]
fn bodies_bent_or_left_plain_are_refused_and_hold_up_nothing() {
    let (mut directory, mut keyring) = (directory(), Keyring::default());
    admit(&mut directory, ME);
    hand_out_keys(&mut directory, &mut keyring);
    let mut story = Story::new(&directory, &keyring);
    let mut runs = Vec::new();
    let first = std::cell::RefCell::new(Vec::new());
    for n in 0..5 {
        let run = story.member(|mut sealed, plain| match n {
            0 => {
                *first.borrow_mut() = sealed.clone();
                (Encoding::SEALED, sealed)
            }
            1 => {
                sealed[30] ^= 1;
                (Encoding::SEALED, sealed)
            }
            // The first one's, sealed under the same key for another place.
            2 => (Encoding::SEALED, first.borrow().clone()),
            3 => (Encoding::CHANGE, plain),
            _ => (Encoding::SEALED, sealed),
        });
        runs.push((run, story.author.tip()));
    }
    let mut bench = Bench::start(&directory, runs);
    bench.materialiser.catch_up(false).unwrap();
    assert_eq!((bench.members(), bench.waiting()), (2, 0), "the first and the last");
    let mut refused = bench.refused();
    refused.sort();
    assert_eq!(refused, ["seal", "seal", "unsealed"]);
}

mod limits;
