//! One request, one answer.

use super::*;
use crate::transport::join::REQUEST_BYTES_MAX;
use crate::transport::{ALPN_JOIN, JoinConnection, TransportError};

async fn accept_join(endpoint: &Endpoint) -> JoinConnection {
    match soon(endpoint.accept()).await {
        Some(Incoming::Join(join)) => join,
        other => panic!("expected a join, found {other:?}"),
    }
}

#[tokio::test]
async fn joining_binds_request_and_answer_to_the_connection() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let there = address(&b);
    let mut exporters = Vec::new();
    for _ in 0..2 {
        let mut ours = [0; 32];
        let asking = a.join(id(BOB), &there, |exporter| {
            ours = exporter;
            b"let me in".to_vec()
        });
        let answering = async {
            let mut join = accept_join(&b).await;
            assert_eq!(join.peer(), id(ALICE));
            let theirs = join.exporter();
            assert_eq!(join.request().await.unwrap(), "let me in");
            join.answer(pattern(3 << 20, 0)).await.unwrap();
            theirs
        };
        let (answer, theirs) = soon(async { tokio::join!(asking, answering) }).await;
        assert!(answer.unwrap() == pattern(3 << 20, 0));
        assert_eq!(ours, theirs);
        exporters.push(ours);
    }
    assert_ne!(exporters[0], exporters[1], "each connection has its own");
}

/// The issuer, and whoever hears from it, dials the new node before its daemon runs: a handshake
/// begun with the command that joins held that up for three seconds.
#[tokio::test]
async fn one_who_joins_answers_nobody() {
    let settings = TransportConfig::default();
    let joiner = Endpoint::bind_to_dial(LOOPBACK, &key(ALICE), &settings).unwrap();
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let issuer = endpoint_with(BOB, &settings, limits);
    let (here, there) = (address(&joiner), address(&issuer));
    let asking = joiner.join(id(BOB), &there, |_| b"let me in".to_vec());
    let answering = async {
        let mut join = accept_join(&issuer).await;
        join.request().await.unwrap();
        let dialed = issuer.connect(id(ALICE), &here).await.unwrap_err();
        assert!(matches!(dialed, TransportError::Silent { .. }), "{dialed}");
        join.answer(pattern(100, 0)).await.unwrap();
    };
    let (answer, ()) = soon(async { tokio::join!(asking, answering) }).await;
    assert_eq!(answer.unwrap(), pattern(100, 0));
    soon(joiner.close(0, "joined")).await;
    assert_eq!(joiner.stats(), crate::transport::EndpointStats::default());
}

#[tokio::test]
async fn a_refused_join_shows_the_reason() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let there = address(&b);
    let answering = async {
        let mut join = accept_join(&b).await;
        join.request().await.unwrap();
        join.refuse(9, "the token has expired; ask for a new one");
    };
    let asking = a.join(id(BOB), &there, |_| vec![1]);
    let (answer, ()) = soon(async { tokio::join!(asking, answering) }).await;
    let error = answer.unwrap_err();
    assert!(error.to_string().contains("the token has expired"), "{error}");
    assert!(matches!(error, TransportError::ClosedByPeer { code: 9, .. }));
}

#[tokio::test]
async fn join_requests_are_bounded_at_both_ends() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let there = address(&b);
    let max = REQUEST_BYTES_MAX;
    let (answer, _join) = soon(async {
        tokio::join!(a.join(id(BOB), &there, |_| vec![0; max + 1]), accept_join(&b))
    })
    .await;
    assert!(matches!(answer, Err(TransportError::TooLong { .. })));
    // Eve sends it all the same.
    let asking = async {
        let eve = a.dial(Some(id(BOB)), ALPN_JOIN, &there).await.unwrap().connection;
        let (mut send, _recv) = eve.open_bi().await.unwrap();
        let _ = send.write_all(&vec![0; max + 1]).await;
        let _ = send.finish();
        eve.closed().await
    };
    let answering = async {
        let error = accept_join(&b).await.request().await.unwrap_err();
        assert!(error.to_string().contains("over 65536 bytes"), "{error}");
    };
    let (ended, ()) = soon(async { tokio::join!(asking, answering) }).await;
    assert!(ended.to_string().contains("no usable join request"), "{ended}");
}
