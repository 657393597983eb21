//! The control API: HTTP with JSON under `/api/v1`, over the node's unix socket.
//!
//! One file per noun. Errors are problem details (RFC 9457) with a hint that says what to do. The
//! socket is the account's own (mode 0600); who called is taken from its peer credentials.

mod accounts;
mod admin;
mod conflicts;
mod doctor;
mod forks;
mod inout;
mod metrics;
mod personal;
mod problem;
mod quarantine;
mod records;
mod repair;
mod reports;
mod root;
mod search;
mod spaces;
mod status;
mod trust;

use crate::daemon::Daemon;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::middleware;
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::watch;

pub(crate) use doctor::findings;
pub(crate) use inout::{Source, file, form_of, table_of};
pub(crate) use personal::{disclose_to, warnings};
pub use problem::Problem;
pub(crate) use records::{Authors, cells_of, list_query, safe_on, schema_of, unit_of};
pub(crate) use status::{Light, alarms_of, light};

/// Largest request body: an import of 50,000 records.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Who is at the other end of the socket.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|c| c.uid()) }
    }
}

impl Caller {
    /// The opaque account id that changes carry, until people have accounts.
    fn account(self) -> String {
        self.uid.map_or_else(String::new, |uid| format!("uid-{uid}"))
    }
}

/// Every route.
pub fn router(daemon: Arc<Daemon>) -> Router {
    let api = Router::new()
        .route("/status", get(status::status))
        .route("/peers", get(status::peers))
        .route("/sync", get(status::sync))
        .route("/directory", get(admin::directory))
        .route("/invites", post(admin::invite))
        .route("/admissions", post(admin::admit))
        .route("/directory/revoke", post(trust::revoke))
        .route("/directory/spaces", post(spaces::change))
        .route("/directory/spaces/{label}", get(spaces::show))
        .route("/directory/limits", post(spaces::limits))
        .route("/directory/root/appoint", post(root::appoint))
        .route("/directory/root/recover", post(root::recover))
        .route("/directory/root/take", post(root::take))
        .route("/quarantine", get(quarantine::list))
        .route("/quarantine/reviewed", post(quarantine::reviewed))
        .route("/conflicts", get(conflicts::list))
        .route("/conflicts/{id}", get(conflicts::show))
        .route("/conflicts/{id}/settle", post(conflicts::settle))
        .route("/config", get(admin::config))
        .route("/doctor", get(doctor::doctor))
        .route("/schema", get(admin::schema))
        .route("/search", get(search::search))
        .route("/import", post(inout::import))
        .route("/export", get(inout::export))
        .route("/template/{kind}", get(inout::template))
        .route("/calendar.ics", get(inout::calendar))
        .route("/feed.atom", get(inout::feed))
        .route("/repair/views", post(repair::views))
        .route("/repair/documents", post(repair::documents))
        .route("/freshness", get(reports::units))
        .route("/reports/{name}", get(reports::report))
        .route("/reports/{name}/seal", post(reports::seal))
        .route("/sealed-reports/{id}/compare", get(reports::compare))
        .route("/accounts", get(accounts::list).post(accounts::create))
        .route("/accounts/{name}", get(accounts::show).patch(accounts::change))
        .route("/accounts/{name}/password", post(accounts::set_password))
        .route("/{plural}", get(records::list).post(records::create))
        .route("/{plural}/{id}", get(records::show).patch(records::edit))
        .route("/{plural}/{id}/reveal", post(personal::reveal))
        .route("/{plural}/{id}/history", get(records::history))
        .route("/{plural}/{id}/docx", get(inout::docx_of))
        .route("/{plural}/{id}/page", get(inout::page_of));
    Router::new()
        .nest("/api/v1", api)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .fallback(|| async { Problem::not_found("there is no such path here") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
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
    let service = router(daemon).into_make_service_with_connect_info::<Caller>();
    let stopped = async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stop.wait_for(|s| *s).await;
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
