//! Questions, each answered from one moment of the database. What comes back is checked as it is
//! read: damage is an error, never a panic.

use super::run_rows::{behind, joined_run, log_row, run_with};
use super::{Fault, Shared, changes, forks, keys, mend, views};
use crate::store::query::{equal, page, prefix_range};
use crate::store::row::view_of;
use crate::store::{
    Change, Counts, Digests, EntryRef, FOUND_MAX, Inspected, ListQuery, ListedRow, Loaded,
    LostBranch, Material, Page, Pending, Place, Reader, Receipt, Refusal, Scanned, SharedKey,
    StoreError, StoredDocument, StoredEntry, StoredLog,
};
use fenbu_protocol::id::{DocId, Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Kind, LogDigest, Opening, Run, StateDigest, Sum, Tip};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A read connection on loan; it goes back to the idle ones when this is dropped.
#[derive(Debug)]
pub(super) struct SqliteReader {
    connection: Option<Connection>,
    shared: Arc<Shared>,
}

impl SqliteReader {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, StoreError> {
        Ok(Self { connection: Some(shared.take()?), shared })
    }

    /// Runs `question` in one read transaction.
    fn ask<T>(
        &self,
        attempt: &'static str,
        question: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // INVARIANT: only `drop` takes the connection.
        let connection = self.connection.as_ref().expect("a reader has a connection");
        let answer = || {
            let tx = connection.unchecked_transaction()?;
            let answer = question(&tx)?;
            tx.commit()?;
            Ok(answer)
        };
        answer().map_err(|fault: Fault| fault.at(&self.shared.path, attempt))
    }
}

impl Drop for SqliteReader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.give_back(connection);
        }
    }
}

impl Reader for SqliteReader {
    fn another(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(Self::open(Arc::clone(&self.shared))?))
    }

    fn run(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Option<Run>, StoreError> {
        self.ask("reading a run", |c| joined_run(c, log, from_seq, bytes_max))
    }

    fn checkpoint(&self, log: LogId, seq: u64) -> Result<u64, StoreError> {
        self.ask("looking for a checkpoint", |c| forks::checkpoint(c, log, seq))
    }

    fn lost(&self) -> Result<Vec<LostBranch>, StoreError> {
        self.ask("listing lost branches", forks::lost)
    }

    fn lost_runs(&self, id: u64) -> Result<Vec<Run>, StoreError> {
        self.ask("reading a lost branch", |c| forks::lost_runs(c, id))
    }

    fn amendments(&self) -> Result<Vec<Pending>, StoreError> {
        self.ask("listing what is to be written anew", forks::amendments)
    }

    fn sound_run(
        &self,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Result<Option<Run>, StoreError> {
        self.ask("reading a run", |c| {
            let run = joined_run(c, log, from_seq, bytes_max)?;
            run.map(|run| mend::sound(c, run)).transpose()
        })
    }

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<StoredEntry>, StoreError> {
        self.ask("reading an entry", |c| {
            let Some((id, tip)) = log_row(c, log)? else { return Ok(None) };
            if !(1..=tip).contains(&seq) {
                return Ok(None);
            }
            let run = run_with(c, id, log, seq)?;
            Ok(run.entries().nth((seq - run.first()) as usize).map(|entry| StoredEntry {
                header: entry.header,
                body: entry.body.map(<[u8]>::to_vec),
            }))
        })
    }

    fn behind(&self, spaces: &[SpaceId], bytes_max: usize) -> Result<Vec<Run>, StoreError> {
        self.ask("reading what is to be materialised", |c| behind(c, spaces, bytes_max))
    }

    fn changes(
        &self,
        after: u64,
        kind: Option<Kind>,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.ask("listing changes", |c| changes::list(c, after, kind, limit))
    }

    fn last_change(&self, kind: Option<Kind>) -> Result<u64, StoreError> {
        self.ask("listing changes", |c| changes::last(c, kind))
    }

    fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError> {
        self.ask("reading a receipt", |c| changes::receipt(c, key))
    }

    fn document(&self, place: Place) -> Result<Option<StoredDocument>, StoreError> {
        self.ask("reading a document", |c| document_of(c, place))
    }

    fn material(&self, places: &[Place]) -> Result<Vec<Material>, StoreError> {
        self.ask("reading documents", |c| {
            let mut any = c.prepare_cached("SELECT EXISTS (SELECT 1 FROM waiting)")?;
            let any: bool = any.query_row([], |row| row.get(0))?;
            let one = |place: &Place| {
                let waiting = if any { waiting_of(c, *place)? } else { Vec::new() };
                Ok(Material { document: document_of(c, *place)?, waiting })
            };
            places.iter().map(one).collect()
        })
    }

    fn documents(
        &self,
        after: Option<Place>,
        bytes_max: usize,
    ) -> Result<Vec<StoredDocument>, StoreError> {
        self.ask("reading documents", |c| {
            let sql = format!(
                "{DOCUMENT} WHERE d.document >= ?1
                 AND (?4 OR (d.document, s.space, d.kind) > (?1, ?2, ?3))
                 ORDER BY d.document, s.space, d.kind"
            );
            let from = after.unwrap_or(FIRST);
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query(params![
                from.document.0,
                from.space.0,
                from.kind.0,
                after.is_none()
            ])?;
            let mut out: Vec<StoredDocument> = Vec::new();
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                let document = stored_document(row)?;
                bytes += document.snapshot.len();
                if bytes > bytes_max && !out.is_empty() {
                    break;
                }
                out.push(document);
            }
            Ok(out)
        })
    }

    fn places(
        &self,
        space: Option<SpaceId>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        self.ask("listing documents", |c| {
            let mut statement = c.prepare_cached(
                "SELECT s.space, d.document, d.kind FROM documents d
                 JOIN spaces s ON s.id = d.space_id
                 WHERE d.document >= ?1 AND (?4 OR (d.document, s.space, d.kind) > (?1, ?2, ?3))
                 AND ifnull(s.space = ?5, 1) AND typeof(d.document) = 'blob'
                 AND length(d.document) = 16
                 AND typeof(d.kind) = 'integer' AND d.kind BETWEEN 0 AND 65535
                 ORDER BY d.document, s.space, d.kind LIMIT ?6",
            )?;
            let from = after.unwrap_or(FIRST);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![
                from.document.0,
                from.space.0,
                from.kind.0,
                after.is_none(),
                space.map(|space| space.0),
                limit
            ])?;
            collect(&mut rows, place)
        })
    }

    fn find_document(&self, kind: Option<Kind>, prefix: &str) -> Result<Vec<Place>, StoreError> {
        let (low, high) = prefix_range(prefix)?;
        self.ask("finding a document", |c| {
            let mut statement = c.prepare_cached(
                "SELECT s.space, d.document, d.kind FROM documents d
                 JOIN spaces s ON s.id = d.space_id
                 WHERE d.document BETWEEN ?1 AND ?2 AND ifnull(d.kind = ?3, 1)
                 ORDER BY d.document, s.space, d.kind LIMIT ?4",
            )?;
            let mut rows =
                statement.query(params![low.0, high.0, kind.map(|k| k.0), FOUND_MAX as i64])?;
            collect(&mut rows, place)
        })
    }

    fn waiting(&self, place: Place) -> Result<Vec<EntryRef>, StoreError> {
        self.ask("reading waiting entries", |c| waiting_of(c, place))
    }

    fn all_waiting(
        &self,
        after: Option<(LogId, u64)>,
        limit: usize,
    ) -> Result<Vec<EntryRef>, StoreError> {
        // No entry has seq 0, so this is before the first.
        let (log, seq) = after.unwrap_or((LogId([0; 32]), 0));
        self.ask("reading waiting entries", |c| {
            let mut statement = c.prepare_cached(
                "SELECT s.space, w.document, w.kind, l.log, w.seq FROM waiting w
                 JOIN logs l ON l.id = w.log_id JOIN spaces s ON s.id = l.space_id
                 WHERE (l.log, w.seq) > (?1, ?2) ORDER BY l.log, w.seq LIMIT ?3",
            )?;
            let (seq, limit) = (i64::try_from(seq), i64::try_from(limit));
            let (seq, limit) = (seq.unwrap_or(i64::MAX), limit.unwrap_or(i64::MAX));
            let mut rows = statement.query(params![log.0, seq, limit])?;
            collect(&mut rows, entry_ref)
        })
    }

    fn refused(&self, limit: usize) -> Result<Vec<Refusal>, StoreError> {
        self.ask("reading refused entries", |c| {
            let mut statement = c.prepare_cached(
                "SELECT s.space, r.document, r.kind, l.log, r.seq, r.code, r.reason FROM refused r
                 JOIN logs l ON l.id = r.log_id JOIN spaces s ON s.id = l.space_id
                 ORDER BY r.id DESC LIMIT ?1",
            )?;
            let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            collect(&mut rows, |row| {
                Ok(Refusal { entry: entry_ref(row)?, code: row.get(5)?, reason: row.get(6)? })
            })
        })
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.ask("counting", |c| {
            let mut statement = c.prepare_cached(
                "SELECT count(*), ifnull(sum(seq), 0), ifnull(sum(body_bytes), 0),
                        ifnull(sum(seq - cursor), 0), (SELECT count(*) FROM documents),
                        (SELECT count(*) FROM waiting), (SELECT count(*) FROM refused) FROM logs",
            )?;
            let mut rows = statement.query([])?;
            let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok(Counts {
                logs: unsigned(row, 0)?,
                entries: unsigned(row, 1)?,
                body_bytes: unsigned(row, 2)?,
                behind: unsigned(row, 3)?,
                documents: unsigned(row, 4)?,
                waiting: unsigned(row, 5)?,
                refused: unsigned(row, 6)?,
            })
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        self.ask("checking the store", |c| {
            // Without comparing every index with its table, which takes minutes where this takes
            // seconds.
            let verdict: String = c.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict == "ok" { Ok(()) } else { Err(Fault::Damaged(verdict)) }
        })
    }

    fn check_all(&self) -> Result<(), StoreError> {
        self.ask("checking the store", |c| {
            let sql = "PRAGMA integrity_check(1)";
            let verdict: String = c.query_row(sql, [], |row| row.get(0))?;
            if verdict == "ok" { Ok(()) } else { Err(Fault::Damaged(verdict)) }
        })
    }

    fn list(&self, kind: Kind, query: &ListQuery) -> Result<Page, StoreError> {
        let view = view_of(&self.shared.views, kind)?;
        let resolved = query.resolve(view)?;
        self.ask("listing records", |c| {
            let rows = views::list(c, view, query.spaces.as_deref(), &resolved)?;
            Ok(page(rows, resolved.limit, resolved.key))
        })
    }

    fn scan(
        &self,
        kind: Kind,
        columns: &[&str],
        spaces: Option<&[SpaceId]>,
    ) -> Result<Vec<Scanned>, StoreError> {
        let view = view_of(&self.shared.views, kind)?;
        let columns = columns.iter().map(|c| view.column(c)).collect::<Result<Vec<_>, _>>()?;
        self.ask("reading figures", |c| views::scan(c, view, &columns, spaces))
    }

    fn in_conflict(&self, kind: Kind, limit: usize) -> Result<Vec<Place>, StoreError> {
        let view = view_of(&self.shared.views, kind)?;
        self.ask("looking for conflicts", |c| views::in_conflict(c, view, limit))
    }

    fn shared_keys(&self, limit: usize) -> Result<Vec<SharedKey>, StoreError> {
        self.ask("looking for conflicts", |c| keys::shared(c, limit))
    }

    fn row(&self, place: Place) -> Result<Option<ListedRow>, StoreError> {
        let view = view_of(&self.shared.views, place.kind)?;
        self.ask("reading a row", |c| views::row(c, view, place))
    }

    fn count(&self, kind: Kind, spaces: Option<&[SpaceId]>) -> Result<u64, StoreError> {
        let view = view_of(&self.shared.views, kind)?;
        self.ask("counting records", |c| views::count(c, view, spaces))
    }

    fn count_by(
        &self,
        kind: Kind,
        column: &str,
        where_is: Option<(&str, &str)>,
        spaces: Option<&[SpaceId]>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let view = view_of(&self.shared.views, kind)?;
        let column = view.column(column)?;
        let is = where_is.map(|(column, value)| equal(view, column, value)).transpose()?;
        self.ask("counting records", |c| views::count_by(c, view, column, is.as_ref(), spaces))
    }

    fn statements(&self, from_epoch: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.ask("reading the directory", |c| statements(c, from_epoch, max))
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask("reading a setting", |c| {
            let mut statement = c.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
            Ok(statement.query_row([name], |row| row.get(0)).optional()?)
        })
    }

    fn acknowledgements(&self) -> Result<Vec<(NodeId, LogId, u64)>, StoreError> {
        self.ask("reading acknowledgements", acknowledgements)
    }

    fn digests(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError> {
        self.ask("reading digests", digests)
    }

    fn level(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError> {
        self.ask("reading digests", |c| {
            let mut level = digests(c)?;
            let mut statement = c.prepare_cached(
                "SELECT space FROM spaces s
                 WHERE EXISTS (SELECT 1 FROM logs l WHERE l.space_id = s.id AND l.cursor < l.seq)",
            )?;
            let mut rows = statement.query([])?;
            for space in collect(&mut rows, |row| Ok(SpaceId(row.get(0)?)))? {
                level.remove(&space);
            }
            Ok(level)
        })
    }

    fn tips(&self) -> Result<BTreeMap<LogId, Tip>, StoreError> {
        self.ask("reading tips", |c| {
            let mut statement =
                c.prepare_cached("SELECT log, seq, hash, body_bytes, epoch FROM logs")?;
            let mut rows = statement.query([])?;
            Ok(collect(&mut rows, |row| Ok((LogId(row.get(0)?), tip(row, 1)?)))?
                .into_iter()
                .collect())
        })
    }

    fn inspect(
        &self,
        log: LogId,
        at: Inspected,
        bytes_max: usize,
    ) -> Result<Inspected, StoreError> {
        self.ask("looking for damage", |c| mend::inspect(c, log, at, bytes_max))
    }

    fn recount(&self, space: SpaceId) -> Result<(StateDigest, StateDigest), StoreError> {
        self.ask("adding up the records", |c| {
            let mut kept = c.prepare_cached("SELECT id, state_sum FROM spaces WHERE space = ?1")?;
            let kept = kept.query_row([space.0], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
            let Some((id, sum)) = kept.optional()? else { return Ok(Default::default()) };
            let mut counted = StateDigest::default();
            let mut statement =
                c.prepare_cached("SELECT document, heads FROM documents WHERE space_id = ?1")?;
            let mut rows = statement.query([id])?;
            while let Some(row) = rows.next()? {
                counted.advance(DocId(row.get(0)?), &[], &heads(blob(row, 1)?)?);
            }
            Ok((StateDigest(Sum::from_hash(&Hash(sum))), counted))
        })
    }

    fn logs(&self, space: SpaceId) -> Result<Vec<StoredLog>, StoreError> {
        self.ask("reading a space's logs", |c| {
            let mut statement = c.prepare_cached(
                "SELECT l.log, l.opening, l.cursor, l.seq, l.hash, l.body_bytes, l.epoch FROM logs l
                 JOIN spaces s ON s.id = l.space_id WHERE s.space = ?1 ORDER BY l.log",
            )?;
            collect(&mut statement.query([space.0])?, stored_log)
        })
    }

    fn log(&self, log: LogId) -> Result<Option<StoredLog>, StoreError> {
        self.ask("reading a log", |c| {
            let mut statement = c.prepare_cached(
                "SELECT log, opening, cursor, seq, hash, body_bytes, epoch FROM logs WHERE log = ?1",
            )?;
            let mut rows = statement.query([log.0])?;
            Ok(collect(&mut rows, stored_log)?.pop())
        })
    }
}

pub(super) fn load(connection: &Connection, views_stale: bool) -> Result<Loaded, Fault> {
    let c = connection.unchecked_transaction()?;
    Ok(Loaded {
        logs: logs(&c)?,
        forks: forks::proofs(&c)?,
        statements: statements(&c, 0, usize::MAX)?,
        acknowledgements: acknowledgements(&c)?,
        digests: digests(&c)?,
        settings: settings(&c)?,
        views_stale,
    })
}

fn logs(c: &Connection) -> Result<Vec<StoredLog>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT log, opening, cursor, seq, hash, body_bytes, epoch FROM logs ORDER BY log",
    )?;
    collect(&mut statement.query([])?, stored_log)
}

fn stored_log(row: &Row<'_>) -> Result<StoredLog, Fault> {
    let log = LogId(row.get(0)?);
    let opening = Opening::from_wire(&row.get(1)?);
    if opening.log() != log {
        return Err(Fault::Damaged(format!("log {log} has another log's opening")));
    }
    Ok(StoredLog { opening, log, cursor: unsigned(row, 2)?, tip: tip(row, 3)? })
}

fn statements(c: &Connection, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let mut statement = c.prepare_cached(
        "SELECT epoch, bytes FROM statements WHERE epoch >= ?1 ORDER BY epoch LIMIT ?2",
    )?;
    let mut rows = statement.query([from, max])?;
    collect(&mut rows, |row| Ok((unsigned(row, 0)?, row.get(1)?)))
}

fn acknowledgements(c: &Connection) -> Result<Vec<(NodeId, LogId, u64)>, Fault> {
    let mut statement =
        c.prepare_cached("SELECT node, log, seq FROM acknowledgements ORDER BY node, log")?;
    let mut rows = statement.query([])?;
    collect(&mut rows, |row| Ok((NodeId(row.get(0)?), LogId(row.get(1)?), unsigned(row, 2)?)))
}

fn digests(c: &Connection) -> Result<BTreeMap<SpaceId, Digests>, Fault> {
    let mut statement = c.prepare_cached("SELECT space, state_sum, log_sum FROM spaces")?;
    let mut rows = statement.query([])?;
    let all = collect(&mut rows, |row| {
        let state = StateDigest(Sum::from_hash(&Hash(row.get(1)?)));
        let log = LogDigest(Sum::from_hash(&Hash(row.get(2)?)));
        Ok((SpaceId(row.get(0)?), Digests { state, log }))
    })?;
    Ok(all.into_iter().collect())
}

fn settings(c: &Connection) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
    let mut statement = c.prepare_cached("SELECT name, value FROM settings")?;
    let mut rows = statement.query([])?;
    Ok(collect(&mut rows, |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect())
}

const DOCUMENT: &str = "SELECT s.space, d.document, d.kind, d.genesis, d.conflicts, d.heads,
    d.snapshot FROM documents d JOIN spaces s ON s.id = d.space_id";

fn document_of(c: &Connection, place: Place) -> Result<Option<StoredDocument>, Fault> {
    let sql = format!("{DOCUMENT} WHERE d.document = ?1 AND s.space = ?2 AND d.kind = ?3");
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params![place.document.0, place.space.0, place.kind.0])?;
    rows.next()?.map(stored_document).transpose()
}

fn waiting_of(c: &Connection, place: Place) -> Result<Vec<EntryRef>, Fault> {
    let mut statement = c.prepare_cached(
        "SELECT s.space, w.document, w.kind, l.log, w.seq FROM waiting w
         JOIN logs l ON l.id = w.log_id JOIN spaces s ON s.id = l.space_id
         WHERE w.document = ?1 AND s.space = ?2 AND w.kind = ?3 ORDER BY l.log, w.seq",
    )?;
    let mut rows = statement.query(params![place.document.0, place.space.0, place.kind.0])?;
    collect(&mut rows, entry_ref)
}

fn stored_document(row: &Row<'_>) -> Result<StoredDocument, Fault> {
    Ok(StoredDocument {
        space: SpaceId(row.get(0)?),
        document: DocId(row.get(1)?),
        kind: Kind(row.get(2)?),
        genesis: row.get(3)?,
        conflicts: row.get(4)?,
        heads: heads(blob(row, 5)?)?,
        snapshot: blob(row, 6)?.into(),
    })
}

/// No place comes before it.
const FIRST: Place = Place { document: DocId([0; 16]), space: SpaceId([0; 16]), kind: Kind(0) };

/// Space, document and kind, in the first three columns.
fn place(row: &Row<'_>) -> Result<Place, Fault> {
    Ok(Place { space: SpaceId(row.get(0)?), document: DocId(row.get(1)?), kind: Kind(row.get(2)?) })
}

fn entry_ref(row: &Row<'_>) -> Result<EntryRef, Fault> {
    Ok(EntryRef { place: place(row)?, log: LogId(row.get(3)?), seq: unsigned(row, 4)? })
}

pub(super) fn collect<T>(
    rows: &mut Rows<'_>,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// A number that was written from an unsigned one.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> Result<u64, Fault> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| Fault::Damaged(format!("{value} where a count should be")))
}

pub(super) fn length(row: &Row<'_>, at: usize) -> Result<usize, Fault> {
    unsigned(row, at).map(|length| length as usize)
}

/// Seq, hash, body bytes and epoch, in four columns from `at`.
pub(super) fn tip(row: &Row<'_>, at: usize) -> Result<Tip, Fault> {
    let hash = Hash(row.get(at + 1)?);
    let (seq, body_bytes) = (unsigned(row, at)?, unsigned(row, at + 2)?);
    // An author may cite any epoch, also one past 2^63; it is kept bit for bit.
    let epoch = row.get::<_, i64>(at + 3)?.cast_unsigned();
    Ok(Tip { seq, hash, body_bytes, epoch })
}

pub(super) fn heads(bytes: &[u8]) -> Result<Vec<[u8; 32]>, Fault> {
    let (heads, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(Fault::Damaged("a document's heads are cut short".into()));
    }
    Ok(heads.to_vec())
}

pub(super) fn blob<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a [u8], Fault> {
    row.get_ref(at)?
        .as_blob()
        .map_err(|e| Fault::Damaged(format!("a value of the wrong type: {e}")))
}
