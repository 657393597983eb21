//! The columns of a chunk: numbers, run lengths, differences, read without believing any of them.

use super::chunk::ChunkError;
use crate::limits::CHANGE_OPS_MAX;

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], ChunkError> {
        let n = usize::try_from(n).map_err(|_| ChunkError::Truncated)?;
        let (head, rest) = self.0.split_at_checked(n).ok_or(ChunkError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ChunkError> {
        let (first, rest) = self.0.split_first().ok_or(ChunkError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(ChunkError::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let overlong = shift > 0 && byte == 0;
                return if overlong { Err(ChunkError::Number) } else { Ok(value) };
            }
        }
        Err(ChunkError::Number)
    }

    pub(super) fn signed(&mut self) -> Result<i64, ChunkError> {
        let mut value = 0i64;
        let mut before = 0u8;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(ChunkError::Number);
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let sign_only =
                    (byte == 0 && before & 0x40 == 0) || (byte == 0x7f && before & 0x40 != 0);
                if shift > 0 && sign_only {
                    return Err(ChunkError::Number);
                }
                if shift < 57 && byte & 0x40 != 0 {
                    value |= -1i64 << (shift + 7);
                }
                return Ok(value);
            }
            before = byte;
        }
        Err(ChunkError::Number)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, ChunkError> {
        let length = self.unsigned()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| ChunkError::Utf8)
    }

    pub(super) fn actor(&mut self) -> Result<[u8; 16], ChunkError> {
        let length = self.unsigned()?;
        self.take(length)?.try_into().map_err(|_| ChunkError::ActorLength(length))
    }
}

/// What a run-length encoded column holds.
pub(super) trait Item<'a>: Copy + PartialEq {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChunkError>;
}

impl<'a> Item<'a> for u64 {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChunkError> {
        reader.unsigned()
    }
}

impl<'a> Item<'a> for i64 {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChunkError> {
        reader.signed()
    }
}

impl<'a> Item<'a> for &'a str {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChunkError> {
        reader.text()
    }
}

/// What the run being read is. A run that ended last is the one before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// Nothing has been read yet.
    Start,
    Nulls,
    Repeat,
    Literal,
}

/// A run-length encoded column, read one item at a time.
///
/// One sequence of items has one encoding here, the one Automerge's encoder writes: a run of two or
/// more equal items is a repeat, what lies between is one literal run, nulls are one run, and a
/// column of nulls alone is absent. Anything else is [`ChunkError::Canonical`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Runs<'a, T> {
    reader: Reader<'a>,
    run: Run,
    /// Items left in the current run.
    left: u64,
    /// The item before the next one; `None` if that is a null or there is none.
    value: Option<T>,
    /// Some item was no null.
    filled: bool,
    /// Items all runs so far have claimed.
    claimed: u64,
}

impl<'a, T: Item<'a>> Runs<'a, T> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            reader: Reader(data),
            run: Run::Start,
            left: 0,
            value: None,
            filled: false,
            claimed: 0,
        }
    }

    /// Whether every item was read.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.reader.0.is_empty()
    }

    /// Whether the column, read to its end, held nothing but nulls although it has bytes.
    pub(super) fn is_idle(&self) -> bool {
        self.run == Run::Nulls && !self.filled
    }

    /// The next item; a column that has ended holds nulls.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<T>, ChunkError> {
        if self.left == 0 {
            if self.reader.0.is_empty() {
                return Ok(None);
            }
            self.begin()?;
        }
        self.left -= 1;
        match self.run {
            Run::Literal => {
                let item = T::read(&mut self.reader)?;
                if self.value == Some(item) {
                    return Err(ChunkError::Canonical);
                }
                self.value = Some(item);
                Ok(self.value)
            }
            Run::Repeat => Ok(self.value),
            Run::Nulls | Run::Start => Ok(None),
        }
    }

    /// Reads the head of the next run, which must not be one with the run before.
    fn begin(&mut self) -> Result<(), ChunkError> {
        let before = self.run;
        let count = self.reader.signed()?;
        self.left = count.unsigned_abs();
        if count > 0 {
            let item = T::read(&mut self.reader)?;
            if count == 1 || self.value == Some(item) {
                return Err(ChunkError::Canonical);
            }
            (self.run, self.value, self.filled) = (Run::Repeat, Some(item), true);
        } else if count < 0 {
            if before == Run::Literal {
                return Err(ChunkError::Canonical);
            }
            (self.run, self.filled) = (Run::Literal, true);
        } else {
            self.left = self.reader.unsigned()?;
            if before == Run::Nulls {
                return Err(ChunkError::Canonical);
            }
            (self.run, self.value) = (Run::Nulls, None);
        }
        self.claimed = self.claimed.saturating_add(self.left);
        if self.left == 0 || self.claimed > CHANGE_OPS_MAX {
            return Err(ChunkError::Runs);
        }
        Ok(())
    }
}

/// A column of integers stored as differences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deltas<'a> {
    pub(super) runs: Runs<'a, i64>,
    value: i64,
}

impl<'a> Deltas<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { runs: Runs::new(data), value: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<u64>, ChunkError> {
        let Some(delta) = self.runs.next()? else { return Ok(None) };
        self.value = self.value.checked_add(delta).ok_or(ChunkError::Number)?;
        u64::try_from(self.value).map(Some).map_err(|_| ChunkError::Number)
    }
}

/// A column of booleans stored as alternating run lengths, false first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Booleans<'a> {
    reader: Reader<'a>,
    left: u64,
    value: bool,
    claimed: u64,
    begun: bool,
}

impl<'a> Booleans<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { reader: Reader(data), left: 0, value: false, claimed: 0, begun: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.reader.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<bool, ChunkError> {
        while self.left == 0 {
            if self.reader.0.is_empty() {
                return Err(ChunkError::Ragged);
            }
            self.left = self.reader.unsigned()?;
            if self.left == 0 && self.begun {
                return Err(ChunkError::Runs);
            }
            self.value = self.begun && !self.value;
            self.begun = true;
            self.claimed = self.claimed.saturating_add(self.left);
            if self.claimed > CHANGE_OPS_MAX {
                return Err(ChunkError::Runs);
            }
        }
        self.left -= 1;
        Ok(self.value)
    }
}
