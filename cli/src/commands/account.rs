//! `fenbu account`: who may sign in on the console of this unit's nodes.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Session;
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, Detail, List};

/// People who sign in on the console of this unit's nodes
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the accounts of this unit
    List,
    /// Make an account; its password comes from a file, or from stdin
    Add {
        /// Letters, digits, '.', '-' and '_'
        login: String,
        /// The person's name [default: the login]
        #[arg(long)]
        name: Option<String>,
        /// author, reviewer, recorder, organisation, secretary, administrator or auditor; for one branch ROLE@BRANCH; can be repeated
        #[arg(long)]
        role: Vec<String>,
        /// Id of the member they are
        #[arg(long, value_name = "ID")]
        member: Option<String>,
        /// File with the password, - for stdin
        #[arg(long, value_name = "FILE", default_value = "-")]
        password_file: PathBuf,
    },
    /// Change a name, the roles, or whether the account may sign in
    Edit {
        /// The account's login, or its id
        login: String,
        /// The person's name
        #[arg(long)]
        name: Option<String>,
        /// Takes the place of all roles; can be repeated
        #[arg(long)]
        role: Vec<String>,
        /// Id of the member they are
        #[arg(long, value_name = "ID")]
        member: Option<String>,
        /// active, disabled or left
        #[arg(long)]
        state: Option<String>,
    },
    /// Set a password, and sign the account out
    Password {
        /// The account's login, or its id
        login: String,
        /// File with the password, - for stdin
        #[arg(long, value_name = "FILE", default_value = "-")]
        password_file: PathBuf,
    },
    /// Make a token with which a program asks the HTTP API for what the account may; shown once
    Token {
        /// The account's login, or its id
        login: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// How long it is good for
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
    },
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "可以登录本单位节点网页的账号"),
    ("list", "列出本单位的账号"),
    ("add", "新建账号，口令取自文件或标准输入"),
    ("add.login", "字母、数字、“.”“-”“_”"),
    ("add.name", "姓名[默认：登录名]"),
    (
        "add.role",
        "author 撰稿人、reviewer 审稿人、recorder 记录员、organisation 组织员、secretary 书记、administrator 管理员、auditor 审计员；只管一个党组织写作 角色@党组织代码；可重复",
    ),
    ("add.member", "其党员记录的标识"),
    ("add.password_file", "口令文件，- 表示标准输入"),
    ("edit", "修改姓名、角色，或停用账号"),
    ("edit.login", "登录名"),
    ("edit.name", "姓名"),
    ("edit.role", "取代原有的全部角色；可重复"),
    ("edit.member", "其党员记录的标识"),
    ("edit.state", "active 启用、disabled 停用、left 已离任"),
    ("password", "设置口令，并使该账号退出登录"),
    ("password.login", "登录名"),
    ("token", "签发令牌：程序凭它以该账号的权限使用 HTTP 接口；只显示这一次"),
    ("token.login", "登录名，或账号标识"),
    ("token.name", "用途"),
    ("token.days", "有效天数"),
    ("password.password_file", "口令文件，- 表示标准输入"),
];

pub(super) async fn run(args: AccountArgs, session: &mut Session) -> Result<Exit> {
    let client = session.client();
    match args.act {
        Act::List => {
            let answer = client.get(Route::new("accounts")).await?;
            let items = output::items(&answer, "items");
            session.output.list(&List {
                schema: "fenbu.accounts/1",
                item_schema: "fenbu.account/1",
                answer,
                items,
                name: "login",
                columns: columns(),
            })?;
        }
        Act::Add { login, name, role, member, password_file } => {
            let mut body = json!({
                "login": login, "roles": role, "password": password(&password_file)?,
            });
            set(&mut body, "name", name);
            set(&mut body, "member", member);
            let made = client.post(Route::new("accounts"), &body).await?;
            show(session, made)?;
        }
        Act::Edit { login, name, role, member, state } => {
            let mut body = json!({});
            set(&mut body, "name", name);
            set(&mut body, "member", member);
            set(&mut body, "state", state);
            if !role.is_empty() {
                body["roles"] = json!(role);
            }
            let changed = client.patch(Route::new("accounts").segment(&login), &body).await?;
            show(session, changed)?;
        }
        Act::Token { login, name, days } => {
            let route = Route::new("accounts").segment(&login).segment("tokens");
            let made = client.post(route, &json!({ "name": name, "days": days })).await?;
            let rows = vec![(Key::LabelToken.into(), output::text(&made, "token"))];
            let answer = made;
            session.output.detail(&Detail {
                schema: "fenbu.token/1",
                name: "token",
                answer,
                rows,
            })?;
        }
        Act::Password { login, password_file } => {
            let body = json!({ "password": password(&password_file)? });
            let route = Route::new("accounts").segment(&login).segment("password");
            show(session, client.post(route, &body).await?)?;
        }
    }
    Ok(Exit::Ok)
}

fn set(body: &mut Value, name: &str, value: Option<String>) {
    if let Some(value) = value {
        body[name] = value.into();
    }
}

/// The first line of a file: a password never stands among arguments, which others see.
fn password(file: &PathBuf) -> Result<String> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(4096).read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|file| file.take(4096).read_to_string(&mut text)),
    };
    let shown = file.display().to_string();
    read.map_err(|e| {
        Error::failed(Key::PasswordUnread.with([("file", shown)])).cause(e.to_string())
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn show(session: &mut Session, answer: Value) -> Result<()> {
    let rows = vec![
        (Key::LabelId.into(), output::text(&answer, "id")),
        (Key::LabelLogin.into(), output::text(&answer, "login")),
        (Key::LabelName.into(), output::text(&answer, "name")),
        (Key::LabelRoles.into(), roles(&answer)),
        (Key::LabelActive.into(), active(&answer, session.output.lang())),
    ];
    session.output.detail(&Detail { schema: "fenbu.account/1", name: "login", answer, rows })
}

fn roles(account: &Value) -> String {
    let roles = account["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
    roles.collect::<Vec<_>>().join(" ")
}

fn active(account: &Value, lang: Lang) -> String {
    match account["active"] == true {
        true => lang.pick("启用", "yes").to_owned(),
        false => lang.pick("停用", "no").to_owned(),
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnLogin, |v, _| output::text(v, "login")),
        Column::new(Key::ColumnActive, |v, view| active(v, view.lang)),
        Column::new(Key::ColumnRoles, |v, _| roles(v)),
        Column::new(Key::ColumnName, |v, _| output::text(v, "name")),
        Column::new(Key::ColumnId, |v, _| output::short_id(&output::text(v, "id"))).wide(),
    ]
}
