//! What only a file can suffer: damage, other programs, full and read-only disks, new schemas.

use super::*;
use crate::store::conformance::{Writer, document, views, with_runs};
use crate::store::{Cell, Inspected, ListQuery, Row, RowUpdate, ViewColumn};
use fenbu_protocol::id::{LogId, SpaceId};
use fenbu_protocol::log::{Kind, Run};
use std::fs;

const SPACE: SpaceId = SpaceId([1; 16]);
const POSTS: Kind = Kind(3);

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fenbu.db");
    (folder, path)
}

fn row(status: &str) -> Row {
    let cells =
        vec![Cell::Text(status.into()), Cell::Text("标题".into()), Cell::Int(7), Cell::Null];
    Row { cells, created_ms: 1, updated_ms: 2 }
}

/// A store with a few of everything; returns the log.
fn filled(path: &Path) -> LogId {
    let mut store = SqliteStore::open(path, &views()).unwrap();
    let mut alice = Writer::new(1, SPACE);
    for i in 0..20 {
        let mut batch = with_runs([alice.run(20, 500)]);
        batch.documents = vec![document(SPACE, i, row("draft"))];
        batch.statements = vec![(u64::from(i), vec![i; 40])];
        store.commit(&batch).unwrap();
    }
    alice.log()
}

/// Asks everything; the first error, if any. What matters to the caller: it never panics.
fn read_all(path: &Path, log: LogId) -> Result<(), StoreError> {
    let mut store = SqliteStore::open(path, &views())?;
    store.load()?;
    let r = store.reader()?;
    for seq in [1, 200, 400] {
        r.run(log, seq, usize::MAX)?;
        r.entry(log, seq)?;
    }
    r.behind(&[SPACE], usize::MAX)?;
    r.documents(None, usize::MAX)?;
    r.list(POSTS, &ListQuery::default())?;
    r.count_by(POSTS, "status", None, None)?;
    r.digests()?;
    r.counts()?;
    let alice = Writer::new(1, SPACE).run(401, 1);
    match store.commit(&with_runs([alice])) {
        // Another history than the stored one: refused for what it is.
        Err(StoreError::Inconsistent(_)) => Ok(()),
        other => other,
    }
}

fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupted { .. } | StoreError::NotADatabase { .. })
}

#[test]
fn a_damaged_file_is_an_error_that_says_what_to_do() {
    let (_folder, path) = folder();
    let log = filled(&path);
    read_all(&path, log).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    for (round, at) in (0..whole.len()).step_by(4096).enumerate() {
        let mut damaged = whole.clone();
        for (i, byte) in damaged[at..at + 4096].iter_mut().enumerate() {
            *byte = (i * 31 + round * 17) as u8;
        }
        fs::write(&path, damaged).unwrap();
        if let Err(error) = read_all(&path, log) {
            assert!(is_damage(&error), "page at {at}: {error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            noticed += 1;
        }
        remove_wal(&path);
    }
    assert!(noticed * 4 > whole.len() / 4096, "most pages hold runs and documents");
}

fn remove_wal(path: &Path) {
    for end in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = fs::remove_file(name);
    }
}

#[test]
fn damage_inside_rows_is_found_too() {
    let damages = [
        "UPDATE runs SET bytes = substr(bytes, 1, 100)",
        "UPDATE runs SET bytes = 'text'",
        "UPDATE runs SET bytes = zeroblob(length(bytes))",
        "UPDATE runs SET bytes = (SELECT bytes FROM runs WHERE first = 1) WHERE first > 1",
        "DELETE FROM runs WHERE first = 181",
        "UPDATE runs SET last = -last",
        "UPDATE logs SET seq = -1",
        "UPDATE logs SET hash = x'00'",
        "UPDATE logs SET opening = zeroblob(116)",
        "UPDATE logs SET body_bytes = 1.5",
        "UPDATE documents SET heads = x'0102'",
        "UPDATE documents SET kind = 70000",
        "UPDATE spaces SET state_sum = NULL WHERE 0; UPDATE spaces SET log_sum = 'x'",
        "UPDATE view_posts SET c_status = x'00'",
        "UPDATE view_posts SET document = x'00'",
        "DROP TABLE runs",
    ];
    for damage in damages {
        let (_folder, path) = folder();
        let log = filled(&path);
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let error = read_all(&path, log).expect_err(damage);
        let expected = is_damage(&error) || damage.starts_with("DROP");
        assert!(expected, "{damage}: {error}");
    }
}

#[test]
fn a_torn_write_ahead_log_ends_at_a_commit() {
    let (_folder, path) = folder();
    let mut store = SqliteStore::open(&path, &views()).unwrap();
    let mut alice = Writer::new(1, SPACE);
    for i in 1..=10u8 {
        let mut batch = with_runs([alice.run(3, 2000)]);
        batch.documents = vec![document(SPACE, i, row("draft"))];
        batch.settings = vec![("commits".into(), Some(vec![i]))];
        store.commit(&batch).unwrap();
    }
    let wal = fs::read(path.with_extension("db-wal")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for keep in (0..=wal.len()).step_by(9_001).chain([wal.len()]) {
        let (_other, copy) = folder();
        fs::copy(&path, &copy).unwrap();
        fs::write(copy.with_extension("db-wal"), &wal[..keep]).unwrap();
        let mut torn = SqliteStore::open(&copy, &views()).unwrap();
        let commits = torn.load().unwrap().settings.get("commits").map_or(0, |value| value[0]);
        let counts = torn.reader().unwrap().counts().unwrap();
        assert_eq!((counts.entries, counts.documents), (u64::from(commits) * 3, commits.into()));
        torn.check().unwrap();
        seen.insert(commits);
    }
    assert!(seen.contains(&10) && seen.len() > 5, "{seen:?}");
}

#[test]
fn other_files_are_left_alone() {
    let (_folder, path) = folder();
    let text = "a letter, not a database; ".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path, &views()).unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let theirs = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path, &views()).unwrap_err();
    assert!(error.to_string().contains("another program's"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), theirs);

    let nowhere = path.join("below/a/file");
    let error = SqliteStore::open(&nowhere, &views()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let (_folder, path) = folder();
    filled(&path);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path, &views()).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, known: 2, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_that_cannot_be_written_says_so() {
    let (_folder, path) = folder();
    filled(&path);
    let store = SqliteStore::open(&path, &views()).unwrap();
    store.connection.pragma_update(None, "query_only", true).unwrap();
    let mut store = store;
    let error = store.commit(&with_runs([Writer::new(2, SPACE).run(1, 1)])).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    store.connection.pragma_update(None, "query_only", false).unwrap();
    store.commit(&with_runs([Writer::new(2, SPACE).run(1, 1)])).unwrap();
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = folder();
    filled(&path);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let root = fs::write(folder.path().join("probe"), "").is_ok();
    let opened = SqliteStore::open(&path, &views());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Permissions do not bind root, who must then get a working store.
    match opened {
        Ok(mut store) => {
            assert!(root);
            store.commit(&with_runs([Writer::new(2, SPACE).run(1, 1)])).unwrap();
        }
        Err(error) => {
            assert!(!root);
            assert!(
                matches!(error, StoreError::ReadOnly { .. } | StoreError::Io { .. }),
                "{error}"
            );
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_goes_on() {
    let (_folder, path) = folder();
    let log = filled(&path);
    let mut store = SqliteStore::open(&path, &views()).unwrap();
    let pages: u32 =
        store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.connection.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let before = store.load().unwrap();
    let mut bob = Writer::new(2, SPACE);
    let batch = with_runs((0..10).map(|_| bob.run(100, 500)));
    let error = store.commit(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(store.load().unwrap(), before);
    store.connection.pragma_update(None, "max_page_count", 1 << 20).unwrap();
    store.commit(&batch).unwrap();
    store.check().unwrap();
    let tips = store.reader().unwrap().tips().unwrap();
    assert_eq!((tips[&log].seq, tips[&bob.log()].seq), (400, 1000));
}

#[test]
fn a_lock_held_by_another_program_is_busy() {
    let (_folder, path) = folder();
    filled(&path);
    let mut store = SqliteStore::open(&path, &views()).unwrap();
    store.connection.busy_timeout(Duration::from_millis(1)).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = with_runs([Writer::new(2, SPACE).run(1, 1)]);
    let error = store.commit(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&batch).unwrap();
}

#[test]
fn views_that_changed_are_emptied_and_rebuilt() {
    let (_folder, path) = folder();
    filled(&path);
    let mut changed = views();
    changed[0].columns.push(ViewColumn { name: "unit".into(), integer: false, indexed: true });
    // Twice: a rebuild that was cut short is still owed.
    for _ in 0..2 {
        let mut store = SqliteStore::open(&path, &changed).unwrap();
        assert!(store.load().unwrap().views_stale);
        assert_eq!(store.reader().unwrap().count(POSTS, None).unwrap(), 0);
    }
    let mut store = SqliteStore::open(&path, &changed).unwrap();
    let r = store.reader().unwrap();
    let rows = r.documents(None, usize::MAX).unwrap().into_iter().map(|document| {
        let mut row = row("draft");
        row.cells.push(Cell::Text("hq".into()));
        RowUpdate { place: document.place(), row, conflicts: 1, keys: vec![] }
    });
    let batch = WriteBatch { rows: rows.collect(), views_rebuilt: true, ..Default::default() };
    store.commit(&batch).unwrap();
    assert!(!store.load().unwrap().views_stale);
    assert_eq!(r.count_by(POSTS, "unit", None, None).unwrap()["hq"], 20);
    drop((store, r));
    let mut store = SqliteStore::open(&path, &changed).unwrap();
    assert!(!store.load().unwrap().views_stale);
    drop(store);
    let mut store = SqliteStore::open(&path, &[]).unwrap();
    assert!(store.load().unwrap().views_stale, "a view that went away is a change too");
}

#[test]
fn odd_view_names_are_refused() {
    for name in ["", "1a", "a b", "a\"b", "Größe", "A"] {
        let mut odd = views();
        odd[0].columns[0].name = name.into();
        assert!(SqliteStore::open(":memory:", &odd).is_err(), "{name}");
    }
    let mut twice = views();
    twice.extend(views());
    assert!(SqliteStore::open(":memory:", &twice).is_err());
}

#[test]
fn lists_use_their_indexes() {
    let (_folder, path) = folder();
    filled(&path);
    let store = SqliteStore::open(&path, &views()).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let newest = "ORDER BY updated_ms DESC, document DESC, space DESC LIMIT 51";
    for (condition, index) in [
        ("1", "by_updated"),
        (
            "updated_ms <= 5 AND (updated_ms < 5 OR (document, space) < (x'00', x'00'))",
            "by_updated",
        ),
        ("c_status = 'draft'", "of_status"),
    ] {
        let plan = plan(&format!("SELECT * FROM view_posts WHERE {condition} {newest}"));
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{condition}: {plan}");
    }
    let plan = plan(
        "SELECT l.id FROM logs l JOIN spaces s ON s.id = l.space_id
         WHERE s.space = x'00' AND l.cursor < l.seq",
    );
    assert!(plan.contains("logs_behind"), "{plan}");
}

#[test]
fn conflicts_are_found_without_looking_through_all_records() {
    let (_folder, path) = folder();
    filled(&path);
    let store = SqliteStore::open(&path, &views()).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3));
        let lines = lines.unwrap().map(Result::unwrap);
        lines.collect::<Vec<_>>().join("; ")
    };
    let shared = plan(&super::keys::SHARED.replace("?1", "9"));
    assert!(shared.contains("SEARCH k") && shared.contains("SEARCH d"), "{shared}");
    let own = plan(
        "SELECT document, space FROM view_posts WHERE conflicts > 0
         ORDER BY document, space LIMIT 9",
    );
    assert!(own.contains("in_conflict") && !own.contains("TEMP B-TREE"), "{own}");
    let people = "SELECT * FROM view_people WHERE c_same_as IS NULL ORDER BY updated_ms DESC,
        document DESC, space DESC LIMIT 51";
    let people = plan(people);
    assert!(people.contains("of_same_as") && !people.contains("TEMP B-TREE"), "{people}");
}

#[test]
fn what_is_derived_does_not_wait_for_the_disk_and_what_is_not_does() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(temp.path().join("s.db"), &[]).unwrap();
    let level = |store: &SqliteStore| -> i64 {
        store.connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap()
    };
    const FULL: i64 = 2;
    const NORMAL: i64 = 1;
    let setting =
        WriteBatch { settings: vec![("a".into(), Some(vec![1]))], ..WriteBatch::default() };
    let derived = WriteBatch { views_rebuilt: true, ..WriteBatch::default() };
    for (batch, expected) in
        [(&setting, FULL), (&derived, NORMAL), (&setting, FULL), (&derived, NORMAL)]
    {
        store.commit(batch).unwrap();
        assert_eq!(level(&store), expected);
    }
}

/// With STAT4 compiled in, a join is prepared again at each call unless plans are stable.
#[test]
fn a_statement_is_prepared_once() {
    let (_folder, path) = folder();
    filled(&path);
    let connection = connect(&path, OpenFlags::empty()).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT d.id FROM documents d JOIN spaces s ON s.id = d.space_id
             WHERE d.document = ?1 AND s.space = ?2",
        )
        .unwrap();
    for id in 0..4u8 {
        let _ = statement.query([[id; 16], SPACE.0]).unwrap().next().unwrap();
    }
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

/// Zeros behind the last frame are no frames, whenever the power goes.
#[test]
fn a_lengthened_log_loses_and_invents_nothing() {
    let (_folder, path) = folder();
    let (_other, copy) = folder();
    let mut store = SqliteStore::open(&path, &views()).unwrap();
    let mut alice = Writer::new(1, SPACE);
    for round in 0..3 {
        store.commit(&with_runs([alice.run(20, 500)])).unwrap();
        while round < 2 && store.idle() {}
        for end in ["", "-wal"] {
            let from = format!("{}{end}", path.display());
            fs::copy(from, format!("{}{end}", copy.display())).unwrap();
        }
        let wal = fs::metadata(format!("{}-wal", copy.display())).unwrap().len();
        assert!(wal >= u64::from(CHECKPOINT_PAGES) * 4096, "{wal} bytes");
        let found = SqliteStore::open(&copy, &views()).unwrap();
        let counts = found.reader().unwrap().counts().unwrap();
        assert_eq!(counts.entries, 20 * (round + 1));
        found.check().unwrap();
        drop(found);
        remove_wal(&copy);
    }
    assert!(!store.idle(), "long enough");
}

fn damaged(reader: &dyn Reader, log: LogId, bytes_max: usize) -> Vec<(u64, u64)> {
    let mut at = Inspected::default();
    while !at.done {
        at = reader.inspect(log, at, bytes_max).unwrap();
    }
    at.damaged
}

/// Whatever was done to a run, it is found, and what a peer sends of it takes its place, cut as it may be.
#[test]
fn damaged_runs_are_found_and_replaced_by_what_fits() {
    for damage in [
        "UPDATE runs SET bytes = substr(bytes, 1, 100) WHERE first IN (61, 101)",
        "UPDATE runs SET bytes = zeroblob(length(bytes)) WHERE first IN (61, 101)",
        "DELETE FROM runs WHERE first IN (61, 101)",
        "UPDATE runs SET bytes = (SELECT bytes FROM runs WHERE first = 1) WHERE first IN (61, 101)",
        "UPDATE runs SET last = last - 1 WHERE first IN (61, 101)",
    ] {
        let (_folder, path) = folder();
        let mut store = SqliteStore::open(&path, &views()).unwrap();
        let mut alice = Writer::new(1, SPACE);
        let runs: Vec<_> = (0..10).map(|_| alice.run(20, 500)).collect();
        let log = alice.log();
        store.commit(&with_runs(runs.iter().cloned())).unwrap();
        store.commit(&WriteBatch { cursors: vec![(log, 200)], ..Default::default() }).unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(damaged(reader.as_ref(), log, usize::MAX), [], "{damage}");
        store.connection.execute_batch(damage).unwrap();
        for bytes_max in [1, 30_000, usize::MAX] {
            let found = damaged(reader.as_ref(), log, bytes_max);
            assert_eq!(found, [(61, 80), (101, 120)], "{damage}, {bytes_max} bytes at a time");
        }
        // What is wrong about the row alone does not keep its run from being sent.
        let sound = reader.sound_run(log, 61, 1);
        let named = damage.contains("SET last");
        assert!(named || matches!(sound, Err(StoreError::Corrupted { .. })), "{damage}: {sound:?}");

        // Another history does not fit; nor does what goes on past the end.
        let mut other = Writer::new(1, SPACE);
        let forked: Vec<_> = (0..10).map(|_| other.run(20, 501)).collect();
        let mended = |run: Run| WriteBatch { mended: vec![run], ..Default::default() };
        let misfit = store.commit(&mended(forked[3].0.clone()));
        assert!(matches!(misfit, Err(StoreError::Inconsistent(_))), "{damage}: {misfit:?}");
        let beyond = alice.run(20, 500).0;
        assert!(matches!(store.commit(&mended(beyond)), Err(StoreError::Inconsistent(_))));

        // A peer's runs were joined otherwise: its piece ends within a run of ours.
        let joined = runs[3..5].iter().map(|(run, _)| run.clone());
        let joined = joined.reduce(|a, b| a.joined(&b).unwrap()).unwrap();
        store.commit(&mended(joined)).unwrap();
        assert_eq!(damaged(reader.as_ref(), log, usize::MAX), [(101, 120)], "{damage}");
        store.commit(&mended(runs[5].0.clone())).unwrap();
        assert_eq!(damaged(reader.as_ref(), log, usize::MAX), [], "{damage}");
        assert_eq!(reader.log(log).unwrap().unwrap().cursor, 60, "to be made again from there");
        // Brought once more, within a longer run or alone: there is nothing to do.
        let again = runs[4..6].iter().map(|(run, _)| run.clone());
        let again = again.reduce(|a, b| a.joined(&b).unwrap()).unwrap();
        store.commit(&mended(again)).unwrap();
        store.commit(&mended(runs[3].0.starting_at(65).unwrap())).unwrap();
        let all = reader.sound_run(log, 1, usize::MAX).unwrap().unwrap();
        assert_eq!((all.first(), all.last()), (1, 200));
    }
}

#[test]
fn a_space_is_added_up_again() {
    let (_folder, path) = folder();
    filled(&path);
    let store = SqliteStore::open(&path, &views()).unwrap();
    let reader = store.reader().unwrap();
    let (kept, counted) = reader.recount(SPACE).unwrap();
    assert_eq!(kept, counted);
    store.connection.execute_batch("DELETE FROM documents WHERE id = 3").unwrap();
    let (kept, counted) = reader.recount(SPACE).unwrap();
    assert_ne!(kept, counted);
    assert_eq!(reader.recount(SpaceId([9; 16])).unwrap(), Default::default());
}

#[test]
fn a_log_that_was_begun_anew_is_given_room_again() {
    let (_folder, path) = folder();
    let mut store = SqliteStore::open(&path, &views()).unwrap();
    store.commit(&with_runs([Writer::new(1, SPACE).run(1, 1)])).unwrap();
    let length = || fs::metadata(path.with_file_name("fenbu.db-wal")).unwrap().len();
    while store.idle() {}
    let roomy = length();
    // A nearly full disk is given none: nothing to be seen there.
    if roomy < 1 << 20 {
        return;
    }
    store.suspect = true;
    store.commit(&with_runs([Writer::new(2, SPACE).run(1, 1)])).unwrap();
    assert!(length() < roomy && !store.suspect);
    while store.idle() {}
    assert!(length() + (1 << 20) > roomy, "{} of {roomy}", length());
}
