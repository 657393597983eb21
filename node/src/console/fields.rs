//! Forms made from a schema, and what was typed into them as edits.
//!
//! Beside each field a form carries what the field said when the form was made. Only what differs from
//! that was changed by this person; texts and lists are then merged with what they have become.

use super::cells::label;
use super::words::Word;
use crate::words::Lang;
use fenbu_protocol::record::{Field, Merge, Schema, ValueType};
use fenbu_protocol::sheet::{read, show};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Prefix of what a field said.
const WAS: &str = "was:";

/// What a form sent; later values of a name win.
pub(super) type Sent = BTreeMap<String, String>;

/// Why a field's text cannot be taken, by field.
pub(super) type Wrong = BTreeMap<String, String>;

/// A choice of a field that names records by their code.
#[derive(Debug, Clone)]
pub(super) struct Suggestion {
    pub(super) value: String,
    pub(super) label: String,
}

/// Whether people change a field in a form: steps and remarks have buttons of their own.
pub(super) fn is_typed(field: &Field) -> bool {
    !matches!(field.merge, Merge::Log | Merge::Notes)
}

/// Empty values in forms are empty texts.
fn typed(field: &Field, value: &Value, lang: Lang) -> String {
    let told = match (field.value, field.merge, value) {
        _ if field.personal => String::new(),
        (
            ValueType::Code(_) | ValueType::Bool,
            Merge::Register | Merge::Contested,
            Value::String(code),
        ) => code.clone(),
        (ValueType::Bool, _, Value::Bool(flag)) => flag.to_string(),
        (ValueType::Instant, _, Value::Number(_)) => {
            show(field, value, lang.into()).replacen(' ', "T", 1)
        }
        (_, Merge::List | Merge::Set, Value::Array(items)) if all_texts(items) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        _ => show(field, value, lang.into()),
    };
    // Browsers send line ends their own way.
    told.replace("\r\n", "\n")
}

fn all_texts(items: &[Value]) -> bool {
    items.iter().all(Value::is_string)
}

/// The inputs of a record's fields. `values` is what the record says, `sent` what was typed and could not
/// be taken, with `wrong` saying why.
pub(super) struct Form<'a> {
    pub(super) lang: Lang,
    pub(super) values: &'a Map<String, Value>,
    pub(super) sent: &'a Sent,
    pub(super) wrong: &'a Wrong,
    pub(super) suggestions: &'a BTreeMap<&'static str, Vec<Suggestion>>,
}

impl Form<'_> {
    pub(super) fn inputs(&self, schema: &'static Schema) -> Markup {
        let typed = schema.fields.iter().filter(|f| is_typed(f) && f.name != "same_as");
        html! {
            div.form {
                @for field in typed { (self.input(field)) }
            }
        }
    }

    fn input(&self, field: &'static Field) -> Markup {
        let lang = self.lang;
        let was = typed(field, self.values.get(field.name).unwrap_or(&Value::Null), lang);
        let was = self.sent.get(&format!("{WAS}{}", field.name)).cloned().unwrap_or(was);
        let now = self.sent.get(field.name).cloned().unwrap_or_else(|| was.clone());
        let id = format!("f-{}", field.name);
        let wrong = self.wrong.get(field.name);
        html! {
            div {
                label for=(id) {
                    (label(field, lang))
                    @if field.required { " " span aria-hidden="true" { "*" } }
                }
                (self.control(field, &id, &now, wrong.is_some()))
                @if let Some(hint) = hint(field, lang) { p.hint { (hint) } }
                @if let Some(why) = wrong { p.trouble role="alert" { (why) } }
                input type="hidden" name=(format!("{WAS}{}", field.name)) value=(was);
            }
        }
    }

    fn control(&self, field: &'static Field, id: &str, now: &str, wrong: bool) -> Markup {
        let lang = self.lang;
        let name = field.name;
        let invalid = wrong.then_some("true");
        // The empty one among them clears the field.
        let needed = field.required && !field.personal;
        let plain = matches!(field.merge, Merge::Register | Merge::Contested);
        match (field.value, plain) {
            (ValueType::Code(codes), true) => html! {
                select id=(id) name=(name) required[needed] aria-invalid=[invalid] {
                    @if !needed || now.is_empty() { option value="" {} }
                    @for code in codes {
                        option value=(code.code) selected[code.code == now] {
                            (match lang { Lang::Zh => code.zh, Lang::En => code.en })
                        }
                    }
                    @if !now.is_empty() && field.code(now).is_none() {
                        option value=(now) selected { (now) }
                    }
                }
            },
            (ValueType::Bool, true) => html! {
                select id=(id) name=(name) aria-invalid=[invalid] {
                    option value="" {}
                    @for (flag, zh, en) in [("true", "是", "Yes"), ("false", "否", "No")] {
                        option value=(flag) selected[flag == now] {
                            (match lang { Lang::Zh => zh, Lang::En => en })
                        }
                    }
                }
            },
            (ValueType::Date, true) => html! {
                input type="date" id=(id) name=(name) value=(now) required[needed] aria-invalid=[invalid];
            },
            (ValueType::Instant, true) => html! {
                input type="datetime-local" id=(id) name=(name) value=(now) required[needed] aria-invalid=[invalid];
            },
            (ValueType::Int, true) => html! {
                input inputmode="numeric" id=(id) name=(name) value=(now) required[needed] aria-invalid=[invalid];
            },
            (_, true) if !matches!(field.value, ValueType::Object(_)) => {
                let list = self.suggestions.get(name).map(|_| format!("{id}-list"));
                html! {
                    input id=(id) name=(name) value=(now) required[needed] autocomplete="off"
                        list=[list.as_ref()] aria-invalid=[invalid]
                        placeholder=[self.mask(field)];
                    @if let (Some(list), Some(known)) = (list, self.suggestions.get(name)) {
                        datalist id=(list) {
                            @for one in known { option value=(one.value) { (one.label) } }
                        }
                    }
                }
            }
            _ => {
                let long = field.merge == Merge::Text;
                html! {
                    textarea id=(id) name=(name) class=[long.then_some("long")] aria-invalid=[invalid]
                        placeholder=[self.mask(field)] {
                        // A parser drops one line end there.
                        "\n" (now)
                    }
                    @if long && !field.personal {
                        p {
                            button type="button" data-preview=(id) { (Word::Preview.say(lang)) }
                        }
                        div.prose id=(format!("{id}-preview")) hidden {}
                    }
                }
            }
        }
    }

    /// A personal value is not put into forms; it says that there is one.
    fn mask(&self, field: &Field) -> Option<String> {
        let value = self.values.get(field.name).filter(|_| field.personal)?;
        let told = super::cells::text(field, value, self.lang);
        (!told.is_empty()).then_some(told)
    }
}

fn hint(field: &Field, lang: Lang) -> Option<String> {
    if let ValueType::Object(parts) = field.value {
        let names: Vec<_> = parts.iter().map(|part| label(part, lang)).collect();
        let parts = names.join(match lang {
            Lang::Zh => "｜",
            Lang::En => " | ",
        });
        let how = Word::PartsHint.say(lang);
        return Some(match field.merge {
            Merge::Map => format!("{} {how}{parts}", Word::MapHint.say(lang)),
            _ => format!("{how}{parts}"),
        });
    }
    match field.merge {
        Merge::Set | Merge::List => Some(Word::FormHint.say(lang).to_owned()),
        Merge::Map => Some(Word::MapHint.say(lang).to_owned()),
        _ => None,
    }
}

impl Form<'_> {
    /// Fields that say something else now than when a form was made.
    pub(super) fn changed_since(
        &self,
        schema: &'static Schema,
        sent: &Sent,
    ) -> Vec<&'static Field> {
        let fields = schema.fields.iter().filter(|f| is_typed(f) && !f.personal);
        let changed = fields.filter(|field| {
            let now = typed(field, self.values.get(field.name).unwrap_or(&Value::Null), self.lang);
            let was =
                sent.get(&format!("{WAS}{}", field.name)).map(|was| was.replace("\r\n", "\n"));
            was.is_some_and(|was| was != now)
        });
        changed.collect()
    }
}

/// What a form's changes are as edits.
pub(super) fn edits(
    schema: &'static Schema,
    sent: &Sent,
    lang: Lang,
) -> Result<Map<String, Value>, Wrong> {
    let mut out = Map::new();
    let mut wrong = Wrong::new();
    for field in schema.fields.iter().filter(|f| is_typed(f)) {
        let Some(now) = sent.get(field.name) else { continue };
        let now = now.replace("\r\n", "\n");
        let was = sent.get(&format!("{WAS}{}", field.name)).map(|was| was.replace("\r\n", "\n"));
        let was = was.unwrap_or_default();
        if now == was || (field.personal && now.is_empty()) {
            continue;
        }
        match edit(field, &was, &now) {
            Ok(edit) => {
                out.insert(field.name.to_owned(), edit);
            }
            Err(why) => {
                wrong.insert(field.name.to_owned(), lang.say(&why));
            }
        }
    }
    if wrong.is_empty() { Ok(out) } else { Err(wrong) }
}

/// What somebody took a field's text from and to, as the edit that says so.
fn edit(field: &'static Field, was: &str, now: &str) -> Result<Value, String> {
    let plain = matches!(field.merge, Merge::Register | Merge::Contested);
    match (field.value, field.merge) {
        (ValueType::Code(_), _) if plain => Ok(text_or_null(now)),
        (ValueType::Bool, _) if plain => Ok(match now {
            "true" => json!(true),
            "false" => json!(false),
            _ => Value::Null,
        }),
        (_, Merge::Text) => Ok(json!({ "was": was, "now": now })),
        (ValueType::Text | ValueType::Id(_), Merge::List) => {
            Ok(json!({ "was": lines(was), "now": lines(now) }))
        }
        (ValueType::Text | ValueType::Id(_), Merge::Set) => {
            let (before, after) = (lines(was), lines(now));
            let less = |a: &[&str], b: &[&str]| -> Vec<Value> {
                a.iter().filter(|item| !b.contains(item)).map(|item| json!(item)).collect()
            };
            Ok(json!({ "add": less(&after, &before), "remove": less(&before, &after) }))
        }
        (_, Merge::List) => {
            let part = |text| told(field, text).map(|v| if v.is_null() { json!([]) } else { v });
            Ok(json!({ "was": part(was)?, "now": part(now)? }))
        }
        (_, Merge::Map) => {
            let (before, after) = (told(field, was)?, told(field, now)?);
            let empty = Map::new();
            let (before, after) =
                (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
            let mut changed: Map<String, Value> = before
                .keys()
                .filter(|k| !after.contains_key(*k))
                .map(|k| (k.clone(), Value::Null))
                .collect();
            changed.extend(
                after
                    .iter()
                    .filter(|(k, v)| before.get(*k) != Some(v))
                    .map(|(k, v)| (k.clone(), v.clone())),
            );
            Ok(Value::Object(changed))
        }
        (ValueType::Instant, _) => told(field, &now.replacen('T', " ", 1)),
        _ => told(field, now),
    }
}

fn told(field: &'static Field, text: &str) -> Result<Value, String> {
    read(field, text).map(|value| value.unwrap_or(Value::Null)).map_err(|why| why.to_string())
}

fn text_or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fenbu_protocol::record::{ALL, Edits, schema_named};

    fn sent(pairs: &[(&str, &str)]) -> Sent {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_what_was_changed_is_said() {
        let post = schema_named("post").unwrap();
        let form = sent(&[
            ("title", "new"),
            ("was:title", "old"),
            ("column", "news"),
            ("was:column", "news"),
            ("body", "a\r\nb"),
            ("was:body", "a\nb"),
            ("tags", "x\ny"),
            ("was:tags", "x\nz"),
            ("written", ""),
            ("was:written", "2018-01-01"),
        ]);
        let edits = Value::Object(edits(post, &form, Lang::Zh).unwrap());
        let expected = json!({
            "title": "new", "tags": {"add": ["y"], "remove": ["z"]}, "written": null,
        });
        assert_eq!(edits, expected);
        Edits::from_json(post, &edits).unwrap();
    }

    #[test]
    fn a_personal_value_that_is_left_alone_stays() {
        let member = schema_named("member").unwrap();
        let kept = sent(&[("phone", ""), ("was:phone", "")]);
        assert_eq!(edits(member, &kept, Lang::Zh).unwrap(), Map::new());
        let typed = sent(&[("phone", "13800000000"), ("was:phone", "")]);
        assert_eq!(edits(member, &typed, Lang::Zh).unwrap()["phone"], "13800000000");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_field() {
        let branch = schema_named("branch").unwrap();
        let wrong = edits(branch, &sent(&[("groups", "many")]), Lang::Zh).unwrap_err();
        assert_eq!(wrong.keys().collect::<Vec<_>>(), ["groups"]);
    }

    /// A form that is sent back as it was made changes nothing, whatever the record holds.
    #[test]
    fn every_kind_comes_back_unchanged() {
        for schema in ALL {
            let none = Map::new();
            let form = Form {
                lang: Lang::Zh,
                values: &none,
                sent: &Sent::new(),
                wrong: &Wrong::new(),
                suggestions: &BTreeMap::new(),
            };
            let page = form.inputs(schema).into_string();
            for field in schema.fields.iter().filter(|f| is_typed(f) && f.name != "same_as") {
                assert!(page.contains(&format!("name=\"{}\"", field.name)), "{}", field.name);
            }
        }
    }
}
