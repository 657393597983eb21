//! Head office's figures, and reports that are kept as they stood.

use super::{Caller, Problem, blocking};
use crate::daemon::Daemon;
use crate::reports::{Behind, Compared, Made, Report, ReportError, ReportQuery};
use crate::words::Lang;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use fenbu_protocol::duty::{Difference, Unit};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Node = State<Arc<Daemon>>;

/// Half-filled views read as work that was never done.
fn check_views(daemon: &Daemon) -> Result<(), Problem> {
    if daemon.progress.views_stale.load(Ordering::Acquire) {
        let why = "the lists are being filled again after an upgrade; figures can be made once that is done: try again in a few minutes";
        return Err(Problem::unavailable(why));
    }
    Ok(())
}

fn named(name: &str) -> Result<Report, ReportError> {
    let known = || Report::ALL.map(|(name, _)| name).join(", ");
    Report::named(name).ok_or_else(|| ReportError::Unknown(name.to_owned(), known()))
}

pub(super) async fn report(
    State(daemon): Node,
    Path(name): Path<String>,
    Query(query): Query<ReportQuery>,
    lang: Lang,
) -> Result<Json<Value>, Problem> {
    let report = named(&name)?;
    check_views(&daemon)?;
    let records = daemon.records.clone();
    let (made, explained) = blocking(move || {
        let made = records.report(report, &query)?;
        let explained = match &query.explain {
            Some(cell) => Some((cell.clone(), records.explain(&made, cell)?)),
            None => None,
        };
        Ok::<_, ReportError>((made, explained))
    })
    .await??;
    let mut out = json_of(&made, lang);
    if let Some((cell, behind)) = explained {
        out["explained"] =
            json!({ "cell": cell, "records": behind.iter().map(behind_json).collect::<Vec<_>>() });
    }
    Ok(Json(out))
}

fn behind_json(behind: &Behind) -> Value {
    json!({ "id": behind.id, "kind": behind.kind, "unit": behind.unit })
}

fn json_of(made: &Made, lang: Lang) -> Value {
    let mut out = made.table.to_json();
    out["schema"] = "fenbu.report/1".into();
    out["report"] = made.report.name().into();
    out["period"] = made.period.to_string().into();
    out["from"] = made.period.start().to_string().into();
    out["to"] = made.period.end().plus(-1).to_string().into();
    out["made_ms"] = made.now_ms.into();
    out["units"] = freshness(&made.units);
    out["rules"] = made.rules.to_json();
    out["remarks"] = made.remarks.iter().map(|remark| lang.say(remark)).collect();
    out
}

/// How fresh the data of every unit is that this node reads.
pub(super) async fn units(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let records = daemon.records.clone();
    let units = blocking(move || records.units()).await??;
    Ok(Json(json!({ "schema": "fenbu.freshness/1", "units": freshness(&units) })))
}

/// Says that all this node has to say up to now has been said: before a folder is closed for weeks, before
/// figures are sealed elsewhere.
pub(super) async fn mark(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let records = daemon.records.clone();
    let marked = blocking(move || {
        let clock = records.shared.clock;
        crate::reports::mark_now(&records, &clock)
    });
    let spaces = marked.await?.map_err(ReportError::from)?;
    Ok(Json(json!({ "schema": "fenbu.marked/1", "spaces": spaces })))
}

/// How fresh the data of each unit is.
fn freshness(units: &[Unit]) -> Value {
    let one = |unit: &Unit| {
        json!({
            "unit": unit.code,
            "name": unit.name,
            "as_of_ms": unit.freshness.as_of_ms,
            "stalest": unit.freshness.stalest,
            "nodes": unit.freshness.nodes,
            "clock_ahead": unit.freshness.clock_ahead,
        })
    };
    units.iter().map(one).collect()
}

pub(super) async fn seal(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let report = named(&name)?;
    let query: ReportQuery = super::records::parse(&body)?;
    check_views(&daemon)?;
    let records = daemon.records.clone();
    let (sealed, saved) =
        blocking(move || records.seal(report, &query, &caller.account())).await??;
    let answer = json!({
        "schema": "fenbu.sealed/1",
        "id": saved.document,
        "report": sealed.report,
        "period": sealed.period,
        "unit": sealed.unit,
        "sealed_ms": sealed.sealed_ms,
        "marks": sealed.marks,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn compare(
    State(daemon): Node,
    Path(id): Path<String>,
    lang: Lang,
) -> Result<Json<Value>, Problem> {
    check_views(&daemon)?;
    let records = daemon.records.clone();
    let compared = blocking(move || records.compare(&id)).await??;
    let Compared { sealed, now, differences } = &compared;
    let one = |difference: &Difference| {
        let column = now.table.columns.iter().find(|c| c.key == difference.column);
        json!({
            "line": difference.line,
            "label": difference.label,
            "column": difference.column,
            "zh": column.map(|c| c.zh.clone()),
            "en": column.map(|c| c.en.clone()),
            "then": difference.then,
            "now": difference.now,
        })
    };
    Ok(Json(json!({
        "schema": "fenbu.compared/1",
        "id": sealed.id(),
        "report": sealed.report,
        "period": sealed.period,
        "unit": sealed.unit,
        "sealed_ms": sealed.sealed_ms,
        "to": now.period.end().plus(-1).to_string(),
        "end_ms": now.period.end().start_ms(),
        "marks": sealed.marks,
        "differences": differences.iter().map(one).collect::<Vec<_>>(),
        "units": freshness(&now.units),
        "remarks": now.remarks.iter().map(|remark| lang.say(remark)).collect::<Vec<_>>(),
    })))
}
