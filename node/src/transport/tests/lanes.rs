//! Frames between two nodes that keep the rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fenbu_protocol::limits::FRAME_BYTES_MAX;

use super::*;
use crate::transport::link::LANE_QUEUE_BYTES;
use crate::transport::{TransportError, code};

#[tokio::test]
async fn frames_arrive_in_order_and_intact_up_to_the_limit() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    let lengths = [0, 1, 3, 1200, 8 << 10, (8 << 10) + 1, 0, 70_000, FRAME_BYTES_MAX, 5];
    let mut alice = alice;
    let sender = alice.handle.clone();
    let sending = tokio::spawn(async move {
        for (at, len) in lengths.into_iter().enumerate() {
            for lane in (0..Lane::COUNT).rev() {
                let lane_id = Lane(lane as u8);
                sender.send(lane_id, pattern(len, at + lane)).await.unwrap();
            }
        }
    });
    let mut at = [0; Lane::COUNT];
    for _ in 0..lengths.len() * Lane::COUNT {
        let (lane, bytes) = frame(&mut bob).await;
        let lane = usize::from(lane.0);
        assert!(bytes == pattern(lengths[at[lane]], at[lane] + lane), "lane {lane}, {at:?}");
        at[lane] += 1;
    }
    sending.await.unwrap();
    let total: usize = lengths.iter().sum::<usize>() * Lane::COUNT;
    let mut told = 0;
    while told < total as u64 {
        match soon(alice.events.recv()).await {
            Some(LinkEvent::Sent { bytes }) => told += bytes,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, total as u64);
    let framing = Lane::COUNT + lengths.len() * Lane::COUNT * 4;
    assert_eq!(alice.stats().stream_bytes_out, (total + framing) as u64);
    assert_eq!(bob.stats().stream_bytes_in, (total + framing) as u64);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_not_sent() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    let long = Bytes::from(vec![0; FRAME_BYTES_MAX + 1]);
    let error = alice.send(Lane::POSTS, long).await.unwrap_err();
    assert!(matches!(error, TransportError::TooLong { .. }), "{error}");
    // The link is none the worse.
    alice.send(Lane::POSTS, Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(frame(&mut bob).await, (Lane::POSTS, Bytes::from_static(b"still here")));
}

#[tokio::test]
async fn many_small_frames_share_packets_and_keep_their_order() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    const COUNT: u32 = 5000;
    let sender = alice.handle.clone();
    tokio::spawn(async move {
        for n in 0..COUNT {
            sender.send(Lane::RECORDS, Bytes::copy_from_slice(&n.to_be_bytes())).await.unwrap();
        }
    });
    for n in 0..COUNT {
        assert_eq!(frame(&mut bob).await.1, &n.to_be_bytes()[..]);
    }
    assert_eq!(bob.stats().stream_bytes_in, 1 + u64::from(COUNT) * 8);
}

#[tokio::test]
async fn an_unknown_lane_travels_last() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    alice.send(Lane(77), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(frame(&mut bob).await, (Lane::BLOBS, Bytes::from_static(b"x")));
}

/// Small windows, so that little is under way.
fn narrow() -> TransportConfig {
    TransportConfig { connection_window_bytes: 1 << 20, ..TransportConfig::default() }
}

/// Alice sends `COUNT` mebibytes on the last lane; the counter tells how many `send` let through.
const BULK_COUNT: usize = 48;
fn send_bulk(alice: &Link) -> Arc<AtomicUsize> {
    let through = Arc::new(AtomicUsize::new(0));
    let (sender, counter) = (alice.handle.clone(), through.clone());
    tokio::spawn(async move {
        for n in 0..BULK_COUNT {
            sender.send(Lane::BLOBS, pattern(1 << 20, n)).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    through
}

/// As many mebibytes as can be anywhere between a sender and a receiver that takes nothing: both
/// queues, the frame being put together, the frame being written, and QUIC's buffers at both ends.
fn under_way_max() -> usize {
    (2 * LANE_QUEUE_BYTES + (4 << 20)).div_ceil(1 << 20)
}

#[tokio::test]
async fn a_slow_consumer_makes_the_sender_wait() {
    let Pair { alice, mut bob, _endpoints } = pair_with(&narrow()).await;
    let through = send_bulk(&alice);
    // Bob's queue is full: two frames of a mebibyte, where a third would not fit.
    until(|| bob.events.waiting(Lane::BLOBS) == 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bob.events.waiting(Lane::BLOBS), 2, "no more is read than fits");
    assert!(through.load(Ordering::SeqCst) <= under_way_max(), "the sender ran ahead");
    assert!(under_way_max() < BULK_COUNT / 2);
    for n in 0..BULK_COUNT {
        assert!(frame(&mut bob).await.1 == pattern(1 << 20, n), "frame {n}");
    }
}

#[tokio::test]
async fn control_passes_while_the_bulk_lane_is_full() {
    let Pair { alice, mut bob, _endpoints } = pair_with(&narrow()).await;
    let through = send_bulk(&alice);
    until(|| bob.events.waiting(Lane::BLOBS) == 2).await;
    alice.send(Lane::CONTROL, Bytes::from_static(b"now")).await.unwrap();
    // It arrives although nobody has taken a single bulk frame.
    until(|| bob.events.waiting(Lane::CONTROL) == 1).await;
    assert!(through.load(Ordering::SeqCst) < BULK_COUNT);
    assert_eq!(frame(&mut bob).await, (Lane::CONTROL, Bytes::from_static(b"now")));
    assert_eq!(frame(&mut bob).await.0, Lane::BLOBS);
}

#[tokio::test]
async fn a_stream_that_ends_between_frames_is_fine() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    let mut stream = alice.connection().open_uni().await.unwrap();
    stream.write_all(&[2, 0, 0, 0, 1, b'a']).await.unwrap();
    stream.finish().unwrap();
    assert_eq!(frame(&mut bob).await, (Lane::RECORDS, Bytes::from_static(b"a")));
    alice.send(Lane::POSTS, Bytes::from_static(b"b")).await.unwrap();
    assert_eq!(frame(&mut bob).await, (Lane::POSTS, Bytes::from_static(b"b")));
}

#[tokio::test]
async fn a_closing_reason_arrives_after_what_was_sent_before() {
    let Pair { alice, bob, _endpoints } = pair().await;
    let (mut alice, mut bob) = (alice, bob);
    alice.send(Lane::CONTROL, Bytes::from_static(b"last words")).await.unwrap();
    until(|| bob.events.waiting(Lane::CONTROL) == 1).await;
    alice.close(42, "the directory says no");
    alice.close(43, "too late");
    assert_eq!(closed(&mut alice).await, (false, 42, "the directory says no".into()));
    assert_eq!(frame(&mut bob).await.1, "last words");
    assert_eq!(closed(&mut bob).await, (true, 42, "the directory says no".into()));
    let error = alice.send(Lane::CONTROL, Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("the directory says no"), "{error}");
    let error = bob.send(Lane::POSTS, Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("the directory says no"), "{error}");
}

#[tokio::test]
async fn letting_go_of_a_link_closes_it() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    drop(alice);
    let (by_peer, code, _) = closed(&mut bob).await;
    assert!(by_peer && code == u64::from(code::DROPPED));
}

#[tokio::test]
async fn a_fixed_mtu_and_no_gso_work() {
    let settings = TransportConfig { mtu: Some(1200), disable_gso: true, ..Default::default() };
    let Pair { alice, mut bob, _endpoints } = pair_with(&settings).await;
    alice.send(Lane::POSTS, pattern(300_000, 0)).await.unwrap();
    assert!(frame(&mut bob).await.1 == pattern(300_000, 0));
    let large = TransportConfig { mtu: Some(9000), ..Default::default() };
    let Pair { alice, mut bob, _endpoints } = pair_with(&large).await;
    alice.send(Lane::POSTS, pattern(300_000, 1)).await.unwrap();
    assert!(frame(&mut bob).await.1 == pattern(300_000, 1));
}
