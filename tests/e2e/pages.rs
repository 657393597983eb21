//! The manual pages in `tests/cli`, each run as it reads.

use super::{FENBU, fail};
use fenbu_tests::cluster::page;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGES: [&str; 10] = [
    "conflicts",
    "following-changes",
    "getting-started",
    "import-export",
    "joining-by-files",
    "personal-data",
    "reports",
    "spaces-and-root-key",
    "status-and-doctor",
    "temporary-branches",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli")
}

fn perform(name: &str) {
    if let Err(error) = page::run(Path::new(FENBU), &folder().join(format!("{name}.md"))) {
        fail(&error);
    }
}

#[test]
fn conflicts() {
    perform("conflicts");
}

#[test]
fn following_changes() {
    perform("following-changes");
}

#[test]
fn getting_started() {
    perform("getting-started");
}

#[test]
fn import_export() {
    perform("import-export");
}

#[test]
fn personal_data() {
    perform("personal-data");
}

#[test]
fn reports() {
    perform("reports");
}

#[test]
fn status_and_doctor() {
    perform("status-and-doctor");
}

#[test]
fn joining_by_files() {
    perform("joining-by-files");
}

#[test]
fn spaces_and_root_key() {
    perform("spaces-and-root-key");
}

#[test]
fn temporary_branches() {
    perform("temporary-branches");
}

#[test]
fn no_page_is_forgotten() {
    let found: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the pages are in tests/cli")
        .map(|entry| entry.expect("a page can be listed").file_name().to_string_lossy().into())
        .collect();
    let known = PAGES.iter().map(|name| format!("{name}.md")).collect();
    assert_eq!(found, known, "a page without a test, or a test without its page");
}
