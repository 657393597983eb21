//! Every kind's sheet: out and back in says nothing new, and makes the same record again.

use super::*;
use crate::record::{ALL, Authors, Edits, Field, Merge, Record, Schema, ValueType, schema_named};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HEAD: [u8; 16] = [7; 16];

/// Texts that look like other things: lists, JSON, masks, formulas, numbers, dates.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "甲、乙",
        "a; b",
        "键：值",
        "[1]",
        "{\"a\":1}",
        "'=1+1",
        "=1+1",
        "0012",
        "110101199001011234",
        "2018-12-11",
        "x|y",
        "第一行\n第二行",
        " 空格 ",
        "（清空）x",
        "是",
        "\"引\"",
        "三｜四",
    ];
    let any = prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[a-z\u{4e00}-\u{4e20} ;:,|]{1,8}",
    ];
    any.prop_filter("says something", |text| !text.trim().is_empty())
}

fn value(field: &'static Field) -> BoxedStrategy<Value> {
    match field.value {
        ValueType::Text => text().prop_map(Value::from).boxed(),
        ValueType::Code(codes) => {
            prop::sample::select(codes).prop_map(|c| Value::from(c.code)).boxed()
        }
        ValueType::State(workflow) => {
            // What a record only looks like nobody can say.
            let said = workflow.states.iter().filter(|c| field.reachable(c.code).is_some());
            let said: Vec<_> = said.map(|c| c.code).collect();
            prop::sample::select(said).prop_map(Value::from).boxed()
        }
        ValueType::Date => {
            let part = (1800..2200u32, 1..13u32, 1..29u32);
            part.prop_map(|(y, m, d)| json!(format!("{y}-{m:02}-{d:02}"))).boxed()
        }
        ValueType::Instant => (0..4_000_000_000_000i64).prop_map(Value::from).boxed(),
        ValueType::Int => any::<i64>().prop_map(Value::from).boxed(),
        ValueType::Bool => any::<bool>().prop_map(Value::from).boxed(),
        ValueType::Id(_) => "[0-9a-f]{32}".prop_map(Value::from).boxed(),
        ValueType::Object(parts) => parts
            .iter()
            .map(|part| {
                let value = match part.merge {
                    Merge::Set => prop::collection::btree_set(text(), 1..3)
                        .prop_map(|set| set.into_iter().collect::<Value>())
                        .boxed(),
                    _ => value(part),
                };
                if part.required {
                    value.prop_map(Some).boxed()
                } else {
                    prop::option::of(value).boxed()
                }
            })
            .collect::<Vec<_>>()
            .prop_map(|values| {
                let given = parts.iter().zip(values);
                let given = given.filter_map(|(part, value)| Some((part.name.to_owned(), value?)));
                Value::Object(given.collect())
            })
            .boxed(),
    }
}

/// A whole field, as it is edited.
fn field(field: &'static Field) -> BoxedStrategy<Value> {
    match field.merge {
        Merge::List | Merge::Notes => {
            prop::collection::vec(value(field), 1..3).prop_map(Value::from).boxed()
        }
        Merge::Set => prop::collection::btree_set(text(), 1..4)
            .prop_map(|set| set.into_iter().collect::<Value>())
            .boxed(),
        Merge::Map => prop::collection::btree_map(text(), value(field), 1..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
            .boxed(),
        Merge::Tally => (0..1_000_000i64).prop_map(Value::from).boxed(),
        _ => value(field),
    }
}

/// Fields of a record of any kind: all it needs and some of the others.
fn record() -> impl Strategy<Value = (&'static str, Map<String, Value>)> {
    prop::sample::select(ALL.to_vec()).prop_flat_map(|schema| {
        let fields: Vec<_> = schema
            .fields
            .iter()
            .map(|f| {
                let some = field(f);
                if f.required {
                    some.prop_map(Some).boxed()
                } else {
                    prop::option::of(some).boxed()
                }
            })
            .collect();
        fields.prop_map(move |values| {
            let given = schema.fields.iter().zip(values);
            let given = given.filter_map(|(f, value)| Some((f.name.to_owned(), value?)));
            (schema.name, given.collect())
        })
    })
}

fn new(schema: &'static Schema) -> Record {
    let units = BTreeMap::from([(HEAD, "head".to_owned())]);
    let (head_office, home) = ("head".into(), Some("head".into()));
    let authors = Authors { units, head_office, home, ..Authors::default() };
    Record::new(schema).by(&Arc::new(authors))
}

fn made(schema: &'static Schema, edits: &Edits) -> Map<String, Value> {
    let mut record = new(schema);
    record.edit(HEAD, 1, "a", edits).unwrap().expect("something is said");
    fields_of(&record)
}

fn fields_of(record: &Record) -> Map<String, Value> {
    let mut fields = record.to_json().as_object().unwrap().clone();
    fields.remove("conflicts");
    fields.remove("courses");
    fields
}

fn heading(schema: &'static Schema, lang: Lang) -> Heading {
    let names: Vec<_> = columns(schema).iter().map(|c| c.label(lang).to_owned()).collect();
    Heading::read(schema, &names, lang).unwrap()
}

fn cells(heading: &Heading, fields: &Map<String, Value>, lang: Lang) -> Vec<String> {
    let cell = |column: &Option<Column>| match column {
        Some(Column::Field(field)) => show(field, &fields[field.name], lang),
        _ => String::new(),
    };
    heading.columns.iter().map(cell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_goes_out_comes_back_as_it_was((kind, fields) in record(), english in any::<bool>()) {
        let lang = if english { Lang::En } else { Lang::Zh };
        let schema = schema_named(kind).unwrap();
        let edits = Edits::from_json(schema, &Value::Object(fields)).unwrap();
        let before = made(schema, &edits);
        let heading = heading(schema, lang);
        let cells = cells(&heading, &before, lang);
        let row = Row::read(&heading, &cells).unwrap().expect("it has cells");
        let there = Before { fields: &before, version: "v" };
        let says = row.says(Some(there), lang).unwrap();
        prop_assert_eq!(says.changes, vec![]);
        prop_assert_eq!(row.key().unwrap(), Key::of(schema, &before));

        // Elsewhere, where there is no such record, it makes the same; outer blanks are not kept.
        let row = Row::read(&heading, &cells).unwrap().expect("it has cells");
        let again = made(schema, &row.says(None, lang).unwrap().edits);
        let told = super::tests::cells(&heading, &again, lang);
        for (told, cell) in told.iter().zip(&cells) {
            prop_assert_eq!(told.trim(), cell.trim());
        }
    }

    #[test]
    fn no_cell_makes_it_panic(text in ".{0,40}", which in any::<prop::sample::Index>()) {
        let all: Vec<&Field> = ALL.iter().flat_map(|s| s.fields).collect();
        let field = all[which.index(all.len())];
        if let Ok(Some(value)) = read(field, &text) {
            let _ = show(field, &value, Lang::Zh);
        }
        let _ = mask(&text);
    }
}

#[test]
fn no_name_of_a_column_means_two() {
    for schema in ALL {
        let mut names = BTreeMap::new();
        for column in columns(schema) {
            let own = [column.name(), column.label(Lang::Zh), column.label(Lang::En)];
            let own: BTreeSet<_> = own.iter().map(|name| name.to_ascii_lowercase()).collect();
            for name in own {
                let other = names.insert(name.clone(), column.name());
                assert_eq!(other, None, "'{name}' of {}", schema.name);
            }
        }
        for name in natural_keys(schema).concat() {
            assert!(schema.field(name).is_some(), "no field {name} in {}", schema.name);
        }
        assert!(!natural_keys(schema).concat().is_empty(), "{}", schema.name);
    }
}

fn member(pairs: &[(&str, &str)]) -> (Heading, Vec<String>) {
    let schema = schema_named("member").unwrap();
    let names: Vec<_> = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells = pairs.iter().map(|(_, cell)| (*cell).to_owned()).collect();
    (Heading::read(schema, &names, Lang::Zh).unwrap(), cells)
}

fn zhang() -> Map<String, Value> {
    let schema = schema_named("member").unwrap();
    let json = json!({"name": "张伟", "branch": "nj-1", "phone": "13800138000", "stage": "full",
        "id_number": "110101199003071234", "groups": ["youth", "甲；乙"]});
    made(schema, &Edits::from_json(schema, &json).unwrap())
}

fn said(pairs: &[(&str, &str)]) -> Result<Vec<(String, String, String)>, Vec<String>> {
    let (heading, cells) = member(pairs);
    let before = zhang();
    let row = Row::read(&heading, &cells).unwrap().unwrap();
    let says = row.says(Some(Before { fields: &before, version: "v2" }), Lang::Zh);
    let changes = |says: Says| {
        let one = |c: Change| (c.field.name.to_owned(), c.before, c.after);
        says.changes.into_iter().map(one).collect()
    };
    says.map(changes).map_err(|errors| errors.iter().map(|e| e.why.to_string()).collect())
}

#[test]
fn a_mask_is_the_value_it_masks_and_no_other() {
    assert_eq!(mask("110101199003071234"), "110101********1234");
    assert_eq!(mask("13800138000"), "138****8000");
    assert_eq!(mask("家属院三号楼"), "家**");
    assert_eq!(said(&[("电话", "138****8000"), ("身份证号", "110101********1234")]), Ok(vec![]));
    let error = said(&[("电话", "139****0000")]).unwrap_err();
    assert!(error[0].contains("--reveal"), "{error:?}");
    let changed = said(&[("Phone", "13900139000")]).unwrap();
    assert_eq!(changed, [("phone".into(), "138****8000".into(), "139****9000".into())]);
}

#[test]
fn either_language_and_the_plain_name_are_understood() {
    let change = |field: &str, before: &str, after: &str| {
        Ok(vec![(field.to_owned(), before.to_owned(), after.to_owned())])
    };
    assert_eq!(said(&[("发展阶段", "正式党员")]), Ok(vec![]));
    assert_eq!(said(&[("stage", "Full member")]), Ok(vec![]));
    assert_eq!(said(&[("性别", "Male")]), change("gender", "", "男"));
    assert_eq!(said(&[("出生日期", "1990年3月7日")]), change("birth", "", "****-**-**"));
    assert_eq!(said(&[("入党日期", "35431")]), change("joined", "", "1997-01-01"));
    assert_eq!(said(&[("分组", "（清空）")]).unwrap()[0].0, "groups");
    assert_eq!(said(&[("分组", ""), ("姓名", "张伟")]), Ok(vec![]));
    let error = said(&[("性别", "先生"), ("入党日期", "去年")]).unwrap_err();
    assert!(error[0].contains("男 (Male), 女 (Female)"), "{error:?}");
    assert!(error[1].contains("2018-12-11"), "{error:?}");
}

#[test]
fn a_row_that_is_out_of_date_undoes_nothing() {
    let error = said(&[("职务", "科长"), ("导出时版本", "v1")]).unwrap_err();
    assert!(error[0].contains("export again"), "{error:?}");
    assert_eq!(said(&[("职务", ""), ("电话", "13800138000"), ("导出时版本", "v1")]), Ok(vec![]));
    assert_eq!(said(&[("职务", "科长"), ("导出时版本", "v2")]).unwrap().len(), 1);
    assert!(version_of(&[[1; 32], [2; 32]]).starts_with('v'));
    assert_eq!(version_of(&[[1; 32], [2; 32]]), version_of(&[[2; 32], [1; 32]]));
}

#[test]
fn a_surer_key_contradicts_the_name() {
    let schema = schema_named("member").unwrap();
    let key = |value: Value| Key::of(schema, value.as_object().unwrap());
    let there = Key::of(schema, &zhang());
    let same = key(json!({"name": "张伟", "branch": "nj-1"}));
    let other = key(json!({"name": "张伟", "branch": "nj-1", "id_number": "110101199003079999"}));
    let tried: Vec<_> = other.tries().map(|(at, _)| at).collect();
    assert_eq!(tried, [0, 1]);
    assert!(same.agrees(&there, 1) && !other.agrees(&there, 1));
    assert_eq!(key(json!({"job": "x"})).tries().count(), 0);
    assert!(key_fields(schema, Lang::Zh).contains("姓名+所在党组织"));
}

#[test]
fn a_heading_says_what_it_does_not_know() {
    let schema = schema_named("member").unwrap();
    let read = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
        Heading::read(schema, &names, Lang::Zh).map_err(|(at, e)| (at, e.to_string()))
    };
    let (at, error) = read(&["姓名", "电活"]).unwrap_err();
    assert!(at == 1 && error.contains("电活") && error.contains("电话"), "{error}");
    assert_eq!(read(&["姓名", "name"]).unwrap_err().0, 1);
    assert!(read(&["", " "]).is_err());
    let fine = read(&["序号", "\u{feff}姓名*", "#备注", ""]).unwrap();
    assert_eq!(fine.columns.iter().filter(|c| c.is_some()).count(), 1);
    assert_eq!(fine.at("name"), Some(1));
}

#[test]
fn times_are_read_as_people_write_them() {
    let start = schema_named("meeting").unwrap().field("start").unwrap();
    let nine = Some(json!(1_544_490_000_000u64));
    for text in [
        "2018-12-11 09:00",
        "2018/12/11 9:00",
        "2018年12月11日9:00",
        "2018-12-11T01:00:00Z",
        "2018年12月11日 9时00分",
        "２０１８-12-11 09：00",
        "2018-12-11 09:00:00",
    ] {
        assert_eq!(read(start, text), Ok(nine.clone()), "{text}");
    }
    for text in ["2018-12-11", "9:00", "2018-12-11 25:00", "明天"] {
        assert!(read(start, text).is_err(), "{text}");
    }
    assert_eq!(zoned(0, 0), "1970-01-01 00:00");
    assert_eq!(zoned(-1, 0), "1969-12-31 23:59:59.999");
    let written = schema_named("post").unwrap().field("written").unwrap();
    for text in ["2018-12-11", "2018/12/11", "20181211", "43445", "2018-12-11 00:00:00"] {
        assert_eq!(read(written, text), Ok(Some(json!("2018-12-11"))), "{text}");
    }
}
