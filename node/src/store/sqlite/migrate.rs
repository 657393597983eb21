//! Numbered SQL on `PRAGMA user_version`, each in one transaction. A migration that was released is
//! never changed; what comes next is a new number.

use super::Fault;
use rusqlite::{Connection, TransactionBehavior};

const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_changes.sql"),
];

/// "fenb", so that other programs' databases are told from ours.
const APPLICATION_ID: i32 = 0x6665_6e62;

/// Refuses files that are not ours to write, before anything is written.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let found = version(connection)?;
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let empty = found == 0 && tables == 0;
    if application != APPLICATION_ID && !empty {
        return Err(Fault::NotAStore("it is another program's SQLite database"));
    }
    let known = MIGRATIONS.len() as u32;
    if found > known {
        return Err(Fault::NewerSchema { found, known });
    }
    Ok(())
}

/// Applies what is missing.
pub(super) fn run(connection: &mut Connection) -> Result<(), Fault> {
    let found = version(connection)? as usize;
    for (i, sql) in MIGRATIONS.iter().enumerate().skip(found) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", i as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<u32, Fault> {
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // Negative numbers never were ours: treat them as the far future.
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}
