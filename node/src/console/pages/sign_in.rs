//! Signing in and out, the language, one's own password.

use super::super::shell::{bare, flash, page as full_page, trouble};
use super::super::visitor::{
    LANGUAGE_COOKIE, Reads, Visitor, cookie, encoded, origin, session_cookie,
};
use super::super::words::Word;
use super::super::{Office, Origin};
use super::{Refused, ToldTo, blocking};
use crate::accounts::AccountError;
use crate::words::Lang;
use axum::extract::{ConnectInfo, Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct Next {
    #[serde(default)]
    next: String,
    #[serde(default)]
    changed: bool,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Credentials {
    login: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// Where to go on: a path of ours, never another site.
fn ours(next: &str) -> &str {
    let inside =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r']);
    if inside { next } else { "/" }
}

fn form(lang: Lang, login: &str, next: &str, said: Markup) -> Markup {
    let body = html! {
        (said)
        form method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label for="login" { (Word::Login.say(lang)) }
            input #login name="login" value=(login) required autocomplete="username" autofocus;
            label for="password" { (Word::Password.say(lang)) }
            input #password type="password" name="password" required autocomplete="current-password";
            p { button.primary type="submit" { (Word::SignIn.say(lang)) } }
            p.hint { (Word::ForgotPassword.say(lang)) }
        }
    };
    bare(lang, Word::SignIn.say(lang), body)
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    Reads(lang): Reads,
    Query(asked): Query<Next>,
) -> Response {
    let accounts = office.accounts().clone();
    let said = match blocking(move || accounts.all()).await {
        Ok(all) if all.is_empty() => trouble(Word::NoAccounts.say(lang)),
        Ok(_) if asked.changed => flash(Word::PasswordChanged.say(lang)),
        Ok(_) => html! {},
        Err(error) => trouble(&lang.say(&error.to_string())),
    };
    form(lang, "", ours(&asked.next), said).into_response()
}

pub(in crate::console) async fn sign_in(
    State(office): State<Office>,
    from: ConnectInfo<Origin>,
    Reads(lang): Reads,
    Form(given): Form<Credentials>,
) -> Response {
    let accounts = office.accounts().clone();
    let (login, password) = (given.login.clone(), given.password);
    let from = origin(&from);
    match blocking(move || accounts.sign_in(&login, &password, &from)).await {
        Ok((secret, _)) => {
            let mut response = Redirect::to(ours(&given.next)).into_response();
            let name = session_cookie(&office);
            let cookie = format!("{name}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax");
            set_cookie(&mut response, &cookie);
            response
        }
        Err(error) => {
            let status = match error {
                AccountError::Wrong | AccountError::NotHere => StatusCode::UNAUTHORIZED,
                AccountError::Locked { .. } => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let said = trouble(&lang.say(&error.to_string()));
            (status, form(lang, &given.login, ours(&given.next), said)).into_response()
        }
    }
}

fn set_cookie(response: &mut Response, cookie: &str) {
    // INVARIANT: made of hex digits and names of ours.
    let value = HeaderValue::from_str(cookie).expect("a plain cookie");
    response.headers_mut().append(header::SET_COOKIE, value);
}

fn without_session(office: &Office, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    let name = session_cookie(office);
    let gone = format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    set_cookie(&mut response, &gone);
    response
}

pub(in crate::console) async fn sign_out(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    let accounts = office.accounts().clone();
    let leaving = visitor.clone();
    blocking(move || accounts.sign_out(&leaving.secret, &leaving.account))
        .await
        .told_to(&visitor)?;
    Ok(without_session(&office, "/sign-in"))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct To {
    to: String,
    #[serde(default)]
    next: String,
}

pub(in crate::console) async fn language(
    State(office): State<Office>,
    headers: HeaderMap,
    Form(to): Form<To>,
) -> Response {
    // Whoever is not signed in goes back to where they can.
    let next = match cookie(&headers, &session_cookie(&office)) {
        Some(_) => ours(&to.next),
        None => "/sign-in",
    };
    let mut response = Redirect::to(next).into_response();
    let tag = if to.to == "en" { "en" } else { "zh-CN" };
    let year = 365 * 24 * 60 * 60;
    set_cookie(
        &mut response,
        &format!("{LANGUAGE_COOKIE}={tag}; Path=/; Secure; SameSite=Lax; Max-Age={year}"),
    );
    response
}

pub(in crate::console) async fn password_form(visitor: Visitor) -> Markup {
    password_page(&visitor, html! {})
}

fn password_page(visitor: &Visitor, said: Markup) -> Markup {
    let lang = visitor.lang;
    let roles: Vec<String> =
        visitor.account.roles.iter().map(|role| super::accounts::role_label(role, lang)).collect();
    let body = html! {
        (said)
        dl.fields {
            dt { (Word::Login.say(lang)) } dd { (visitor.account.login) }
            dt { (Word::Name.say(lang)) } dd { (visitor.account.name) }
            dt { (Word::Roles.say(lang)) } dd { (roles.join(Word::Comma.say(lang))) }
        }
        h2 { (Word::ChangePassword.say(lang)) }
        form.form method="post" action="/password" {
            input type="hidden" name="login" value=(visitor.account.login) autocomplete="username";
            label for="old" { (Word::OldPassword.say(lang)) }
            input #old type="password" name="old" required autocomplete="current-password";
            label for="new" { (Word::NewPassword.say(lang)) }
            input #new type="password" name="new" required minlength="10" autocomplete="new-password";
            p { button.primary type="submit" { (Word::Save.say(lang)) } }
        }
    };
    full_page(visitor, &visitor.account.name, body)
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct NewPassword {
    old: String,
    new: String,
}

/// Sets one's own password: whoever knows the present one, and guesses no more often than at the door.
pub(in crate::console) async fn set_password(
    State(office): State<Office>,
    visitor: Visitor,
    from: ConnectInfo<Origin>,
    Form(given): Form<NewPassword>,
) -> Response {
    let accounts = office.accounts().clone();
    let me = visitor.clone();
    let from = origin(&from);
    let done = blocking(move || {
        accounts.sign_in(&me.account.login, &given.old, &from)?;
        accounts.set_password(me.account.id, &given.new, &me.id())
    });
    match done.await {
        Ok(()) => without_session(&office, &format!("/sign-in?changed=true&next={}", encoded("/"))),
        Err(error) => {
            let said = trouble(&visitor.lang.say(&error.to_string()));
            (StatusCode::UNPROCESSABLE_ENTITY, password_page(&visitor, said)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ours;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(ours("/r/posts?unit=x"), "/r/posts?unit=x");
        for other in ["https://evil.example", "//evil.example", "/\\evil.example", "", "/a\r\nb"] {
            assert_eq!(ours(other), "/", "{other}");
        }
    }
}
