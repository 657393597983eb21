use super::*;
use crate::clock::Clock;
use crate::store::MemoryStore;
use crate::testing::Bench;
use fenbu_protocol::record::{Schema, schema_named};
use serde_json::{Value, json};

fn post() -> &'static Schema {
    schema_named("post").unwrap()
}

struct Desk {
    node: Bench,
    search: Search,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (search, seed) = Search::open(folder.path()).unwrap();
        let store = Box::new(MemoryStore::new(&crate::views::specs()).unwrap());
        let node = Bench::searched(store, Clock::start(), search.clone());
        let indexer = seed.with(node.records.shared.clone());
        let thread = Some(std::thread::spawn(move || indexer.run()));
        Self { node, search, thread, folder }
    }

    fn add(&self, fields: Value) -> DocId {
        self.node.records.create(post(), &fields, None, None, "a").unwrap().document
    }

    fn find(&self, change: impl FnOnce(&mut SearchQuery)) -> Vec<DocId> {
        let mut query = SearchQuery {
            spaces: self.node.records.shared.readable(),
            everyones: self.node.records.shared.everyones(),
            limit: 10,
            ..SearchQuery::default()
        };
        change(&mut query);
        self.search.find(&query).unwrap().into_iter().map(|f| f.place.document).collect()
    }

    fn words(&self, text: &str) -> Vec<DocId> {
        self.find(|query| query.text = text.into())
    }

    fn stop(&mut self) {
        self.search.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn what_was_written_is_found_at_once_by_two_characters() {
    let desk = Desk::new();
    let snow = desk.add(json!({"title": "雪夜", "body": "民警冒着大雪进山。", "column": "style",
        "written": "2018-03-05"}));
    let sea = desk.add(json!({"title": "海上", "body": "大风，QUIC 演练", "column": "news",
        "written": "2018-06-01"}));
    assert_eq!(desk.words("大雪"), [snow]);
    let both: BTreeSet<DocId> = desk.words("大").into_iter().collect();
    assert_eq!(both, BTreeSet::from([sea, snow]), "one character finds pairs");
    assert_eq!(desk.words("雪山"), Vec::<DocId>::new(), "only characters that follow each other");
    assert_eq!(desk.words("quic 大风"), [sea]);
    assert_eq!(desk.words("，"), Vec::<DocId>::new());
    assert_eq!(desk.find(|q| (q.text, q.column) = ("大".into(), Some("style".into()))), [snow]);
    assert_eq!(desk.find(|q| (q.text, q.from) = ("大".into(), Some("2018-04-01".into()))), [sea]);
    assert_eq!(desk.find(|q| (q.text, q.to) = ("大".into(), Some("2018-04-01".into()))), [snow]);
    assert_eq!(desk.find(|q| (q.text, q.kind) = ("大".into(), Some(Kind(2)))), Vec::<DocId>::new());
    assert_eq!(desk.find(|q| (q.text, q.spaces) = ("大".into(), vec![])), Vec::<DocId>::new());
}

#[test]
fn pages_follow_each_other() {
    let desk = Desk::new();
    let mut all: Vec<DocId> =
        (0..7).map(|n| desk.add(json!({"title": format!("第{n}期雪景")}))).collect();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let spaces = desk.node.records.shared.readable();
        let query =
            SearchQuery {
                text: "雪景".into(), spaces, after, limit: 3, ..SearchQuery::default()
            };
        let page = desk.search.find(&query).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.updated_ms, last.place.document));
        found.extend(page.into_iter().map(|f| f.place.document));
    }
    found.sort_unstable();
    all.sort_unstable();
    assert_eq!(found, all);
}

#[test]
fn edits_and_withdrawals_are_followed() {
    let desk = Desk::new();
    let id = desk.add(json!({"title": "旧题", "status": "published"}));
    let edit = |fields: Value| {
        desk.node.records.edit(post(), &id.to_string(), &fields, "b").unwrap();
    };
    edit(json!({"title": "新题"}));
    assert_eq!((desk.words("旧题"), desk.words("新题")), (vec![], vec![id]));
    edit(json!({"status": {"op": "withdraw", "note": "有误"}}));
    assert_eq!(desk.words("新题"), Vec::<DocId>::new());
    edit(json!({"status": {"op": "submit"}}));
    assert_eq!(desk.words("新题"), [id]);
}

#[test]
fn an_index_that_was_lost_or_is_damaged_is_made_again() {
    let mut desk = Desk::new();
    let id = desk.add(json!({"title": "雪夜"}));
    assert_eq!(desk.words("雪夜"), [id]);
    desk.stop();
    let path = desk.folder.path().join(FILE);
    let sums = Indexer::sums(&desk.node.records.shared.readers).unwrap();
    assert_eq!(Index::open(&path).unwrap().mark().unwrap(), Some(sums), "it knows it is complete");
    for damage in ["remove", "overwrite", "none"] {
        match damage {
            "remove" => std::fs::remove_file(&path).unwrap(),
            "overwrite" => std::fs::write(&path, vec![7; 8192]).unwrap(),
            _ => {}
        }
        let (search, seed) = Search::open(desk.folder.path()).unwrap();
        let indexer = seed.with(desk.node.records.shared.clone());
        let thread = std::thread::spawn(move || indexer.run());
        desk.search = search;
        desk.thread = Some(thread);
        assert_eq!(desk.words("雪夜"), [id], "{damage}");
        desk.stop();
    }
}

/// By hand: `cargo figures`.
#[test]
#[ignore = "prints timings"]
fn fifty_thousand() {
    use crate::records::Save;
    use crate::store::{ListQuery, Order, OrderBy, SqliteStore};
    use fenbu_protocol::record::Edits;
    const RECORDS: usize = 50_000;
    const AIM_MS: f64 = 50.0;
    fn median<T>(name: &str, work: impl FnMut() -> T) {
        crate::testing::median(name, AIM_MS, work);
    }
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("fenbu.db"), &crate::views::specs()).unwrap();
    let (search, seed) = Search::open(folder.path()).unwrap();
    let bench = Bench::searched(Box::new(store), Clock::start(), search.clone());
    let indexer = seed.with(bench.records.shared.clone());
    let thread = std::thread::spawn(move || indexer.run());
    let (records, start) = (&bench.records, Instant::now());
    let space = records.home(post(), None).unwrap();
    let text: String =
        "国门先锋缉私风采党建动态警营文化雪夜大风".chars().cycle().take(200).collect();
    for group in 0..RECORDS / 250 {
        let save = |n: usize| {
            let n = group * 250 + n;
            let rare = if n.is_multiple_of(5000) { "罕见" } else { "" };
            let fields = json!({"title": format!("第{n}篇稿件{rare}"), "body": format!("{text}{n}"),
                "column": (["news", "style", "culture", "pioneer"][n % 4]), "status": "published",
                "written": format!("2018-{:02}-{:02}", n % 12 + 1, n % 28 + 1)});
            let edits = Edits::from_json(post(), &fields).unwrap();
            Save { schema: post(), space, document: crate::records::Records::new_id(), edits }
        };
        records.save_all(&(0..250).map(save).collect::<Vec<_>>(), "a").unwrap();
    }
    eprintln!("{RECORDS} posts written in {:.1} s", start.elapsed().as_secs_f64());
    let query = |text: &str| SearchQuery {
        text: text.into(),
        spaces: bench.records.shared.readable(),
        limit: 20,
        ..SearchQuery::default()
    };
    while search.find(&query("罕见")).unwrap().len() < 10 {}
    eprintln!("and found after {:.1} s", start.elapsed().as_secs_f64());
    median("first page", || records.list(post(), ListQuery::default()).unwrap());
    let of = |column: &str, value: &str| ListQuery {
        equals: vec![(column.into(), value.into())],
        ..ListQuery::default()
    };
    median("of a column", || records.list(post(), of("column", "style")).unwrap());
    median("of a state nobody is in", || records.list(post(), of("status", "returned")).unwrap());
    median("by a day, no index", || records.list(post(), of("written", "2018-03-07")).unwrap());
    let by_title = Order { by: OrderBy::Column("title".into()), descending: false };
    median("in the order of titles", || {
        records.list(post(), ListQuery { order: by_title.clone(), ..ListQuery::default() }).unwrap()
    });
    median("a rare word", || search.find(&query("罕见")).unwrap());
    median("a word in every post", || search.find(&query("国门先锋")).unwrap());
    median("one character in every post", || search.find(&query("雪")).unwrap());
    median("two words in every post, of a column", || {
        search.find(&SearchQuery { column: Some("style".into()), ..query("国门 大风") }).unwrap()
    });
    search.stop();
    thread.join().unwrap();
}
