//! Signing in, on a node whose disk is memory.

use super::*;
use crate::clock::Clock;
use crate::store::MemoryStore;
use crate::testing;

const GOOD: &str = "a long password";

struct Office {
    node: testing::Bench,
    accounts: Accounts,
    _folder: tempfile::TempDir,
}

fn office() -> Office {
    let store = Box::new(MemoryStore::new(&crate::views::specs()).unwrap());
    let node = testing::Bench::start(store, Clock::start());
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path()).unwrap();
    let accounts = Accounts::new(node.records.clone(), desk);
    Office { node, accounts, _folder: folder }
}

fn new(login: &str, roles: &[&str]) -> NewAccount {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    NewAccount { login: login.into(), name: login.into(), roles, member: None }
}

#[test]
fn whoever_has_the_password_is_let_in() {
    let office = office();
    let accounts = &office.accounts;
    let id = accounts.create(&new("alice", &["secretary"]), GOOD, "").unwrap();
    assert!(matches!(accounts.sign_in("alice", "a wrong password", ""), Err(AccountError::Wrong)));
    assert!(matches!(accounts.sign_in("bob", GOOD, ""), Err(AccountError::Wrong)));
    let (secret, account) = accounts.sign_in(" alice ", GOOD, "here").unwrap();
    assert_eq!(account.id, id);
    assert_eq!(accounts.signed_in(&secret).unwrap().unwrap().name, "alice");
    assert_eq!(accounts.signed_in("another").unwrap(), None);
    accounts.sign_out(&secret, &account).unwrap();
    assert_eq!(accounts.signed_in(&secret).unwrap(), None);
    let audit = office.node.records.list(kind("audit"), ListQuery::default()).unwrap();
    assert_eq!(audit.rows.len(), 3, "made, in, out");
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one_and_signs_out() {
    let office = office();
    let accounts = &office.accounts;
    let id = accounts.create(&new("alice", &[]), GOOD, "").unwrap();
    let (secret, _) = accounts.sign_in("alice", GOOD, "").unwrap();
    accounts.set_password(id, "another password", "").unwrap();
    assert_eq!(accounts.signed_in(&secret).unwrap(), None);
    assert!(accounts.sign_in("alice", GOOD, "").is_err());
    accounts.sign_in("alice", "another password", "").unwrap();
}

#[test]
fn guessing_locks_and_says_for_how_long() {
    let office = office();
    let accounts = &office.accounts;
    accounts.create(&new("alice", &[]), GOOD, "").unwrap();
    for _ in 0..5 {
        assert!(matches!(accounts.sign_in("alice", "guessed wrong", ""), Err(AccountError::Wrong)));
    }
    let locked = accounts.sign_in("alice", GOOD, "").unwrap_err();
    assert!(matches!(locked, AccountError::Locked { minutes: 1 }), "{locked}");
}

#[test]
fn a_disabled_account_is_out_at_once() {
    let office = office();
    let accounts = &office.accounts;
    accounts.create(&new("root", &["administrator"]), GOOD, "").unwrap();
    let id = accounts.create(&new("alice", &["author"]), GOOD, "").unwrap();
    let (secret, _) = accounts.sign_in("alice", GOOD, "").unwrap();
    accounts.change(id, &json!({ "state": "disabled" }), "").unwrap();
    assert_eq!(accounts.signed_in(&secret).unwrap(), None);
    assert!(accounts.sign_in("alice", GOOD, "").is_err());
}

#[test]
fn the_last_administrator_stays() {
    let office = office();
    let accounts = &office.accounts;
    let id = accounts.create(&new("root", &["administrator"]), GOOD, "").unwrap();
    for change in [json!({ "state": "left" }), json!({ "roles": ["author"] })] {
        let refused = accounts.change(id, &change, "").unwrap_err();
        assert!(matches!(refused, AccountError::LastAdministrator), "{refused}");
    }
    accounts.create(&new("second", &["administrator"]), GOOD, "").unwrap();
    accounts.change(id, &json!({ "roles": ["author"] }), "").unwrap();
    assert_eq!(accounts.account(id).unwrap().unwrap().roles, ["author".parse().unwrap()]);
}

#[test]
fn what_cannot_be_an_account_is_said_and_costs_nothing() {
    let office = office();
    let accounts = &office.accounts;
    accounts.create(&new("alice", &[]), GOOD, "").unwrap();
    let tries = [
        (new("alice", &[]), GOOD),
        (new("a b", &[]), GOOD),
        (new("", &[]), GOOD),
        (new("bob", &["king"]), GOOD),
        (new("bob", &[]), "short"),
        (new("bobbobbobbob", &[]), "BobBobBobBob"),
    ];
    for (new, password) in tries {
        assert!(accounts.create(&new, password, "").is_err(), "{new:?}");
    }
    assert_eq!(accounts.all().unwrap().len(), 1);
    assert!(accounts.create(&new("王小明", &["recorder@LYG-01"]), GOOD, "").is_ok());
}

/// What head office reads of a unit's credentials opens nothing.
#[test]
fn a_credential_is_sealed_to_the_units_own_nodes() {
    let office = office();
    office.accounts.create(&new("alice", &[]), GOOD, "").unwrap();
    let rows = office.node.records.list(kind("credential"), ListQuery::default()).unwrap().rows;
    let text = format!("{rows:?}");
    assert!(!text.contains("argon2"), "{text}");
    assert_eq!(office.accounts.share_credentials().unwrap(), 0, "everybody has a copy");
}
