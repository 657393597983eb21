//! What is put back is what was there; what is no backup is not put back.

use super::*;
use crate::continuity::Incarnation;
use crate::setup::{InitOptions, init};
use std::os::unix::fs::PermissionsExt;

fn node(home: &Path) -> PathBuf {
    let dir = home.join("node");
    let advertise = vec!["127.0.0.1:7".into()];
    let options =
        InitOptions {
            dir: dir.clone(), name: "南京".into(), advertise, ..InitOptions::default()
        };
    init(&options).unwrap();
    dir
}

#[test]
fn a_restored_node_has_its_keys_and_settings_and_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let (dir, file, again) =
        (node(home.path()), home.path().join("backup"), home.path().join("again"));
    let report = backup(&dir, &file).unwrap();
    assert!(report.root_key && report.bytes > 0);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it holds keys");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "no journal is left beside it");
    assert_eq!(restore(&file, &again).unwrap(), report);
    for name in FILES {
        assert_eq!(
            fs::read(dir.join(name)).unwrap(),
            fs::read(again.join(name)).unwrap(),
            "{name}"
        );
    }
    let folder = Folder::open(&again).unwrap();
    let mut store = SqliteStore::open(folder.database(), &crate::views::specs()).unwrap();
    let loaded = store.load().unwrap();
    let (begun, _) = crate::continuity::resume(&folder, &mut store, &loaded, &report.node).unwrap();
    assert_ne!(begun, Incarnation::default());
}

#[test]
fn nothing_is_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let (dir, file) = (node(home.path()), home.path().join("backup"));
    fs::write(&file, "precious").unwrap();
    assert!(matches!(backup(&dir, &file), Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    fs::remove_file(&file).unwrap();
    backup(&dir, &file).unwrap();
    assert!(matches!(restore(&file, &dir), Err(BackupError::Folder(FolderError::Taken(_)))));
}

#[test]
fn a_damaged_backup_makes_no_folder() {
    let home = tempfile::tempdir().unwrap();
    let (dir, file, again) =
        (node(home.path()), home.path().join("backup"), home.path().join("again"));
    assert!(matches!(restore(&file, &again), Err(BackupError::NoFile(_))));
    backup(&dir, &file).unwrap();
    let whole = fs::read(&file).unwrap();
    for damaged in [&b"not a database"[..], &whole[..whole.len() / 2], &[]] {
        fs::write(&file, damaged).unwrap();
        let refused = restore(&file, &again).unwrap_err();
        assert!(matches!(refused, BackupError::Unusable { .. }), "{refused}");
        assert!(!again.exists());
    }
    // A node's own database has no keys beside it in the file.
    let refused = restore(&dir.join("fenbu.db"), &again).unwrap_err();
    assert!(matches!(refused, BackupError::Unusable { .. }), "{refused}");
}
