//! Conflicts: what somebody has to settle.

use super::records::{Authors, parse, unit_of};
use super::{Caller, Problem, blocking};
use crate::conflicts::Open;
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{SpaceId, hex};
use fenbu_protocol::record::conflict::Side;
use fenbu_protocol::record::schema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    case: Option<String>,
    kind: Option<String>,
    /// Only what this unit may settle.
    settler: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settle {
    way: String,
    note: Option<String>,
}

pub(super) async fn list(
    State(daemon): Node,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Problem> {
    let records = daemon.records.clone();
    let mut open = blocking(move || records.conflicts()).await??;
    open.retain(|o| {
        let of_kind = |kind: &String| {
            o.conflict.records.iter().any(|of| schema(of.kind).is_some_and(|s| s.name == kind))
        };
        which.case.as_ref().is_none_or(|case| o.conflict.case.code().code == case)
            && which.kind.as_ref().is_none_or(of_kind)
            && which
                .settler
                .as_ref()
                .is_none_or(|unit| o.settlers.is_empty() || o.settlers.contains(unit))
    });
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    let teller = Teller::new(&daemon, &status);
    let items: Vec<Value> = open.iter().map(|o| teller.told(o)).collect();
    Ok(Json(json!({ "schema": "fenbu.conflicts/1", "items": items })))
}

pub(super) async fn show(
    State(daemon): Node,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let records = daemon.records.clone();
    let open = blocking(move || records.conflict(&id)).await??;
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    let mut told = Teller::new(&daemon, &status).told(&open);
    told["schema"] = "fenbu.conflict/1".into();
    Ok(Json(told))
}

pub(super) async fn settle(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let request: Settle = parse(&body)?;
    let records = daemon.records.clone();
    let (open, saved) = blocking(move || {
        records.settle(&id, &request.way, request.note.as_deref(), &caller.account())
    })
    .await??;
    Ok(Json(json!({
        "schema": "fenbu.settled/1",
        "id": open.conflict.id,
        "case": open.conflict.case.code().code,
        "written": saved.iter().map(|s| s.document.to_string()).collect::<Vec<_>>(),
    })))
}

/// Open conflicts of each case.
pub(super) fn counted(open: &[Open]) -> Value {
    let mut by_case: BTreeMap<&str, u64> = BTreeMap::new();
    for o in open {
        *by_case.entry(o.conflict.case.code().code).or_default() += 1;
    }
    json!({ "open": open.len(), "by_case": by_case })
}

/// Says who stands behind what.
struct Teller {
    directory: Arc<Directory>,
    authors: BTreeMap<SpaceId, Authors>,
}

impl Teller {
    fn new(daemon: &Daemon, status: &DriverStatus) -> Self {
        let directory = daemon.records.shared.directory.now();
        let authors = directory.spaces().map(|s| (s.id, Authors::of(status, &s.id))).collect();
        Self { directory, authors }
    }

    fn told(&self, open: &Open) -> Value {
        let conflict = &open.conflict;
        let (case, by) = (conflict.case.code(), conflict.settled_by);
        let (zh, en) = conflict.case.meanwhile();
        let label = |space: &SpaceId| self.directory.space(space).map(|s| s.label.clone());
        let records = conflict.records.iter().zip(&open.summaries).map(|(of, summary)| {
            json!({
                "kind": schema(of.kind).map(|s| s.name),
                "id": of.document,
                "space": label(&of.space),
                "unit": unit_of(&self.directory, &of.space),
                "shows": summary,
            })
        });
        let ways = conflict
            .ways
            .iter()
            .map(|way| json!({ "way": way.code, "label": way.en, "label_zh": way.zh }));
        json!({
            "id": conflict.id,
            "case": case.code,
            "label": case.en,
            "label_zh": case.zh,
            "meanwhile": en,
            "meanwhile_zh": zh,
            "space": label(&conflict.space),
            "field": (!conflict.field.is_empty()).then_some(&conflict.field),
            "records": records.collect::<Vec<_>>(),
            "settled_by": {
                "label": by.label_en(),
                "label_zh": by.label_zh(),
                "units": open.settlers,
            },
            "sides": conflict.sides.iter().map(|side| self.side(open, side)).collect::<Vec<_>>(),
            "ways": ways.collect::<Vec<_>>(),
        })
    }

    fn side(&self, open: &Open, side: &Side) -> Value {
        let mut out = Map::new();
        out.insert("value".into(), side.value.clone());
        let of = open.conflict.records.get(side.record);
        out.insert("record".into(), json!(of.map(|of| of.document)));
        if let (Some(said), Some(of)) = (&side.said, of) {
            if let Some(authors) = self.authors.get(&of.space) {
                authors.describe(&self.directory, &hex(&said.actor), &mut out);
            }
            out.insert("account".into(), said.account.as_str().into());
            out.insert("time_ms".into(), said.time_ms.into());
        }
        Value::Object(out)
    }
}
