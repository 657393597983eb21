//! Personal data: what lists show instead of it, and what it looks like where it does not belong.

use super::schema::{Field, Merge, Schema, ValueType};
use serde_json::{Map, Value};

/// What stands for a personal value until somebody asks for it with a reason. A value of no such form keeps
/// its first character.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => mask(text).into(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(parts) => {
            parts.iter().map(|(k, v)| (k.clone(), masked(v))).collect::<Map<_, _>>().into()
        }
        Value::Number(_) | Value::Bool(_) => "*".into(),
        Value::Null => Value::Null,
    }
}

fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let keep = |first: usize, last: usize| -> String {
        let hidden = first..chars.len() - last;
        chars.iter().enumerate().map(|(i, c)| if hidden.contains(&i) { '*' } else { *c }).collect()
    };
    let digits = chars.iter().filter(|c| c.is_ascii_digit()).count();
    match (chars.len(), digits) {
        (0, _) => String::new(),
        (18, 17..) => keep(6, 4),
        (15, 15) => keep(6, 3),
        (11, 11) => keep(3, 4),
        (10, 8) if chars[4] == '-' => "****-**-**".into(),
        (1, _) => "*".into(),
        _ => format!("{}**", chars[0]),
    }
}

/// The record's JSON with every personal value masked, also where it stands in conflict.
pub fn mask_fields(schema: &Schema, json: &mut Value) {
    let Some(object) = json.as_object_mut() else { return };
    let personal = |name: &str| {
        let name = name.split('/').next().unwrap_or(name);
        schema.field(name).is_some_and(|f| f.personal)
    };
    for (name, value) in object.iter_mut() {
        match name.as_str() {
            "conflicts" => {
                let contested = value.as_object_mut().into_iter().flatten();
                for (_, values) in contested.filter(|(name, _)| personal(name)) {
                    for one in values.as_array_mut().into_iter().flatten() {
                        one["value"] = masked(&one["value"]);
                    }
                }
            }
            name if personal(name) => *value = masked(value),
            _ => {}
        }
    }
}

/// Leaves out of new values those that are only the mask of what is there: a form that was filled in from
/// a masked record must not write stars over it.
pub fn drop_masks(schema: &Schema, edits: &mut Value, current: &Value) {
    if let Some(object) = edits.as_object_mut() {
        object.retain(|name, value| {
            let personal = schema.field(name).is_some_and(|f| f.personal);
            let there = &current[name.as_str()];
            !personal || value.is_null() || there.is_null() || *value != masked(there)
        });
    }
}

/// A number that belongs in a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    IdNumber,
    Phone,
}

/// Fields of new values in whose text a person's number was typed, though it is no personal field.
pub fn misplaced(schema: &'static Schema, edits: &Value) -> Vec<(&'static str, Kind)> {
    let mut out = Vec::new();
    for field in schema.fields.iter().filter(|f| !f.personal && is_free_text(f)) {
        if let Some(kind) = edits.get(field.name).and_then(number_in) {
            out.push((field.name, kind));
        }
    }
    out
}

fn is_free_text(field: &Field) -> bool {
    field.merge == Merge::Text || matches!(field.value, ValueType::Text | ValueType::Object(_))
}

fn number_in(value: &Value) -> Option<Kind> {
    match value {
        Value::String(text) => number_in_text(text),
        Value::Array(items) => items.iter().find_map(number_in),
        Value::Object(parts) => parts.values().find_map(number_in),
        _ => None,
    }
}

/// The first id number (18 places with the right check digit) or mobile number (11 digits) in a text.
fn number_in_text(text: &str) -> Option<Kind> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| match word.len() {
        18 if is_id_number(word) => Some(Kind::IdNumber),
        11 if is_phone(word) => Some(Kind::Phone),
        _ => None,
    })
}

fn is_phone(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes[0] == b'1' && (b'3'..=b'9').contains(&bytes[1]) && bytes.iter().all(u8::is_ascii_digit)
}

/// Whether the check digit is right (GB 11643-1999: ISO 7064, MOD 11-2).
fn is_id_number(word: &str) -> bool {
    const CHECKS: &[u8; 11] = b"10X98765432";
    let (body, check) = word.as_bytes().split_at(17);
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = (1..18).rev().scan(1u32, |_, place| Some((1..=place).fold(1, |w, _| w * 2 % 11)));
    let sum: u32 = body.iter().zip(weights).map(|(d, w)| u32::from(d - b'0') * w).sum();
    CHECKS[(sum % 11) as usize] == check[0].to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::schema_named;
    use serde_json::json;

    #[test]
    fn numbers_dates_and_names_are_masked_by_their_form() {
        for (plain, shown) in [
            ("110101199003071234", "110101********1234"),
            ("11010119900307123X", "110101********123X"),
            ("13812348000", "138****8000"),
            ("1990-03-07", "****-**-**"),
            ("王海", "王**"),
            ("困", "*"),
            ("", ""),
        ] {
            assert_eq!(masked(&json!(plain)), json!(shown));
        }
        assert_eq!(
            masked(&json!([{"text": "母亲住院", "n": 3}])),
            json!([{"text": "母**", "n": "*"}])
        );
    }

    #[test]
    fn a_masked_form_writes_nothing_over_what_it_hides() {
        let member = schema_named("member").unwrap();
        let current = json!({"name": "王海", "phone": "13812348000", "birth": null});
        let mut edits = json!({"name": "王海涛", "phone": "138****8000", "birth": "1990-03-07"});
        drop_masks(member, &mut edits, &current);
        assert_eq!(edits, json!({"name": "王海涛", "birth": "1990-03-07"}));
        let mut shown = json!({"name": "王海", "phone": "13812348000",
            "conflicts": {"id_number": [{"value": "110101199003071234"}], "name": [{"value": "王海"}]}});
        mask_fields(member, &mut shown);
        assert_eq!(shown["phone"], "138****8000");
        assert_eq!(shown["conflicts"]["id_number"][0]["value"], "110101********1234");
        assert_eq!(shown["conflicts"]["name"][0]["value"], "王海");
    }

    #[test]
    fn a_number_in_free_text_is_noticed() {
        let post = schema_named("post").unwrap();
        let in_body = |text: &str| misplaced(post, &json!({ "body": text }));
        assert_eq!(in_body("联系人王海，电话13812348000。"), [("body", Kind::Phone)]);
        // From the standard's own example.
        assert_eq!(in_body("身份证11010519491231002X号"), [("body", Kind::IdNumber)]);
        assert_eq!(in_body("编号110105194912310021"), [], "a wrong check digit is no id number");
        assert_eq!(in_body("2018年12月11日共459篇"), []);
        let member = schema_named("member").unwrap();
        assert_eq!(misplaced(member, &json!({"phone": "13812348000"})), []);
        let meeting = schema_named("meeting").unwrap();
        let agenda = json!({"agenda": [{"text": "13812348000"}]});
        assert_eq!(misplaced(meeting, &agenda), [("agenda", Kind::Phone)]);
    }
}
