//! Workload W as each system takes it: Automerge documents of four changes, or current values.

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, AutomergeError, ObjType, ROOT, ReadDoc};
use fenbu::sample::{WorkRecord, workload};
use serde_json::Value;

/// Records edited while apart, for DELTA.
pub const DELTA_EDITS: usize = 100;
/// Single edits timed, for LIVE.
pub const LIVE_EDITS: usize = 200;
/// Records of the write test come from another seed than those of BULK.
pub const WRITE_SEED: u64 = 0x5eed;

/// N records from a seed.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub seed: u64,
    pub records: usize,
}

impl Load {
    pub fn iter(self) -> impl Iterator<Item = WorkRecord> {
        workload(self.seed, self.records)
    }
}

/// An edit of one record by its place in the workload: the title becomes this text.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Retitle {
    pub record: usize,
    pub title: String,
}

/// The records edited while apart, spread evenly over the workload.
pub fn delta_edits(records: usize) -> Vec<Retitle> {
    let count = DELTA_EDITS.min(records);
    (0..count)
        .map(|i| Retitle {
            record: i * records / count, title: format!("分开时改的标题{i:06}")
        })
        .collect()
}

/// The edits whose way is timed one by one.
pub fn live_edits(records: usize) -> impl Iterator<Item = Retitle> {
    (0..LIVE_EDITS).map(move |i| Retitle {
        record: (i * 7919) % records,
        title: format!("在线时改的标题{i:06}"),
    })
}

/// A record after its three edits, as the JSON text a plain-value store keeps.
pub fn value(record: &WorkRecord, title: Option<&str>) -> Vec<u8> {
    let mut fields = record.create.clone();
    for edit in &record.edits {
        for (name, value) in edit.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
    }
    if let Some(title) = title {
        fields["title"] = title.into();
    }
    fields["id"] = record.id.to_string().into();
    fields.to_string().into_bytes()
}

/// A record as an Automerge document of four changes: the creation and the three edits.
pub fn document(record: &WorkRecord) -> Result<Automerge, AutomergeError> {
    let mut doc = Automerge::new().with_actor(ActorId::from(record.id.0));
    let mut tx = doc.transaction();
    for (name, value) in record.create.as_object().into_iter().flatten() {
        create_field(&mut tx, name, value)?;
    }
    tx.commit();
    for edit in &record.edits[..2] {
        let mut tx = doc.transaction();
        for (name, value) in edit.as_object().into_iter().flatten() {
            tx.put(ROOT, name.as_str(), value.as_str().unwrap_or_default())?;
        }
        tx.commit();
    }
    let mut tx = doc.transaction();
    if let Some((_, body)) = tx.get(ROOT, "body")? {
        let splice = &record.splice;
        tx.splice_text(&body, splice.at, splice.delete as isize, &splice.insert)?;
    }
    tx.commit();
    Ok(doc)
}

fn create_field(
    tx: &mut impl Transactable,
    name: &str,
    value: &Value,
) -> Result<(), AutomergeError> {
    match value {
        Value::String(text) if name == "body" => {
            let body = tx.put_object(ROOT, name, ObjType::Text)?;
            tx.splice_text(&body, 0, 0, text)
        }
        Value::Array(items) => {
            let list = tx.put_object(ROOT, name, ObjType::List)?;
            for (i, item) in items.iter().enumerate() {
                tx.insert(&list, i, item.as_str().unwrap_or_default())?;
            }
            Ok(())
        }
        other => tx.put(ROOT, name, other.as_str().unwrap_or_default()),
    }
}

/// One more change: the title becomes this text.
pub fn retitle(doc: &mut Automerge, title: &str) -> Result<(), AutomergeError> {
    let mut tx = doc.transaction();
    tx.put(ROOT, "title", title)?;
    tx.commit();
    Ok(())
}

/// The title a document shows.
pub fn title(doc: &Automerge) -> Option<String> {
    let (value, _) = doc.get(ROOT, "title").ok()??;
    value.as_str().map(str::to_owned)
}
