//! Turning edits into the operations of one transaction, as few as let concurrent edits merge.

use super::edits::Edit;
use super::genesis::genesis;
use super::schema::{Field, Schema};
use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ROOT, ReadDoc, ScalarValue, Value as Read};
use std::collections::BTreeSet;

/// Above this many characters, old and new together, a changed middle is replaced as one piece: a
/// finer comparison would cost seconds.
const FINE_DIFF_CHARS_MAX: usize = 8192;

/// A change in the making.
pub(super) struct Writing<'a> {
    pub(super) schema: &'static Schema,
    pub(super) tx: Transaction<'a>,
}

impl Writing<'_> {
    /// Brings one field to where `edit` wants it.
    pub(super) fn apply(&mut self, field: &Field, edit: &Edit) -> Result<(), AutomergeError> {
        let object = genesis(self.schema).container(field.name).map_or(&ROOT, |c| &c.id);
        match edit {
            Edit::Register(Some(value)) if self.is_silent(field, value)? => Ok(()),
            Edit::Register(value) => self.put(object, field.name, value.as_ref()),
            Edit::Text(text) => self.text(object, text),
            Edit::Members(wanted) => {
                let present: BTreeSet<String> = self.tx.keys(object).collect();
                self.members(object, wanted.difference(&present), present.difference(wanted))
            }
            Edit::AddRemove { add, remove } => {
                let present: BTreeSet<String> = self.tx.keys(object).collect();
                let gone = remove.intersection(&present).filter(|m| !add.contains(*m));
                self.members(object, add.difference(&present), gone)
            }
            Edit::List(items) => self.list(object, items),
            Edit::Entries(entries) => {
                entries.iter().try_for_each(|(k, v)| self.put(object, k, v.as_ref()))
            }
            // Entries by now, see `steps`.
            Edit::Want(_) | Edit::Tally(_) | Edit::Total(_) | Edit::Notes(_) | Edit::Shown(_) => {
                Ok(())
            }
        }
    }

    /// Whether a value is the one shown anyway while nobody has written the field.
    fn is_silent(&self, field: &Field, value: &ScalarValue) -> Result<bool, AutomergeError> {
        let is_default = field.default.is_some() && field.default == value.as_str();
        Ok(is_default && self.tx.get(ROOT, field.name)?.is_none())
    }

    /// Writes unless the value stands there alone; writing over concurrent values settles them.
    fn put(
        &mut self,
        object: &ObjId,
        key: &str,
        value: Option<&ScalarValue>,
    ) -> Result<(), AutomergeError> {
        let present = self.tx.get_all(object, key)?;
        match (value, &present[..]) {
            (None, []) => Ok(()),
            (None, _) => self.tx.delete(object, key),
            (Some(new), [(Read::Scalar(old), _)]) if old.as_ref() == new => Ok(()),
            (Some(new), _) => self.tx.put(object, key, new.clone()),
        }
    }

    fn members<'m>(
        &mut self,
        object: &ObjId,
        mut add: impl Iterator<Item = &'m String>,
        mut remove: impl Iterator<Item = &'m String>,
    ) -> Result<(), AutomergeError> {
        add.try_for_each(|m| self.tx.put(object, m.as_str(), true))?;
        remove.try_for_each(|m| self.tx.delete(object, m.as_str()))
    }

    pub(super) fn text(&mut self, object: &ObjId, new: &str) -> Result<(), AutomergeError> {
        let old = self.tx.text(object)?;
        if old == new {
            return Ok(());
        }
        let (before, after): (Vec<char>, Vec<char>) =
            (old.chars().collect(), new.chars().collect());
        let (head, tail) = common(&before, &after);
        let (removed, added) = (before.len() - head - tail, after.len() - head - tail);
        let fine = removed > 0 && added > 0 && removed + added <= FINE_DIFF_CHARS_MAX;
        if fine {
            return self.tx.update_text(object, new);
        }
        let middle: String = after[head..head + added].iter().collect();
        self.tx.splice_text(object, head, removed as isize, &middle)
    }

    fn list(&mut self, object: &ObjId, new: &[ScalarValue]) -> Result<(), AutomergeError> {
        let old: Vec<Option<ScalarValue>> = self
            .tx
            .values(object)
            .map(|(v, _)| match v.into_owned() {
                Read::Scalar(s) => Some(s.into_owned()),
                Read::Object(_) => None,
            })
            .collect();
        let new: Vec<Option<ScalarValue>> = new.iter().cloned().map(Some).collect();
        let mut at = 0;
        for step in steps(&old, &new) {
            match step {
                Step::Keep => at += 1,
                Step::Remove => self.tx.delete(object, at)?,
                Step::Insert(i) => {
                    self.tx.insert(object, at, new[i].clone().unwrap_or(ScalarValue::Null))?;
                    at += 1;
                }
            }
        }
        Ok(())
    }
}

/// How many items two sequences share at their front and, of the rest, at their end.
fn common<T: PartialEq>(a: &[T], b: &[T]) -> (usize, usize) {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y);
    (head, tail.count())
}

/// One step from an old list to a new one.
enum Step {
    Keep,
    Remove,
    /// The item of the new list with this index.
    Insert(usize),
}

/// Few steps from `old` to `new`: along a longest common subsequence while its table stays small,
/// else by replacing the middle.
fn steps<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Step> {
    const TABLE_MAX: usize = 1 << 20;
    let (head, tail) = common(old, new);
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut out: Vec<Step> = (0..head).map(|_| Step::Keep).collect();
    let width = b.len() + 1;
    let fine = (a.len() + 1).saturating_mul(width) <= TABLE_MAX;
    let mut longest = vec![0u32; if fine { (a.len() + 1) * width } else { 0 }];
    if fine {
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                longest[i * width + j] = if a[i] == b[j] {
                    longest[(i + 1) * width + j + 1] + 1
                } else {
                    longest[(i + 1) * width + j].max(longest[i * width + j + 1])
                };
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if fine && i < a.len() && j < b.len() && a[i] == b[j] {
            out.push(Step::Keep);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len()
            || (i < a.len()
                && (!fine || longest[(i + 1) * width + j] >= longest[i * width + j + 1]))
        {
            out.push(Step::Remove);
            i += 1;
        } else {
            out.push(Step::Insert(head + j));
            j += 1;
        }
    }
    out.extend((0..tail).map(|_| Step::Keep));
    out
}
