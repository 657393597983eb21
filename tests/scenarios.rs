//! Scripted stories over the real engine, with what followed each command recorded.
//!
//! A story is `scenarios/NAME.txt`; the verbs are in `fenbu_tests::sim::scenario`, and
//! `scenarios/verbs.txt` shows each. A story whose trace has changed fails and says how to accept it.

use fenbu_tests::sim::scenario::{Script, VERBS, play};
use std::collections::BTreeSet;
use std::path::PathBuf;

macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        /// Every story in the folder; each is a test.
        const STORIES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

stories! {
    a_batch_overtakes_its_space,
    a_body_comes_before_its_key,
    a_crash_between_persist_and_send,
    a_disk_refuses_and_recovers,
    a_joiner_asks_each_range_once,
    a_later_batch_overtakes_the_first,
    a_log_is_forked,
    a_newcomer_is_admitted,
    a_restored_backup_begins_anew,
    a_stalled_range_moves,
    a_third_party_carries,
    a_wrong_record_is_found_and_made_again,
    meeting_again_with_nothing_new,
    pushes_are_pruned,
    simultaneous_dials_keep_one_link,
    two_edit_one_record_apart,
    verbs,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Plays a story and compares. With `FENBU_ACCEPT=1` it writes down what happened instead.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let told = std::fs::read_to_string(&path).expect("the story's file");
    let script = Script::parse(&told).unwrap_or_else(|e| panic!("{name}.txt {e}"));
    let happened = play(&script).unwrap_or_else(|e| panic!("{name}.txt {e}"));
    if happened.to_string() == told {
        return;
    }
    if std::env::var_os("FENBU_ACCEPT").is_some() {
        return std::fs::write(&path, happened.to_string()).expect("the story's file");
    }
    let difference = script.difference(&happened).unwrap_or_else(|| "only white space".into());
    panic!(
        "scenarios/{name}.txt, {difference}\nIf this is what should happen, read the change and \
         accept it:\n  FENBU_ACCEPT=1 cargo test -p fenbu-tests scenarios::{name} && git diff tests/scenarios"
    );
}

#[test]
fn no_story_is_forgotten() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder of the stories")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let stories: BTreeSet<String> = STORIES.iter().map(|name| format!("{name}.txt")).collect();
    assert_eq!(files, stories, "each file is a story of the list above, and the other way round");
}

#[test]
fn every_verb_is_shown() {
    let told = std::fs::read_to_string(folder().join("verbs.txt")).expect("the story's file");
    let script = Script::parse(&told).expect("a story");
    let shown: BTreeSet<&str> = script.verbs().collect();
    assert_eq!(shown, BTreeSet::from(VERBS));
}
