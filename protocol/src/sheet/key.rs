//! Which record a row without an id stands for.

use super::Lang;
use super::cell::show;
use crate::record::Schema;
use serde_json::{Map, Value};

/// The fields that together tell one record of a kind from another, the surest first. Each is tried in
/// turn; all but the last need every field filled in. A kind without a line here is told by the fields
/// it cannot be without.
pub fn natural_keys(schema: &'static Schema) -> Vec<Vec<&'static str>> {
    let keys: &[&[&'static str]] = match schema.name {
        "member" => &[&["id_number"], &["name", "branch"]],
        "post" => &[&["title", "written"]],
        "meeting" => &[&["kind", "branch", "start"], &["kind", "branch", "planned"]],
        "branch" | "temporary-branch" => &[&["code"]],
        "transfer" => &[&["letter"], &["member", "issued"]],
        "term" => &[&["person", "branch", "post", "from"]],
        "secondment" => &[&["person", "branch", "from"]],
        "adoption" => &[&["title", "outlet", "kind", "date"]],
        "honour" => &[&["name", "title", "year"]],
        "activity" => &[&["title", "programme", "date"]],
        "attendance-credit" => &[&["member", "meeting"]],
        "reminder" => &[&["what", "unit", "branch", "due"]],
        "document" => &[&["title", "version"]],
        _ => {
            return vec![schema.fields.iter().filter(|f| f.required).map(|f| f.name).collect()];
        }
    };
    keys.iter().map(|key| key.to_vec()).collect()
}

/// The fields of a kind's keys, for those who describe them.
pub fn key_fields(schema: &'static Schema, lang: Lang) -> String {
    let label = |name: &&str| schema.field(name).map_or("", |f| lang.pick(f.label_zh, f.label_en));
    let keys = natural_keys(schema);
    let keys = keys.iter().map(|key| key.iter().map(label).collect::<Vec<_>>().join("+"));
    keys.collect::<Vec<_>>().join(lang.pick("，或 ", ", or "))
}

/// A record's, or a row's, values of each of its kind's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Vec<Option<Vec<String>>>);

impl Key {
    pub fn of(schema: &'static Schema, fields: &Map<String, Value>) -> Self {
        let keys = natural_keys(schema);
        let last = keys.len().saturating_sub(1);
        let values = keys.iter().enumerate().map(|(at, names)| {
            let texts = names.iter().filter_map(|name| {
                let value = fields.get(*name).unwrap_or(&Value::Null);
                Some(show(schema.field(name)?, value, Lang::Zh).trim().to_owned())
            });
            let texts: Vec<String> = texts.collect();
            let lacking = |text: &String| text.is_empty();
            let told =
                if at == last { !texts.iter().all(lacking) } else { !texts.iter().any(lacking) };
            told.then_some(texts)
        });
        Self(values.collect())
    }

    /// The values by which it is looked for, with the number of their key, the surest first.
    pub fn tries(&self) -> impl Iterator<Item = (usize, &[String])> {
        self.0.iter().enumerate().filter_map(|(at, texts)| Some((at, texts.as_deref()?)))
    }

    /// Whether key number `at` may tell these two to be one: no surer key, filled in on both sides, says
    /// otherwise.
    pub fn agrees(&self, other: &Self, at: usize) -> bool {
        let surer = self.0.iter().zip(&other.0).take(at);
        surer.into_iter().all(|pair| match pair {
            (Some(a), Some(b)) => a == b,
            _ => true,
        })
    }
}
