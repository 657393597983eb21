//! An audit entry (审计记录): somebody signed in, failed to, was locked out, took records out. Made by
//! the node, never by hand. Who looked at personal data is in the disclosures.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const WHAT: &[Code] = &[
    code("signed_in", "登录", "Signed in"),
    code("signed_out", "退出", "Signed out"),
    code("locked", "登录锁定", "Locked out"),
    code("password_set", "设置口令", "Password set"),
    code("account_made", "新建账号", "Account made"),
    code("account_changed", "修改账号", "Account changed"),
    code("token_made", "签发令牌", "Token made"),
    code("token_ended", "吊销令牌", "Token ended"),
    code("exported", "导出", "Exported"),
    code("imported", "导入", "Imported"),
];

const FIELDS: &[Field] = &[
    Field::new("what", Merge::Register, ValueType::Code(WHAT), "事项", "What").required(),
    Field::new("login", Merge::Register, ValueType::Text, "登录名", "Login"),
    Field::new("by", Merge::Register, ValueType::Text, "操作者", "By"),
    Field::new("about", Merge::Register, ValueType::Text, "对象", "About"),
    Field::new("from", Merge::Register, ValueType::Text, "来自", "From"),
    Field::new("at", Merge::Register, ValueType::Instant, "时间", "At").required(),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(29),
    name: "audit",
    plural: "audits",
    label_zh: "审计记录",
    label_en: "Audit",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/audit.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &["what", "login", "by", "about", "from", "at"],
    filters: &["what", "login", "by"],
    listed: &["at", "what", "login", "from", "about"],
    listed_wide: &["by"],
};
