//! Accounts of this unit, for its administrator.

use super::super::Office;
use super::super::cells::time;
use super::super::shell::{flash, page as full_page, trouble};
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::accounts::{Account, AccountError, NewAccount};
use crate::api::Problem;
use crate::words::Lang;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::{Action, Role, Scoped};
use fenbu_protocol::id::DocId;
use maud::{Markup, html};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Sent = BTreeMap<String, String>;

/// Before the names of roles in forms.
const ROLE: &str = "role:";

pub(super) fn role_label(scoped: &Scoped, lang: Lang) -> String {
    let label = match lang {
        Lang::Zh => scoped.role.label_zh(),
        Lang::En => scoped.role.label_en(),
    };
    scoped.branch.as_ref().map_or_else(|| label.to_owned(), |branch| format!("{label}@{branch}"))
}

fn state_word(account: &Account, lang: Lang) -> Markup {
    let (colour, zh, en) = if account.is_active {
        ("good", "启用", "Active")
    } else {
        ("bad", "停用", "Disabled")
    };
    html! { span class=(format!("tag {colour}")) { (match lang { Lang::Zh => zh, Lang::En => en }) } }
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Accounts, None)?;
    list_page(&office, &visitor, &Sent::new(), None).await
}

async fn list_page(
    office: &Office,
    visitor: &Visitor,
    sent: &Sent,
    said: Option<&str>,
) -> Result<Markup, Refused> {
    let lang = visitor.lang;
    let accounts = office.accounts().clone();
    let all = blocking(move || accounts.all()).await.told_to(visitor)?;
    let get = |name: &str| sent.get(name).map_or("", String::as_str);
    let body = html! {
        @if let Some(said) = said { (trouble(said)) }
        div #accounts data-live="accounts" {
            table {
                thead { tr { @for word in [Word::Login, Word::Name, Word::Roles, Word::State] { th scope="col" { (word.say(lang)) } } } }
                tbody {
                    @for account in &all {
                        tr {
                            td { a href=(format!("/accounts/{}", account.id)) { (account.login) } }
                            td { (account.name) }
                            td { (account.roles.iter().map(|r| role_label(r, lang)).collect::<Vec<_>>().join(Word::Comma.say(lang))) }
                            td { (state_word(account, lang)) }
                        }
                    }
                }
            }
        }
        h2 { (Word::NewAccount.say(lang)) }
        form.form method="post" action="/accounts" autocomplete="off" {
            div { label for="login" { (Word::Login.say(lang)) } input #login name="login" value=(get("login")) required autocomplete="off"; }
            div { label for="name" { (Word::Name.say(lang)) } input #name name="name" value=(get("name")) required; }
            (roles_inputs(&sent_roles(sent), lang))
            div { label for="password" { (Word::Password.say(lang)) } input #password type="password" name="password" required minlength="10" autocomplete="new-password"; }
            p { button.primary type="submit" { (Word::Save.say(lang)) } }
        }
    };
    Ok(full_page(visitor, Word::Accounts.say(lang), body))
}

fn roles_inputs(chosen: &[String], lang: Lang) -> Markup {
    let scoped: Vec<&str> =
        chosen.iter().filter(|role| role.contains('@')).map(String::as_str).collect();
    html! {
        fieldset {
            legend { (Word::Roles.say(lang)) }
            @for role in Role::ALL {
                label.choice {
                    input type="checkbox" name=(format!("{ROLE}{}", role.code())) value="on"
                        checked[chosen.iter().any(|c| c == role.code())];
                    (match lang { Lang::Zh => role.label_zh(), Lang::En => role.label_en() })
                }
            }
        }
        div {
            label for="scoped" { (Word::Scopes.say(lang)) }
            input #scoped name="scoped" value=(scoped.join(" "));
            p.hint { (Word::RolesHint.say(lang)) }
        }
    }
}

fn sent_roles(sent: &Sent) -> Vec<String> {
    let plain = sent.keys().filter_map(|name| name.strip_prefix(ROLE)).map(str::to_owned);
    let scoped = sent.get("scoped").map_or("", String::as_str);
    let scoped =
        scoped.split([' ', ',', '、', '，']).map(str::trim).filter(|text| !text.is_empty());
    plain.chain(scoped.map(str::to_owned)).collect()
}

pub(in crate::console) async fn create(
    State(office): State<Office>,
    visitor: Visitor,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    check(&visitor, Action::Accounts, None)?;
    let get = |name: &str| sent.get(name).cloned().unwrap_or_default();
    let new = NewAccount {
        login: get("login").trim().to_owned(),
        name: get("name").trim().to_owned(),
        roles: sent_roles(&sent),
        member: None,
    };
    let (accounts, by, password) = (office.accounts().clone(), visitor.id(), get("password"));
    match blocking(move || accounts.create(&new, &password, &by)).await {
        Ok(id) => Ok(Redirect::to(&format!("/accounts/{id}?said=made")).into_response()),
        Err(error) => {
            let said = visitor.lang.say(&error.to_string());
            Ok(list_page(&office, &visitor, &sent, Some(&said)).await?.into_response())
        }
    }
}

async fn found(office: &Office, visitor: &Visitor, id: &str) -> Result<Account, Refused> {
    check(visitor, Action::Accounts, None)?;
    let unknown = || Problem::not_found("there is no such account; see the list of accounts");
    let id: DocId = id.parse().map_err(|_| unknown()).told_to(visitor)?;
    let accounts = office.accounts().clone();
    let account = blocking(move || accounts.account(id)).await.told_to(visitor)?;
    account.ok_or_else(unknown).told_to(visitor)
}

pub(in crate::console) async fn one(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(said): Query<Sent>,
) -> Result<Markup, Refused> {
    let account = found(&office, &visitor, &id).await?;
    let said = said.get("said").map(|_| Word::Saved.say(visitor.lang));
    one_page(&office, &visitor, &account, said.map_or_else(|| html! {}, flash)).await
}

async fn one_page(
    office: &Office,
    visitor: &Visitor,
    account: &Account,
    said: Markup,
) -> Result<Markup, Refused> {
    let lang = visitor.lang;
    let (accounts, id) = (office.accounts().clone(), account.id);
    let (sessions, tokens) = blocking(move || {
        Ok::<_, AccountError>((accounts.desk().sessions(id)?, accounts.desk().tokens(id)?))
    })
    .await
    .told_to(visitor)?;
    let roles: Vec<String> = account.roles.iter().map(ToString::to_string).collect();
    let body = html! {
        (said)
        form.form method="post" action=(format!("/accounts/{}", account.id)) {
            div { label for="name" { (Word::Name.say(lang)) } input #name name="name" value=(account.name) required; }
            (roles_inputs(&roles, lang))
            div { label for="member" { (Word::LinkedMember.say(lang)) } input #member name="member" value=(account.member.map(|m| m.to_string()).unwrap_or_default()); }
            div {
                label for="state" { (Word::State.say(lang)) }
                select #state name="state" {
                    @for (code, zh, en) in [("active", "启用", "Active"), ("disabled", "停用", "Disabled"), ("left", "已离任", "Left")] {
                        option value=(code) selected[(code == "active") == account.is_active && code != "left"] { (match lang { Lang::Zh => zh, Lang::En => en }) }
                    }
                }
            }
            p { button.primary type="submit" { (Word::Save.say(lang)) } }
        }
        h2 { (Word::ResetPassword.say(lang)) }
        form.form method="post" action=(format!("/accounts/{}/password", account.id)) {
            input type="hidden" name="login" value=(account.login) autocomplete="username";
            div { label for="password" { (Word::NewPassword.say(lang)) } input #password type="password" name="password" required minlength="10" autocomplete="new-password"; }
            p { button type="submit" { (Word::Save.say(lang)) } }
        }
        h2 { (Word::Sessions.say(lang)) }
        ul { @for session in &sessions { li { (session.origin) " " (time(session.begun_ms)) } } }
        @if !tokens.is_empty() {
            h2 { (Word::Tokens.say(lang)) }
            ul { @for token in &tokens { li { (token.name) " → " (time(token.until_ms)) } } }
        }
    };
    Ok(full_page(visitor, &account.login, body))
}

pub(in crate::console) async fn change(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    let account = found(&office, &visitor, &id).await?;
    let get = |name: &str| sent.get(name).map_or("", |v| v.trim());
    let member = match get("member") {
        "" => Value::Null,
        id => id.into(),
    };
    let fields = json!({ "name": get("name"), "roles": sent_roles(&sent), "state": get("state"), "member": member });
    let (accounts, by, of) = (office.accounts().clone(), visitor.id(), account.id);
    match blocking(move || accounts.change(of, &fields, &by)).await {
        Ok(()) => Ok(Redirect::to(&format!("/accounts/{of}?said=saved")).into_response()),
        Err(error) => {
            let said = trouble(&visitor.lang.say(&error.to_string()));
            Ok(one_page(&office, &visitor, &account, said).await?.into_response())
        }
    }
}

pub(in crate::console) async fn set_password(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    let account = found(&office, &visitor, &id).await?;
    let password = sent.get("password").cloned().unwrap_or_default();
    let (accounts, by, of) = (office.accounts().clone(), visitor.id(), account.id);
    match blocking(move || accounts.set_password(of, &password, &by)).await {
        Ok(()) => Ok(Redirect::to(&format!("/accounts/{of}?said=saved")).into_response()),
        Err(error) => {
            let said = trouble(&visitor.lang.say(&error.to_string()));
            Ok(one_page(&office, &visitor, &account, said).await?.into_response())
        }
    }
}
