//! Copies of the database as of one moment, and the files that travel in one: for backups.

use super::{Fault, SqliteStore, connect, migrate, read};
use crate::store::StoreError;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

const WRITING: &str = "writing a backup";
const READING: &str = "reading a backup";

/// What is in a copy.
#[derive(Debug)]
pub(crate) struct Examined {
    pub statements: Vec<(u64, Vec<u8>)>,
    pub entries: u64,
    pub documents: u64,
    /// Names and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

impl SqliteStore {
    /// Copies the database at `from`, which may be in use, into `to`: an empty file, or none.
    pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        let copied = || -> Result<(), Fault> {
            let connection = connect(from, OpenFlags::empty())?;
            migrate::check(&connection)?;
            let Some(target) = to.to_str() else {
                return Err(Fault::Damaged("the path of the copy is not UTF-8".into()));
            };
            connection.execute("VACUUM INTO ?1", [target])?;
            Ok(())
        };
        copied().map_err(|fault| fault.at(to, WRITING))
    }

    /// Adds files to a copy.
    pub(crate) fn put_files(copy: &Path, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        change(copy, |connection| {
            connection.execute_batch(
                "CREATE TABLE files (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID",
            )?;
            for (name, bytes) in files {
                connection.execute("INSERT INTO files VALUES (?1, ?2)", params![name, bytes])?;
            }
            Ok(())
        })
    }

    pub(crate) fn drop_files(copy: &Path) -> Result<(), StoreError> {
        change(copy, |connection| connection.execute_batch("DROP TABLE files; VACUUM"))
    }

    /// Takes a setting out of a copy.
    pub(crate) fn forget_setting(copy: &Path, name: &str) -> Result<(), StoreError> {
        change(copy, |connection| {
            connection.execute("DELETE FROM settings WHERE name = ?1", [name]).map(drop)
        })
    }

    /// Reads all of a copy that nobody uses.
    pub(crate) fn examine_copy(copy: &Path) -> Result<Examined, StoreError> {
        let examined = || -> Result<Examined, Fault> {
            let connection = connect(copy, OpenFlags::empty())?;
            migrate::check(&connection)?;
            let verdict: String =
                connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                return Err(Fault::Damaged(verdict));
            }
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let files = connection
                .prepare("SELECT name, bytes FROM files ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            Ok(Examined {
                statements: read::load(&connection, false)?.statements,
                entries: count("SELECT coalesce(sum(seq), 0) FROM logs")? as u64,
                documents: count("SELECT count(*) FROM documents")? as u64,
                files,
            })
        };
        examined().map_err(|fault| fault.at(copy, READING))
    }
}

fn change(
    copy: &Path,
    work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let changed = || -> Result<(), Fault> {
        let connection = connect(copy, OpenFlags::empty())?;
        // Nobody else uses a copy, and one that is cut short is thrown away: no journal beside it.
        connection.pragma_update(None, "journal_mode", "off")?;
        Ok(work(&connection)?)
    };
    changed().map_err(|fault| fault.at(copy, WRITING))
}
