//! Writing columns and chunks, in the one spelling [`super::column`] reads.

use super::chunk::MAGIC;
use sha2::{Digest, Sha256};

/// LEB128, seven bits a byte, lowest first.
pub(super) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// LEB128 in two's complement.
pub(super) fn signed(out: &mut Vec<u8>, mut value: i64) {
    while !(-64..64).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// A chunk of a type and contents (magic, checksum, type, length, contents), and its hash.
pub(super) fn chunk(kind: u8, contents: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let mut out = Vec::with_capacity(contents.len() + 16);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    unsigned(&mut out, contents.len() as u64);
    out.extend_from_slice(contents);
    let hash: [u8; 32] = Sha256::digest(&out[8..]).into();
    out[4..8].copy_from_slice(&hash[..4]);
    (out, hash)
}

/// What a run-length encoded column holds.
pub(super) trait Item: Copy + PartialEq {
    fn write(self, out: &mut Vec<u8>);
}

impl Item for u64 {
    fn write(self, out: &mut Vec<u8>) {
        unsigned(out, self);
    }
}

impl Item for i64 {
    fn write(self, out: &mut Vec<u8>) {
        signed(out, self);
    }
}

impl Item for &str {
    fn write(self, out: &mut Vec<u8>) {
        unsigned(out, self.len() as u64);
        out.extend_from_slice(self.as_bytes());
    }
}

/// A run-length encoded column in the making.
#[derive(Debug)]
pub(super) struct Runs<T> {
    out: Vec<u8>,
    /// Encoded items of a literal run that may go on.
    literal: Vec<u8>,
    literal_items: i64,
    /// The item of the run at the end; `None` is a null.
    item: Option<T>,
    /// How often it was pushed; 0 before the first.
    count: u64,
    /// Some item was no null.
    filled: bool,
}

impl<T: Item> Runs<T> {
    pub(super) fn new() -> Self {
        Self {
            out: Vec::new(),
            literal: Vec::new(),
            literal_items: 0,
            item: None,
            count: 0,
            filled: false,
        }
    }

    #[inline]
    pub(super) fn push(&mut self, item: Option<T>) {
        if self.count > 0 && item == self.item {
            self.count += 1;
            return;
        }
        self.close_run();
        self.filled |= item.is_some();
        (self.item, self.count) = (item, 1);
    }

    fn close_run(&mut self) {
        match (self.item, self.count) {
            (_, 0) => {}
            (Some(item), 1) => {
                item.write(&mut self.literal);
                self.literal_items += 1;
            }
            (Some(item), count) => {
                self.close_literal();
                signed(&mut self.out, count.cast_signed());
                item.write(&mut self.out);
            }
            (None, count) => {
                self.close_literal();
                self.out.push(0);
                unsigned(&mut self.out, count);
            }
        }
    }

    fn close_literal(&mut self) {
        if self.literal_items > 0 {
            signed(&mut self.out, -self.literal_items);
            self.out.append(&mut self.literal);
            self.literal_items = 0;
        }
    }

    /// The column; empty if it holds nothing but nulls.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if !self.filled {
            return Vec::new();
        }
        self.close_run();
        self.close_literal();
        self.out
    }
}

/// A column of integers stored as differences.
#[derive(Debug)]
pub(super) struct Deltas {
    runs: Runs<i64>,
    before: i64,
}

impl Deltas {
    pub(super) fn new() -> Self {
        Self { runs: Runs::new(), before: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, value: Option<i64>) {
        self.runs.push(value.map(|v| v.wrapping_sub(self.before)));
        self.before = value.unwrap_or(self.before);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.runs.finish()
    }
}

/// A column of booleans stored as alternating run lengths, false first.
#[derive(Debug, Default)]
pub(super) struct Booleans {
    out: Vec<u8>,
    value: bool,
    count: u64,
}

impl Booleans {
    pub(super) fn push(&mut self, value: bool) {
        if value != self.value {
            unsigned(&mut self.out, self.count);
            (self.value, self.count) = (value, 0);
        }
        self.count += 1;
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            unsigned(&mut self.out, self.count);
        }
        self.out
    }
}

/// Writes a chunk's table of columns, leaving out empty ones.
pub(super) fn table<const N: usize>(out: &mut Vec<u8>, columns: &[(u32, Vec<u8>); N]) {
    let present = || columns.iter().filter(|(_, data)| !data.is_empty());
    unsigned(out, present().count() as u64);
    for (spec, data) in present() {
        unsigned(out, u64::from(*spec));
        unsigned(out, data.len() as u64);
    }
}
