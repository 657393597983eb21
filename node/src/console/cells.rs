//! A record's values as people read them.

use super::words::Word;
use crate::api::Authors;
use crate::driver::DriverStatus;
use crate::inout::markdown;
use crate::records::Records;
use crate::store::{Cell, ListedRow};
use crate::words::Lang;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{SpaceId, hex};
use fenbu_protocol::record::personal::masked;
use fenbu_protocol::record::{Field, Merge, Schema, ValueType, schema_named};
use fenbu_protocol::sheet::{show, show_instant};
use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;

pub(super) fn label(field: &Field, lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => field.label_zh,
        Lang::En => field.label_en,
    }
}

pub(super) fn kind_label(schema: &Schema, lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => schema.label_zh,
        Lang::En => schema.label_en,
    }
}

/// A value as text; personal ones masked.
pub(super) fn text(field: &Field, value: &Value, lang: Lang) -> String {
    if field.personal {
        show(field, &masked(value), lang.into())
    } else if let (ValueType::Instant, Some(ms)) = (field.value, value.as_u64()) {
        time(ms)
    } else {
        show(field, value, lang.into())
    }
}

/// A value within a table or a list of fields.
pub(super) fn value(field: &Field, value: &Value, lang: Lang) -> Markup {
    let told = text(field, value, lang);
    match (field.value, field.merge) {
        _ if told.is_empty() => html! { span.faint { "—" } },
        (ValueType::State(_), _) => tag(&told, colour(value.as_str().unwrap_or_default())),
        (ValueType::Code(_), Merge::Register | Merge::Contested) => tag(&told, ""),
        (ValueType::Id(kind), _) if !field.personal => link(kind, &told),
        (ValueType::Text, _) if field.name.ends_with("url") && is_web(&told) => {
            html! { a href=(told) rel="noreferrer noopener" { (told) } }
        }
        _ => html! { (told) },
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn link(kind: &str, id: &str) -> Markup {
    match schema_named(kind) {
        Some(schema) => {
            html! { a href=(format!("/r/{}/{id}", schema.plural)) { (&id[..id.len().min(8)]) } }
        }
        None => html! { (id) },
    }
}

pub(super) fn tag(text: &str, colour: &str) -> Markup {
    html! { span class=(format!("tag {colour}")) { (text) } }
}

/// How a state looks: what is well is green, what waits is amber, what failed is red.
fn colour(state: &str) -> &'static str {
    match state {
        "published" | "confirmed" | "received" | "approved" | "done" | "full" | "normal"
        | "active" | "verified" | "public" | "closed" => "good",
        "submitted" | "planned" | "issued" | "open" | "held" | "proposed" | "escalate"
        | "dissolving" | "probationary" => "warn",
        "returned" | "withdrawn" | "rejected" | "hidden" | "not_public" | "expelled"
        | "removed" | "suspended" | "expired" => "bad",
        _ => "",
    }
}

/// Markdown as HTML; what somebody wrote as HTML is the text it is.
pub(super) fn prose(text: &str) -> Markup {
    PreEscaped(markdown::html(text))
}

/// Whether a field is long text with headings and lists.
pub(super) fn is_prose(field: &Field) -> bool {
    field.merge == Merge::Text && !field.personal
}

/// To the minute, which is what people go by; the API has the rest.
pub(super) fn time(ms: u64) -> String {
    show_instant(i64::try_from(ms - ms % MINUTE_MS).unwrap_or(i64::MAX))
}

/// Names of branches and units, whose codes stand in records.
#[derive(Debug)]
pub(super) struct Names {
    branches: BTreeMap<String, String>,
    directory: Arc<Directory>,
}

impl Names {
    /// Blocks.
    pub(super) fn of(records: &Records) -> Self {
        let branches = super::pages::branches(records);
        let branches = branches.into_iter().map(|b| (b.value, b.label)).collect();
        Self { branches, directory: records.shared.directory.now() }
    }

    /// Branches by code, with their names.
    pub(super) fn branches(&self) -> impl Iterator<Item = (&str, &str)> {
        self.branches.iter().map(|(code, name)| (code.as_str(), name.as_str()))
    }

    pub(super) fn branch<'a>(&'a self, code: &'a str) -> &'a str {
        self.branches.get(code).map_or(code, String::as_str)
    }

    /// The name a field's code stands for, if it is such a field and the name is known here.
    fn known(&self, field: &Field, code: &str) -> Option<&str> {
        match field.name {
            "branch" | "parent" | "from_branch" | "to_branch" | "temporary_branch" => {
                self.branches.get(code).map(String::as_str)
            }
            "unit" | "host_unit" | "from_unit" | "to_unit" => {
                self.directory.unit(code).map(|unit| unit.name.as_str())
            }
            _ => None,
        }
    }

    /// As [`value`], with names for codes.
    pub(super) fn value(&self, field: &Field, json: &Value, lang: Lang) -> Markup {
        match json.as_str().and_then(|code| Some((code, self.known(field, code)?))) {
            Some((code, name)) => html! { span title=(code) { (name) } },
            None => value(field, json, lang),
        }
    }

    /// As [`cell_text`], with names for codes.
    pub(super) fn cell_text(&self, field: &Field, cell: &Cell, lang: Lang) -> String {
        match cell {
            Cell::Text(code) => self.known(field, code).map(str::to_owned),
            _ => None,
        }
        .unwrap_or_else(|| cell_text(field, cell, lang))
    }
}

/// Says who stands behind what: unit, node, and the name of an account where it can be read.
pub(super) struct People<'a> {
    directory: &'a Directory,
    status: &'a DriverStatus,
    records: &'a Records,
    by_space: BTreeMap<SpaceId, Authors>,
    names: BTreeMap<String, String>,
}

impl<'a> People<'a> {
    pub(super) fn new(
        directory: &'a Directory,
        status: &'a DriverStatus,
        records: &'a Records,
    ) -> Self {
        Self { directory, status, records, by_space: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// `王小明（连云港分局）`, or what is known of it.
    pub(super) fn who(&mut self, space: SpaceId, actor: [u8; 16], account: &str) -> String {
        let status = self.status;
        let authors = self.by_space.entry(space).or_insert_with(|| Authors::of(status, &space));
        let mut out = serde_json::Map::new();
        authors.describe(self.directory, &hex(&actor), &mut out);
        let unit = out["unit"].as_str().and_then(|code| self.directory.unit(code));
        let unit = unit.map_or_else(|| "?".to_owned(), |unit| unit.name.clone());
        match self.name(account) {
            Some(name) => format!("{name}（{unit}）"),
            None => unit,
        }
    }

    /// The name behind an account id, if this node reads that account.
    pub(super) fn name(&mut self, account: &str) -> Option<String> {
        if account.len() != 32 {
            return None;
        }
        if let Some(name) = self.names.get(account) {
            return (!name.is_empty()).then(|| name.clone());
        }
        let schema = schema_named("account")?;
        let shown = self.records.show(schema, account).ok();
        let json = shown.map(|shown| shown.record.to_json());
        let name = json.and_then(|j| Some(j["name"].as_str()?.to_owned())).unwrap_or_default();
        self.names.insert(account.to_owned(), name.clone());
        (!name.is_empty()).then_some(name)
    }
}

/// The name of a unit.
pub(super) fn unit_name(directory: &Directory, code: Option<&str>) -> String {
    let unit = code.and_then(|code| directory.unit(code));
    unit.map_or_else(|| code.unwrap_or_default().to_owned(), |unit| unit.name.clone())
}

/// `safe on 3 of 16 nodes`.
pub(super) fn safe(lang: Lang, held: usize, of: usize) -> String {
    let (safe, nodes) = (Word::SafeOn.say(lang), Word::Nodes.say(lang));
    match lang {
        Lang::Zh => format!("{safe} {held}/{of} {nodes}"),
        Lang::En => format!("{safe} {held} of {of} {nodes}"),
    }
}

/// A list row's cell as text.
pub(super) fn cell_text(field: &Field, cell: &Cell, lang: Lang) -> String {
    let json = match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => (*number).into(),
        Cell::Text(text) if field.merge.is_container() => {
            serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
        }
        Cell::Text(text) => text.as_str().into(),
    };
    text(field, &json, lang)
}

/// What a list row is recognised by.
pub(super) fn title_cell(schema: &'static Schema, row: &ListedRow, lang: Lang) -> String {
    let told = |name: &str| {
        let at = schema.columns.iter().position(|c| *c == name)?;
        let told = cell_text(schema.field(name)?, &row.row.cells[at], lang);
        (!told.is_empty()).then_some(told)
    };
    let title = schema.title().and_then(|title| told(title.name));
    title.or_else(|| told("kind")).unwrap_or_else(|| kind_label(schema, lang).to_owned())
}
