//! Which of many records a key tells.

use fenbu_protocol::sheet::Key;
use std::collections::BTreeMap;

/// What is told apart by keys: records that are here, rows seen before.
#[derive(Debug)]
pub(super) struct Places<T> {
    all: Vec<(Key, T)>,
    by_values: BTreeMap<(usize, Vec<String>), Vec<usize>>,
}

/// What a key tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    None,
    One(T),
    Several(Vec<T>),
}

impl<T: Copy> Places<T> {
    pub(super) fn new() -> Self {
        Self { all: Vec::new(), by_values: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, key: Key, what: T) {
        for (at, values) in key.tries() {
            self.by_values.entry((at, values.to_vec())).or_default().push(self.all.len());
        }
        self.all.push((key, what));
    }

    /// The surest key that tells any decides.
    pub(super) fn find(&self, key: &Key) -> Told<T> {
        for (at, values) in key.tries() {
            let found = self.by_values.get(&(at, values.to_vec())).into_iter().flatten();
            let found = found.map(|i| &self.all[*i]).filter(|(other, _)| key.agrees(other, at));
            let found: Vec<T> = found.map(|(_, what)| *what).collect();
            match found.as_slice() {
                [] => {}
                [one] => return Told::One(*one),
                _ => return Told::Several(found),
            }
        }
        Told::None
    }
}
