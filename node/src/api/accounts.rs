//! Accounts of this node's unit, for whoever runs the node.

use super::records::parse;
use super::{Caller, Problem, blocking};
use crate::accounts::{Account, AccountError, Accounts, NewAccount};
use crate::daemon::Daemon;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    login: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    roles: Vec<String>,
    member: Option<String>,
    password: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    roles: Option<Vec<String>>,
    member: Option<String>,
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

fn told(account: &Account) -> Value {
    json!({
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "roles": account.roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "member": account.member,
        "active": account.is_active,
    })
}

pub(super) async fn list(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let accounts = daemon.accounts.clone();
    let all = blocking(move || accounts.all()).await??;
    let items: Vec<Value> = all.iter().map(told).collect();
    Ok(Json(json!({ "schema": "fenbu.accounts/1", "items": items })))
}

pub(super) async fn create(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let New { login, name, roles, member, password } = parse(&body)?;
    let accounts = daemon.accounts.clone();
    let new = NewAccount { login, name, roles, member };
    let id = blocking(move || accounts.create(&new, &password, &caller.account())).await??;
    let accounts = daemon.accounts.clone();
    let made = blocking(move || accounts.account(id)).await??;
    let mut answer = made.as_ref().map_or_else(|| json!({ "id": id }), told);
    answer["schema"] = "fenbu.account/1".into();
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The account with a login, or with an id.
fn named(accounts: &Accounts, name: &str) -> Result<Account, AccountError> {
    let unknown = || AccountError::Unknown { login: name.to_owned() };
    if let Ok(id) = name.parse() {
        return accounts.account(id)?.ok_or_else(unknown);
    }
    accounts.with_login(name)?.into_iter().next().ok_or_else(unknown)
}

pub(super) async fn show(
    State(daemon): Node,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let accounts = daemon.accounts.clone();
    let account = blocking(move || named(&accounts, &name)).await??;
    let mut answer = told(&account);
    answer["schema"] = "fenbu.account/1".into();
    Ok(Json(answer))
}

pub(super) async fn change(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Change { name: full_name, roles, member, state } = parse(&body)?;
    let given = [
        ("name", full_name.map(Value::from)),
        ("roles", roles.map(Value::from)),
        ("member", member.map(Value::from)),
        ("state", state.map(Value::from)),
    ];
    let fields: Map<String, Value> =
        given.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
    let accounts = daemon.accounts.clone();
    let changed = blocking(move || {
        let account = named(&accounts, &name)?;
        accounts.change(account.id, &Value::Object(fields), &caller.account())?;
        named(&accounts, &account.id.to_string())
    })
    .await??;
    let mut answer = told(&changed);
    answer["schema"] = "fenbu.account/1".into();
    Ok(Json(answer))
}

pub(super) async fn set_password(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Password { password } = parse(&body)?;
    let accounts = daemon.accounts.clone();
    let account = blocking(move || {
        let account = named(&accounts, &name)?;
        accounts.set_password(account.id, &password, &caller.account())?;
        Ok::<_, AccountError>(account)
    })
    .await??;
    let mut answer = told(&account);
    answer["schema"] = "fenbu.account/1".into();
    Ok(Json(answer))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    #[serde(default = "days")]
    days: u32,
}

fn days() -> u32 {
    90
}

/// Makes an API token. Its secret is in this answer and nowhere else.
pub(super) async fn make_token(
    State(daemon): Node,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let NewToken { name: token, days } = parse(&body)?;
    let accounts = daemon.accounts.clone();
    let secret = blocking(move || {
        let account = named(&accounts, &name)?;
        accounts.make_token(&account, &token, days)
    })
    .await??;
    let answer = json!({ "schema": "fenbu.token/1", "token": secret, "days": days });
    Ok((StatusCode::CREATED, Json(answer)))
}
