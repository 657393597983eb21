//! The relay between plain sockets that stand for nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use quinn::udp::{Transmit, UdpSockRef, UdpSocketState};
use tokio::net::UdpSocket;

use super::*;

/// Long enough for anything that is to arrive on this machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node: its socket, its own address, the relay's port in front of it.
struct Peer {
    socket: UdpSocket,
    address: SocketAddr,
    front: SocketAddr,
}

impl Peer {
    async fn behind(relay: &Relay) -> Self {
        let (socket, address) = socket().await;
        let front = relay.forward(address).expect("a port");
        Self { socket, address, front }
    }

    async fn send(&self, to: &Self, bytes: &[u8]) {
        self.socket.send_to(bytes, to.front).await.expect("sent");
    }

    async fn recv(&self) -> (Vec<u8>, SocketAddr) {
        recv(&self.socket).await
    }

    /// Everything up to the packet "end".
    async fn recv_until_end(&self) -> Vec<u32> {
        let mut numbers = Vec::new();
        loop {
            let (bytes, _) = self.recv().await;
            match bytes.as_slice() {
                b"end" => return numbers,
                other => numbers.push(u32::from_be_bytes(other.try_into().expect("a number"))),
            }
        }
    }
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

async fn recv(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 1 << 16];
    let (length, from) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut bytes))
        .await
        .expect("nothing arrived")
        .expect("received");
    bytes.truncate(length);
    (bytes, from)
}

/// Waits until the relay says so.
async fn settle(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn loss(permille: u16) -> Faults {
    Faults { loss_permille: permille, ..Faults::default() }
}

/// Sends numbered packets through the faults and says which arrived, in order of arrival.
async fn arrivals(seed: u64, faults: Faults, count: u32) -> Vec<u32> {
    let relay = Relay::start(seed);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    relay.set_faults(faults);
    for number in 0..count {
        alice.send(&bob, &number.to_be_bytes()).await;
    }
    settle("all packets have met their fate", || {
        let c = relay.counters();
        c.packets_passed + c.packets_lost == u64::from(count) + c.packets_duplicated
    })
    .await;
    relay.set_faults(Faults::default());
    alice.send(&bob, b"end").await;
    bob.recv_until_end().await
}

#[tokio::test]
async fn packets_pass_both_ways_from_the_listening_ports() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    alice.send(&bob, b"hello").await;
    assert_eq!(bob.recv().await, (b"hello".to_vec(), alice.front));
    bob.send(&alice, b"and to you").await;
    assert_eq!(alice.recv().await, (b"and to you".to_vec(), bob.front));
    assert_eq!(relay.forward(alice.address).expect("a port"), alice.front);
    settle("both are counted", || {
        let expected = Counters { packets_passed: 2, bytes_passed: 15, ..Counters::default() };
        relay.counters() == expected
    })
    .await;
}

#[tokio::test]
async fn a_stranger_is_answered_from_the_port_it_asked() {
    let relay = Relay::start(1);
    let alice = Peer::behind(&relay).await;
    let (stranger, _) = socket().await;
    for round in 0..3_u8 {
        stranger.send_to(&[round], alice.front).await.expect("sent");
        let (bytes, from) = alice.recv().await;
        assert_eq!(bytes, [round]);
        alice.socket.send_to(b"yes", from).await.expect("sent");
        assert_eq!(recv(&stranger).await, (b"yes".to_vec(), alice.front));
    }
    assert_eq!(relay.shared.table().guests.len(), 1);
}

#[tokio::test]
async fn strangers_are_bounded() {
    let relay = Relay::start(1);
    let alice = Peer::behind(&relay).await;
    for _ in 0..GUESTS_MAX + 10 {
        let (stranger, _) = socket().await;
        stranger.send_to(b"hi", alice.front).await.expect("sent");
        alice.recv().await;
    }
    assert!(relay.shared.table().guests.len() <= GUESTS_MAX);
}

#[tokio::test]
async fn a_stranger_may_become_a_node() {
    let relay = Relay::start(1);
    let alice = Peer::behind(&relay).await;
    let (socket, address) = socket().await;
    socket.send_to(b"who", alice.front).await.expect("sent");
    let (_, seen_before) = alice.recv().await;
    let front = relay.forward(address).expect("a port");
    socket.send_to(b"me", alice.front).await.expect("sent");
    let (_, seen_after) = alice.recv().await;
    assert_ne!(seen_before, front);
    assert_eq!(seen_after, front);
    assert!(relay.shared.table().guests.is_empty());
}

#[tokio::test]
async fn a_cut_drops_and_healing_restores() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    let carol = Peer::behind(&relay).await;
    relay.cut(&[alice.address, bob.front]);
    carol.send(&alice, b"lost").await;
    alice.send(&carol, b"lost").await;
    settle("both are cut", || relay.counters().packets_cut == 2).await;
    alice.send(&bob, b"same island").await;
    assert_eq!(bob.recv().await.0, b"same island");
    relay.heal();
    carol.send(&alice, b"again").await;
    assert_eq!(alice.recv().await.0, b"again");
}

#[tokio::test]
async fn sides_part_nodes() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    relay.set_side(alice.address, 1);
    alice.send(&bob, b"lost").await;
    settle("it is cut", || relay.counters().packets_cut == 1).await;
    relay.set_side(bob.address, 1);
    alice.send(&bob, b"joined").await;
    assert_eq!(bob.recv().await.0, b"joined");
}

#[tokio::test]
async fn a_block_is_one_way() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    relay.block(alice.address, bob.address);
    alice.send(&bob, b"lost").await;
    settle("it is cut", || relay.counters().packets_cut == 1).await;
    bob.send(&alice, b"passes").await;
    assert_eq!(alice.recv().await.0, b"passes");
    relay.unblock(alice.address, bob.address);
    alice.send(&bob, b"passes now").await;
    assert_eq!(bob.recv().await.0, b"passes now");
}

#[tokio::test]
async fn loss_is_seeded() {
    let first = arrivals(7, loss(300), 400).await;
    assert!((220..=340).contains(&first.len()), "{} of 400 arrived", first.len());
    assert_eq!(first, arrivals(7, loss(300), 400).await);
    assert_ne!(first, arrivals(8, loss(300), 400).await);
}

#[tokio::test]
async fn loss_does_not_depend_on_the_other_faults() {
    let lost = arrivals(7, loss(300), 200).await;
    let faults = Faults { duplicate_permille: 500, delay_ms: 0..=3, ..loss(300) };
    let mut both = arrivals(7, faults, 200).await;
    both.dedup();
    assert_eq!(lost, both);
}

#[tokio::test]
async fn duplicates_come_twice() {
    let numbers = arrivals(3, Faults { duplicate_permille: 1000, ..Faults::default() }, 50).await;
    let expected: Vec<u32> = (0..50).flat_map(|n| [n, n]).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn delays_keep_the_order_unless_told_otherwise() {
    let faults = Faults { delay_ms: 0..=20, ..Faults::default() };
    let in_order = arrivals(5, faults.clone(), 100).await;
    assert_eq!(in_order, (0..100).collect::<Vec<u32>>());
    let reordered = arrivals(5, Faults { reorder: true, ..faults }, 100).await;
    assert_ne!(reordered, in_order);
    assert_eq!(reordered.into_iter().collect::<BTreeSet<u32>>().len(), 100);
}

#[tokio::test]
async fn what_is_under_way_is_cut_too() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    relay.set_faults(Faults { delay_ms: 200..=200, ..Faults::default() });
    alice.send(&bob, b"late").await;
    settle("it is held", || relay.shared.delayed().turns() == 1).await;
    relay.cut(&[bob.address]);
    settle("it is cut", || relay.counters().packets_cut == 1).await;
    assert_eq!(relay.counters().packets_passed, 0);
}

#[tokio::test]
async fn batches_and_large_datagrams_pass() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    let large = vec![7; 60_000];
    alice.send(&bob, &large).await;
    assert_eq!(bob.recv().await.0, large);
    alice.send(&bob, b"").await;
    assert_eq!(bob.recv().await.0, b"");

    let offload = UdpSocketState::new(UdpSockRef::from(&alice.socket)).expect("a state");
    let packets = offload.max_gso_segments().min(10);
    let contents: Vec<u8> = (0..packets).flat_map(|n| vec![n as u8; 1000]).collect();
    let transmit = Transmit {
        destination: bob.front,
        ecn: None,
        contents: &contents,
        segment_size: (packets > 1).then_some(1000),
        src_ip: None,
    };
    for faults in [Faults::default(), Faults { delay_ms: 1..=2, ..Faults::default() }] {
        relay.set_faults(faults);
        offload.try_send(UdpSockRef::from(&alice.socket), &transmit).expect("sent");
        for n in 0..packets {
            assert_eq!(bob.recv().await.0, vec![n as u8; 1000]);
        }
    }
    assert_eq!(relay.counters().packets_overflown, 0);
}

#[tokio::test]
async fn a_node_that_moved_is_found() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    let (elsewhere, address) = socket().await;
    relay.block(alice.address, bob.address);
    relay.repoint(bob.address, address).expect("repointed");
    alice.send(&bob, b"still blocked").await;
    settle("it is cut", || relay.counters().packets_cut == 1).await;
    relay.heal();
    alice.send(&bob, b"there you are").await;
    assert_eq!(recv(&elsewhere).await, (b"there you are".to_vec(), alice.front));
    let taken = relay.repoint(alice.address, address).expect_err("another node's");
    assert!(taken.to_string().contains("another node's"), "{taken}");
}

#[tokio::test]
async fn only_loopback_is_served() {
    let relay = Relay::start(1);
    for address in ["192.0.2.1:4433", "127.0.0.1:0", "[::1]:4433"] {
        let error = relay.forward(address.parse().expect("an address")).expect_err("refused");
        assert!(error.to_string().contains("127.0.0.0/8"), "{error}");
    }
}

#[tokio::test]
async fn elsewhere_than_on_loopback_it_serves_every_node_with_an_address() {
    // Of a documentation network: no machine has it, so a node that is served gets no socket here.
    let relay = Relay::start_at(1, Ipv4Addr::new(192, 0, 2, 1));
    for address in ["0.0.0.0:4433", "10.1.2.3:0", "[::1]:4433"] {
        let error = relay.forward(address.parse().expect("an address")).expect_err("refused");
        assert!(error.to_string().contains("IPv4 addresses with a port"), "{error}");
    }
    let error = relay.forward("10.1.2.3:4433".parse().expect("an address")).expect_err("no socket");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn dropping_it_frees_its_ports() {
    let relay = Relay::start(1);
    let (alice, bob) = (Peer::behind(&relay).await, Peer::behind(&relay).await);
    let (stranger, _) = socket().await;
    stranger.send_to(b"hi", alice.front).await.expect("sent");
    let (_, guest) = alice.recv().await;
    relay.set_faults(Faults { delay_ms: 60_000..=60_000, ..Faults::default() });
    alice.send(&bob, b"never").await;
    settle("it is held", || relay.shared.delayed().turns() == 1).await;
    drop(relay);
    for port in [alice.front, bob.front, guest] {
        settle("the port is free", || std::net::UdpSocket::bind(port).is_ok()).await;
    }
}
