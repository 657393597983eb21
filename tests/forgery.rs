//! Every class of forged entry is refused, and its honest twin accepted.

use fenbu_tests::forgery::{Class, Verdicts};

/// Of each class; `cargo run --release -p fenbu-tests --bin forge` tries many more.
const TRIES: u64 = 200;

#[test]
fn no_forged_entry_counts_and_every_honest_twin_does() {
    let mut wrong = Vec::new();
    for class in Class::ALL {
        let expected = Verdicts { tries: TRIES, controls: 1, ..Verdicts::default() };
        let found = class.try_many(1, TRIES);
        if found != expected {
            wrong.push(format!("{class:?}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
