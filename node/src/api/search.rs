//! Full-text search over everything this node reads.

use super::versions::next_page;
use super::{PREFIX, Problem, blocking};
use crate::daemon::Daemon;
use crate::records::Records;
use crate::search::{FOUND_MAX, Found, SearchError, SearchQuery};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::search::snippet;
use fenbu_protocol::record::{schema, schema_named};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const LIMIT_DEFAULT: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    q: String,
    kind: Option<String>,
    unit: Option<String>,
    column: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Store(error) => error.into(),
            SearchError::Index(_) => Self::unavailable(error.to_string()),
        }
    }
}

impl Asked {
    fn query(self, records: &Records) -> Result<SearchQuery, Problem> {
        let kind = self.kind.map(|name| {
            let known = schema_named(&name).map(|schema| schema.kind);
            known.ok_or_else(|| Problem::not_found(format!("there is no kind of record '{name}'")))
        });
        let directory = records.shared.directory.now();
        if let Some(unit) = self.unit.as_ref().filter(|unit| directory.unit(unit).is_none()) {
            let why = format!("there is no unit '{unit}'; see the directory");
            return Err(Problem::not_found(why));
        }
        let after = self.after.as_deref().map(|text| {
            let bad = "'after' is not a cursor; use `next` of the page before";
            cursor(text).ok_or_else(|| Problem::bad_request(bad))
        });
        Ok(SearchQuery {
            text: self.q,
            kind: kind.transpose()?,
            unit: self.unit,
            column: self.column,
            from: self.from,
            to: self.to,
            spaces: records.shared.readable(),
            everyones: records.shared.everyones(),
            after: after.transpose()?,
            limit: self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, FOUND_MAX),
        })
    }
}

/// Where a page ended: time of the last change and document of the last one on it.
fn cursor(text: &str) -> Option<(u64, DocId)> {
    let (time, document) = text.split_once('.')?;
    Some((time.parse().ok()?, document.parse().ok()?))
}

pub(super) async fn search(
    State(daemon): State<Arc<Daemon>>,
    Query(asked): Query<Asked>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let records = daemon.records.clone();
    blocking(move || {
        let words = asked.q.clone();
        let query = asked.query(&records)?;
        let found = records.shared.search.find(&query)?;
        let last = found.last().filter(|_| found.len() == query.limit);
        let next = last.map(|f| format!("{}.{}", f.updated_ms, f.place.document));
        let mut items = Vec::with_capacity(found.len());
        for found in found {
            items.extend(shown(&records, &found, &words)?);
        }
        let answer = json!({ "schema": "fenbu.found/1", "items": items, "next": next });
        let mut response = Json(answer).into_response();
        if let Some(next) = next {
            next_page(&mut response, &format!("{PREFIX}/search"), &pairs, &next);
        }
        Ok(response)
    })
    .await?
}

/// A record as it is found; `None` if it is not there any more, or hidden by now.
fn shown(records: &Records, found: &Found, words: &str) -> Result<Option<Value>, Problem> {
    let Some(schema) = schema(found.place.kind) else { return Ok(None) };
    let Some(shown) = records.record(schema, found.place)? else { return Ok(None) };
    let Some(findable) = shown.record.findable() else { return Ok(None) };
    let piece = snippet(&findable.text[findable.title.len()..], words);
    let piece = piece.or_else(|| snippet(&findable.title, words));
    Ok(Some(json!({
        "kind": schema.name,
        "id": found.place.document,
        "title": findable.title,
        "unit": found.unit,
        "day": found.day,
        "updated_ms": found.updated_ms,
        "snippet": piece.as_ref().map(|p| p.text.trim()),
        "marks": piece.map(|p| marks(&p.text, &p.marks)),
    })))
}

/// Places in a snippet whose blanks at the beginning are gone.
fn marks(text: &str, marks: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let blanks = text.chars().take_while(|c| c.is_whitespace()).count();
    marks.iter().map(|(at, count)| (at.saturating_sub(blanks), *count)).collect()
}
