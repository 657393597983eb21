//! Counters for Prometheus, in its text format (version 0.0.4).

use super::Problem;
use super::status::admin_linked;
use crate::daemon::Daemon;
use crate::freshness::{Age, age};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fenbu_protocol::sync::{Refusals, Status};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) async fn metrics(State(daemon): State<Arc<Daemon>>) -> Result<Response, Problem> {
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    let directory = daemon.records.shared.directory.now();
    let (linked, now_ms) =
        (admin_linked(&status, &directory), daemon.records.shared.clock.now_ms());
    let engine = &status.engine;
    let live = engine.peers.iter().filter(|p| p.live).count() as u64;
    let lacking = |p: &fenbu_protocol::sync::PeerStatus| {
        p.spaces.iter().map(|(_, g)| g.missing_here).fold(0u64, u64::saturating_add)
    };
    let missing = engine.peers.iter().map(lacking).max().unwrap_or(0);
    let entries = engine.logs.iter().map(|l| l.tip.seq).sum();
    let made = daemon.progress.documents.load(Ordering::Relaxed);
    let rebuilt = daemon.progress.rebuilt.load(Ordering::Relaxed);
    let damaged = daemon.progress.damaged.load(Ordering::Relaxed);
    let (mut sent, mut received) = (0, 0);
    for stats in status.links.values().map(|l| &l.stats).chain(status.past.values()) {
        sent += stats.stream_bytes_out;
        received += stats.stream_bytes_in;
    }
    let mut out = String::new();
    let mut line = |name: &str, kind: &str, help: &str, value: u64| {
        // INVARIANT: writing to a string cannot fail.
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
            .expect("writing to a string");
    };
    line("fenbu_directory_epoch", "gauge", "Statements in the directory.", engine.epoch);
    let age_ms = match age(&status.heard, &directory, &daemon.me(), linked) {
        Age::Own | Age::Linked => 0,
        Age::Since(since) => now_ms.saturating_sub(since.unwrap_or(0)),
    };
    let help = "Seconds since the admin node was last linked; 0 at the admin node.";
    line("fenbu_directory_age_seconds", "gauge", help, age_ms / 1000);
    line("fenbu_peers", "gauge", "Other nodes of the federation.", engine.peers.len() as u64);
    line("fenbu_peers_connected", "gauge", "Peers linked and greeted.", live);
    line("fenbu_entries", "gauge", "Entries held durably.", entries);
    line("fenbu_entries_missing", "gauge", "Entries a peer has and this node lacks.", missing);
    line("fenbu_documents_materialised_total", "counter", "Documents made from entries.", made);
    line(
        "fenbu_documents_rebuilt_total",
        "counter",
        "Documents made again from the logs.",
        rebuilt,
    );
    line(
        "fenbu_documents_damaged_total",
        "counter",
        "Documents whose saved form could not be read, and was made again.",
        damaged,
    );
    line("fenbu_stream_bytes_sent_total", "counter", "Stream bytes to peers.", sent);
    line("fenbu_stream_bytes_received_total", "counter", "Stream bytes from peers.", received);
    line("fenbu_logs_refused", "gauge", "Logs this node declines.", engine.refused.len() as u64);
    line("fenbu_alarms", "gauge", "Alarms raised since start.", status.alarms.len() as u64);
    line(
        "fenbu_storage_failing",
        "gauge",
        "1 while the disk refuses writes.",
        u64::from(engine.storage_failing),
    );
    let space = crate::floor::Space::at(&daemon.config.dir).ok();
    line(
        "fenbu_disk_free_bytes",
        "gauge",
        "What is left on the disk that holds the node's folder.",
        space.map_or(0, |space| space.free),
    );
    line(
        "fenbu_entries_damaged",
        "gauge",
        "Entries the disk does not give back, until peers have brought them again.",
        engine.damaged.iter().map(|d| d.to - d.from + 1).fold(0, u64::saturating_add),
    );
    line(
        "fenbu_state_differences",
        "gauge",
        "Spaces and peers whose records differ at equal entries.",
        engine.differences.len() as u64,
    );
    let handshakes = &status.handshakes;
    for (name, help, value) in [
        ("fenbu_handshakes_accepted_total", "Handshakes others completed.", handshakes.accepted),
        ("fenbu_handshakes_failed_total", "Handshakes others gave up.", handshakes.failed),
        ("fenbu_handshakes_retried_total", "Callers to prove their address.", handshakes.retried),
        ("fenbu_handshakes_refused_total", "Callers turned away.", handshakes.refused),
    ] {
        line(name, "counter", help, value);
    }
    let refused = refused_in_all(engine);
    for (name, help, value) in [
        ("fenbu_peers_violations_total", "Links closed for a broken rule.", refused.violations),
        ("fenbu_peers_unread_total", "Links closed: the peer did not read.", refused.unread),
        ("fenbu_batches_refused_total", "Batches that have no place here.", refused.batches),
        ("fenbu_ranges_declined_total", "Wanted ranges declined.", refused.ranges),
    ] {
        line(name, "counter", help, value);
    }
    let held_ms = status.held_back.values().map(|(_, ms)| *ms).fold(0u64, u64::saturating_add);
    line(
        "fenbu_peers_held_back_milliseconds_total",
        "counter",
        "Time peers were left unread for sending too much.",
        held_ms,
    );
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, out).into_response())
}

fn refused_in_all(engine: &Status) -> Refusals {
    engine.peers.iter().fold(Refusals::default(), |sum, peer| Refusals {
        violations: sum.violations.saturating_add(peer.refusals.violations),
        batches: sum.batches.saturating_add(peer.refusals.batches),
        unread: sum.unread.saturating_add(peer.refusals.unread),
        ranges: sum.ranges.saturating_add(peer.refusals.ranges),
    })
}
