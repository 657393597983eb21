//! The change feed: what the records are now, in the order in which they came to be so.
//!
//! A record is told of once, at its latest change; whoever goes on from where it stopped misses no
//! record's last state, whatever happened to the node or to itself in between. Where the order it
//! followed is not this database's any more (a backup was brought back) it is told to start over.

use super::records::{row_json, unit_of};
use super::{Problem, blocking};
use crate::changes::Cursor;
use crate::daemon::Daemon;
use crate::records::{RecordError, Records};
use crate::store::{Cell, Change, ListedRow, Place};
use crate::views::row_of;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::SpaceId;
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::{Home, Schema, schema, schema_named};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Changes read at a time.
const PAGE: usize = 256;
/// Lines a reader has not taken yet.
const LINES: usize = 64;
/// Whoever follows hears at least so often, so that a dead line is noticed on either side.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    after: Option<String>,
    kind: Option<String>,
    unit: Option<String>,
    /// At most so many changes.
    limit: Option<u64>,
    #[serde(default)]
    follow: bool,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Events,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match accepted.is_some_and(|accepted| accepted.contains("text/event-stream")) {
            true => Self::Events,
            false => Self::Lines,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    fn write(self, event: &str, cursor: Cursor, body: &Value) -> Bytes {
        match self {
            Self::Lines => format!("{body}\n"),
            Self::Events => format!("id: {cursor}\nevent: {event}\ndata: {body}\n\n"),
        }
        .into()
    }
}

pub(super) async fn changes(
    State(daemon): State<Arc<Daemon>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let records = daemon.records.clone();
    let form = Form::of(&headers);
    // A browser that connects again says where it was in the header; its address is that of the start.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let after = last.filter(|id| !id.is_empty()).or(asked.after);
    let after = after.map(|text| cursor(&text)).transpose()?;
    let kind = asked.kind.map(|name| kind_of(&name)).transpose()?;
    let directory = records.shared.directory.now();
    if let Some(unit) = asked.unit.as_ref().filter(|unit| directory.unit(unit).is_none()) {
        let why = format!("there is no unit '{unit}'; see the directory");
        return Err(Problem::not_found(why));
    }
    let left = if asked.follow { u64::MAX } else { asked.limit.unwrap_or(u64::MAX) };
    let (lines, mut taken) = mpsc::channel(LINES);
    let teller = Teller { records, kind, unit: asked.unit, form, at: 0, left, lines };
    tokio::spawn(teller.tell(after, asked.follow));
    let stream = futures_util::stream::poll_fn(move |cx| taken.poll_recv(cx));
    let headers = [(header::CONTENT_TYPE, form.media_type()), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn cursor(text: &str) -> Result<Cursor, Problem> {
    let bad = "'after' is no place in the changes; use `next` or a change's `cursor`, or leave it out to begin at the beginning";
    text.parse().map_err(|_| Problem::bad_request(bad))
}

fn kind_of(name: &str) -> Result<Kind, Problem> {
    let found = schema_named(name).map(|schema| schema.kind);
    found.ok_or_else(|| Problem::not_found(format!("there is no kind of record '{name}'")))
}

/// Waits until the node stops.
async fn over(ended: &mut watch::Receiver<bool>) {
    // An error means that the node has gone, which is an end too.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Tells one reader.
struct Teller {
    records: Records,
    kind: Option<Kind>,
    unit: Option<String>,
    form: Form,
    /// The last number that was told of, or passed over.
    at: u64,
    /// Changes still to be told.
    left: u64,
    lines: mpsc::Sender<Result<Bytes, io::Error>>,
}

/// Why telling ends.
enum End {
    /// The reader has gone, or the node stops.
    Gone,
    Failed(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl Teller {
    async fn tell(mut self, after: Option<Cursor>, follow: bool) {
        let lines = self.lines.clone();
        if let Err(End::Failed(problem)) = self.try_tell(after, follow).await {
            // The break in the stream tells the reader to ask again from its last cursor.
            let _ = lines.send(Err(io::Error::other(problem.detail().to_owned()))).await;
        }
    }

    async fn try_tell(&mut self, after: Option<Cursor>, follow: bool) -> Result<(), End> {
        // Before the first look, so that nothing falls between the two.
        let mut changed = self.records.shared.changes.subscribe();
        let mut ended = self.records.shared.changes.ended();
        self.begin(after).await?;
        self.catch_up().await?;
        self.heartbeat("next").await?;
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.reset();
        if !follow {
            return Ok(());
        }
        loop {
            let due = tokio::select! {
                () = over(&mut ended) => return Ok(()),
                () = self.lines.closed() => return Ok(()),
                // One that fell behind is behind on nudges alone.
                _ = changed.recv() => false,
                _ = beat.tick() => true,
            };
            while changed.try_recv().is_ok() {}
            self.catch_up().await?;
            if due {
                self.heartbeat("heartbeat").await?;
            }
        }
    }

    /// Goes on where the reader stopped, or says that it starts over.
    async fn begin(&mut self, after: Option<Cursor>) -> Result<(), End> {
        let Some(cursor) = after else { return Ok(()) };
        let shared = self.records.shared.clone();
        let last = blocking(move || shared.readers.with(|r| r.last_change(None))).await?;
        let last = last.map_err(Problem::from)?;
        if self.records.shared.changes.lives().holds(cursor, last) {
            self.at = cursor.number();
            return Ok(());
        }
        self.say("reset", |next| json!({ "reset": true, "next": next.to_string() })).await
    }

    /// Tells all there is.
    async fn catch_up(&mut self) -> Result<(), End> {
        loop {
            let (records, at, kind) = (self.records.clone(), self.at, self.kind);
            let limit = usize::try_from(self.left).map_or(PAGE, |left| left.min(PAGE));
            if limit == 0 {
                return Ok(());
            }
            let (changes, end) = blocking(move || page(&records, at, kind, limit)).await??;
            let whole = changes.len() < limit;
            for change in changes {
                self.tell_of(change).await?;
            }
            if whole {
                // Past what was of no interest.
                if self.left > 0 {
                    self.at = self.at.max(end);
                }
                return Ok(());
            }
        }
    }

    async fn tell_of(&mut self, change: Change) -> Result<(), End> {
        self.at = change.number;
        let directory = self.records.shared.directory.now();
        let unit = unit_of(&directory, &change.place.space);
        if self.unit.is_some() && self.unit != unit {
            return Ok(());
        }
        let records = self.records.clone();
        let told = blocking(move || told(&records, &directory, &change)).await?;
        let Some(mut told) = told.map_err(Problem::from)? else { return Ok(()) };
        self.left -= 1;
        self.say("change", |cursor| {
            told["cursor"] = cursor.to_string().into();
            told
        })
        .await
    }

    /// Where the reader goes on, and that it is still told.
    async fn heartbeat(&self, event: &str) -> Result<(), End> {
        self.say(event, |next| json!({ "next": next.to_string() })).await
    }

    async fn say(&self, event: &str, body: impl FnOnce(Cursor) -> Value) -> Result<(), End> {
        let cursor = self.records.shared.changes.lives().cursor(self.at);
        let line = self.form.write(event, cursor, &body(cursor));
        self.lines.send(Ok(line)).await.map_err(|_| End::Gone)
    }
}

/// Changes after a number, and a number up to which there are no others.
fn page(
    records: &Records,
    after: u64,
    kind: Option<Kind>,
    limit: usize,
) -> Result<(Vec<Change>, u64), Problem> {
    records.shared.readers.with(|r| {
        // In this order: what comes between the two is told of, or is after the end.
        let end = r.last_change(None)?;
        Ok((r.changes(after, kind, limit)?, end))
    })
}

/// What a record is now; `None` if this version does not know its kind.
fn told(
    records: &Records,
    directory: &Directory,
    change: &Change,
) -> Result<Option<Value>, RecordError> {
    let Some(schema) = schema(change.place.kind) else { return Ok(None) };
    let place = place_shown(records, schema, change.place)?;
    let mut out = json!({
        "change": change.number,
        "kind": schema.name,
        "id": place.document,
        "unit": unit_of(directory, &place.space),
    });
    let readable: BTreeSet<SpaceId> = records.shared.readable().into_iter().collect();
    let row = match readable.contains(&place.space) {
        true => row(records, schema, place)?,
        false => None,
    };
    match row {
        Some(row) => {
            out["hidden"] = is_hidden(schema, &row).into();
            out["record"] = row_json(schema, directory, &row);
        }
        None => out["gone"] = true.into(),
    }
    Ok(Some(out))
}

/// Where a record is read of which something changed: its draft, where both that and what is published of
/// it can be read here, as in lists.
fn place_shown(
    records: &Records,
    schema: &'static Schema,
    place: Place,
) -> Result<Place, RecordError> {
    let everyones = records.shared.everyones();
    if schema.home != Home::Published || Some(place.space) != everyones {
        return Ok(place);
    }
    let id = place.document.to_string();
    let found = records.shared.readers.with(|r| r.find_document(Some(place.kind), &id))?;
    let readable = records.shared.readable();
    let draft = |p: &Place| Some(p.space) != everyones && readable.contains(&p.space);
    Ok(found.into_iter().find(draft).unwrap_or(place))
}

/// The record's row, made of the record itself where lists are still to be filled.
fn row(
    records: &Records,
    schema: &'static Schema,
    place: Place,
) -> Result<Option<ListedRow>, RecordError> {
    if let Some(row) = records.shared.readers.with(|r| r.row(place))? {
        return Ok(Some(row));
    }
    let shown = records.record(schema, place)?;
    Ok(shown.map(|shown| {
        let row = shown.record.row();
        let conflicts = row.conflicts;
        ListedRow {
            space: place.space,
            document: place.document,
            row: row_of(schema, row),
            conflicts,
        }
    }))
}

/// Whether no list shows it that does not ask for its state: it was withdrawn, or is kept secret.
fn is_hidden(schema: &Schema, row: &ListedRow) -> bool {
    let state = |field: &str| {
        let at = schema.columns.iter().position(|column| *column == field)?;
        row.row.cells.get(at)
    };
    schema
        .hidden
        .iter()
        .any(|(field, hidden)| matches!(state(field), Some(Cell::Text(text)) if text == hidden))
}
