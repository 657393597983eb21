//! The sample keeps its promises, whatever the seed.

use std::collections::{BTreeMap, BTreeSet};

use fenbu_protocol::id::Hash;
use fenbu_protocol::record::{Authors, Edits, Record, schema_named};
use serde_json::Value;

use super::*;

fn digest(sample: &Sample) -> Hash {
    let lines: Vec<String> = sample.records().map(|record| record.to_jsonl_line()).collect();
    Hash::of("sample", &[lines.join("\n").as_bytes()])
}

fn text<'a>(record: &'a SampleRecord, field: &str) -> &'a str {
    record.fields[field].as_str().expect("a text")
}

#[test]
fn the_founding_picture_counts_exactly() {
    for seed in [1, 2018, u64::MAX] {
        let sample = Sample::generate(seed, UNITS);
        let expected = sample.expected();
        assert_eq!((sample.units.len(), sample.branches.len()), (16, 40));
        assert_eq!((expected.posts, expected.members, expected.meetings), (459, 600, 6984));
        assert_eq!((expected.branches, expected.terms), (40, 2 * (32 * 5 + 8 * 2)));
        let columns: Vec<(&str, usize)> =
            expected.posts_by_column.iter().map(|(column, n)| (column.as_str(), *n)).collect();
        assert_eq!(columns, [("culture", 66), ("news", 293), ("pioneer", 30), ("style", 70)]);
        assert_eq!(expected.posts_by_status["published"], 459);
    }
}

#[test]
fn what_is_expected_is_what_is_there() {
    for (seed, units) in [(1, 2), (2, 3), (3, 16), (4, 26)] {
        let sample = Sample::generate(seed, units);
        let expected = sample.expected();
        let mut found: BTreeMap<String, ExpectedOfUnit> = BTreeMap::new();
        let (mut columns, mut statuses) = (Vec::new(), Vec::new());
        let (mut kinds, mut stages) = (Vec::new(), Vec::new());
        let (mut branches, mut terms) = (0, 0);
        let mut ledgers: BTreeMap<String, usize> = BTreeMap::new();
        for unit in &sample.units {
            let of_unit = found.entry(unit.code.clone()).or_default();
            for record in sample.records_of(&unit.code) {
                let code = |field| text(&record, field).to_owned();
                match record.kind {
                    "post" => {
                        if code("status") == "published" {
                            of_unit.posts += 1;
                            columns.push(code("column"));
                        } else {
                            of_unit.unpublished += 1;
                        }
                        statuses.push(code("status"));
                    }
                    "member" => {
                        of_unit.members += 1;
                        stages.push(code("stage"));
                    }
                    "meeting" => {
                        of_unit.meetings += 1;
                        kinds.push(code("kind"));
                    }
                    "branch" => branches += 1,
                    "term" => terms += 1,
                    other => {
                        of_unit.care_visits += usize::from(other == "care-visit");
                        *ledgers.entry(other.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        assert_eq!(found, expected.by_unit);
        assert_eq!(count(columns.iter().map(String::as_str)), expected.posts_by_column);
        assert_eq!(count(statuses.iter().map(String::as_str)), expected.posts_by_status);
        assert_eq!(count(kinds.iter().map(String::as_str)), expected.meetings_by_kind);
        assert_eq!(count(stages.iter().map(String::as_str)), expected.members_by_stage);
        let sum = |f: fn(&ExpectedOfUnit) -> usize| found.values().map(f).sum::<usize>();
        assert_eq!((branches, terms), (expected.branches, expected.terms));
        assert_eq!(ledgers, expected.ledgers);
        assert_eq!(
            sum(ExpectedOfUnit::records) + branches + terms + ledgers.values().sum::<usize>(),
            expected.records()
        );
    }
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_gives_others() {
    let first = digest(&Sample::generate(7, 4));
    assert_eq!(first, digest(&Sample::generate(7, 4)));
    assert_ne!(first, digest(&Sample::generate(8, 4)));
}

#[test]
fn a_unit_writes_the_same_whether_or_not_others_are_asked() {
    let sample = Sample::generate(7, 3);
    let whole: Vec<SampleRecord> = sample.records().collect();
    let alone: Vec<SampleRecord> = sample.records_of("nantong").collect();
    assert!(!alone.is_empty());
    assert_eq!(alone, whole[whole.len() - alone.len()..]);
    assert_eq!(sample.records_of("nowhere").count(), 0);
}

#[test]
fn ids_and_names_are_given_once() {
    let sample = Sample::generate(11, UNITS);
    let records: Vec<SampleRecord> = sample.records().collect();
    let ids: BTreeSet<DocId> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), records.len());
    let names: BTreeSet<&str> =
        records.iter().filter(|r| r.kind == "member").map(|r| text(r, "name")).collect();
    assert_eq!(names.len(), sample.expected().members);
}

#[test]
fn texts_are_of_realistic_length_and_fully_written() {
    let sample = Sample::generate(5, UNITS);
    let mut bodies = BTreeSet::new();
    for record in sample.records() {
        let (field, low, high) = match record.kind {
            "post" => ("body", 200, 1500),
            "meeting" => ("minutes", 100, 400),
            _ => continue,
        };
        let body = text(&record, field);
        let length = body.chars().count();
        assert!((low..=high).contains(&length), "{length} characters: {body}");
        assert!(!record.to_jsonl_line()[2..].contains("{n}"), "{body}");
        if record.kind == "post" {
            assert!(bodies.insert(body.to_owned()), "written twice: {body}");
            let written = text(&record, "written");
            assert!(("2015-01-01"..="2018-12-11").contains(&written), "{written}");
            let is_clipping = text(&record, "kind") == "clipping";
            assert_eq!(record.fields.contains_key("source_url"), is_clipping);
        }
    }
}

#[test]
fn meetings_and_posts_name_people_of_their_unit() {
    let sample = Sample::generate(6, UNITS);
    for unit in &sample.units {
        let records: Vec<SampleRecord> = sample.records_of(&unit.code).collect();
        let members: BTreeMap<String, &SampleRecord> =
            records.iter().filter(|r| r.kind == "member").map(|r| (r.id.to_string(), r)).collect();
        let names: BTreeSet<&str> = members.values().map(|r| text(r, "name")).collect();
        for meeting in records.iter().filter(|r| r.kind == "meeting") {
            assert!(names.contains(text(meeting, "host")));
            assert!(names.contains(text(meeting, "recorder")));
            let attendance = meeting.fields["attendance"].as_object().expect("a map");
            assert!(attendance.len() >= 3, "{}", meeting.to_jsonl_line());
            for id in attendance.keys() {
                assert_eq!(text(members[id], "branch"), text(meeting, "branch"));
            }
            assert!(text(meeting, "planned") <= text(meeting, "start"));
            assert!(text(meeting, "start") < text(meeting, "end"));
            assert!(text(meeting, "end") < "2018-12-12");
            if text(meeting, "kind") == "lecture" {
                assert!(names.contains(text(meeting, "lecturer")));
            }
        }
        for post in records.iter().filter(|r| r.kind == "post") {
            let bylines = post.fields["bylines"].as_array().expect("a list");
            assert!(!bylines.is_empty());
            assert!(bylines.iter().all(|name| names.contains(name.as_str().expect("a name"))));
        }
    }
}

#[test]
fn branches_without_a_committee_are_small() {
    let sample = Sample::generate(9, UNITS);
    for branch in &sample.branches {
        let of_branch: Vec<SampleRecord> = sample
            .records_of(&sample.units[branch.unit].code)
            .filter(|r| matches!(r.kind, "member" | "meeting") && text(r, "branch") == branch.code)
            .collect();
        let full =
            of_branch.iter().filter(|r| r.kind == "member" && text(r, "stage") == "full").count();
        let committees = of_branch
            .iter()
            .filter(|r| r.kind == "meeting" && text(r, "kind") == "committee")
            .count();
        assert_eq!(branch.has_committee(), full >= 7, "{} has {full}", branch.code);
        assert_eq!(committees, if branch.has_committee() { 48 } else { 0 });
    }
}

#[test]
fn a_line_reads_back() {
    let sample = Sample::generate(1, 2);
    let record = sample.records().next().expect("head office has branches");
    let line = record.to_jsonl_line();
    assert!(!line.contains('\n'));
    let value: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["kind"], "branch");
    assert_eq!(value["id"].as_str().expect("an id").parse(), Ok(record.id));
    assert_eq!(value["fields"]["code"], "head-1");
}

/// Every record is one its unit's node may make, as it stands.
#[test]
fn every_record_can_be_written_by_its_unit() {
    let sample = Sample::generate(3, 4);
    for unit in &sample.units {
        let authors = std::sync::Arc::new(Authors {
            units: BTreeMap::from([([7; 16], unit.code.clone())]),
            head_office: "head".into(),
            ..Authors::default()
        });
        for record in sample.records_of(&unit.code) {
            let schema = schema_named(record.kind).expect("a known kind");
            let fields = Value::Object(record.fields.clone());
            let edits = Edits::from_json(schema, &fields)
                .unwrap_or_else(|why| panic!("{}: {why}: {fields}", record.kind));
            let made = Record::new(schema).by(&authors).edit([7; 16], 1, "a", &edits);
            assert!(matches!(made, Ok(Some(_))), "{} of {}: {made:?}", record.kind, unit.code);
        }
    }
}

/// Nobody is registered twice, no meeting has two records: the inbox of a sample is empty.
#[test]
fn nothing_in_it_contradicts_itself() {
    use fenbu_protocol::id::{DocId, SpaceId};
    use fenbu_protocol::record::conflict::{Of, Subject, across, clusters, match_case, within};
    use fenbu_protocol::record::{Edits, Record, schema_named};
    let sample = Sample::generate(1, 4);
    for unit in &sample.units {
        let space = SpaceId([1; 16]);
        let authors = std::sync::Arc::new(Authors {
            units: BTreeMap::from([([1; 16], unit.code.clone())]),
            head_office: "head".into(),
            ..Authors::default()
        });
        let mut subjects = BTreeMap::new();
        let mut groups: BTreeMap<[u8; 16], Vec<Of>> = BTreeMap::new();
        for (n, line) in (0_u128..).zip(sample.records_of(&unit.code)) {
            let schema = schema_named(line.kind).expect("a known kind");
            let edits = Edits::from_json(schema, &Value::Object(line.fields)).expect("sound");
            let mut record = Record::new(schema).by(&authors);
            record.edit([1; 16], 1, "a", &edits).expect("a record");
            let of = Of { document: DocId(n.to_be_bytes()), space, kind: schema.kind };
            assert_eq!(within(of, &record), []);
            for m in record.matches(space, of.document) {
                groups.entry(m.key).or_default().push(of);
            }
            subjects.insert(of, record);
        }
        let groups = groups.into_iter().filter(|(_, of)| of.len() > 1);
        let groups = groups.filter_map(|(key, of)| Some((match_case(&key)?, of)));
        for (case, among) in clusters(groups) {
            let subject = |of: Of| Subject { of, record: subjects[&of].clone() };
            let found = across(case, among.into_iter().map(subject).collect());
            assert_eq!(found, [], "{case:?} in {}", unit.code);
        }
    }
}
