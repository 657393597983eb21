//! An account (账号): somebody of a unit who may sign in on its nodes. What they may do follows from
//! their roles, see [`crate::access`]; their password is elsewhere, see [`super::credential`].

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::By;

const STATES: &[Code] = &[
    code("active", "启用", "Active"),
    code("disabled", "停用", "Disabled"),
    code("left", "已离任", "Left"),
];

const FIELDS: &[Field] = &[
    Field::new("login", Merge::Contested, ValueType::Text, "登录名", "Login").required(),
    Field::new("name", Merge::Register, ValueType::Text, "姓名", "Name").required(),
    Field::new("member", Merge::Register, ValueType::Id("member"), "党员", "Member"),
    Field::new("roles", Merge::Set, ValueType::Text, "角色", "Roles"),
    Field::new("state", Merge::Register, ValueType::Code(STATES), "状态", "State").required(),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(27),
    name: "account",
    plural: "accounts",
    label_zh: "账号",
    label_en: "Accounts",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/account.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Owner,
    hidden: &[],
    fields: FIELDS,
    columns: &["login", "name", "member", "roles", "state"],
    filters: &["login", "state", "member"],
    listed: &["login", "state", "roles", "name"],
    listed_wide: &["member"],
};
