//! The web console: pages made on the server, for the staff of the unit whose node this is.
//!
//! | file | owns |
//! |---|---|
//! | `serve` | the listener, and when it ends |
//! | `guard` | who may talk to it at all: hosts, other sites, what a page may load |
//! | `visitor` | who is signed in, their language |
//! | `shell` | what every page has around it |
//! | `words` | every text of the console in both languages |
//! | `charts` | drawings of figures |
//! | `cells`, `fields` | a record's values as people read and write them, from its schema |
//! | `door` | who may ask the HTTP API over TCP, for what |
//! | `live` | telling open pages that something changed |
//! | `pages` | a file per page |
//!
//! Pages work without the script; it makes them live. What a person may do is asked of
//! [`fenbu_protocol::access`] where it is done, and again where a button for it is drawn.

mod cells;
mod charts;
mod door;
mod fields;
mod guard;
mod live;
mod pages;
mod serve;
mod shell;
mod visitor;
mod words;

use crate::accounts::Accounts;
use crate::daemon::Daemon;
use crate::records::Records;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use serve::{Console, bind, serve};

/// Largest form: a document of a word processor with its pictures, or a sheet.
const FORM_BYTES_MAX: usize = 32 << 20;

/// What every page is made from.
#[derive(Debug, Clone)]
pub(crate) struct Office {
    pub(crate) daemon: Arc<Daemon>,
    /// Hosts it answers to.
    pub(crate) hosts: Arc<[String]>,
}

impl Office {
    fn records(&self) -> &Records {
        &self.daemon.records
    }

    fn accounts(&self) -> &Accounts {
        &self.daemon.accounts
    }
}

/// Where a visitor comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(SocketAddr);

fn router(office: Office) -> Router {
    use pages::{
        accounts, act, audit, conflicts, day, edit, exchange, figures, history, meetings, record,
        records, review, search, sign_in, site, sync,
    };
    let pages = Router::new()
        .route("/", get(day::page))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/password", get(sign_in::password_form).post(sign_in::set_password))
        .route("/events", get(live::events))
        .route("/preview", post(edit::preview))
        .route("/r/{plural}", get(records::page).post(edit::create))
        .route("/r/{plural}/new", get(edit::new_form))
        .route("/r/{plural}/{id}", get(record::page).post(edit::save))
        .route("/r/{plural}/{id}/edit", get(edit::edit_form))
        .route("/r/{plural}/{id}/history", get(history::page))
        .route("/r/{plural}/{id}/step", post(act::step))
        .route("/r/{plural}/{id}/note", post(act::note))
        .route("/r/{plural}/{id}/reveal", post(act::reveal))
        .route("/meetings/record", get(meetings::choose).post(meetings::save))
        .route("/meetings/calendar", get(meetings::calendar))
        .route("/review", get(review::page))
        .route("/site", get(site::page))
        .route("/site/{id}", get(site::post))
        .route("/conflicts", get(conflicts::page))
        .route("/conflicts/{id}", post(conflicts::settle))
        .route("/search", get(search::page))
        .route("/figures", get(figures::overview))
        .route("/figures/{report}", get(figures::page))
        .route("/sync", get(sync::page))
        .route("/accounts", get(accounts::page).post(accounts::create))
        .route("/accounts/{id}", get(accounts::one).post(accounts::change))
        .route("/accounts/{id}/password", post(accounts::set_password))
        .route("/import", get(exchange::page).post(exchange::take))
        .route("/export", get(exchange::out))
        .route("/template/{kind}", get(exchange::empty_sheet))
        .route("/word/{kind}/{id}", get(exchange::word))
        .route("/figures/{report}/seal", post(figures::seal))
        .route("/figures/{report}/sheet", get(figures::sheet))
        .route("/figures/remind", post(figures::remind))
        .route("/sealed/{id}", get(figures::compared))
        .route("/audit", get(audit::page));
    let api = crate::api::table()
        .route_layer(middleware::from_fn_with_state(office.clone(), door::admit))
        .with_state(office.daemon.clone());
    Router::new()
        .merge(pages)
        .nest(crate::api::PREFIX, api)
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/language", post(sign_in::language))
        .route("/assets/{name}", get(shell::asset))
        .route("/favicon.ico", get(shell::icon))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(shell::not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn_with_state(office.clone(), guard::guard))
        .with_state(office)
}

#[cfg(test)]
mod tests;
