//! Roles as people write them, and what they allow.

use super::*;
use crate::record::ALL;

fn person(roles: &[&str]) -> Person {
    Person::Account(roles.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn roles_are_read_as_they_are_written() {
    for text in ["author", "recorder@LYG-01", "administrator"] {
        assert_eq!(text.parse::<Scoped>().unwrap().to_string(), text);
    }
    for text in ["", "king", "recorder@", "@x"] {
        let error = text.parse::<Scoped>().unwrap_err().to_string();
        assert!(error.contains("secretary"), "{error}");
    }
}

#[test]
fn nobody_without_a_role_may_do_anything() {
    let nobody = person(&[]);
    for schema in ALL {
        assert!(!allows(&nobody, Action::Read(schema.name), None), "{}", schema.name);
        assert!(!allows(&nobody, Action::Write(schema.name), None), "{}", schema.name);
    }
    assert!(!allows(&nobody, Action::Node, None));
}

#[test]
fn passwords_are_read_by_nobody() {
    let everything: Vec<&str> = Role::ALL.into_iter().map(Role::code).collect();
    for who in [person(&everything), Person::Operator] {
        assert!(!allows(&who, Action::Read("credential"), None));
    }
}

#[test]
fn a_kind_nobody_thought_of_is_written_by_nobody() {
    let everything: Vec<&str> = Role::ALL.into_iter().map(Role::code).collect();
    let all = person(&everything);
    assert!(!allows(&all, Action::Write("unheard-of"), None));
    let by_hand = |name: &str| allows(&all, Action::Write(name), None);
    let made_by_nodes: Vec<&str> =
        ALL.iter().map(|s| s.name).filter(|name| !by_hand(name)).collect();
    let expected = [
        "sealed-report",
        "mark",
        "disclosure",
        "settlement",
        "attendance-credit",
        "account",
        "credential",
        "audit",
    ];
    assert_eq!(made_by_nodes, expected, "each new kind says who writes it");
}

#[test]
fn a_role_in_a_branch_writes_there_alone_and_reads_everywhere() {
    let recorder = person(&["recorder@LYG-01"]);
    assert!(allows(&recorder, Action::Write("meeting"), Some("LYG-01")));
    assert!(allows(&recorder, Action::Step("meeting", "confirm"), Some("LYG-01")));
    assert!(!allows(&recorder, Action::Write("meeting"), Some("LYG-02")));
    assert!(!allows(&recorder, Action::Write("meeting"), None));
    assert!(allows(&recorder, Action::Read("meeting"), Some("LYG-02")));
    assert!(!allows(&recorder, Action::Write("member"), Some("LYG-01")));
}

#[test]
fn authors_do_not_approve_and_administrators_do_not_write() {
    let author = person(&["author"]);
    assert!(allows(&author, Action::Step("post", "submit"), None));
    assert!(!allows(&author, Action::Step("post", "approve"), None));
    assert!(allows(&person(&["reviewer"]), Action::Step("post", "approve"), None));
    let administrator = person(&["administrator"]);
    assert!(allows(&administrator, Action::Accounts, None));
    assert!(!allows(&administrator, Action::Write("post"), None));
    assert!(!allows(&administrator, Action::Reveal("member"), None));
    assert!(!allows(&person(&["secretary"]), Action::Read("audit"), None));
}

#[test]
fn the_table_names_kinds_and_steps_that_exist() {
    let all: Vec<&str> = Role::ALL.into_iter().map(Role::code).collect();
    let all = person(&all);
    for schema in ALL.into_iter().filter(|s| allows(&all, Action::Write(s.name), None)) {
        for (_, workflow) in schema.workflows() {
            for step in workflow.steps {
                assert!(allows(&all, Action::Step(schema.name, step.op), None), "{}", step.op);
            }
        }
    }
}
