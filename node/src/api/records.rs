//! Records: list, show, write, history.

use super::personal::warnings;
use super::versions::{Tag, next_page, terms};
use super::{Caller, PREFIX, Problem, blocking};
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::records::{Saved, Shown, version_of};
use crate::store::{Cell, Cursor, ListQuery, ListedRow, Order, OrderBy};
use crate::words::Lang;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{DocId, NodeId, SpaceId};
use fenbu_protocol::record::personal::{drop_masks, mask_fields, masked};
use fenbu_protocol::record::{ALL, Field, HIDDEN, Home, Schema, ValueType};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const LIMIT_DEFAULT: usize = 50;

type Node = State<Arc<Daemon>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    fields: Value,
    id: Option<DocId>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    fields: Value,
}

pub(crate) fn schema_of(plural: &str) -> Result<&'static Schema, Problem> {
    ALL.into_iter()
        .find(|s| s.plural == plural)
        .ok_or_else(|| Problem::not_found(format!("there is no kind of record '{plural}'")))
}

/// A kind that is written as records are; those about people who sign in are not.
fn by_hand(plural: &str) -> Result<&'static Schema, Problem> {
    let schema = schema_of(plural)?;
    if !super::routes::by_hand(schema) {
        return Err(Problem::bad_request(
            "accounts are made and changed by `fenbu account` or on the console; what follows from them is written by the node",
        ));
    }
    Ok(schema)
}

/// The branch a record is about, for roles that are good for one branch.
pub(crate) fn branch_of(json: &Value) -> Option<String> {
    let code = json["branch"].as_str().or_else(|| json["code"].as_str())?;
    Some(code.to_owned())
}

/// Whether somebody may say all this of a record of a branch: contents, and each step by itself.
fn permitted(
    caller: &Caller,
    schema: &'static Schema,
    fields: &Value,
    branch: Option<&str>,
) -> Result<(), Problem> {
    let none = Map::new();
    for (name, value) in fields.as_object().unwrap_or(&none) {
        let workflow = schema.field(name).and_then(Field::workflow);
        let Some(workflow) = workflow else {
            caller.may(Action::Write(schema.name), branch)?;
            continue;
        };
        match value["op"].as_str() {
            Some(op) => caller.may(Action::Step(schema.name, op), branch)?,
            // A state is reached by one of these.
            None => {
                let to = value.as_str();
                let mut steps = workflow.steps.iter().filter(|step| step.to == to);
                steps
                    .try_for_each(|step| caller.may(Action::Step(schema.name, step.op), branch))?;
            }
        }
    }
    Ok(())
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| Problem::bad_request(format!("request body: {e}")))
}

pub(super) async fn create(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(plural): Path<String>,
    headers: HeaderMap,
    lang: Lang,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let schema = by_hand(&plural)?;
    let request: Create = parse(&body)?;
    permitted(&caller, schema, &request.fields, branch_of(&request.fields).as_deref())?;
    let terms = terms(&headers, caller.clone(), "POST", &[&plural], &body)?;
    let records = daemon.records.clone();
    let warnings = warnings(schema, &request.fields, lang);
    let saved = blocking(move || {
        let unit = request.unit.as_deref();
        let account = caller.account();
        records.create_on(schema, &request.fields, request.id, unit, &account, &terms)
    })
    .await??;
    Ok((StatusCode::CREATED, Json(saved_json(&saved, warnings))))
}

pub(super) async fn edit(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path((plural, id)): Path<(String, String)>,
    headers: HeaderMap,
    lang: Lang,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let schema = by_hand(&plural)?;
    let mut request: Edit = parse(&body)?;
    let terms = terms(&headers, caller.clone(), "PATCH", &[&plural, &id], &body)?;
    let records = daemon.records.clone();
    let warnings = warnings(schema, &request.fields, lang);
    let saved = blocking(move || {
        if caller.account.is_some() {
            let current = records.show(schema, &id)?.record.to_json();
            permitted(&caller, schema, &request.fields, branch_of(&current).as_deref())?;
            if let Some(branch) = branch_of(&request.fields) {
                caller.may(Action::Write(schema.name), Some(&branch))?;
            }
        }
        if schema.fields.iter().any(|f| f.personal && request.fields.get(f.name).is_some()) {
            let current = records.show(schema, &id)?.record.to_json();
            drop_masks(schema, &mut request.fields, &current);
        }
        Ok::<_, Problem>(records.edit_on(
            schema,
            &id,
            &request.fields,
            &caller.account(),
            &terms,
        )?)
    })
    .await??;
    Ok(Json(saved_json(&saved, warnings)))
}

fn saved_json(saved: &Saved, warnings: Vec<String>) -> Value {
    json!({
        "warnings": warnings,
        "schema": "fenbu.saved/1",
        "id": saved.document,
        "space": saved.space,
        "log": saved.entry.map(|e| e.log),
        "seq": saved.entry.map(|e| e.seq),
        "unchanged": saved.entry.is_none(),
    })
}

pub(super) async fn show(
    State(daemon): Node,
    Path((plural, id)): Path<(String, String)>,
    headers: HeaderMap,
    lang: Lang,
) -> Result<Response, Problem> {
    let schema = schema_of(&plural)?;
    let records = daemon.records.clone();
    let shown = blocking(move || records.show(schema, &id)).await??;
    let directory = daemon.records.shared.directory.now();
    let carriers = carriers_of(&directory, &shown.space);
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    let safe = safe_on(&status, &shown);
    let authors = Authors::of(&status, &shown.space);
    let row = shown.record.row();
    let unit = match shown.record.is_publication() {
        true => shown.record.owner(),
        false => unit_of(&directory, &shown.space),
    };
    let mut json = shown.record.to_json();
    mask_fields(schema, &mut json);
    let mut fields = match json {
        Value::Object(fields) => fields,
        other => return Ok(Json(other).into_response()),
    };
    let conflicts = fields.remove("conflicts").unwrap_or(Value::Null);
    let courses = fields.remove("courses").unwrap_or_else(|| json!({}));
    let answer = json!({
        "schema": format!("fenbu.{}/1", schema.name),
        "id": shown.document,
        "kind": schema.name,
        "unit": unit,
        "space": shown.space,
        "fields": fields,
        "conflicts": authors.name_conflicts(&directory, conflicts),
        "courses": authors.name_courses(&directory, courses, lang),
        "created_ms": row.created_ms,
        "updated_ms": row.updated_ms,
        "safe_on": safe.map(|k| json!({ "k": k, "n": carriers })),
    });
    let tag = Tag::of_record(&version_of(&shown.record.heads()), &answer);
    Ok(tag.answer(&headers, answer))
}

/// On how many nodes a record is held in full: where the least spread log of those who wrote it has
/// arrived up to its end, which is no earlier than the record's last entry there.
pub(crate) fn safe_on(status: &DriverStatus, shown: &Shown) -> Option<usize> {
    let actors = shown.record.actors();
    let logs = status.engine.logs.iter().filter(|l| l.space == shown.space);
    logs.filter(|l| actors.contains(&l.log.actor())).map(|l| l.safe_on).min()
}

fn carriers_of(directory: &Directory, space: &SpaceId) -> usize {
    directory.nodes().filter(|n| directory.carries(&n.node, space)).count()
}

pub(crate) fn unit_of(directory: &Directory, space: &SpaceId) -> Option<String> {
    directory.space(space).and_then(|s| s.unit.clone())
}

/// Which node stands behind an actor in a space.
pub(crate) struct Authors(BTreeMap<String, NodeId>);

impl Authors {
    pub(crate) fn of(status: &DriverStatus, space: &SpaceId) -> Self {
        let logs = status.engine.logs.iter().filter(|l| l.space == *space);
        let actors = logs.map(|l| (fenbu_protocol::id::hex(&l.log.actor()), l.author));
        Self(actors.collect())
    }

    pub(crate) fn describe(
        &self,
        directory: &Directory,
        actor: &str,
        out: &mut Map<String, Value>,
    ) {
        let node = self.0.get(actor);
        let info = node.and_then(|n| directory.node(n));
        out.insert("node".into(), json!(node));
        out.insert("node_name".into(), json!(info.map(|i| i.name.clone())));
        out.insert("unit".into(), json!(info.map(|i| i.unit.clone())));
    }

    /// Says who took each step.
    fn name_courses(&self, directory: &Directory, mut courses: Value, lang: Lang) -> Value {
        let courses_of = courses.as_object_mut().into_iter().flat_map(Map::values_mut);
        for course in courses_of {
            let steps = course["steps"].as_array_mut().into_iter().flatten();
            for step in steps.filter_map(Value::as_object_mut) {
                let actor = step.get("actor").and_then(Value::as_str).map(str::to_owned);
                self.describe(directory, &actor.unwrap_or_default(), step);
                if let Some(why) = step.get("ignored").and_then(Value::as_str) {
                    let why = lang.say(why);
                    step.insert("ignored".into(), why.into());
                }
            }
        }
        courses
    }

    /// Says who stands behind each concurrent value.
    fn name_conflicts(&self, directory: &Directory, mut conflicts: Value) -> Value {
        let lists = conflicts.as_object_mut().into_iter().flat_map(Map::values_mut);
        for value in lists.filter_map(Value::as_array_mut).flatten() {
            if let Some(value) = value.as_object_mut()
                && let Some(actor) = value.get("actor").and_then(Value::as_str).map(str::to_owned)
            {
                self.describe(directory, &actor, value);
            }
        }
        conflicts
    }
}

pub(super) async fn history(
    State(daemon): Node,
    Path((plural, id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let schema = schema_of(&plural)?;
    let records = daemon.records.clone();
    let Shown { space, document, record } = blocking(move || records.show(schema, &id)).await??;
    let items = blocking(move || record.history()).await?;
    let directory = daemon.records.shared.directory.now();
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    let authors = Authors::of(&status, &space);
    let items = items.into_iter().map(|item| {
        let mut out = Map::new();
        out.insert("hash".into(), fenbu_protocol::id::hex(&item.hash).into());
        authors.describe(&directory, &fenbu_protocol::id::hex(&item.actor), &mut out);
        out.insert("account".into(), item.account.into());
        out.insert("time_ms".into(), item.time_ms.into());
        let changes = item.changes.into_iter().map(|(field, value)| {
            let personal = schema.field(&field).is_some_and(|f| f.personal);
            let value = if personal { masked(&value) } else { value };
            json!({ "field": field, "value": value })
        });
        out.insert("changes".into(), changes.collect());
        Value::Object(out)
    });
    let items: Vec<Value> = items.collect();
    Ok(Json(json!({ "schema": "fenbu.history/1", "id": document, "items": items })))
}

pub(super) async fn list(
    State(daemon): Node,
    Path(plural): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let schema = schema_of(&plural)?;
    let records = daemon.records.clone();
    let directory = records.shared.directory.now();
    let query = list_query(schema, &directory, pairs.iter().cloned().collect())?;
    let asked = json!([schema.name, &pairs]).to_string();
    blocking(move || {
        // Before the rows: a tag may be older than what it stands for, never newer.
        let last = records.shared.readers.with(|r| r.last_change(Some(schema.kind)))?;
        let last = records.shared.changes.lives().cursor(last).to_string();
        let tag = Tag::of(&[asked.as_bytes(), last.as_bytes(), directory.head().as_bytes()]);
        if tag.is_held(&headers) {
            return Ok(tag.answer(&headers, Value::Null));
        }
        let page = records.list(schema, query)?;
        let next = page.next.map(|next| next.to_string());
        let rows = page.rows.iter().map(|row| row_json(schema, &directory, row));
        let answer = json!({
            "schema": format!("fenbu.{}/1", schema.plural),
            "items": rows.collect::<Vec<_>>(),
            "next": next,
        });
        let mut response = tag.answer(&headers, answer);
        if let Some(next) = next {
            next_page(&mut response, &format!("{PREFIX}/{plural}"), &pairs, &next);
        }
        Ok(response)
    })
    .await?
}

fn is_personal(schema: &Schema, column: &str) -> bool {
    schema.field(column).is_some_and(|f| f.personal)
}

pub(crate) fn list_query(
    schema: &Schema,
    directory: &Directory,
    parameters: BTreeMap<String, String>,
) -> Result<ListQuery, Problem> {
    let mut query = ListQuery { limit: LIMIT_DEFAULT, ..ListQuery::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => {
                query.limit = value.parse().map_err(|_| {
                    Problem::bad_request(format!("limit '{value}' is not a number"))
                })?;
            }
            "after" => query.after = Some(cursor(&value)?),
            "order" => {
                let descending = match value.as_str() {
                    "newest" => true,
                    "oldest" => false,
                    _ => return Err(Problem::bad_request("order is newest or oldest")),
                };
                query.order = Order { by: OrderBy::Updated, descending };
            }
            "unit" if schema.field("unit").is_none() => {
                let space = directory.unit_space(&value).ok_or_else(|| {
                    Problem::not_found(format!("there is no unit '{value}'; see the directory"))
                })?;
                query.spaces = Some(vec![space.id]);
                query.published_by = (schema.home == Home::Published).then_some(value);
            }
            "q" => {
                // Whoever may guess a masked value must not have the guess confirmed.
                let shown = schema.columns.iter().filter(|c| !is_personal(schema, c));
                let columns = shown.map(|c| (*c).to_owned()).collect();
                query.contains = Some((columns, value));
            }
            _ if is_personal(schema, &name) => {
                let why = format!("'{name}' is personal: no list is asked for by it");
                return Err(Problem::bad_request(why));
            }
            _ => query.equals.push((name, value)),
        }
    }
    // What was withdrawn is in no list that does not ask for it.
    let asked = |field: &str| query.equals.iter().any(|(name, _)| name == field);
    // Whoever asks for what secrecy hides wants to see it.
    let hides = |field: &Field| {
        let by = field.hidden_by.map(|hidden| hidden.by);
        by.filter(|_| query.equals.iter().any(|(n, v)| n == field.name && v == HIDDEN))
    };
    let wanted: Vec<&str> = schema.fields.iter().filter_map(hides).collect();
    let hidden = schema.hidden.iter().filter(|(f, _)| !asked(f) && !wanted.contains(f));
    query.excludes = hidden.map(|(f, s)| ((*f).to_owned(), (*s).to_owned())).collect();
    Ok(query)
}

fn cursor(text: &str) -> Result<Cursor, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("'after' is not a cursor; use `next` of the page before"))
}

pub(super) fn row_json(schema: &Schema, directory: &Directory, row: &ListedRow) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), row.document.to_string().into());
    // Beside the schema's columns stand whoever made it and, of what is published, its unit.
    let publisher = match (schema.home, row.row.cells.last()) {
        (Home::Published, Some(Cell::Text(unit))) => Some(unit.clone()),
        _ => None,
    };
    let unit = publisher.or_else(|| unit_of(directory, &row.space));
    out.insert("unit".into(), json!(unit));
    if let Value::Object(cells) = cells_of(schema, row) {
        out.extend(cells);
    }
    out.insert("created_ms".into(), row.row.created_ms.into());
    out.insert("updated_ms".into(), row.row.updated_ms.into());
    out.insert("conflicts".into(), row.conflicts.into());
    Value::Object(out)
}

/// A row's cells by column; personal ones masked.
pub(crate) fn cells_of(schema: &Schema, row: &ListedRow) -> Value {
    let mut out = Map::new();
    for (column, cell) in schema.columns.iter().zip(&row.row.cells) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Int(n) => (*n).into(),
            // Sets, lists and maps are stored as JSON text.
            Cell::Text(text) => schema
                .field(column)
                .filter(|f| f.merge.is_container() || matches!(f.value, ValueType::Object(_)))
                .and_then(|_| serde_json::from_str(text).ok())
                .unwrap_or_else(|| text.as_str().into()),
        };
        let personal = schema.field(column).is_some_and(|f| f.personal);
        out.insert((*column).to_owned(), if personal { masked(&value) } else { value });
    }
    Value::Object(out)
}
