//! Every field of every kind, changed on two nodes at once.

use super::courses::{HEAD, Office};
use super::*;
use std::collections::BTreeMap;

/// A value of a field's type, one of two.
fn value(field: &Field, which: usize) -> Value {
    let which = which % 2;
    match field.value {
        ValueType::Text => json!(["甲", "乙"][which]),
        ValueType::Code(codes) => json!(codes[which % codes.len()].code),
        ValueType::Date => json!(["2018-12-11", "2018-12-12"][which]),
        ValueType::Instant => json!(1_544_490_000_000u64 + which as u64),
        ValueType::Int => json!(7 + which),
        ValueType::Bool => json!(which == 0),
        ValueType::Id(_) => json!(["ab", "cd"][which].repeat(16)),
        ValueType::Object(parts) => {
            parts.iter().map(|part| (part.name.to_owned(), part_value(part, which))).collect()
        }
        ValueType::State(_) => unreachable!("steps have tests of their own"),
    }
}

fn part_value(part: &Field, which: usize) -> Value {
    match part.merge {
        // In the order a set is kept in.
        Merge::Set => json!(["乙", "甲"]),
        _ => value(part, which),
    }
}

/// What is written of a field by one of two offices.
fn edit(field: &Field, which: usize) -> Value {
    match field.merge {
        Merge::Register | Merge::Contested | Merge::Tally => value(field, which),
        Merge::Text => json!(["前文", "后文"][which]),
        Merge::Set => json!({"add": [value(field, which)]}),
        Merge::List => json!([value(field, which)]),
        Merge::Map => json!({"k": value(field, which)}),
        Merge::Notes => json!({"add": [value(field, which)]}),
        Merge::Log => unreachable!("steps have tests of their own"),
    }
}

/// The least a record of the kind has, for its first change.
fn required(schema: &Schema) -> Value {
    let unit = |f: &Field| f.name == "unit" || f.name.ends_with("_unit");
    let given = |f: &&Field| f.required;
    let of = |f: &Field| if unit(f) { json!("head") } else { value(f, 0) };
    schema.fields.iter().filter(given).map(|f| (f.name.to_owned(), of(f))).collect()
}

/// Head office makes it: there is no kind it may not write.
fn made(schema: &'static Schema) -> Office {
    Office::new(schema, HEAD, required(schema))
}

#[test]
fn every_kind_is_made_and_shown_with_every_field_set() {
    for schema in ALL {
        let mut office = made(schema);
        for field in schema.fields.iter().filter(|f| f.workflow().is_none() && !f.required) {
            office.writes(HEAD, json!({ field.name: edit(field, 0) })).unwrap();
        }
        let shown = office.record.to_json();
        for field in schema.fields.iter().filter(|f| f.workflow().is_none() && !f.required) {
            let shown = &shown[field.name];
            let expected = match field.merge {
                Merge::Register | Merge::Contested => value(field, 0),
                Merge::Text => json!("前文"),
                Merge::Map => json!({"k": value(field, 0)}),
                Merge::Tally => json!({ hex(&log(HEAD).actor()): 7 }),
                _ => json!([value(field, 0)]),
            };
            assert_eq!(shown, &expected, "{}.{}", schema.name, field.name);
        }
        let row = office.record.row();
        assert_eq!(row.cells.len(), schema.columns.len());
        assert_eq!(row.conflicts, 0, "{}", schema.name);
        assert_eq!(shown["conflicts"], json!({}), "{}", schema.name);
        let mut told = shown.clone();
        told.as_object_mut().unwrap().retain(|k, _| schema.field(k).is_some());
        let edits = Edits::from_json(schema, &told).unwrap();
        // A tally shown as a sum of its parts is nothing to add; neither is a note made already.
        let again = office.record.edit(log(HEAD).actor(), 9, "a9", &edits).unwrap();
        assert_eq!(again, None, "{} said again", schema.name);
    }
}

#[test]
fn every_field_merges_as_its_kind_says() {
    for schema in ALL {
        let base = made(schema);
        for field in schema.fields.iter().filter(|f| f.workflow().is_none()) {
            check_merge(&base, field);
        }
    }
}

fn check_merge(base: &Office, field: &'static Field) {
    let schema = base.record.schema();
    let name = format!("{}.{}", schema.name, field.name);
    let (mut left, mut right) = (base.fork(), base.fork());
    // Two nodes of head office.
    const HERE: u8 = HEAD;
    const THERE: u8 = HEAD + 1;
    let (one, two) = (edit(field, 1), other(field));
    left.writes(HERE, json!({ field.name: one })).unwrap();
    right.writes(THERE, json!({ field.name: two })).unwrap();
    let met = left.met(&right);
    let json = met.record.to_json();
    let shown = &json[field.name];
    let conflicts = json["conflicts"].as_object().unwrap().len();
    match field.merge {
        Merge::Register => {
            assert_eq!(conflicts, 0, "{name}: a register raises none");
            assert!([&one, &two].contains(&shown), "{name}");
        }
        Merge::Contested => {
            let values = json["conflicts"][field.name].as_array().expect(&name);
            assert_eq!((conflicts, values.len()), (1, 2), "{name}: both are kept");
            assert_eq!(&values[0]["value"], shown, "{name}: the one shown comes first");
        }
        Merge::Map => {
            let values = json["conflicts"][&format!("{}/k", field.name)].as_array().expect(&name);
            assert_eq!((conflicts, values.len()), (1, 2), "{name}");
        }
        Merge::Text => {
            let text = shown.as_str().unwrap();
            assert!(text.contains("前文") && text.contains("后文"), "{name}: {text}");
        }
        Merge::Tally => {
            let sum: i64 = shown.as_object().unwrap().values().map(|v| v.as_i64().unwrap()).sum();
            assert_eq!(sum, one.as_i64().unwrap() + two.as_i64().unwrap(), "{name}");
        }
        Merge::Set | Merge::List | Merge::Notes => {
            assert_eq!(shown.as_array().unwrap().len(), 2, "{name}: both are there");
        }
        Merge::Log => unreachable!("filtered"),
    }
    assert_eq!(met.record.row().conflicts as usize, conflicts, "{name}");
    settles(met, field, one, conflicts);
}

/// Something else than what the other office writes, and than what is there.
fn other(field: &Field) -> Value {
    match (field.merge, field.value) {
        (Merge::Register | Merge::Contested, ValueType::Code(codes)) => {
            json!(codes[2 % codes.len()].code)
        }
        (Merge::Register | Merge::Contested, ValueType::Text) => json!("丙"),
        (Merge::Register | Merge::Contested, ValueType::Date) => json!("2018-12-13"),
        (Merge::Register | Merge::Contested, ValueType::Id(_)) => json!("ef".repeat(16)),
        (Merge::Register | Merge::Contested, ValueType::Int) => json!(30),
        (Merge::Register | Merge::Contested, ValueType::Instant) => json!(1_544_490_000_009u64),
        _ => edit(field, 0),
    }
}

/// Writing one of the values again settles it, on whatever node.
fn settles(mut met: Office, field: &Field, value: Value, conflicts: usize) {
    if conflicts > 0 {
        met.writes(HEAD, json!({ field.name: value })).unwrap();
        assert_eq!(met.record.to_json()["conflicts"], json!({}), "{}", field.name);
    }
}

/// A record that is submitted and goes through two rounds.
fn in_two_rounds(schema: &'static Schema, workflow: &Workflow) -> Office {
    let mut office = made(schema);
    let rounds = Reviews::new(vec![Reviewer::Own; 2], false).unwrap();
    office.record = office.record.asking(rounds);
    let submit = workflow.steps.iter().find(|s| s.part == Some(Part::Submits)).unwrap();
    office.takes(HEAD, submit.op).unwrap();
    office
}

/// Every step of every kind can be taken by somebody, from a state that can be reached.
#[test]
fn every_step_can_be_taken() {
    for schema in ALL {
        for (field, workflow) in schema.workflows() {
            let mut ways: BTreeMap<&str, Office> = BTreeMap::new();
            ways.insert(workflow.initial, made(schema));
            let mut left: BTreeSet<&str> = workflow.steps.iter().map(|s| s.op).collect();
            while !left.is_empty() {
                let before = left.len();
                for step in workflow.steps {
                    if !left.contains(step.op) {
                        continue;
                    }
                    let from = ways
                        .keys()
                        .copied()
                        .find(|s| step.from.is_empty() || step.from.contains(s));
                    let Some(from) = from else { continue };
                    let mut office = match step.part {
                        Some(Part::Passes) => in_two_rounds(schema, workflow),
                        _ => ways[from].fork(),
                    };
                    // Some steps take another person of head office than whoever went before.
                    let wanted = json!({field.name: {"op": step.op, "note": "n"}});
                    office
                        .writes(HEAD, wanted.clone())
                        .or_else(|_| office.writes(HEAD + 1, wanted))
                        .unwrap_or_else(|why| panic!("{}.{}: {why}", schema.name, step.op));
                    let state = office.record.course(field).unwrap().state;
                    assert_eq!(state, step.to.unwrap_or(from), "{}.{}", schema.name, step.op);
                    left.remove(step.op);
                    let to = workflow.states.iter().find(|s| s.code == state).unwrap().code;
                    ways.entry(to).or_insert(office);
                }
                assert!(left.len() < before, "{}: nobody can {left:?}", schema.name);
            }
        }
    }
}

#[test]
fn who_may_not_write_a_kind_is_told_who_does() {
    let mut office = made(schema_named("directive").unwrap());
    let why = office.writes(ALICE, json!({"title": "x"})).unwrap_err().to_string();
    assert!(why.contains("head office"), "{why}");
    office.writes(ALICE, json!({"receipts": {"nt-1": {"on": "2018-12-11", "by": "甲"}}})).unwrap();
    let transfer = json!({"member": "ab".repeat(16), "from_unit": "nt", "to_unit": "sz"});
    let mut office = Office::new(schema_named("transfer").unwrap(), ALICE, transfer);
    assert!(office.takes(ALICE, "receive").unwrap_err().to_string().contains("the unit it names"));
    office.takes(super::courses::CAROL, "receive").unwrap();
    assert_eq!(office.status(), "received");
}

/// What the console does when somebody saves a form that was opened before somebody else saved.
#[test]
fn a_revision_of_an_earlier_text_or_list_is_merged_into_the_present_one() {
    let schema = schema_named("post").unwrap();
    let mut office =
        Office::new(schema, HEAD, json!({"title": "t", "body": "一二三四", "bylines": ["甲"]}));
    office.writes(HEAD, json!({"body": "一二三四五", "bylines": ["甲", "乙"]})).unwrap();
    let late = json!({
        "body": {"was": "一二三四", "now": "〇一二四"},
        "bylines": {"was": ["甲"], "now": ["丙"]},
    });
    office.writes(HEAD, late).unwrap();
    let shown = office.record.to_json();
    assert_eq!(shown["body"], "〇一二四五");
    assert_eq!(shown["bylines"], json!(["乙", "丙"]));
    for wrong in [json!({"body": {"was": "x"}}), json!({"bylines": {"was": [], "now": "x"}})] {
        assert!(Edits::from_json(schema, &wrong).is_err(), "{wrong}");
    }
    // Of a record that is made with it, the revision is all there is.
    let new = Office::new(schema, HEAD, json!({"title": "t", "body": {"was": "", "now": "文"}}));
    assert_eq!(new.record.to_json()["body"], "文");
}
