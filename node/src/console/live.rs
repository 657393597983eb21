//! Telling open pages that something changed: a page says which kinds it shows, and hears when a record
//! of one is not what it was. What it became the page asks for itself, so that nobody hears of what they
//! may not see.

use super::Office;
use super::visitor::Visitor;
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::schema_named;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How often a page that shows how the node is looks again.
const PULSE: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    kinds: String,
}

pub(super) async fn events(
    State(office): State<Office>,
    _visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let names: Vec<&str> = wanted.kinds.split_whitespace().collect();
    let all = names.contains(&"*");
    let pulse = names.contains(&"node");
    let kinds: BTreeSet<Kind> =
        names.iter().filter_map(|name| schema_named(name)).map(|s| s.kind).collect();
    let changes = office.records().shared.changes.subscribe();
    let stopped = office.daemon.stopping();
    let told = stream::unfold((changes, stopped), move |(mut changes, mut stopped)| {
        let kinds = kinds.clone();
        async move {
            loop {
                let heard = tokio::select! {
                    heard = changes.recv() => heard.map(Some),
                    () = tokio::time::sleep(PULSE), if pulse => Ok(None),
                    // An error means that the node is gone.
                    _ = stopped.wait_for(|stop| *stop) => Err(RecvError::Closed),
                };
                let shown = match heard {
                    Ok(Some(changed)) => {
                        all || changed.places.iter().any(|p| kinds.contains(&p.kind))
                    }
                    // Time to look again; or it missed some.
                    Ok(None) | Err(RecvError::Lagged(_)) => true,
                    Err(RecvError::Closed) => return None,
                };
                if shown {
                    // Browsers pass on no event without data.
                    let event = Event::default().event("changed").data("changed");
                    return Some((Ok(event), (changes, stopped)));
                }
            }
        }
    });
    Sse::new(told).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))
}
