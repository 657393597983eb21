//! What a peer may not do, and who is told.

use fenbu_protocol::limits::FRAME_BYTES_MAX;

use super::*;
use crate::transport::{ALPN_SYNC, code};

/// What Eve (at Alice's end) does by hand, and the code Bob closes with. Streams are forgotten
/// rather than dropped, because dropping finishes them.
async fn misbehave(what: &str, eve: &quinn::Connection) -> u32 {
    let open = async |bytes: &[u8]| {
        let mut stream = eve.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    match what {
        "announced a frame of 4294967295 bytes" => {
            std::mem::forget(open(&[3, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).await);
            code::FRAME_TOO_LARGE
        }
        "announced a frame of" => {
            let len = FRAME_BYTES_MAX as u32 + 1;
            std::mem::forget(open(&[&[3][..], &len.to_be_bytes()].concat()).await);
            code::FRAME_TOO_LARGE
        }
        "within a frame" => {
            open(&[2, 0, 0, 0, 10, 1, 2, 3]).await.finish().unwrap();
            code::STREAM_TRUNCATED
        }
        "stream of lane 1 within a frame" => {
            open(&[1, 0, 0]).await.finish().unwrap();
            code::STREAM_TRUNCATED
        }
        "sent nothing" => {
            open(&[]).await.finish().unwrap();
            code::STREAM_TRUNCATED
        }
        "reset the stream" => {
            let mut stream = open(&[2, 0, 0, 0, 10, 1]).await;
            stream.reset(7u32.into()).unwrap();
            code::STREAM_ABANDONED
        }
        "which does not exist" => {
            std::mem::forget(open(&[9]).await);
            code::STREAM_UNEXPECTED
        }
        "second stream for lane 2" => {
            std::mem::forget([open(&[2]).await, open(&[2]).await]);
            code::STREAM_UNEXPECTED
        }
        "bidirectional" => {
            let (mut send, recv) = eve.open_bi().await.unwrap();
            send.write_all(b"x").await.unwrap();
            std::mem::forget((send, recv));
            code::STREAM_UNEXPECTED
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn violations_close_the_link_and_name_who_is_to_blame() {
    for what in [
        "announced a frame of 4294967295 bytes",
        "announced a frame of",
        "within a frame",
        "stream of lane 1 within a frame",
        "sent nothing",
        "reset the stream",
        "which does not exist",
        "second stream for lane 2",
        "bidirectional",
    ] {
        let Pair { mut alice, mut bob, _endpoints } = pair().await;
        let expected = u64::from(misbehave(what, alice.connection()).await);
        let (by_peer, code, reason) = closed(&mut bob).await;
        assert!(!by_peer && code == expected, "{what}: {code:#x} {reason}");
        assert!(reason.contains(what), "{what}: {reason}");
        assert!(reason.contains(&id(ALICE).short()), "{what}: {reason}");
        assert_eq!(closed(&mut alice).await, (true, expected, reason));
    }
}

#[tokio::test]
async fn more_streams_than_lanes_close_the_link() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    // Streams that never name their lane are counted all the same: six at once.
    let eve = alice.connection();
    let mut streams = Vec::new();
    for _ in 0..=Lane::COUNT {
        streams.push(eve.open_uni().await.unwrap());
    }
    // A later stream's data opens the earlier ones at the receiver.
    streams[Lane::COUNT].write_all(&[0]).await.unwrap();
    let (by_peer, code, reason) = closed(&mut bob).await;
    assert!(!by_peer && code == u64::from(code::STREAM_UNEXPECTED), "{reason}");
    assert!(reason.contains("more than 5 streams"), "{reason}");
}

#[tokio::test]
async fn stopping_a_lane_is_a_violation() {
    let Pair { alice, bob, _endpoints } = pair().await;
    let mut bob = bob;
    // Eve sits at Bob's end here, without our reader: a second connection by hand.
    let eve = endpoint(CAROL);
    let there = address(&_endpoints[1]);
    let (dialed, mut accepted) =
        tokio::join!(eve.dial(Some(id(BOB)), ALPN_SYNC, &there), accept_link(&_endpoints[1]));
    let raw = dialed.unwrap().connection;
    accepted.send(Lane::POSTS, Bytes::from_static(b"x")).await.unwrap();
    let mut stream = soon(raw.accept_uni()).await.unwrap();
    stream.stop(1u32.into()).unwrap();
    // The writer learns of it at its next write.
    let sender = accepted.handle.clone();
    tokio::spawn(async move {
        while sender.send(Lane::POSTS, Bytes::from_static(b"y")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (by_peer, code, reason) = closed(&mut accepted).await;
    assert!(!by_peer && code == u64::from(code::STREAM_ABANDONED), "{reason}");
    assert!(reason.contains("stopped reading lane 3"), "{reason}");
    // Other links do not notice.
    alice.send(Lane::POSTS, Bytes::from_static(b"z")).await.unwrap();
    assert_eq!(frame(&mut bob).await.1, "z");
}

#[tokio::test]
async fn a_hostile_reason_is_made_fit_to_print() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    let long = [b"\x1b[31mred\xff".repeat(10), vec![b'a'; 600]].concat();
    alice.connection().close(1u32.into(), &long);
    let (_, _, reason) = closed(&mut bob).await;
    assert!(reason.len() <= fenbu_protocol::limits::REASON_BYTES_MAX);
    assert!(!reason.contains('\x1b') && reason.contains("red"));
}

#[tokio::test]
async fn a_frame_that_trickles_is_not_waited_for_and_one_behind_others_is() {
    let settings = TransportConfig { frame_patience_ms: 1_000, ..TransportConfig::default() };
    let Pair { alice, mut bob, _endpoints } = pair_with(&settings).await;
    // A frame of lane 3 stays behind while lane 2 goes on: a busy line, not a slow one.
    let mut behind = alice.connection().open_uni().await.unwrap();
    behind.write_all(&[3, 0, 0, 0, 2, 1]).await.unwrap();
    for n in 0..15 {
        alice.send(Lane::RECORDS, pattern(200, n)).await.unwrap();
        assert_eq!(frame(&mut bob).await.1, pattern(200, n));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    behind.write_all(&[2]).await.unwrap();
    assert_eq!(frame(&mut bob).await, (Lane::POSTS, Bytes::from_static(&[1, 2])));
    // Now it is all there is, a byte at a time.
    behind.write_all(&[0, 0, 16, 0]).await.unwrap();
    let trickle = tokio::spawn(async move {
        while behind.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let (by_peer, found, reason) = closed(&mut bob).await;
    assert_eq!((by_peer, found), (false, u64::from(code::FRAME_SLOW)), "{reason}");
    assert!(reason.contains("with a frame of lane 3 unfinished"), "{reason}");
    trickle.await.unwrap();
}
