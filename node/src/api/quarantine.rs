//! Work a person should look at: what does not count although its author had the right, and what counts
//! only because others built on it.

use super::forks::lost_items;
use super::records::parse;
use super::{Problem, blocking};
use crate::daemon::Daemon;
use crate::ledger::Ledger;
use crate::making::{hash_at, place_of};
use crate::shared::Shared;
use crate::store::{EntryRef, Reader, StoreError, StoredLog};
use crate::words::Lang;
use crate::writer::{Command, Stopping};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::{Directory, Excess, Quota, Standing};
use fenbu_protocol::id::{LogId, NodeId};
use fenbu_protocol::log::Header;
use fenbu_protocol::record::schema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

type Node = State<Arc<Daemon>>;

/// Entries shown; a person who has dealt with these asks again.
const SHOWN_MAX: usize = 1000;
/// Waiting entries read at a time.
const PAGE: usize = 4096;
/// Bytes of runs read at a time.
const READ_BYTES: usize = 4 << 20;

/// Why an entry is not like others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    PastCut,
    Over(Excess, Quota),
}

impl Why {
    fn code(self) -> &'static str {
        match self {
            Self::PastCut => "past-cut",
            Self::Over(..) => "over-limit",
        }
    }

    fn reason(self) -> String {
        let Self::Over(excess, quota) = self else {
            return "it is past where its author's log was cut when the right to write was taken"
                .into();
        };
        let limit = excess.of(&quota);
        match excess {
            Excess::Entries => format!(
                "its author has more entries in this space than one author may have, {limit}"
            ),
            Excess::Bytes => format!(
                "its author has larger entries in this space than one author may have, {limit} bytes"
            ),
            Excess::Documents => format!(
                "its author has written to more records in this space than one author may, {limit}"
            ),
        }
    }
}

#[derive(Debug)]
struct Item {
    entry: EntryRef,
    author: NodeId,
    /// When it was written, by its author's clock.
    time_ms: u64,
    why: Why,
    /// It counts all the same: somebody within his rights built on it.
    counts: bool,
    reviewed: bool,
}

pub(super) async fn list(State(daemon): Node, lang: Lang) -> Result<Json<Value>, Problem> {
    let shared = daemon.records.shared.clone();
    let items = blocking(move || {
        let directory = shared.directory.now();
        let items = items(&shared, &directory)?;
        let told = items.iter().map(|item| told(&directory, item, lang));
        let mut told: Vec<Value> = told.collect();
        told.extend(shared.readers.with(|r| lost_items(r, &directory, SHOWN_MAX, lang))?);
        Ok::<_, StoreError>(told)
    });
    Ok(Json(json!({ "schema": "fenbu.quarantine/1", "items": items.await?? })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    /// The beginning of a record's id.
    id: String,
}

/// Somebody has looked at what counts of a record because others built on it.
pub(super) async fn reviewed(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Reviewed = parse(&body)?;
    let shared = daemon.records.shared.clone();
    let items = blocking(move || items(&shared, &shared.directory.now())).await??;
    let prefix = asked.id.to_ascii_lowercase();
    let meant = |item: &&Item| {
        let id = item.entry.place.document.to_string();
        item.counts && !prefix.is_empty() && id.starts_with(&prefix)
    };
    let meant: Vec<&Item> = items.iter().filter(meant).collect();
    let records: BTreeSet<_> = meant.iter().map(|item| item.entry.place.document).collect();
    let record = match records.len() {
        1 => records.first().copied(),
        0 => {
            return Err(Problem::not_found(
                "nothing that counts because others built on it has an id that begins so; see `fenbu quarantine --all`",
            ));
        }
        _ => {
            return Err(Problem::bad_request(
                "the id could be any of several records; give more of it",
            ));
        }
    };
    let now_ms = daemon.records.shared.clock.now_ms().to_be_bytes().to_vec();
    let settings = meant.iter().map(|item| (mark(&item.entry), Some(now_ms.clone()))).collect();
    let (reply, answer) = oneshot::channel();
    daemon.records.writer.send(Command::Declare { statements: Vec::new(), settings, reply })?;
    answer.await.map_err(|_| Stopping)??;
    Ok(Json(json!({ "schema": "fenbu.reviewed/1", "id": record, "entries": meant.len() })))
}

/// Name of the setting that says that an entry was looked at.
fn mark(entry: &EntryRef) -> String {
    format!("reviewed/{}/{}", entry.log, entry.seq)
}

fn items(shared: &Shared, directory: &Directory) -> Result<Vec<Item>, StoreError> {
    let readable = shared.readable();
    shared.readers.with(|reader| {
        let look = Look { reader, directory, ledger: &shared.ledger };
        let mut items = look.waiting()?;
        items.extend(look.counting()?);
        items.retain(|item| readable.contains(&item.entry.place.space));
        for item in &mut items {
            item.reviewed = item.counts && reader.setting(&mark(&item.entry))?.is_some();
        }
        Ok(items)
    })
}

struct Look<'a> {
    reader: &'a dyn Reader,
    directory: &'a Directory,
    ledger: &'a Ledger,
}

impl Look<'_> {
    /// Why an entry is not like others, if that is so.
    fn why(&self, log: &StoredLog, header: &Header) -> Result<Option<Why>, StoreError> {
        let (author, space) = (log.opening.node, log.opening.space);
        let hash_at = |seq| hash_at(self.reader, header.log, seq);
        match self.directory.standing(&author, &space, header, hash_at)? {
            Standing::PastCut => return Ok(Some(Why::PastCut)),
            Standing::Anchored => {}
            Standing::NoRight | Standing::Unknown => return Ok(None),
        }
        let judged = self.directory.judged_at(header.epoch, header.directory);
        let Some(epoch) = judged else { return Ok(None) };
        let whose = (space, author);
        let over = self.ledger.excess(self.reader, self.directory, whose, header, epoch)?;
        Ok(over.map(|(excess, quota)| Why::Over(excess, quota)))
    }

    fn item(
        &self,
        log: &StoredLog,
        header: &Header,
        counts: bool,
    ) -> Result<Option<Item>, StoreError> {
        let place = place_of(log.opening.space, header);
        Ok(self.why(log, header)?.map(|why| Item {
            entry: EntryRef { place, log: header.log, seq: header.seq },
            author: log.opening.node,
            time_ms: header.clock >> 16,
            why,
            counts,
            reviewed: false,
        }))
    }

    /// What does not count.
    fn waiting(&self) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut after: Option<(LogId, u64)> = None;
        while items.len() < SHOWN_MAX {
            let page = self.reader.all_waiting(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some((last.log, last.seq));
            for entry in page {
                let Some(log) = self.reader.log(entry.log)? else { continue };
                let Some(found) = self.reader.entry(entry.log, entry.seq)? else { continue };
                items.extend(self.item(&log, &found.header, false)?);
            }
        }
        items.truncate(SHOWN_MAX);
        Ok(items)
    }

    /// What counts because others built on it.
    fn counting(&self) -> Result<Vec<Item>, StoreError> {
        let refused = self.reader.refused(usize::MAX)?;
        let refused: BTreeSet<_> = refused.iter().map(|r| (r.entry.log, r.entry.seq)).collect();
        let mut items = Vec::new();
        for log in self.reader.tips()?.keys() {
            let Some(log) = self.reader.log(*log)? else { continue };
            let Some(mut next) = self.first_unlike(&log)? else { continue };
            while next <= log.cursor && items.len() < SHOWN_MAX {
                let Some(run) = self.reader.run(log.log, next, READ_BYTES)? else { break };
                for entry in run.entries().filter(|e| e.header.seq <= log.cursor) {
                    let (header, at) = (entry.header, (log.log, entry.header.seq));
                    let waits = self.reader.waiting(place_of(log.opening.space, &header))?;
                    if !refused.contains(&at) && !waits.iter().any(|w| (w.log, w.seq) == at) {
                        items.extend(self.item(&log, &header, true)?);
                    }
                }
                next = run.last() + 1;
            }
        }
        items.truncate(SHOWN_MAX);
        Ok(items)
    }

    /// From where on a log may hold such entries; `None` if it holds none.
    fn first_unlike(&self, log: &StoredLog) -> Result<Option<u64>, StoreError> {
        let opening = &log.opening;
        let hash_at = |seq| hash_at(self.reader, log.log, seq);
        let cut = self.directory.cut_after(&opening.node, &opening.space, &log.log, 0, hash_at)?;
        let whose = (opening.space, opening.node);
        let over = self.ledger.first_over(self.reader, self.directory, whose, log)?;
        Ok(cut.map(|last| last + 1).into_iter().chain(over).min())
    }
}

fn told(directory: &Directory, item: &Item, lang: Lang) -> Value {
    let info = directory.node(&item.author);
    let place = &item.entry.place;
    json!({
        "id": place.document,
        "kind": schema(place.kind).map(|s| s.name),
        "space": directory.space(&place.space).map(|s| s.label.as_str()),
        "node": item.author,
        "name": info.map(|n| n.name.as_str()),
        "unit": info.map(|n| n.unit.as_str()),
        "revoked_epoch": info.and_then(|n| n.revoked.as_ref()).map(|r| r.epoch),
        "log": item.entry.log,
        "seq": item.entry.seq,
        "time_ms": item.time_ms,
        "why": item.why.code(),
        "reason": lang.say(&item.why.reason()),
        "counts": item.counts,
        "reviewed": item.reviewed,
    })
}
