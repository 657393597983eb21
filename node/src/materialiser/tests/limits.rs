//! What is over a limit: the same in every order of arrival, and until the limit grows.

use super::*;
use fenbu_protocol::directory::{DefineSpace, Scope, SetLimits, Template, space_id};
use fenbu_protocol::id::{DocId, LogId};

const EVE: u8 = 5;
const BOB: u8 = 4;
/// Documents of the story.
const TAKEN_UP: u8 = 1;
const ALONE: u8 = 2;
const EARLY: u8 = 3;
const MIDDLE: u8 = 4;

fn founded() -> (Directory, SpaceId) {
    let mut directory = directory();
    let space = space_id(&directory.federation(), "federation");
    let define = DefineSpace {
        space,
        label: "federation".into(),
        template: Template::FEDERATION,
        unit: None,
        readers: Scope::everyone(),
        writers: Scope::everyone(),
        carriers: Scope::everyone(),
        cuts: None,
    };
    say(&mut directory, &key(AUTHOR), &Act::DefineSpace(define));
    for n in [ME, EVE, BOB] {
        admit(&mut directory, n);
    }
    (directory, space)
}

fn limit(directory: &mut Directory, space: SpaceId, documents: u64) {
    let limits = SetLimits { space, bytes: None, entries: None, documents: Some(documents) };
    say(directory, &key(AUTHOR), &Act::SetLimits(limits));
}

/// Everything anybody wrote, each entry a run of its own, in the order of writing.
struct Tale {
    directory: Directory,
    space: SpaceId,
    records: BTreeMap<u8, Record>,
    logs: BTreeMap<(u8, u32), Author>,
    runs: Vec<(Run, Tip)>,
}

impl Tale {
    fn new(directory: &Directory, space: SpaceId) -> Self {
        let (records, logs, runs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { directory: directory.clone(), space, records, logs, runs }
    }

    /// An author who has seen all that was written to the document writes to it.
    fn writes(&mut self, who: u8, incarnation: u32, document: u8) -> &mut Self {
        let schema = schema_named("topic").unwrap();
        let opening = Opening::sign(&key(who), self.space, incarnation);
        let fresh = || Author::new(opening, Tip::start(opening.log()), 0);
        let author = self.logs.entry((who, incarnation)).or_insert_with(fresh);
        let record = self.records.entry(document).or_insert_with(|| Record::new(schema));
        let title = format!("{who} {incarnation} {}", author.tip().seq);
        let edits = Edits::from_json(schema, &json!({ "title": title })).unwrap();
        let body = record.edit(author.log().actor(), 1, "t", &edits).unwrap().unwrap();
        author.append(&Draft {
            epoch: self.directory.epoch(),
            directory: self.directory.head_prefix(),
            now_ms: 1,
            shape: Shape {
                version: HEADER_VERSION,
                lane: schema.lane,
                kind: schema.kind,
                genesis: schema.genesis,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document: DocId([document; 16]),
            body: &body,
        });
        self.runs.push((author.close(&key(who)).unwrap(), author.tip()));
        self
    }
}

/// What a node has made: the heads of each document, and what waits.
type Made = (BTreeMap<u8, Vec<[u8; 32]>>, Vec<(LogId, u64)>);

impl Bench {
    fn made(&self) -> Made {
        self.shared.readers.with(|r| {
            let documents = r.documents(None, usize::MAX).unwrap();
            let heads = documents.into_iter().map(|d| (d.document.0[0], d.heads)).collect();
            let waiting = r.all_waiting(None, 100).unwrap();
            (heads, waiting.into_iter().map(|e| (e.log, e.seq)).collect())
        })
    }
}

/// One of many orders that keep each log's own, worked in now and then.
fn arrives(directory: &Directory, runs: &[(Run, Tip)], seed: u64) -> Bench {
    let mut bench = Bench::start(directory, Vec::new());
    let mut draws = seed;
    let mut draw = |n: usize| {
        draws = draws.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (draws >> 33) as usize % n
    };
    let mut left = runs.to_vec();
    while !left.is_empty() {
        let log = left[draw(left.len())].0.log();
        let next = left.iter().position(|(run, _)| run.log() == log).unwrap();
        bench.receives(vec![left.remove(next)]);
        if draw(3) > 0 {
            bench.materialiser.catch_up(false).unwrap();
        }
        if draw(8) == 0 {
            bench.restarts();
            // As after a start: what was remembered is gone.
            bench.materialiser.shared.ledger = Arc::default();
        }
    }
    bench.materialiser.catch_up(false).unwrap();
    bench
}

#[test]
fn what_is_over_a_limit_does_not_depend_on_the_order_of_arrival() {
    let (mut directory, space) = founded();
    limit(&mut directory, space, 2);
    let mut tale = Tale::new(&directory, space);
    // A later log is known first, and Bob goes on from what is in it.
    tale.writes(EVE, 9, TAKEN_UP).writes(BOB, 0, TAKEN_UP).writes(EVE, 9, ALONE);
    tale.writes(EVE, 9, TAKEN_UP).writes(EVE, 0, EARLY).writes(EVE, 5, MIDDLE);
    tale.writes(EVE, 9, EARLY).writes(EVE, 0, EARLY);
    // She cannot save her own work by building on it in a log that is within.
    tale.writes(EVE, 5, MIDDLE).writes(EVE, 9, MIDDLE);
    let expected = arrives(&directory, &tale.runs, 0).made();
    let (heads, waiting) = &expected;
    assert_eq!(heads.keys().copied().collect::<Vec<_>>(), [TAKEN_UP, EARLY, MIDDLE]);
    // Her second entry to what Bob took up, what she wrote alone, what she added to the others late, and
    // what builds on that.
    assert_eq!(waiting.len(), 5, "{waiting:?}");
    for seed in 1..60 {
        assert_eq!(arrives(&directory, &tale.runs, seed).made(), expected, "seed {seed}");
    }

    // More is allowed: all of it counts, also what cites the time before.
    let mut bench = arrives(&directory, &tale.runs, 7);
    limit(&mut directory, space, 4);
    bench.directory_grows(&directory);
    assert_eq!((bench.made().0.len(), bench.waiting()), (4, 0));
    // Less is allowed: what cites the time before goes on counting.
    limit(&mut directory, space, 1);
    bench.directory_grows(&directory);
    assert_eq!((bench.made().0.len(), bench.waiting()), (4, 0));
    let fresh = arrives(&directory, &tale.runs, 8);
    assert_eq!(fresh.made(), bench.made());
}
