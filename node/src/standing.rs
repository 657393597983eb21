//! Standing wins over a transfer: one that is on its way when its member is suspended, expelled or the like is
//! frozen in the same commit, and cannot be received. What happens apart at the same time is a conflict.

use crate::records::{RecordError, Records, Save};
use crate::reports::Row;
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::{Edits, schema_named};
use serde_json::{Value, json};

/// Steps after which a member is not transferred, and the states they lead to.
const ENDS: [(&str, &str); 5] = [
    ("suspend", "suspended"),
    ("expel", "expelled"),
    ("remove", "removed"),
    ("resign", "quit"),
    ("decease", "deceased"),
];

fn ends(standing: &Value) -> bool {
    ENDS.iter().any(|(op, state)| standing == state || standing["op"].as_str() == Some(op))
}

impl Records {
    /// The transfers of a member that stop with such an edit, as far as this node's unit is their source or
    /// head office.
    pub(crate) fn freezing(&self, member: DocId, fields: &Value) -> Result<Vec<Save>, RecordError> {
        if !ends(&fields["standing"]) {
            return Ok(Vec::new());
        }
        // INVARIANT: the kind is this version's own.
        let schema = schema_named("transfer").expect("a kind of ours");
        let readable = self.shared.readable();
        let columns = ["member", "from_unit", "status"];
        let rows = self.shared.readers.with(|r| r.scan(schema.kind, &columns, Some(&readable)))?;
        let (unit, head) =
            (self.shared.unit(), self.shared.directory.now().head_office().to_owned());
        let rows = rows.into_iter().map(Row).filter(|row| {
            let ours = unit == head || row.text(1) == Some(&unit);
            ours && row.text(0) == Some(&member.to_string()) && row.text(2) == Some("issued")
        });
        let note = fields["standing"]["note"].as_str().unwrap_or("党籍处理");
        let freeze = json!({ "status": { "op": "freeze", "note": note } });
        rows.map(|row| {
            let edits = Edits::from_json(schema, &freeze)?;
            Ok(Save { schema, space: row.0.space, document: row.0.document, edits })
        })
        .collect()
    }
}
