//! Starts on the same disk, on an older one, on a copy, and after a crash in between.

use super::*;
use crate::store::MemoryStore;
use crate::testing;

struct Disk {
    _home: tempfile::TempDir,
    folder: Folder,
    store: MemoryStore,
}

impl Disk {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::create(&home.path().join("node")).unwrap();
        let mut store = MemoryStore::new(&crate::views::specs()).unwrap();
        begin(&folder, &mut store).unwrap();
        Self { _home: home, folder, store }
    }

    fn start(&mut self) -> Incarnation {
        let loaded = self.store.load().unwrap();
        let me = NodeId(testing::key().verifying_key().to_bytes());
        let (found, _) = resume(&self.folder, &mut self.store, &loaded, &me).unwrap();
        let reader = self.store.reader().unwrap();
        assert_eq!(Incarnation::stored(reader.as_ref()).unwrap(), found, "and it is durable");
        found
    }
}

#[test]
fn a_node_goes_on_as_it_was_on_its_own_disk() {
    let mut disk = Disk::new();
    for _ in 0..3 {
        assert_eq!(disk.start(), Incarnation::default());
    }
}

#[test]
fn a_restored_database_begins_anew_and_stays_so() {
    let mut disk = Disk::new();
    disk.start();
    let backup = disk.store.clone();
    disk.start();
    disk.store = backup.clone();
    let first = disk.start();
    assert!(first.number > 0);
    assert_eq!(first.began.unwrap().1, Why::OtherDisk);
    assert_eq!(disk.start(), first, "the next start is on the same disk");
    // Once more from the same backup, which knows nothing of the first time.
    disk.store = backup;
    assert_ne!(disk.start().number, first.number);
}

/// The nonce is the right one: the database lost its end since this very start.
#[test]
fn a_database_behind_what_was_written_begins_anew() {
    let mut disk = Disk::new();
    disk.start();
    let loaded = disk.store.load().unwrap();
    let me = NodeId(testing::key().verifying_key().to_bytes());
    let (_, written) = resume(&disk.folder, &mut disk.store, &loaded, &me).unwrap();
    written.note(Extent { incarnation: 0, entries: 1 });
    let found = disk.start();
    assert_eq!(found.began.unwrap().1, Why::Older);
    assert_eq!(disk.start(), found, "noted anew, with what is there");
    // It had begun another incarnation, and forgot.
    let (written, _) = Mark::open(&disk.folder).unwrap();
    written.note(Extent { incarnation: found.number + 9, entries: 0 });
    assert!(disk.start().number > found.number + 9);
    // A file that is not there, or not ours, proves nothing.
    let now = disk.start();
    for text in ["", "torn", "00"] {
        disk.folder.write("written", text).unwrap();
        assert_eq!(disk.start(), now);
    }
}

#[test]
fn a_copy_without_the_file_begins_anew() {
    let mut disk = Disk::new();
    disk.start();
    std::fs::remove_file(disk.folder.path().join("continuity")).unwrap();
    assert!(disk.start().number > 0);
    disk.folder.write("continuity", "torn").unwrap();
    assert!(disk.start().number > 1);
}

#[test]
fn a_crash_between_the_two_writes_is_no_other_disk() {
    let mut disk = Disk::new();
    let before = disk.folder.continuity().unwrap().unwrap();
    for _ in 0..2 {
        disk.start();
        // The database has the new nonce, the file is as it was: once, and at the next start again.
        disk.folder.write_continuity(&before).unwrap();
    }
    assert_eq!(disk.start(), Incarnation::default());
    assert_ne!(disk.folder.continuity().unwrap().unwrap(), before);
}

#[test]
fn a_disk_that_refuses_holds_up_only_a_node_that_must_begin_anew() {
    let mut disk = Disk::new();
    let full = || StoreError::Full { path: "disk".into() };
    disk.store.fail_next_commit(full());
    assert_eq!(disk.start(), Incarnation::default());
    assert_eq!(disk.start(), Incarnation::default());
    std::fs::remove_file(disk.folder.path().join("continuity")).unwrap();
    disk.store.fail_next_commit(full());
    let loaded = disk.store.load().unwrap();
    let me = NodeId(testing::key().verifying_key().to_bytes());
    let refused = resume(&disk.folder, &mut disk.store, &loaded, &me).unwrap_err();
    assert!(matches!(refused, ContinuityError::Store(StoreError::Full { .. })), "{refused}");
    assert!(disk.start().number > 0, "and once there is room");
}
