//! The HTTP API for whoever is not on the node's own machine: people signed in on the console, and programs
//! with a token (`Authorization: Bearer TOKEN`).
//!
//! It is the same router as on the unix socket. Before it stands what each route of its table needs, asked
//! of the account's roles; what depends on a record's branch or on the steps asked for is asked again where
//! the record is at hand (`Caller::may`).

use super::Office;
use super::visitor::{cookie, session_cookie};
use crate::accounts::Account;
use crate::api::{Caller, Needs, PREFIX, Problem, Route, find};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{Schema, schema_named};

/// Kinds not everybody reads: who asks for all kinds at once must be allowed each.
const GUARDED: [&str; 4] = ["care-visit", "account", "audit", "disclosure"];

pub(super) async fn admit(
    State(office): State<Office>,
    mut request: Request,
    next: Next,
) -> Response {
    let account = match holder(&office, request.headers()).await {
        Ok(Some(account)) => account,
        Ok(None) => return Problem::not_signed_in().into_response(),
        Err(problem) => return problem.into_response(),
    };
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.and_then(|path| find(request.method(), path.as_str()));
    let Some(route) = route else {
        return Problem::not_found("there is no such path here").into_response();
    };
    if let Err(problem) = check(&account, route, request.uri()) {
        return problem.into_response();
    }
    request.extensions_mut().insert(ConnectInfo(Caller::of_account(account)));
    next.run(request).await
}

async fn holder(office: &Office, headers: &HeaderMap) -> Result<Option<Account>, Problem> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| text.strip_prefix("Bearer ")).map(str::to_owned);
    let session = cookie(headers, &session_cookie(office)).map(str::to_owned);
    let accounts = office.accounts().clone();
    let found = super::pages::blocking(move || match (bearer, session) {
        (Some(token), _) => accounts.token_holder(token.trim()),
        (None, Some(secret)) => accounts.signed_in(&secret),
        (None, None) => Ok(None),
    });
    Ok(found.await?)
}

/// The kind a path below the prefix begins with; within the nested router the prefix is gone from it.
fn kind_in(uri: &Uri) -> Option<&'static Schema> {
    let path = uri.path();
    let rest = path.strip_prefix(PREFIX).unwrap_or(path).strip_prefix('/')?;
    schema_named(rest.split('/').next()?)
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
}

/// Whether the account's roles allow what a route needs.
fn check(account: &Account, route: &Route, uri: &Uri) -> Result<(), Problem> {
    let may = |action| match account.may(action, None) {
        true => Ok(()),
        false => Err(Problem::not_for_you("ask your unit's administrator for the role")),
    };
    let reads = |kind: Option<String>| match kind.as_deref().map(schema_named) {
        Some(Some(schema)) => may(Action::Read(schema.name)),
        // What it is not, the handler says.
        Some(None) => Ok(()),
        None => GUARDED.iter().try_for_each(|kind| may(Action::Read(kind))),
    };
    let unknown = || Problem::not_found("there is no such path here");
    let kind = || kind_in(uri).map(|schema| schema.name).ok_or_else(unknown);
    let asked = query(uri, "kind");
    match (route.needs, route.path) {
        (Needs::Nothing, _) => Ok(()),
        (Needs::Read, "/search" | "/changes") => reads(asked),
        (Needs::Read, "/calendar.ics") => may(Action::Read("meeting")),
        (Needs::Read, "/feed.atom") => may(Action::Read("post")),
        (Needs::Read, "/conflicts" | "/conflicts/{id}") | (Needs::Settle, _) => may(Action::Settle),
        // Checklists and the like are about branches.
        (Needs::Read, path) if !path.starts_with("/{plural}") => {
            may(Action::Read("temporary-branch"))
        }
        (Needs::Read, _) => may(Action::Read(kind()?)),
        // The handler knows the record's branch, and what steps are asked for.
        (Needs::Write, _) => Ok(()),
        (Needs::Reveal, _) => may(Action::Reveal(kind()?)),
        (Needs::Import, "/template/{kind}") => may(Action::Import),
        (Needs::Import, _) => {
            may(Action::Import)?;
            // Lines may be of any kind.
            let kind = asked.ok_or_else(|| {
                Problem::bad_request("name the kind and the format: lines of all kinds are brought in on the node itself")
            })?;
            let written = if kind == "attendance" { "meeting" } else { kind.as_str() };
            may(Action::Write(schema_named(written).map_or("", |schema| schema.name)))
        }
        (Needs::Export, _) => {
            may(Action::Export)?;
            let kind = asked.as_deref().and_then(schema_named);
            if query(uri, "reveal").is_some() {
                may(Action::Reveal(kind.map_or("", |schema| schema.name)))?;
            }
            reads(asked)
        }
        (Needs::Reports, _) => may(Action::Reports),
        (Needs::Seal, _) => may(Action::Seal),
        (Needs::ReadDirectory | Needs::Node, _) => may(Action::Node),
        (Needs::Directory | Needs::Quarantine | Needs::Repair, _) => may(Action::Administer),
        (Needs::Accounts, _) => may(Action::Accounts),
    }
}
