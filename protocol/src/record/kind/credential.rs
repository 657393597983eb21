//! A credential (口令): the hash of an account's password, sealed to each node of the account's unit and
//! to nobody else. Head office reads the unit's records; it does not read these.
//!
//! Setting a password makes another credential with the next number; of several, the greatest number
//! counts, and of equal numbers the greatest id. A node that joins the unit later gets its copy from a
//! node that has one.

use crate::log::{Kind, Lane};
use crate::record::schema::{Field, Home, Merge, Schema, ValueType};
use crate::record::workflow::By;

const COPY: &[Field] = &[
    Field::new("node", Merge::Register, ValueType::Text, "节点", "Node").required(),
    Field::new("letter", Merge::Register, ValueType::Text, "密封", "Sealed").required(),
];

const FIELDS: &[Field] = &[
    Field::new("account", Merge::Register, ValueType::Id("account"), "账号", "Account").required(),
    Field::new("number", Merge::Register, ValueType::Int, "序号", "Number"),
    // One for each node, in base 16. Notes, as two nodes may give a third its copy at once.
    Field::new("copies", Merge::Notes, ValueType::Object(COPY), "密封副本", "Sealed copies"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(28),
    name: "credential",
    plural: "credentials",
    label_zh: "口令",
    label_en: "Credentials",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/credential.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Owner,
    hidden: &[],
    fields: FIELDS,
    columns: &["account", "number", "copies"],
    filters: &["account"],
    listed: &["account", "number"],
    listed_wide: &[],
};
