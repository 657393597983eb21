//! Who is at the other end, and who is let in.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::transport::TransportError;
use fenbu_protocol::sync::DoorLimits;

fn limits(door: DoorLimits) -> Limits {
    Limits { door, ..Limits::default() }
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
async fn a_silent_address_does_not_keep_a_dialler_from_the_next() {
    // An attempt takes as long as the test may, so that waiting for it fails.
    let patient = Limits { handshake_timeout: Duration::from_secs(3600), ..Limits::default() };
    let a = endpoint_with(ALICE, &TransportConfig::default(), patient);
    let b = endpoint(BOB);
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let addresses = vec![silent.local_addr().unwrap().to_string(), address(&b)];
    let (dialed, _bob) = tokio::join!(soon(a.connect_any(id(BOB), addresses)), accept_link(&b));
    assert_eq!(dialed.unwrap().remote(), b.local_addr());
    let wrong = soon(a.connect_any(id(CAROL), vec![address(&b), "nonsense".into()])).await;
    assert_eq!(wrong.unwrap_err().len(), 2);
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
async fn a_probe_tells_answers_from_silence_from_somebody_else() {
    let (a, b) = (endpoint(ALICE), endpoint(BOB));
    let found = soon(a.probe(None, &address(&b))).await.unwrap();
    assert_eq!((found.peer, found.remote), (id(BOB), b.local_addr()));
    assert_eq!(soon(a.probe(Some(id(BOB)), &address(&b))).await.unwrap().peer, id(BOB));
    let error = soon(a.probe(Some(id(CAROL)), &address(&b))).await.unwrap_err();
    assert!(matches!(error, TransportError::WrongNode { .. }), "{error}");

    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    let port = silent.local_addr().unwrap().port();
    let impatient = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let hasty = endpoint_with(CAROL, &TransportConfig::default(), impatient);
    let error = soon(hasty.probe(None, &format!("127.0.0.1:{port}"))).await.unwrap_err();
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
    let limits = limits(DoorLimits { unvalidated_max: 0, ..DoorLimits::default() });
    let (a, b) = (endpoint(ALICE), endpoint_with(BOB, &TransportConfig::default(), limits));
    let there = address(&b);
    let (dialed, _bob) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    assert_eq!(dialed.unwrap().peer(), id(BOB));
    assert_eq!((b.stats().retried, b.stats().accepted), (1, 1));
}

#[tokio::test]
async fn a_full_house_says_so() {
    let limits = limits(DoorLimits { handshakes_max: 0, ..DoorLimits::default() });
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
    let limits = limits(DoorLimits { unvalidated_max: 1, ..DoorLimits::default() });
    let b = endpoint_with(BOB, &TransportConfig::default(), limits);
    let (relay, passed) = one_way_relay(b.local_addr());
    let a = endpoint(ALICE);
    let hanging = tokio::spawn(async move { a.connect(id(BOB), &relay.to_string()).await.err() });
    until(|| passed.load(Ordering::SeqCst) > 0).await;
    let carol = endpoint(CAROL);
    let there = address(&b);
    let (dialed, accepted) = tokio::join!(carol.connect(id(BOB), &there), accept_link(&b));
    assert_eq!((dialed.unwrap().peer(), accepted.peer()), (id(BOB), id(CAROL)));
    assert!(b.stats().retried >= 1, "Carol came by way of a Retry");
    assert!(!hanging.is_finished(), "Alice still waits");
    hanging.abort();
}
