//! Routes and what is said of them.

use super::*;
use crate::api::openapi::{description, paths_of};
use crate::api::routes::{Needs, PREFIX, ROUTES, find};
use crate::words::Lang;
use fenbu_protocol::record::{ALL, Merge, ValueType};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    for route in ROUTES {
        let path = route.path.replace("{plural}", "posts").replace("{kind}", "post");
        let path = path.replace("{name}", "meetings").replace("{label}", "federation");
        let path = format!("{PREFIX}{}", path.replace("{id}", &"0".repeat(32)));
        let answer = desk.ask(route.method.clone(), &path, &[], "{}").await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{route:?}");
        assert!(answer.status.as_u16() < 500, "{route:?}: {}", answer.status);
        let detail = match answer.header("content-type") {
            "application/problem+json" => answer.json()["detail"].to_string(),
            _ => String::new(),
        };
        assert!(
            !detail.contains("no such path") && !detail.contains("another method"),
            "{route:?}"
        );
    }
    let nowhere = desk.get("/api/v1/posts/1/2/3", &[]).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    let served = desk.get("/api/v1/openapi.json", &[]).await.json();
    assert_eq!(served, description(Lang::En));
    desk.close().await;
}

#[test]
fn every_route_is_described_and_named_once() {
    let told = description(Lang::Zh);
    let mut names = BTreeSet::new();
    let mut operations = 0;
    for route in ROUTES {
        assert!(!route.zh.is_ascii() && route.en.is_ascii(), "{route:?}");
        assert!(paths_of(route).next().is_some(), "{route:?} is there for no kind");
        for (path, _) in paths_of(route) {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &told["paths"][&path][&method];
            assert_eq!(operation["x-needs"], route.needs.name(), "{path}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} twice");
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{path}");
            operations += 1;
        }
    }
    let described = told["paths"].as_object().unwrap().values();
    let described: usize = described.map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(described, operations, "two routes in one place");
}

fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(parts) => {
            out.extend(parts.get("$ref").and_then(Value::as_str).map(str::to_owned));
            parts.values().for_each(|part| references(part, out));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        _ => {}
    }
}

#[test]
fn everything_referred_to_is_there_and_nothing_else() {
    let told = description(Lang::En);
    let mut named = BTreeSet::new();
    references(&told, &mut named);
    for name in &named {
        let found = told.pointer(name.strip_prefix('#').unwrap());
        assert!(found.is_some_and(Value::is_object), "{name}");
    }
    for name in told["components"]["schemas"].as_object().unwrap().keys() {
        assert!(named.contains(&format!("#/components/schemas/{name}")), "{name} is of no use");
    }
}

#[test]
fn kinds_have_the_fields_and_codes_of_their_schemas() {
    let told = description(Lang::Zh);
    let schemas = &told["components"]["schemas"];
    for schema in ALL.into_iter().filter(|s| crate::api::routes::by_hand(s)) {
        let shown = &schemas[schema.name]["properties"]["fields"]["properties"];
        let written = &schemas[format!("{}.write", schema.name)]["properties"];
        assert_eq!(shown.as_object().unwrap().len(), schema.fields.len(), "{}", schema.name);
        for field in schema.fields {
            let (shown, written) = (&shown[field.name], &written[field.name]);
            let at = format!("{}.{}", schema.name, field.name);
            assert_eq!(shown["title"], field.label_zh, "{at}");
            if let (ValueType::Code(codes), Merge::Register | Merge::Contested) =
                (field.value, field.merge)
            {
                let names: Vec<&str> = codes.iter().map(|code| code.code).collect();
                assert_eq!(written["anyOf"][0]["enum"], json!(names), "{at}");
            }
            if matches!(field.merge, Merge::Set | Merge::List) {
                assert_eq!(
                    (&shown["type"], &written["anyOf"][0]["type"]),
                    (&json!("array"), &json!("array")),
                    "{at}"
                );
            }
        }
        let required =
            &schemas[format!("{}.create", schema.name)]["properties"]["fields"]["required"];
        let needed = schema.fields.iter().filter(|f| f.required).map(|f| f.name);
        assert_eq!(*required, json!(needed.collect::<Vec<_>>()), "{}", schema.name);
    }
}

#[test]
fn what_a_request_needs_is_found_by_its_path() {
    let needs = |method, path| find(&method, path).map(|route| route.needs);
    assert_eq!(needs(Method::POST, "/api/v1/{plural}"), Some(Needs::Write));
    assert_eq!(needs(Method::HEAD, "/api/v1/{plural}/{id}"), Some(Needs::Read));
    assert_eq!(needs(Method::GET, "/changes"), Some(Needs::Read));
    assert_eq!(needs(Method::DELETE, "/api/v1/{plural}/{id}"), None);
    assert_eq!(needs(Method::GET, "/metrics"), None);
}
