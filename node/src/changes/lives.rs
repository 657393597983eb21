//! Whether a place in the order of changes is a place in *this* database's order.
//!
//! Numbers are the database's own. One that was brought back from a backup, or lost its end with the
//! power, gives numbers again that somebody has seen stand for something else. So each start of the node
//! is a life with a random name, and notes where it begins. A cursor says in which life its number was
//! read: it holds if that life is in the past of this database and had come so far before the next began.

use crate::store::{Loaded, Store, StoreError, WriteBatch};
use std::fmt;
use std::str::FromStr;

/// Name of the setting that holds the lives: for each, its name and the last number before it, both in 8
/// bytes, oldest first.
pub(crate) const SETTING: &str = "lives";
/// Lives remembered. A follower that was away for longer starts over.
const LIVES_MAX: usize = 1024;
const LIFE_BYTES: usize = 16;

/// How far somebody has followed the changes. Opaque to whoever keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    life: u64,
    number: u64,
}

impl Cursor {
    /// The number of the last change that was seen.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.life, self.number)
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (life, number) = text.split_once('-').ok_or(NoCursor)?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        if life.len() != 16 || !plain(life) || !plain(number) {
            return Err(NoCursor);
        }
        let life = u64::from_str_radix(life, 16).map_err(|_| NoCursor)?;
        Ok(Self { life, number: number.parse().map_err(|_| NoCursor)? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Life {
    name: u64,
    /// The last number before it.
    from: u64,
}

/// The lives of this database up to now. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lives(Vec<Life>);

impl Default for Lives {
    fn default() -> Self {
        Self(vec![Life::default()])
    }
}

impl Lives {
    /// Begins one more, named at random. If the disk refuses, cursors of this life will hold for no
    /// longer than it.
    pub(crate) fn begin(
        store: &mut dyn Store,
        loaded: &Loaded,
        name: [u8; 8],
    ) -> Result<Self, StoreError> {
        let mut lives = Self::stored(loaded);
        let from = store.reader()?.last_change(None)?;
        lives.0.push(Life { name: u64::from_be_bytes(name), from });
        let known = lives.0.len().saturating_sub(LIVES_MAX);
        lives.0.drain(..known);
        let settings = vec![(SETTING.to_owned(), Some(lives.to_bytes()))];
        if let Err(error) = store.commit(&WriteBatch { settings, ..WriteBatch::default() }) {
            tracing::warn!(%error, "whoever follows the changes will have to start over after this life");
        }
        Ok(lives)
    }

    fn stored(loaded: &Loaded) -> Self {
        let bytes = loaded.settings.get(SETTING).map_or(&[][..], Vec::as_slice);
        let life = |bytes: &[u8]| {
            let (name, from) = (bytes.first_chunk()?, bytes.last_chunk()?);
            Some(Life { name: u64::from_be_bytes(*name), from: u64::from_be_bytes(*from) })
        };
        Self(bytes.chunks_exact(LIFE_BYTES).filter_map(life).collect())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let bytes = |life: &Life| [life.name.to_be_bytes(), life.from.to_be_bytes()].concat();
        self.0.iter().flat_map(bytes).collect()
    }

    /// A cursor of the life that is now.
    pub(crate) fn cursor(&self, number: u64) -> Cursor {
        Cursor { life: self.0.last().map_or(0, |life| life.name), number }
    }

    /// Whether all up to the cursor is what it was when the cursor was given. `last` is the last number
    /// that was given so far.
    pub(crate) fn holds(&self, cursor: Cursor, last: u64) -> bool {
        let Some(at) = self.0.iter().position(|life| life.name == cursor.life) else {
            return false;
        };
        let end = self.0.get(at + 1).map_or(last, |next| next.from);
        cursor.number <= end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn begin(store: &mut MemoryStore, name: u8, from: u64) -> Lives {
        let loaded = store.load().unwrap();
        let mut lives = Lives::begin(store, &loaded, [name; 8]).unwrap();
        lives.0.last_mut().unwrap().from = from;
        let settings = vec![(SETTING.to_owned(), Some(lives.to_bytes()))];
        store.commit(&WriteBatch { settings, ..WriteBatch::default() }).unwrap();
        lives
    }

    #[test]
    fn cursors_hold_in_the_past_they_were_given_in() {
        let mut store = MemoryStore::new(&[]).unwrap();
        let first = begin(&mut store, 1, 0);
        let early = first.cursor(90);
        let late = first.cursor(100);
        assert!(first.holds(late, 100) && !first.holds(first.cursor(101), 100));
        // A backup is made when 90 numbers were given, and brought back after 100.
        let mut restored = store.clone();
        let second = begin(&mut store, 2, 100);
        let of_second = second.cursor(105);
        assert!(
            second.holds(early, 110) && second.holds(late, 110) && second.holds(of_second, 110)
        );
        let other = begin(&mut restored, 3, 90);
        assert!(other.holds(early, 200), "all up to it is the same there");
        assert!(!other.holds(late, 200), "the numbers after 90 stand for other changes now");
        assert!(!other.holds(of_second, 200), "this database has never had that life");
    }

    #[test]
    fn cursors_survive_as_text_and_nothing_else_is_one() {
        let cursor = Cursor { life: 0xabc, number: 77 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in
            ["", "-", "7", "0000000000000abc", "0000000000000abc-", "0000000000000abc-+7", "é-1"]
        {
            assert_eq!(bad.parse::<Cursor>(), Err(NoCursor), "{bad}");
        }
    }

    #[test]
    fn only_so_many_lives_are_remembered() {
        let mut store = MemoryStore::new(&[]).unwrap();
        let mut lives = Lives::default();
        for n in 0..LIVES_MAX as u64 + 5 {
            let loaded = store.load().unwrap();
            lives = Lives::begin(&mut store, &loaded, n.to_be_bytes()).unwrap();
        }
        assert_eq!(lives.0.len(), LIVES_MAX);
        assert_eq!(lives, Lives::stored(&store.load().unwrap()));
    }
}
