//! A record's saved form: a document chunk, and behind it a short tail of change chunks.
//!
//! Automerge loads chunks one after the other, so a new change is put behind what is saved instead of
//! saving the whole document again. A saved form that was loaded once, before it was kept, loads
//! again: it is what was tried. A long tail is folded into a new document chunk.

use super::genesis::genesis;
use super::schema::Schema;

/// Changes behind the document chunk. Each costs a load about as much as applying it, so a handful.
const TAIL_MAX: usize = 8;

/// `before` (an empty record's form if there is none) with changes behind it; `None` where the tail
/// would be too long, or `before` is no saved form.
pub(super) fn extended<'a>(
    schema: &Schema,
    before: Option<&[u8]>,
    changes: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let before = before.unwrap_or(&genesis(schema).saved);
    let mut count = chunks(before)? - 1;
    let mut out = Vec::with_capacity(before.len() + 1024);
    out.extend_from_slice(before);
    for change in changes {
        count += 1;
        out.extend_from_slice(change);
    }
    (count <= TAIL_MAX).then_some(out)
}

/// Counts chunks by their headers: magic 4, checksum 4, type 1, LEB128 length, contents.
fn chunks(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let mut rest = bytes.get(9..)?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        bytes = rest.get(length..)?;
        count += 1;
    }
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Edits, Record, schema_named};
    use serde_json::json;

    #[test]
    fn a_tail_grows_to_its_bound_and_loads_all_the_way() {
        let schema = schema_named("post").unwrap();
        let mut record = Record::new(schema);
        let mut saved: Option<Vec<u8>> = None;
        for n in 0..3 * TAIL_MAX {
            let edits = Edits::from_json(schema, &json!({ "title": format!("t{n}") })).unwrap();
            let body = record.edit([7; 16], 1, "", &edits).unwrap().unwrap();
            let next = record.saved_after(saved.as_deref(), &body);
            let again = Record::load(schema, &next).unwrap();
            assert_eq!(again.heads(), record.heads());
            assert_eq!(again.to_json(), record.to_json());
            assert!(chunks(&next).unwrap() <= TAIL_MAX + 1);
            saved = Some(next);
            record = again;
        }
    }

    #[test]
    fn damage_is_no_saved_form() {
        let schema = schema_named("post").unwrap();
        assert_eq!(chunks(&[]), None);
        assert_eq!(extended(schema, Some(&[1, 2, 3]), [&[][..]]), None);
        let saved = Record::new(schema).save();
        assert_eq!(chunks(&saved), Some(1));
        assert_eq!(chunks(&saved[..saved.len() - 1]), None);
    }
}
