//! The kinds of records as JSON Schema: what is shown, what is listed, what may be written.

use super::{pick, reference};
use crate::words::Lang;
use fenbu_protocol::record::{Code, Field, Merge, Schema, ValueType};
use serde_json::{Map, Value, json};

/// A record's id, and that of a space.
pub(super) fn id() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
}

/// All components of a kind, by name.
pub(super) fn schemas(schema: &'static Schema, lang: Lang) -> [(String, Value); 6] {
    let name = |part: &str| format!("{}.{part}", schema.name);
    let shown = fields(schema.fields.iter(), |field| shown(field, lang));
    let written = schema.fields.iter().filter(|field| field.workflow().is_none() || is_step(field));
    let written = fields(written, |field| written_as(field, lang));
    let required: Vec<&str> =
        schema.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let title = pick(lang, schema.label_zh, schema.label_en);
    let create = json!({
        "type": "object",
        "properties": {
            "fields": { "allOf": [reference(&name("write"))], "required": required },
            "id": id(),
            "unit": { "type": "string" },
        },
        "required": ["fields"],
        "additionalProperties": false,
    });
    let edit = json!({
        "type": "object",
        "properties": { "fields": reference(&name("write")) },
        "required": ["fields"],
        "additionalProperties": false,
    });
    [
        (schema.name.to_owned(), record(schema, title, shown)),
        (name("row"), row(schema, lang)),
        (name("list"), list(schema)),
        (
            name("write"),
            json!({ "type": "object", "properties": written, "additionalProperties": false }),
        ),
        (name("create"), create),
        (name("edit"), edit),
    ]
}

/// A state is changed by a step.
fn is_step(field: &Field) -> bool {
    matches!(field.value, ValueType::State(_))
}

fn fields<'a>(
    fields: impl Iterator<Item = &'a Field>,
    told: impl Fn(&Field) -> Value,
) -> Map<String, Value> {
    fields.map(|field| (field.name.to_owned(), told(field))).collect()
}

fn record(schema: &Schema, title: &str, fields: Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "title": title,
        "properties": {
            "schema": { "const": format!("fenbu.{}/1", schema.name) },
            "id": id(),
            "kind": { "const": schema.name },
            "unit": { "type": ["string", "null"] },
            "space": id(),
            "fields": { "type": "object", "properties": fields },
            "conflicts": { "type": ["object", "null"] },
            "courses": { "type": "object" },
            "created_ms": { "type": "integer" },
            "updated_ms": { "type": "integer" },
            "safe_on": { "type": ["object", "null"] },
        },
        "required": ["schema", "id", "kind", "fields"],
    })
}

fn row(schema: &Schema, lang: Lang) -> Value {
    let columns = schema.columns.iter().filter_map(|name| schema.field(name));
    let mut properties = fields(columns, |field| shown(field, lang));
    properties.insert("id".into(), id());
    properties.insert("created_ms".into(), json!({ "type": "integer" }));
    properties.insert("updated_ms".into(), json!({ "type": "integer" }));
    properties.insert("conflicts".into(), json!({ "type": "integer" }));
    // The unit whose space it is in, where the kind has no such field.
    properties.entry("unit").or_insert_with(|| json!({ "type": ["string", "null"] }));
    json!({ "type": "object", "properties": properties })
}

fn list(schema: &Schema) -> Value {
    json!({
        "type": "object",
        "properties": {
            "schema": { "const": format!("fenbu.{}/1", schema.plural) },
            "items": { "type": "array", "items": reference(&format!("{}.row", schema.name)) },
            "next": { "type": ["string", "null"] },
        },
        "required": ["schema", "items"],
    })
}

fn titled(field: &Field, lang: Lang, mut told: Value) -> Value {
    told["title"] = pick(lang, field.label_zh, field.label_en).into();
    if field.personal {
        told["x-personal"] = true.into();
    }
    told
}

/// A field as it is shown; what nobody has written is null.
fn shown(field: &Field, lang: Lang) -> Value {
    let one = scalar(field.value, lang, false);
    let told = match field.merge {
        Merge::Register | Merge::Contested => json!({ "anyOf": [one, { "type": "null" }] }),
        Merge::Text => json!({ "type": "string" }),
        Merge::Set | Merge::List | Merge::Notes => json!({ "type": "array", "items": one }),
        Merge::Map | Merge::Tally => json!({ "type": ["object", "integer", "null"] }),
        Merge::Log => one,
    };
    titled(field, lang, told)
}

/// A field as it may be written; null empties it.
fn written_as(field: &Field, lang: Lang) -> Value {
    let one = scalar(field.value, lang, true);
    let many = || json!({ "type": "array", "items": one });
    let ways = match field.merge {
        Merge::Register | Merge::Contested => vec![one],
        Merge::Text => vec![json!({ "type": "string" })],
        Merge::Set => vec![many(), parts(&[("add", many()), ("remove", many())])],
        Merge::List => vec![many()],
        Merge::Notes => vec![many(), parts(&[("add", many())]), one],
        Merge::Map => {
            let entry = json!({ "anyOf": [one, { "type": "null" }] });
            vec![json!({ "type": "object", "additionalProperties": entry })]
        }
        Merge::Tally => vec![json!({ "type": ["integer", "object"] })],
        Merge::Log => {
            let text = || json!({ "type": "string" });
            let step = [("op", text()), ("to", text()), ("note", text()), ("on", text())];
            vec![one, parts(&step)]
        }
    };
    let ways: Vec<Value> = ways.into_iter().chain([json!({ "type": "null" })]).collect();
    titled(field, lang, json!({ "anyOf": ways }))
}

fn parts(of: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        of.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// One value. Codes are closed where they are written; a newer node may show others.
fn scalar(value: ValueType, lang: Lang, written: bool) -> Value {
    match value {
        ValueType::Text => json!({ "type": "string" }),
        ValueType::Code(codes) => coded(codes, lang, written),
        ValueType::Date => json!({ "type": "string", "format": "date" }),
        ValueType::Instant if written => {
            json!({ "type": ["integer", "string"], "format": "date-time" })
        }
        ValueType::Instant | ValueType::Int => json!({ "type": "integer", "format": "int64" }),
        ValueType::Bool => json!({ "type": "boolean" }),
        ValueType::Id(kind) => {
            let mut told = id();
            told["x-kind"] = kind.into();
            told
        }
        ValueType::Object(fields) => {
            let told = |field: &Field| titled(field, lang, scalar(field.value, lang, written));
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name.to_owned(), told(field))).collect();
            json!({ "type": "object", "properties": properties })
        }
        ValueType::State(workflow) => coded(workflow.states, lang, false),
    }
}

fn coded(codes: &'static [Code], lang: Lang, written: bool) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.code).collect();
    let labels: Map<String, Value> = codes
        .iter()
        .map(|code| (code.code.to_owned(), pick(lang, code.zh, code.en).into()))
        .collect();
    let mut told = json!({ "type": "string", "x-codes": labels });
    if written {
        told["enum"] = names.into();
    }
    told
}
