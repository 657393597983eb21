//! The pages, a file each.

pub(super) mod accounts;
pub(super) mod act;
pub(super) mod audit;
pub(super) mod conflicts;
pub(super) mod day;
pub(super) mod edit;
pub(super) mod exchange;
pub(super) mod figures;
pub(super) mod history;
pub(super) mod meetings;
pub(super) mod record;
pub(super) mod records;
pub(super) mod review;
pub(super) mod search;
pub(super) mod sign_in;
pub(super) mod site;
pub(super) mod sync;

use super::fields::Suggestion;
use super::shell;
use super::visitor::Visitor;
use super::words::Word;
use crate::api::Problem;
use crate::records::Records;
use axum::response::{IntoResponse, Response};
use fenbu_protocol::access::Action;
use maud::html;

/// Runs work that blocks on disk or locks, here and now; see [`crate::api`].
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return tokio::task::block_in_place(work);
    }
    // INVARIANT: the work does not panic; if it does, this request ends with it.
    tokio::task::spawn_blocking(work).await.expect("the work does not panic")
}

/// Every branch this node reads.
pub(super) fn branches(records: &Records) -> Vec<Suggestion> {
    edit::branches(records, None)
}

/// A page that says why there is no other.
#[derive(Debug)]
pub(super) struct Refused {
    visitor: Box<Visitor>,
    problem: Box<Problem>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let lang = self.visitor.lang;
        let (status, title, detail, hint) = self.problem.told(lang);
        let body = html! {
            (shell::trouble(&detail))
            @if let Some(hint) = hint { p { (hint) } }
            p { a href="/" { (Word::MyDay.say(lang)) } }
        };
        (status, shell::page(&self.visitor, &title, body)).into_response()
    }
}

/// Errors, told to whoever asked.
pub(super) trait ToldTo<T> {
    fn told_to(self, visitor: &Visitor) -> Result<T, Refused>;
}

impl<T, E: Into<Problem>> ToldTo<T> for Result<T, E> {
    fn told_to(self, visitor: &Visitor) -> Result<T, Refused> {
        self.map_err(|error| Refused {
            visitor: Box::new(visitor.clone()),
            problem: Box::new(error.into()),
        })
    }
}

/// Whether somebody may do something with a record of a branch; else the page that says they may not.
pub(super) fn check(
    visitor: &Visitor,
    action: Action<'_>,
    branch: Option<&str>,
) -> Result<(), Refused> {
    let denied = || Problem::not_for_you(Word::AskAdministrator.say(visitor.lang));
    visitor.may_in(action, branch).then_some(()).ok_or_else(denied).told_to(visitor)
}
