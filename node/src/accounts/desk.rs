//! What only this node knows of people: who is signed in here, which API tokens it gave out, whose
//! password was wrong how often. None of it is worth a backup; a copy of it opens nothing, since of each
//! secret only a hash is kept.

use fenbu_protocol::id::{DocId, Hash, hex};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Signed out after so long without a request.
const IDLE_MS: u64 = 12 * 60 * 60 * 1000;
/// Signed out after so long in any case.
const SESSION_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Wrong passwords before a login waits.
const FAILURES_MAX: u32 = 5;
/// Longest wait.
const LOCK_MINUTES_MAX: u64 = 60;
/// Failures are forgotten after a day.
const FAILURE_MS: u64 = 24 * 60 * 60 * 1000;
/// Logins whose failures are kept: inventing logins must not fill the disk.
const FAILURES_KEPT: u32 = 10_000;
pub const TOKEN_DAYS_MAX: u32 = 366;
const TOKENS_MAX: i64 = 20;
const TOKEN_NAME_BYTES_MAX: usize = 100;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS sessions (
    secret BLOB PRIMARY KEY, account BLOB NOT NULL, origin TEXT NOT NULL,
    begun_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    number INTEGER PRIMARY KEY, secret BLOB NOT NULL UNIQUE, account BLOB NOT NULL, name TEXT NOT NULL,
    made_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, seen_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS failures (
    login TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Why sessions cannot be kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeskError {
    #[error(
        "the database of sessions, {path}: {why}; sessions are lost if it is removed, nothing else"
    )]
    Database { path: String, why: String },
    #[error(
        "a token has a name of at most {TOKEN_NAME_BYTES_MAX} bytes, and is good for 1 to {TOKEN_DAYS_MAX} days"
    )]
    Token,
    #[error("an account has at most {TOKENS_MAX} tokens; end one that is not used any more")]
    Tokens,
}

/// Somebody signed in, as their list of sessions shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub origin: String,
    pub begun_ms: u64,
    pub seen_ms: u64,
}

/// An API token, as its owner's list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub number: i64,
    pub name: String,
    pub made_ms: u64,
    pub until_ms: u64,
    pub seen_ms: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Desk {
    path: Arc<str>,
    database: Arc<Mutex<Connection>>,
}

/// A secret nobody guesses, as text.
fn secret() -> String {
    let mut bytes = [0; 32];
    // INVARIANT: without the system's randomness no key could have been made either.
    getrandom::fill(&mut bytes).expect("the system has randomness");
    hex(&bytes)
}

fn kept(secret: &str) -> [u8; 32] {
    Hash::of("fenbu/desk-secret/1", &[secret.as_bytes()]).0
}

impl Desk {
    /// Opens the database in a node's folder, or makes it.
    pub fn open(folder: &Path) -> Result<Self, DeskError> {
        let path = folder.join("desk.db");
        let shown: Arc<str> = path.display().to_string().into();
        let open = || {
            let database = Connection::open(&path)?;
            database.pragma_update(None, "journal_mode", "WAL")?;
            database.pragma_update(None, "synchronous", "NORMAL")?;
            database.execute_batch(TABLES)?;
            Ok::<_, rusqlite::Error>(database)
        };
        let database = open()
            .map_err(|e| DeskError::Database { path: shown.to_string(), why: e.to_string() })?;
        Ok(Self { path: shown, database: Arc::new(Mutex::new(database)) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed_because(&self, error: rusqlite::Error) -> DeskError {
        DeskError::Database { path: self.path.to_string(), why: error.to_string() }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DeskError> {
        work(&self.lock()).map_err(|error| self.failed_because(error))
    }

    /// Begins a session and returns its secret.
    pub(super) fn begin(
        &self,
        account: DocId,
        origin: &str,
        now_ms: u64,
    ) -> Result<String, DeskError> {
        let secret = secret();
        let now = now_ms.cast_signed();
        self.with(|db| {
            db.execute(
                "DELETE FROM sessions WHERE seen_ms < ?1 OR begun_ms < ?2",
                params![now - IDLE_MS.cast_signed(), now - SESSION_MS.cast_signed()],
            )?;
            db.execute(
                "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?4)",
                params![kept(&secret), account.0, origin, now],
            )
        })?;
        Ok(secret)
    }

    /// Whose session a secret belongs to, while it lasts.
    pub(super) fn session(&self, secret: &str, now_ms: u64) -> Result<Option<DocId>, DeskError> {
        let key = kept(secret);
        self.with(|db| {
            let found = db
                .prepare_cached(
                    "SELECT account, begun_ms, seen_ms FROM sessions WHERE secret = ?1",
                )?
                .query_row([key], |row| {
                    Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                })
                .optional()?;
            let Some((account, begun, seen)) = found else { return Ok(None) };
            let since = |then: i64| now_ms.saturating_sub(then.max(0).unsigned_abs());
            if since(begun) > SESSION_MS || since(seen) > IDLE_MS {
                db.execute("DELETE FROM sessions WHERE secret = ?1", [key])?;
                return Ok(None);
            }
            // Not a write for every click.
            if since(seen) > 60_000 {
                db.execute(
                    "UPDATE sessions SET seen_ms = ?2 WHERE secret = ?1",
                    params![key, now_ms.cast_signed()],
                )?;
            }
            Ok(Some(DocId(account)))
        })
    }

    pub(super) fn end(&self, secret: &str) -> Result<(), DeskError> {
        self.with(|db| db.execute("DELETE FROM sessions WHERE secret = ?1", [kept(secret)]))?;
        Ok(())
    }

    /// Signs an account out everywhere on this node.
    pub(super) fn end_all(&self, account: DocId) -> Result<(), DeskError> {
        self.with(|db| db.execute("DELETE FROM sessions WHERE account = ?1", [account.0]))?;
        Ok(())
    }

    pub fn sessions(&self, account: DocId) -> Result<Vec<Session>, DeskError> {
        self.with(|db| {
            db.prepare_cached(
                "SELECT origin, begun_ms, seen_ms FROM sessions WHERE account = ?1 ORDER BY seen_ms DESC",
            )?
            .query_map([account.0], |row| {
                Ok(Session {
                    origin: row.get(0)?,
                    begun_ms: row.get::<_, i64>(1)?.max(0).unsigned_abs(),
                    seen_ms: row.get::<_, i64>(2)?.max(0).unsigned_abs(),
                })
            })?
            .collect()
        })
    }

    pub(super) fn make_token(
        &self,
        account: DocId,
        name: &str,
        days: u32,
        now_ms: u64,
    ) -> Result<String, DeskError> {
        let named = !name.trim().is_empty() && name.len() <= TOKEN_NAME_BYTES_MAX;
        if !named || !(1..=TOKEN_DAYS_MAX).contains(&days) {
            return Err(DeskError::Token);
        }
        let secret = secret();
        let until_ms = now_ms + u64::from(days) * 24 * 60 * 60 * 1000;
        let made = self.with(|db| {
            db.execute("DELETE FROM tokens WHERE until_ms < ?1", [now_ms.cast_signed()])?;
            db.execute(
                "INSERT INTO tokens (secret, account, name, made_ms, until_ms)
                 SELECT ?1, ?2, ?3, ?4, ?5
                 WHERE (SELECT count(*) FROM tokens WHERE account = ?2) < ?6",
                params![
                    kept(&secret),
                    account.0,
                    name.trim(),
                    now_ms.cast_signed(),
                    until_ms.cast_signed(),
                    TOKENS_MAX
                ],
            )
        })?;
        if made == 0 { Err(DeskError::Tokens) } else { Ok(secret) }
    }

    pub(super) fn token(&self, secret: &str, now_ms: u64) -> Result<Option<DocId>, DeskError> {
        let now = now_ms.cast_signed();
        self.with(|db| {
            let found = db
                .prepare_cached(
                    "SELECT number, account, ifnull(seen_ms, 0) FROM tokens
                     WHERE secret = ?1 AND until_ms > ?2",
                )?
                .query_row(params![kept(secret), now], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, i64>(2)?))
                })
                .optional()?;
            let Some((number, account, seen)) = found else { return Ok(None) };
            if now - seen > 60_000 {
                db.execute("UPDATE tokens SET seen_ms = ?2 WHERE number = ?1", [number, now])?;
            }
            Ok(Some(DocId(account)))
        })
    }

    pub fn tokens(&self, account: DocId) -> Result<Vec<Token>, DeskError> {
        let ms = |value: i64| value.max(0).unsigned_abs();
        self.with(|db| {
            db.prepare_cached(
                "SELECT number, name, made_ms, until_ms, seen_ms FROM tokens
                 WHERE account = ?1 ORDER BY number",
            )?
            .query_map([account.0], |row| {
                Ok(Token {
                    number: row.get(0)?,
                    name: row.get(1)?,
                    made_ms: ms(row.get(2)?),
                    until_ms: ms(row.get(3)?),
                    seen_ms: row.get::<_, Option<i64>>(4)?.map(ms),
                })
            })?
            .collect()
        })
    }

    pub(super) fn end_token(&self, account: DocId, number: i64) -> Result<(), DeskError> {
        self.with(|db| {
            db.execute(
                "DELETE FROM tokens WHERE account = ?1 AND number = ?2",
                params![account.0, number],
            )
        })?;
        Ok(())
    }

    /// For how many more minutes a login waits.
    pub(super) fn locked_minutes(
        &self,
        login: &str,
        now_ms: u64,
    ) -> Result<Option<u64>, DeskError> {
        let found = self.with(|db| {
            db.prepare_cached("SELECT count, last_ms FROM failures WHERE login = ?1")?
                .query_row([login], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        })?;
        let Some((count, last)) = found else { return Ok(None) };
        let until_ms = last.max(0).unsigned_abs() + wait_minutes(count) * 60_000;
        Ok((until_ms > now_ms).then(|| (until_ms - now_ms).div_ceil(60_000)))
    }

    /// Counts a wrong password; `true` if the login begins to wait.
    pub(super) fn failed(&self, login: &str, now_ms: u64) -> Result<bool, DeskError> {
        let now = now_ms.cast_signed();
        let count: u32 = self.with(|db| {
            db.execute(
                "DELETE FROM failures WHERE last_ms < ?1",
                [now - FAILURE_MS.cast_signed()],
            )?;
            db.execute(
                "DELETE FROM failures WHERE login IN
                 (SELECT login FROM failures ORDER BY last_ms DESC LIMIT -1 OFFSET ?1)",
                [FAILURES_KEPT],
            )?;
            db.query_row(
                "INSERT INTO failures VALUES (?1, 1, ?2)
                 ON CONFLICT (login) DO UPDATE SET count = count + 1, last_ms = ?2
                 RETURNING count",
                params![login, now],
                |row| row.get(0),
            )
        })?;
        Ok(wait_minutes(count) > 0)
    }

    pub(super) fn succeeded(&self, login: &str) -> Result<(), DeskError> {
        self.with(|db| db.execute("DELETE FROM failures WHERE login = ?1", [login]))?;
        Ok(())
    }
}

/// None for the first few, then 1, 2, 4 … minutes.
fn wait_minutes(failures: u32) -> u64 {
    match failures.checked_sub(FAILURES_MAX) {
        None => 0,
        Some(more) => (1u64 << more.min(6)).min(LOCK_MINUTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: DocId = DocId([1; 16]);
    const MINUTE: u64 = 60_000;

    fn desk() -> (tempfile::TempDir, Desk) {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(folder.path()).unwrap();
        (folder, desk)
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_no_longer_than_a_week() {
        let (_folder, desk) = desk();
        let secret = desk.begin(ALICE, "here", 0).unwrap();
        let mut now = 0;
        while now < SESSION_MS - IDLE_MS {
            now += IDLE_MS - MINUTE;
            assert_eq!(desk.session(&secret, now).unwrap(), Some(ALICE), "{now}");
        }
        assert_eq!(desk.session(&secret, SESSION_MS + 1).unwrap(), None);
        let idle = desk.begin(ALICE, "here", 0).unwrap();
        assert_eq!(desk.session(&idle, IDLE_MS + 1).unwrap(), None);
        assert_eq!(desk.session("guess", 1).unwrap(), None);
        let other = desk.begin(ALICE, "here", 0).unwrap();
        desk.end_all(ALICE).unwrap();
        assert_eq!(desk.session(&other, 1).unwrap(), None);
    }

    #[test]
    fn nothing_on_disk_is_a_secret() {
        let (folder, desk) = desk();
        let secrets =
            [desk.begin(ALICE, "here", 0).unwrap(), desk.make_token(ALICE, "t", 1, 0).unwrap()];
        drop(desk);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for secret in &secrets {
                assert!(!bytes.windows(64).any(|w| w == secret.as_bytes()));
            }
        }
    }

    #[test]
    fn wrong_passwords_make_a_login_wait_longer_and_longer() {
        let (_folder, desk) = desk();
        for _ in 1..FAILURES_MAX {
            assert!(!desk.failed("alice", 0).unwrap());
        }
        assert_eq!(desk.locked_minutes("alice", 0).unwrap(), None);
        let mut waits = Vec::new();
        let mut now = 0;
        for _ in 0..8 {
            assert!(desk.failed("alice", now).unwrap());
            let wait = desk.locked_minutes("alice", now).unwrap().unwrap();
            waits.push(wait);
            now += wait * MINUTE;
            assert_eq!(desk.locked_minutes("alice", now).unwrap(), None);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(desk.locked_minutes("bob", now).unwrap(), None);
        desk.succeeded("alice").unwrap();
        assert!(!desk.failed("alice", now).unwrap());
    }

    #[test]
    fn tokens_are_bounded_end_by_themselves_and_by_their_owner() {
        let (_folder, desk) = desk();
        let day = 24 * 60 * MINUTE;
        let secret = desk.make_token(ALICE, "site", 2, 0).unwrap();
        assert_eq!(desk.token(&secret, day).unwrap(), Some(ALICE));
        assert_eq!(desk.tokens(ALICE).unwrap()[0].seen_ms, Some(day));
        assert_eq!(desk.token(&secret, 2 * day).unwrap(), None);
        for _ in 0..TOKENS_MAX {
            desk.make_token(ALICE, "more", 9, 3 * day).unwrap();
        }
        assert!(matches!(desk.make_token(ALICE, "more", 9, 3 * day), Err(DeskError::Tokens)));
        let first = desk.tokens(ALICE).unwrap()[0].number;
        desk.end_token(DocId([2; 16]), first).unwrap();
        assert_eq!(desk.tokens(ALICE).unwrap().len() as i64, TOKENS_MAX, "nobody else's");
        desk.end_token(ALICE, first).unwrap();
        desk.make_token(ALICE, "more", 9, 3 * day).unwrap();
        assert!(matches!(desk.make_token(ALICE, "x", 367, 0), Err(DeskError::Token)));
    }
}
