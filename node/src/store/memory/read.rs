//! Questions to a store in memory.

use super::{State, read};
use crate::store::query::{Key, Resolved, equal, page, prefix_range};
use crate::store::row::{text_of, view_of};
use crate::store::runs::{self, Room};
use crate::store::{
    Cell, Change, Counts, Cursor, Digests, EntryRef, FOUND_MAX, Inspected, ListQuery, ListedRow,
    LostBranch, Page, Pending, Place, Reader, Receipt, Refusal, Row, Scanned, SharedKey,
    StoreError, StoredDocument, StoredEntry, StoredLog, ViewSpec,
};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Kind, Run, StateDigest, Tip};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;
use std::sync::{Arc, RwLock};

#[derive(Debug)]
pub(super) struct MemoryReader {
    pub(super) views: Arc<[ViewSpec]>,
    pub(super) state: Arc<RwLock<State>>,
}

impl Reader for MemoryReader {
    fn another(&self) -> Result<Box<dyn Reader>, StoreError> {
        let (views, state) = (Arc::clone(&self.views), Arc::clone(&self.state));
        Ok(Box::new(Self { views, state }))
    }

    fn run(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Option<Run>, StoreError> {
        let state = read(&self.state);
        let Some(log) = state.logs.get(&log).filter(|_| from_seq > 0) else { return Ok(None) };
        let mut stored = log.runs_from(from_seq);
        let Some(first) = stored.next().and_then(|run| run.starting_at(from_seq)) else {
            return Ok(None);
        };
        let mut room = Room::after(&first, bytes_max);
        let more = stored.take_while(|r| room.admits(u64::from(r.count()), r.as_bytes().len()));
        let found = std::iter::once(first).chain(more.cloned()).collect();
        Ok(runs::join(found))
    }

    fn checkpoint(&self, log: LogId, seq: u64) -> Result<u64, StoreError> {
        let state = read(&self.state);
        let runs = state.logs.get(&log).into_iter().flat_map(|log| log.runs.values());
        Ok(runs.map(Run::last).take_while(|last| *last <= seq).last().unwrap_or(0))
    }

    fn lost(&self) -> Result<Vec<LostBranch>, StoreError> {
        Ok(read(&self.state).lost.iter().map(|(branch, _)| *branch).collect())
    }

    fn lost_runs(&self, id: u64) -> Result<Vec<Run>, StoreError> {
        let state = read(&self.state);
        let found = state.lost.iter().find(|(branch, _)| branch.id == id);
        Ok(found.map(|(_, runs)| runs.clone()).unwrap_or_default())
    }

    fn amendments(&self) -> Result<Vec<Pending>, StoreError> {
        Ok(read(&self.state).amendments.clone())
    }

    fn entry(&self, log: LogId, seq: u64) -> Result<Option<StoredEntry>, StoreError> {
        let state = read(&self.state);
        let Some(log) = state.logs.get(&log) else { return Ok(None) };
        let Some(run) = log.runs_from(seq).next() else { return Ok(None) };
        let entry = run.entries().find(|entry| entry.header.seq == seq);
        Ok(entry.map(|e| StoredEntry { header: e.header, body: e.body.map(<[u8]>::to_vec) }))
    }

    fn behind(&self, spaces: &[SpaceId], bytes_max: usize) -> Result<Vec<Run>, StoreError> {
        let state = read(&self.state);
        let head = |id: LogId, from: u64| {
            let run = state.logs.get(&id)?.runs_from(from).next()?;
            let clock = run.entries().next()?.header.clock;
            Some(Reverse((clock, id, from))).filter(|_| run.last() >= from)
        };
        let logs = state.logs.values().map(|log| &log.stored);
        let logs = logs.filter(|l| l.cursor < l.tip.seq && spaces.contains(&l.opening.space));
        let mut heads: BinaryHeap<_> = logs.filter_map(|l| head(l.log, l.cursor + 1)).collect();
        let mut out: Vec<Run> = Vec::new();
        let mut bytes = 0;
        while let Some(Reverse((_, id, from))) = heads.pop() {
            let run = state.logs.get(&id).and_then(|log| log.runs_from(from).next());
            let Some(run) = run.and_then(|run| run.starting_at(from)) else { continue };
            bytes += run.as_bytes().len();
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            heads.extend(head(id, run.last() + 1));
            out.push(run);
        }
        Ok(out)
    }

    fn changes(
        &self,
        after: u64,
        kind: Option<Kind>,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        Ok(read(&self.state).changes_after(after, kind, limit))
    }

    fn last_change(&self, kind: Option<Kind>) -> Result<u64, StoreError> {
        Ok(read(&self.state).last_change(kind))
    }

    fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError> {
        Ok(read(&self.state).receipts.get(key).cloned())
    }

    fn document(&self, place: Place) -> Result<Option<StoredDocument>, StoreError> {
        let state = read(&self.state);
        Ok(state.documents.get(&place).map(|held| held.stored.clone()))
    }

    fn documents(
        &self,
        after: Option<Place>,
        bytes_max: usize,
    ) -> Result<Vec<StoredDocument>, StoreError> {
        let state = read(&self.state);
        let mut out: Vec<StoredDocument> = Vec::new();
        let mut bytes = 0;
        for (key, held) in &state.documents {
            if after.as_ref().is_some_and(|after| key <= after) {
                continue;
            }
            bytes += held.stored.snapshot.len();
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            out.push(held.stored.clone());
        }
        Ok(out)
    }

    fn places(
        &self,
        space: Option<SpaceId>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let state = read(&self.state);
        let wanted = |place: &Place| {
            after.is_none_or(|after| *place > after) && space.is_none_or(|s| place.space == s)
        };
        Ok(state.documents.keys().copied().filter(wanted).take(limit).collect())
    }

    fn find_document(&self, kind: Option<Kind>, prefix: &str) -> Result<Vec<Place>, StoreError> {
        let (low, high) = prefix_range(prefix)?;
        let state = read(&self.state);
        let low = Place { document: low, space: SpaceId([0; 16]), kind: Kind(0) };
        let high = Place { document: high, space: SpaceId([0xff; 16]), kind: Kind(u16::MAX) };
        let found = state.documents.range(low..=high).map(|(place, _)| *place);
        let found = found.filter(|place| kind.is_none_or(|kind| place.kind == kind));
        Ok(found.take(FOUND_MAX).collect())
    }

    fn waiting(&self, place: Place) -> Result<Vec<EntryRef>, StoreError> {
        let state = read(&self.state);
        let of = |e: &&EntryRef| e.place == place;
        Ok(state.waiting.values().filter(of).copied().collect())
    }

    fn all_waiting(
        &self,
        after: Option<(LogId, u64)>,
        limit: usize,
    ) -> Result<Vec<EntryRef>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = read(&self.state);
        let waiting = state.waiting.range((from, Bound::Unbounded));
        Ok(waiting.map(|(_, entry)| *entry).take(limit).collect())
    }

    fn refused(&self, limit: usize) -> Result<Vec<Refusal>, StoreError> {
        let state = read(&self.state);
        let mut all: Vec<_> = state.refused.values().collect();
        all.sort_by_key(|(order, _)| Reverse(*order));
        Ok(all.into_iter().take(limit).map(|(_, refusal)| refusal.clone()).collect())
    }

    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        let state = read(&self.state);
        let logs = || state.logs.values().map(|log| &log.stored);
        Ok(Counts {
            logs: state.logs.len() as u64,
            entries: logs().map(|l| l.tip.seq).sum(),
            body_bytes: logs().map(|l| l.tip.body_bytes).sum(),
            behind: logs().map(|l| l.tip.seq - l.cursor).sum(),
            documents: state.documents.len() as u64,
            waiting: state.waiting.len() as u64,
            refused: state.refused.len() as u64,
        })
    }

    fn list(&self, kind: Kind, query: &ListQuery) -> Result<Page, StoreError> {
        let view = view_of(&self.views, kind)?;
        let resolved = query.resolve(view)?;
        let alias = view.alias_unless(&resolved.equals);
        let state = read(&self.state);
        let mut rows: Vec<(Cursor, ListedRow)> = state
            .rows(view, query.spaces.as_deref(), query.published_by.as_deref())
            .filter(|(_, row)| matches(&resolved, row) && is_own(row, alias))
            .map(|(document, row)| listed(document, row, resolved.key))
            .filter(|(at, _)| {
                let order = |after: &Cursor| directed(&resolved, at.cmp(after));
                resolved.after.as_ref().is_none_or(|after| order(after) == Ordering::Greater)
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| directed(&resolved, a.cmp(b)));
        let rows = rows.into_iter().take(resolved.limit + 1).map(|(_, row)| row).collect();
        Ok(page(rows, resolved.limit, resolved.key))
    }

    fn scan(
        &self,
        kind: Kind,
        columns: &[&str],
        spaces: Option<&[SpaceId]>,
    ) -> Result<Vec<Scanned>, StoreError> {
        let view = view_of(&self.views, kind)?;
        let columns = columns.iter().map(|c| view.column(c)).collect::<Result<Vec<_>, _>>()?;
        let (state, alias) = (read(&self.state), view.alias_unless(&[]));
        let own = state.rows(view, spaces, None).filter(|(_, row)| is_own(row, alias));
        let rows = own.map(|(document, row)| Scanned {
            space: document.space,
            document: document.document,
            conflicts: document.conflicts,
            created_ms: row.created_ms,
            cells: columns.iter().map(|column| row.cells[*column].clone()).collect(),
        });
        Ok(rows.collect())
    }

    fn in_conflict(&self, kind: Kind, limit: usize) -> Result<Vec<Place>, StoreError> {
        let view = view_of(&self.views, kind)?;
        let state = read(&self.state);
        let rows = state.rows(view, None, None).map(|(document, _)| document);
        let open = rows.filter(|document| document.conflicts > 0).map(StoredDocument::place);
        Ok(open.take(limit).collect())
    }

    fn shared_keys(&self, limit: usize) -> Result<Vec<SharedKey>, StoreError> {
        let state = read(&self.state);
        let mut keys: BTreeMap<[u8; 16], (Vec<Place>, bool)> = BTreeMap::new();
        for (place, held) in &state.documents {
            for key in &held.keys {
                let (places, anchored) = keys.entry(key.key).or_default();
                places.push(*place);
                *anchored |= key.anchor;
            }
        }
        let shared =
            keys.into_iter().filter(|(_, (places, anchored))| *anchored && places.len() > 1);
        Ok(shared.take(limit).map(|(key, (places, _))| SharedKey { key, places }).collect())
    }

    fn row(&self, place: Place) -> Result<Option<ListedRow>, StoreError> {
        view_of(&self.views, place.kind)?;
        let state = read(&self.state);
        let held = state.documents.get(&place);
        Ok(held.and_then(|held| {
            held.row.as_ref().map(|row| listed(&held.stored, row, Key::Updated).1)
        }))
    }

    fn count(&self, kind: Kind, spaces: Option<&[SpaceId]>) -> Result<u64, StoreError> {
        let view = view_of(&self.views, kind)?;
        let alias = view.alias_unless(&[]);
        let state = read(&self.state);
        Ok(state.rows(view, spaces, None).filter(|(_, row)| is_own(row, alias)).count() as u64)
    }

    fn count_by(
        &self,
        kind: Kind,
        column: &str,
        where_is: Option<(&str, &str)>,
        spaces: Option<&[SpaceId]>,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let view = view_of(&self.views, kind)?;
        let is = where_is.map(|(column, value)| equal(view, column, value)).transpose()?;
        let is = |row: &Row| is.as_ref().is_none_or(|(at, cell)| row.cells[*at] == *cell);
        let (column, alias) = (view.column(column)?, view.alias_unless(&[]));
        let mut counts = BTreeMap::new();
        let state = read(&self.state);
        let own = |(_, row): &(&StoredDocument, &Row)| is_own(row, alias) && is(row);
        for (_, row) in state.rows(view, spaces, None).filter(own) {
            *counts.entry(text_of(&row.cells[column]).unwrap_or_default()).or_default() += 1;
        }
        Ok(counts)
    }

    fn statements(&self, from_epoch: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let state = read(&self.state);
        let range = state.statements.range(from_epoch..);
        Ok(range.take(max).map(|(epoch, bytes)| (*epoch, bytes.clone())).collect())
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(read(&self.state).settings.get(name).cloned())
    }

    fn acknowledgements(&self) -> Result<Vec<(NodeId, LogId, u64)>, StoreError> {
        Ok(read(&self.state).acknowledgements())
    }

    fn digests(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError> {
        Ok(read(&self.state).digests.clone())
    }

    fn level(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError> {
        let state = read(&self.state);
        let mut level = state.digests.clone();
        for log in state.logs.values().filter(|log| log.stored.cursor < log.stored.tip.seq) {
            level.remove(&log.stored.opening.space);
        }
        Ok(level)
    }

    fn tips(&self) -> Result<BTreeMap<LogId, Tip>, StoreError> {
        Ok(read(&self.state).logs.iter().map(|(id, log)| (*id, log.stored.tip)).collect())
    }

    /// Memory does not rot.
    fn inspect(&self, _: LogId, at: Inspected, _: usize) -> Result<Inspected, StoreError> {
        Ok(Inspected { done: true, ..at })
    }

    fn recount(&self, space: SpaceId) -> Result<(StateDigest, StateDigest), StoreError> {
        let state = read(&self.state);
        let kept = state.digests.get(&space).copied().unwrap_or_default().state;
        let mut counted = StateDigest::default();
        for held in state.documents.values().filter(|held| held.stored.space == space) {
            counted.advance(held.stored.document, &[], &held.stored.heads);
        }
        Ok((kept, counted))
    }

    fn logs(&self, space: SpaceId) -> Result<Vec<StoredLog>, StoreError> {
        let state = read(&self.state);
        let logs = state.logs.values().map(|log| log.stored);
        Ok(logs.filter(|log| log.opening.space == space).collect())
    }

    fn log(&self, log: LogId) -> Result<Option<StoredLog>, StoreError> {
        Ok(read(&self.state).logs.get(&log).map(|log| log.stored))
    }
}

fn listed(document: &StoredDocument, row: &Row, key: Key) -> (Cursor, ListedRow) {
    let (space, document, conflicts) = (document.space, document.document, document.conflicts);
    let at = Cursor { key: key.of(row), document, space };
    (at, ListedRow { space, document, row: row.clone(), conflicts })
}

/// Whether a row is the same as no other.
fn is_own(row: &Row, alias: Option<usize>) -> bool {
    alias.is_none_or(|column| row.cells[column] == Cell::Null)
}

fn matches(query: &Resolved, row: &Row) -> bool {
    let is = |(column, value): &(usize, Cell)| row.cells[*column] == *value;
    query.equals.iter().all(is)
        && !query.excludes.iter().any(is)
        && query.contains.as_ref().is_none_or(|(columns, wanted)| {
            columns.iter().any(|column| {
                text_of(&row.cells[*column])
                    .is_some_and(|text| text.to_ascii_lowercase().contains(wanted))
            })
        })
}

fn directed(query: &Resolved, order: Ordering) -> Ordering {
    if query.descending { order.reverse() } else { order }
}
