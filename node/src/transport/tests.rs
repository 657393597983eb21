//! Real QUIC on loopback. Alice dials, Bob listens, Carol is somebody else, Eve speaks QUIC but
//! not by the rules: she writes raw streams under a proper handshake.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::limits::FRAME_BYTES_MAX;
use fenbu_protocol::log::Lane;

use super::accept::Limits;
use super::link::LANE_QUEUE_BYTES;
use super::{Endpoint, Incoming, JoinConnection, Link, LinkEvent, TransportError, code};
use crate::config::TransportConfig;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn id(seed: u8) -> NodeId {
    NodeId(key(seed).verifying_key().to_bytes())
}

const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

fn endpoint(seed: u8) -> Endpoint {
    endpoint_with(seed, &TransportConfig::default(), Limits::default())
}

fn endpoint_with(seed: u8, settings: &TransportConfig, limits: Limits) -> Endpoint {
    Endpoint::bind_with(LOOPBACK, &key(seed), settings, limits).expect("loopback can be bound")
}

fn address(endpoint: &Endpoint) -> String {
    endpoint.local_addr().to_string()
}

/// Nothing here takes seconds; what hangs fails.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it hangs")
}

async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn accept_link(endpoint: &Endpoint) -> Link {
    match soon(endpoint.accept()).await {
        Some(Incoming::Sync(link)) => link,
        other => panic!("expected a link, found {other:?}"),
    }
}

/// Two endpoints and a link between them, Alice's end first. The endpoints must be kept.
struct Pair {
    alice: Link,
    bob: Link,
    _endpoints: [Endpoint; 2],
}

async fn pair() -> Pair {
    pair_with(&TransportConfig::default()).await
}

async fn pair_with(settings: &TransportConfig) -> Pair {
    let a = endpoint_with(ALICE, settings, Limits::default());
    let b = endpoint_with(BOB, settings, Limits::default());
    let there = address(&b);
    let (alice, bob) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    Pair { alice: alice.expect("bob answers"), bob, _endpoints: [a, b] }
}

/// The next frame, skipping `Sent`.
async fn frame(link: &mut Link) -> (Lane, Bytes) {
    loop {
        match soon(link.events.recv()).await {
            Some(LinkEvent::Frame { lane, bytes }) => return (lane, bytes),
            Some(LinkEvent::Sent { .. }) => {}
            other => panic!("expected a frame, found {other:?}"),
        }
    }
}

/// The last event, skipping everything before it.
async fn closed(link: &mut Link) -> (bool, u64, String) {
    loop {
        match soon(link.events.recv()).await {
            Some(LinkEvent::Closed { by_peer, code, reason }) => {
                assert_eq!(soon(link.events.recv()).await, None, "nothing follows");
                return (by_peer, code, reason);
            }
            Some(_) => {}
            None => panic!("ended without saying why"),
        }
    }
}

fn pattern(len: usize, salt: usize) -> Bytes {
    (0..len).map(|i| (i * 31 + i / 251 + salt) as u8).collect()
}

#[tokio::test]
async fn both_ends_learn_who_the_other_is() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    assert_eq!(a.node(), id(ALICE));
    for (from, to) in [(&a, &b), (&b, &a)] {
        let there = address(to);
        let (dialed, accepted) = tokio::join!(from.connect(to.node(), &there), accept_link(to));
        let dialed = dialed.unwrap();
        assert_eq!((dialed.peer(), dialed.dialed()), (to.node(), true));
        assert_eq!((accepted.peer(), accepted.dialed()), (from.node(), false));
        assert_eq!(dialed.remote(), to.local_addr());
        assert_eq!(accepted.remote(), from.local_addr());
        assert!(dialed.rtt() > Duration::ZERO);
        assert!(dialed.stats().udp_bytes_out >= 1200, "an Initial alone is that long");
    }
    assert_eq!(b.stats().accepted, 1);
}

#[tokio::test]
async fn a_dialler_demands_the_node_it_meant() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let error = soon(a.connect(id(CAROL), &address(&b))).await.unwrap_err();
    match &error {
        TransportError::WrongNode { expected, found, .. } => {
            assert_eq!((*expected, *found), (id(CAROL), id(BOB)));
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains(&id(BOB).to_string()));
    until(|| b.stats().failed == 1).await;
    assert_eq!(b.stats().accepted, 0);
}

#[tokio::test]
async fn a_host_name_is_dialled_too() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let there = format!("localhost:{}", b.local_addr().port());
    let (dialed, _bob) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    assert_eq!(dialed.unwrap().peer(), id(BOB));
}

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

/// What Eve (at Alice's end) does by hand, and the code Bob closes with.
async fn misbehave(what: &str, eve: &quinn::Connection) -> u32 {
    let open = async |bytes: &[u8]| {
        let mut stream = eve.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    match what {
        "announced a frame" => {
            let stream = open(&[3, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).await;
            std::mem::forget(stream);
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
        "more than 5 streams" => {
            for _ in 0..=Lane::COUNT {
                // Begun by a length that never comes; which lane does not matter yet.
                let mut stream = eve.open_uni().await.unwrap();
                stream.set_priority(0).unwrap();
                stream.write_all(&[Lane::BLOBS.0]).await.ok();
                std::mem::forget(stream);
            }
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
        "announced a frame",
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
    let (dialed, mut accepted) = tokio::join!(
        eve.dial(Some(id(BOB)), super::ALPN_SYNC, &there),
        accept_link(&_endpoints[1])
    );
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
async fn garbage_on_the_port_changes_nothing() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    let noise = UdpSocket::bind(LOOPBACK).unwrap();
    let target = _endpoints[1].local_addr();
    for n in 0..500usize {
        let mut datagram = pattern(n * 3 % 1400, n).to_vec();
        if let Some(first) = datagram.first_mut() {
            // Long headers and short ones, with and without QUIC's fixed bit.
            *first = (n % 256) as u8;
        }
        noise.send_to(&datagram, target).unwrap();
    }
    alice.send(Lane::POSTS, Bytes::from_static(b"undisturbed")).await.unwrap();
    assert_eq!(frame(&mut bob).await.1, "undisturbed");
    let carol = endpoint(CAROL);
    let there = address(&_endpoints[1]);
    let (dialed, accepted) =
        tokio::join!(carol.connect(id(BOB), &there), accept_link(&_endpoints[1]));
    assert_eq!((dialed.unwrap().peer(), accepted.peer()), (id(BOB), id(CAROL)));
    assert_eq!(_endpoints[1].stats().accepted, 2);
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
    // The first send on a lane after the close fails too, here or at the next one.
    soon(async {
        while bob.send(Lane::POSTS, Bytes::new()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
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
async fn letting_go_of_a_link_closes_it() {
    let Pair { alice, mut bob, _endpoints } = pair().await;
    drop(alice);
    let (by_peer, code, _) = closed(&mut bob).await;
    assert!(by_peer && code == u64::from(code::DROPPED));
}

#[tokio::test]
async fn closing_the_endpoint_tells_every_peer_and_ends_accept() {
    let Pair { mut alice, mut bob, _endpoints } = pair().await;
    soon(_endpoints[1].close(5, "maintenance")).await;
    assert_eq!(closed(&mut alice).await, (true, 5, "maintenance".into()));
    assert!(!closed(&mut bob).await.0);
    assert!(soon(_endpoints[1].accept()).await.is_none());
    let error = _endpoints[1].connect(id(ALICE), &address(&_endpoints[0])).await.unwrap_err();
    assert!(matches!(error, TransportError::ShuttingDown), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_reported_in_words() {
    let first = endpoint(ALICE);
    let taken = first.local_addr();
    let error = Endpoint::bind(taken, &key(BOB), &TransportConfig::default()).unwrap_err();
    let expected = format!("another program listens on UDP {taken}; stop it or set `listen`");
    assert!(error.to_string().starts_with(&expected), "{error}");
    // An address set aside for documentation is on no machine.
    let nowhere = "192.0.2.1:0".parse().unwrap();
    let error = Endpoint::bind(nowhere, &key(BOB), &TransportConfig::default()).unwrap_err();
    assert!(error.to_string().contains("no address 192.0.2.1"), "{error}");
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

fn impatient() -> Limits {
    Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() }
}

#[tokio::test]
async fn a_probe_tells_answers_from_silence_from_somebody_else() {
    let a = endpoint_with(ALICE, &TransportConfig::default(), impatient());
    let b = endpoint(BOB);
    let found = soon(a.probe(None, &address(&b))).await.unwrap();
    assert_eq!((found.peer, found.remote), (id(BOB), b.local_addr()));
    assert_eq!(soon(a.probe(Some(id(BOB)), &address(&b))).await.unwrap().peer, id(BOB));
    let error = soon(a.probe(Some(id(CAROL)), &address(&b))).await.unwrap_err();
    assert!(matches!(error, TransportError::WrongNode { .. }), "{error}");

    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = soon(a.probe(None, &format!("127.0.0.1:{port}"))).await.unwrap_err();
    assert!(matches!(error, TransportError::Silent { .. }), "{error}");
    assert!(error.to_string().contains(&format!("UDP port {port} is open")), "{error}");

    let error = soon(a.probe(None, "no-such-host.invalid:1")).await.unwrap_err();
    assert!(matches!(error, TransportError::Unresolved { .. }), "{error}");

    // Probes are not handed to whoever accepts: the next one there is a link.
    let there = address(&b);
    let (dialed, accepted) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    assert_eq!((dialed.unwrap().peer(), accepted.peer()), (id(BOB), id(ALICE)));
}

#[tokio::test]
async fn another_protocol_is_told_apart() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let error = soon(a.dial(None, b"h3", &address(&b))).await.err().unwrap();
    assert!(matches!(error, TransportError::NotFenbu { .. }), "{error}");
}

#[tokio::test]
async fn above_the_threshold_callers_prove_their_address_and_get_in() {
    let limits = Limits { unvalidated_max: 0, ..Limits::default() };
    let (a, b) = (endpoint(ALICE), endpoint_with(BOB, &TransportConfig::default(), limits));
    let there = address(&b);
    let (dialed, _bob) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    assert_eq!(dialed.unwrap().peer(), id(BOB));
    assert_eq!((b.stats().retried, b.stats().accepted), (1, 1));
}

#[tokio::test]
async fn a_full_house_says_so() {
    let limits = Limits { handshakes_max: 0, ..Limits::default() };
    let (a, b) = (endpoint(ALICE), endpoint_with(BOB, &TransportConfig::default(), limits));
    let error = soon(a.connect(id(BOB), &address(&b))).await.unwrap_err();
    assert!(matches!(error, TransportError::Busy { .. }), "{error}");
}

/// Passes Alice's datagrams on to `target` and swallows the answers.
fn one_way_relay(target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(LOOPBACK).unwrap();
    let there = socket.local_addr().unwrap();
    let passed = Arc::new(AtomicUsize::new(0));
    let counter = passed.clone();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut datagram) {
            if from != target {
                socket.send_to(&datagram[..len], target).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (there, passed)
}

#[tokio::test]
async fn a_handshake_that_hangs_holds_up_nobody() {
    // Room for a single caller whose address is not proved, and Alice's takes it and hangs.
    let limits = Limits { unvalidated_max: 1, ..Limits::default() };
    let b = endpoint_with(BOB, &TransportConfig::default(), limits);
    let (relay, passed) = one_way_relay(b.local_addr());
    let a = endpoint_with(ALICE, &TransportConfig::default(), impatient());
    let hanging = tokio::spawn(async move { a.connect(id(BOB), &relay.to_string()).await.err() });
    until(|| passed.load(Ordering::SeqCst) > 0).await;
    let carol = endpoint(CAROL);
    let there = address(&b);
    let (dialed, accepted) = tokio::join!(carol.connect(id(BOB), &there), accept_link(&b));
    assert_eq!((dialed.unwrap().peer(), accepted.peer()), (id(BOB), id(CAROL)));
    assert!(b.stats().retried >= 1, "Carol came by way of a Retry");
    let error = hanging.await.unwrap().expect("nothing comes back");
    assert!(matches!(error, TransportError::Silent { .. }), "{error}");
}

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
    let max = super::join::REQUEST_BYTES_MAX;
    let (answer, _join) = soon(async {
        tokio::join!(a.join(id(BOB), &there, |_| vec![0; max + 1]), accept_join(&b))
    })
    .await;
    assert!(matches!(answer, Err(TransportError::TooLong { .. })));
    // Eve sends it all the same.
    let asking = async {
        let eve = a.dial(Some(id(BOB)), super::ALPN_JOIN, &there).await.unwrap().connection;
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
