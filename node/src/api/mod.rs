//! The control API: HTTP with JSON under `/api/v1`, over the node's unix socket.
//!
//! One file per noun; `routes` is the table of all of them, of which the router and `openapi.json` are
//! made. `API.md` beside this crate's manifest is for whoever calls from outside. Errors are problem
//! details (RFC 9457) with a hint that says what to do. The socket is the account's own (mode 0600); who
//! called is taken from its peer credentials.

mod accounts;
mod admin;
mod changes;
mod conflicts;
mod doctor;
mod forks;
mod inout;
mod limits;
mod metrics;
mod openapi;
mod personal;
mod problem;
mod quarantine;
mod records;
mod repair;
mod reports;
mod root;
mod routes;
mod search;
mod spaces;
mod status;
mod temporary;
mod trust;
mod versions;

use crate::accounts::Account;
use crate::daemon::Daemon;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::middleware;
use axum::routing::get;
use axum::serve::IncomingStream;
use fenbu_protocol::access::{Action, Person, allows};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::watch;

pub(crate) use doctor::findings;
pub(crate) use inout::{Source, file, form_of, table_of};
pub(crate) use personal::{disclose_to, warnings};
pub use problem::Problem;
pub(crate) use records::{Authors, branch_of, cells_of, list_query, safe_on, schema_of, unit_of};
pub use routes::{Needs, PREFIX, ROUTES, Route, find};
pub(crate) use status::{Light, alarms_of, light};

/// Who is at the other end of the socket.
#[derive(Debug, Clone)]
pub struct Caller {
    uid: Option<u32>,
    /// Somebody signed in on the console, or the holder of a token.
    account: Option<Arc<Account>>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|c| c.uid()), account: None }
    }
}

impl Caller {
    pub(crate) fn of_account(account: Account) -> Self {
        Self { uid: None, account: Some(Arc::new(account)) }
    }

    /// The opaque account id that changes carry.
    fn account(&self) -> String {
        match &self.account {
            Some(account) => account.id.to_string(),
            None => self.uid.map_or_else(String::new, |uid| format!("uid-{uid}")),
        }
    }

    /// Whether they may do something with a record of a branch. Whoever is at the unix socket owns the
    /// node's files anyway.
    fn may(&self, action: Action<'_>, branch: Option<&str>) -> Result<(), Problem> {
        let person = self.account.as_ref().map_or(Person::Operator, |account| account.person());
        match allows(&person, action, branch) {
            true => Ok(()),
            false => Err(Problem::not_for_you("ask your unit's administrator for the role")),
        }
    }
}

/// The routes of the table, for whoever knows the callers.
pub(crate) fn table() -> Router<Arc<Daemon>> {
    let held =
        |router: Router<_>, route: &'static Route| router.route(route.path, limits::held(route));
    ROUTES
        .iter()
        .fold(Router::new(), held)
        .layer(middleware::from_fn(problem::in_the_readers_language))
}

/// Every route of the table, and those that are for whoever watches over the node.
pub fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .nest(PREFIX, table())
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(|| async { Problem::not_found("there is no such path here") })
        .layer(middleware::from_fn(problem::in_the_readers_language))
        .with_state(daemon)
}

/// Why the control socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "the control socket {path} cannot be made: {source}; check that its folder exists and belongs to this account"
)]
pub struct SocketError {
    path: PathBuf,
    source: std::io::Error,
}

/// Makes the control socket, replacing one that a killed daemon left behind. The folder's lock is
/// held, so nobody serves the old one.
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let error = |source| SocketError { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(error(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

/// Serves until `stop` is true; requests under way are finished.
pub async fn serve(listener: UnixListener, daemon: Arc<Daemon>, mut stop: watch::Receiver<bool>) {
    let changes = daemon.records.shared.changes.clone();
    let service = router(daemon).into_make_service_with_connect_info::<Caller>();
    let stopped = async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stop.wait_for(|s| *s).await;
        // Those who follow for good would be waited for.
        changes.end();
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the control socket failed");
    }
}

/// Runs work that blocks on disk or locks. Here and now, while the runtime's other tasks move on to
/// another thread: waking a thread for a call of half a millisecond, and being woken by it, would take
/// a third of the time it takes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    use tokio::runtime::{Handle, RuntimeFlavor};
    if Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread {
        return Ok(tokio::task::block_in_place(work));
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::stopping())
}

#[cfg(test)]
mod tests;
