//! `openapi.json`: the routes' table and the kinds' schemas, in the words of OpenAPI 3.1.
//!
//! A path with `{plural}` is told once for each kind it is there for, so that what is sent and answered
//! has its fields.

mod kinds;

use super::routes::{Answer, Body, Given, Of, PREFIX, ROUTES, Route};
use crate::words::Lang;
use axum::Json;
use fenbu_protocol::record::{ALL, Schema};
use serde_json::{Map, Value, json};

pub(super) async fn openapi(lang: Lang) -> Json<Value> {
    Json(description(lang))
}

pub(super) fn description(lang: Lang) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        for (path, of) in paths_of(route) {
            let operations = paths.entry(path).or_insert_with(|| json!({}));
            operations[route.method.as_str().to_ascii_lowercase()] = operation(route, of, lang);
        }
    }
    let title = pick(lang, "分布：记录节点", "fenbu: a federated record node");
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION") },
        "servers": [{ "url": PREFIX }],
        "paths": paths,
        "components": {
            "schemas": schemas(lang),
            "responses": { "problem": {
                "description": pick(lang, "没有做，以及该怎么办", "It was not done, and what to do"),
                "content": { "application/problem+json": { "schema": reference("problem") } },
            } },
        },
    })
}

fn pick(lang: Lang, zh: &'static str, en: &'static str) -> &'static str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The paths of a route: one, or one for each kind.
pub(super) fn paths_of(
    route: &'static Route,
) -> impl Iterator<Item = (String, Option<&'static Schema>)> {
    let of_kinds = route.path.contains("{plural}");
    let kinds = ALL.into_iter().filter(move |s| of_kinds && (route.kinds)(s));
    let kinds = kinds.map(|s| (route.path.replace("{plural}", s.plural), Some(s)));
    kinds.chain((!of_kinds).then(|| (route.path.to_owned(), None)))
}

fn operation(route: &Route, of: Option<&'static Schema>, lang: Lang) -> Value {
    let summary = pick(lang, route.zh, route.en);
    let mut out = json!({
        "operationId": match of {
            Some(schema) => format!("{}.{}", schema.name, route.name),
            None => route.name.to_owned(),
        },
        "summary": match (of, lang) {
            (Some(schema), Lang::Zh) => format!("{summary}：{}", schema.label_zh),
            (Some(schema), Lang::En) => format!("{summary} {}", schema.label_en),
            (None, _) => summary.to_owned(),
        },
        "x-needs": route.needs.name(),
        "parameters": parameters(route, of),
        "responses": responses(route, of, lang),
    });
    if let Some(schema) = of {
        out["tags"] = json!([schema.name]);
    }
    if let Some(body) = body(route, of) {
        out["requestBody"] = body;
    }
    out
}

fn parameters(route: &Route, of: Option<&'static Schema>) -> Value {
    let text = || json!({ "type": "string" });
    let names = route.names().filter(|name| *name != "plural");
    let named =
        names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text() }));
    let mut out: Vec<Value> = named.collect();
    out.extend(route.query.iter().map(|given| {
        json!({ "name": given.name, "in": "query", "required": given.required, "schema": value(given.of) })
    }));
    if let (Answer::List, Some(schema)) = (route.answer, of) {
        let known = |name: &str| route.query.iter().any(|given| given.name == name);
        let columns = schema.columns.iter().filter(|column| !known(column));
        out.extend(columns.map(
            |column| json!({ "name": column, "in": "query", "required": false, "schema": text() }),
        ));
    }
    let mut header =
        |name: &str| out.push(json!({ "name": name, "in": "header", "schema": text() }));
    if route.once {
        header("Idempotency-Key");
    }
    if route.versions {
        header(if route.method == axum::http::Method::GET { "If-None-Match" } else { "If-Match" });
    }
    if matches!(route.answer, Answer::Changes) {
        header("Last-Event-ID");
    }
    out.into()
}

fn value(of: Of) -> Value {
    match of {
        Of::Text => json!({ "type": "string" }),
        Of::Number => json!({ "type": "integer", "minimum": 0 }),
        Of::Flag => json!({ "type": "boolean" }),
        Of::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Of::Units => json!({ "anyOf": [{ "const": "all" }, value(Of::Texts)] }),
    }
}

fn object(fields: &[Given]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|given| (given.name.to_owned(), value(given.of))).collect();
    let required: Vec<&str> = fields.iter().filter(|g| g.required).map(|g| g.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn body(route: &Route, of: Option<&'static Schema>) -> Option<Value> {
    let schema = match (route.body, of) {
        (Body::None, _) => return None,
        (Body::Object(fields), _) => object(fields),
        (Body::Create, Some(schema)) => reference(&format!("{}.create", schema.name)),
        (Body::Edit, Some(schema)) => reference(&format!("{}.edit", schema.name)),
        (Body::Create | Body::Edit, None) => json!({ "type": "object" }),
        (Body::Upload, _) => {
            let file = json!({ "schema": { "type": "string", "format": "binary" } });
            let content = json!({ "application/x-ndjson": file, "application/octet-stream": file });
            return Some(json!({ "required": true, "content": content }));
        }
    };
    Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
}

fn responses(route: &Route, of: Option<&'static Schema>, lang: Lang) -> Value {
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    let content = match (route.answer, of) {
        (Answer::List, Some(schema)) => json_of(reference(&format!("{}.list", schema.name))),
        (Answer::Record, Some(schema)) => json_of(reference(schema.name)),
        (Answer::Json(name), _) => json_of(reference(&named(name))),
        (Answer::File(media), _) => json!({ media: { "schema": { "type": "string" } } }),
        (Answer::Changes, _) => json!({
            "application/x-ndjson": { "schema": reference("change") },
            "text/event-stream": { "schema": reference("change") },
        }),
        (Answer::List | Answer::Record, None) => json!({}),
    };
    let done = pick(lang, "做到了", "Done");
    let made = matches!(route.body, Body::Create) || route.name == "seal";
    let mut out = json!({ "default": { "$ref": "#/components/responses/problem" } });
    let mut answer = json!({ "description": done, "content": content });
    if route.versions && route.method == axum::http::Method::GET {
        answer["headers"] = json!({ "ETag": { "schema": { "type": "string" } } });
        out["304"] = json!({ "description": pick(lang, "没有变化", "As it was") });
    }
    out[if made { "201" } else { "200" }] = answer;
    out
}

/// The name of a component: that of the schema without its family and version.
fn named(schema: &str) -> String {
    let name = schema.strip_prefix("fenbu.").unwrap_or(schema);
    let name = name.strip_suffix("/1").unwrap_or(name);
    format!("answer.{name}")
}

fn schemas(lang: Lang) -> Value {
    let mut out = Map::new();
    for route in ROUTES {
        if let Answer::Json(name) = route.answer {
            let told = match name.contains('/') {
                true => json!({
                    "type": "object",
                    "properties": { "schema": { "const": name } },
                    "required": ["schema"],
                }),
                false => json!({ "type": "object" }),
            };
            out.insert(named(name), told);
        }
    }
    out.insert(named("fenbu.saved/1"), saved());
    out.insert("problem".into(), problem());
    out.insert("change".into(), change());
    for schema in ALL.into_iter().filter(|s| super::routes::not_accounts(s)) {
        let written = |(name, _): &(String, Value)| {
            [".write", ".create", ".edit"].iter().any(|part| name.ends_with(part))
        };
        let told = kinds::schemas(schema, lang).into_iter();
        out.extend(told.filter(|part| super::routes::by_hand(schema) || !written(part)));
    }
    out.into()
}

fn saved() -> Value {
    json!({
        "type": "object",
        "properties": {
            "schema": { "const": "fenbu.saved/1" },
            "id": kinds::id(),
            "space": kinds::id(),
            "log": { "type": ["string", "null"] },
            "seq": { "type": ["integer", "null"] },
            "unchanged": { "type": "boolean" },
            "warnings": value(Of::Texts),
        },
        "required": ["schema", "id", "space", "unchanged", "warnings"],
    })
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "detail": { "type": "string" },
            "hint": { "type": "string" },
            "status": { "type": "integer" },
            "candidates": value(Of::Texts),
        },
        "required": ["type", "title", "detail", "status"],
    })
}

fn change() -> Value {
    json!({
        "type": "object",
        "properties": {
            "change": { "type": "integer" },
            "cursor": { "type": "string" },
            "kind": { "type": "string" },
            "id": kinds::id(),
            "unit": { "type": ["string", "null"] },
            "hidden": { "type": "boolean" },
            "record": { "type": "object" },
            "gone": { "const": true },
            "reset": { "const": true },
            "next": { "type": "string" },
        },
    })
}
