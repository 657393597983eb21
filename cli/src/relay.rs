//! A seeded relay for UDP on this machine: the bad network of the demo and of end-to-end tests.
//!
//! Each node gets a listening port in front of its own address ([`Relay::forward`]); the others
//! are told that port instead. A node sends and receives on one socket, so a packet's source says
//! which node it is from, and the packet leaves from *that* node's listening port: to the
//! receiver, the listening port is the sender's address, in both directions, and a mesh of N nodes
//! needs N sockets. A source that is no node (a joining node, a probe) gets a socket of its own
//! while it is remembered.
//!
//! Between any two nodes, packets can be cut, lost, doubled, delayed and put out of order. What
//! happens to the n-th packet from one node to another depends on the seed, on the order in which
//! the nodes were named to the relay, and on n, not on what other nodes send meanwhile.
//!
//! The relay looks into no packet and keeps none for later but those it delays. It serves
//! 127.0.0.0/8 only, unless it stands at another address of this machine ([`Relay::start_at`]).
//! Offloaded batches (GRO, GSO) pass whole while there are no faults, so that
//! sixteen nodes cost it little.

mod delayed;
mod port;
mod table;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::udp::EcnCodepoint;
use tokio::sync::Notify;
use tokio::time::Instant;

use delayed::{Delayed, Push};
use port::{Batch, Buffers, Port};
use table::{End, Guest, Node, Route, Table};

/// Nodes behind one relay.
const NODES_MAX: usize = 256;
/// Sources that are no nodes, remembered at a time; the one silent for longest makes room.
const GUESTS_MAX: usize = 256;

/// What befalls packets between nodes. None by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Packets lost, of 1,000.
    pub loss_permille: u16,
    /// Packets delivered twice, of 1,000.
    pub duplicate_permille: u16,
    /// How long a packet is held, least to most; timers count whole milliseconds.
    pub delay_ms: RangeInclusive<u64>,
    /// Whether a packet with a short delay may overtake one with a long delay.
    pub reorder: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self { loss_permille: 0, duplicate_permille: 0, delay_ms: 0..=0, reorder: false }
    }
}

impl Faults {
    fn is_none(&self) -> bool {
        self.loss_permille == 0 && self.duplicate_permille == 0 && *self.delay_ms.end() == 0
    }
}

/// What the relay has done since it started. Every packet that came in is passed, cut, lost or
/// overflown; packets held by a delay are counted when it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed on, copies included.
    pub packets_passed: u64,
    pub bytes_passed: u64,
    /// Dropped because their nodes are on different sides, or blocked.
    pub packets_cut: u64,
    /// Dropped by [`Faults::loss_permille`].
    pub packets_lost: u64,
    /// Copies made by [`Faults::duplicate_permille`].
    pub packets_duplicated: u64,
    /// Dropped because too much was held back, or the kernel refused the packet.
    pub packets_overflown: u64,
}

/// The relay. Dropping it stops its tasks and frees its ports.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
}

impl Relay {
    /// A relay without nodes.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn start(seed: u64) -> Self {
        Self::start_at(seed, Ipv4Addr::LOCALHOST)
    }

    /// As [`Relay::start`], with its ports at an address of this machine (or of this thread's
    /// network namespace). One that is not loopback serves nodes of any address.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn start_at(seed: u64, at: Ipv4Addr) -> Self {
        let shared = Arc::new(Shared {
            seed,
            at,
            table: Mutex::new(Table::default()),
            delayed: Mutex::new(Delayed::default()),
            wake: Notify::new(),
        });
        let task = tokio::spawn(deliver_delayed(shared.clone()));
        shared.table().tasks.push(task.abort_handle());
        Self { shared }
    }

    /// Opens a listening port in front of a node and says where; the same one if asked again.
    ///
    /// # Errors
    /// If the address is not an IPv4 address with a port, or not loopback where the relay is; if
    /// there are too many nodes, or if the system gives no socket.
    pub fn forward(&self, to: SocketAddr) -> io::Result<SocketAddr> {
        let mut table = self.shared.table();
        if let Some(index) = table.node_at(to) {
            return Ok(table.nodes[index].port.local);
        }
        self.shared.check_address(to)?;
        if table.nodes.len() == NODES_MAX {
            return Err(io::Error::other(format!(
                "the relay serves at most {NODES_MAX} nodes; start another relay"
            )));
        }
        let index = table.nodes.len();
        let port = Arc::new(Port::open(self.shared.at)?);
        let local = port.local;
        table.by_address.insert(to, index);
        table.nodes.push(Node { address: to, port: port.clone() });
        table.forget_guest(to);
        let task = tokio::spawn(serve_node(self.shared.clone(), port, index));
        table.tasks.push(task.abort_handle());
        Ok(local)
    }

    /// Puts another address behind a listening port: a node that came back elsewhere. Its sides
    /// and blocks move with it.
    ///
    /// # Errors
    /// If `from` is not a node of this relay, or `to` is another node's or none it serves.
    pub fn repoint(&self, from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        self.shared.check_address(to)?;
        let mut table = self.shared.table();
        let unknown = || invalid(format!("{from} is not behind this relay; forward it first"));
        let index = table.node_at(from).ok_or_else(unknown)?;
        match table.node_at(to) {
            Some(other) if other == index => return Ok(()),
            Some(_) => return Err(invalid(format!("{to} is another node's address"))),
            None => {}
        }
        let old = std::mem::replace(&mut table.nodes[index].address, to);
        table.by_address.remove(&old);
        table.by_address.insert(to, index);
        table.forget_guest(to);
        table.rename(old, to);
        Ok(())
    }

    /// Puts a node on a side; packets between different sides are dropped. Every node begins on
    /// side 0. Here and below, a node is named by its own address or by its listening port.
    pub fn set_side(&self, node: SocketAddr, side: u8) {
        let mut table = self.shared.table();
        let node = table.address_of(node);
        table.sides.insert(node, u32::from(side));
    }

    /// Cuts these nodes off from all others, but not from one another.
    pub fn cut(&self, island: &[SocketAddr]) {
        let mut table = self.shared.table();
        table.islands += 1;
        // Sides that people number end at 255.
        let side = u32::from(u8::MAX) + table.islands;
        for node in island {
            let node = table.address_of(*node);
            table.sides.insert(node, side);
        }
    }

    /// Drops what one node sends to another, in that direction only.
    pub fn block(&self, from: SocketAddr, to: SocketAddr) {
        let mut table = self.shared.table();
        let way = (table.address_of(from), table.address_of(to));
        table.blocks.insert(way);
    }

    /// Takes back a [`Relay::block`].
    pub fn unblock(&self, from: SocketAddr, to: SocketAddr) {
        let mut table = self.shared.table();
        let way = (table.address_of(from), table.address_of(to));
        table.blocks.remove(&way);
    }

    /// Joins all sides and takes back all blocks. Faults stay: see [`Relay::set_faults`].
    pub fn heal(&self) {
        let mut table = self.shared.table();
        table.sides.clear();
        table.blocks.clear();
    }

    /// From now on this befalls packets; those already delayed are delivered as planned.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.table().faults = faults;
    }

    pub fn counters(&self) -> Counters {
        self.shared.table().counters
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.is_closed = true;
        for task in table.tasks.drain(..) {
            task.abort();
        }
        for guest in std::mem::take(&mut table.guests).into_values() {
            guest.task.abort();
        }
        // The ports close when the last task lets go of them.
        table.nodes.clear();
        self.shared.delayed().clear();
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[derive(Debug)]
struct Shared {
    seed: u64,
    /// Where its ports are.
    at: Ipv4Addr,
    table: Mutex<Table>,
    delayed: Mutex<Delayed>,
    /// Something was delayed that is due before all else.
    wake: Notify,
}

impl Shared {
    /// Nothing panics while it holds a lock, so a poisoned one is as good as another.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delayed(&self) -> MutexGuard<'_, Delayed> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_address(&self, address: SocketAddr) -> io::Result<()> {
        let served =
            |v4: Ipv4Addr| !v4.is_unspecified() && (v4.is_loopback() || !self.at.is_loopback());
        match address {
            SocketAddr::V4(v4) if served(*v4.ip()) && v4.port() != 0 => Ok(()),
            _ if self.at.is_loopback() => Err(invalid(format!(
                "the relay serves 127.0.0.0/8 only, with a port: {address} cannot be behind it"
            ))),
            _ => Err(invalid(format!(
                "the relay serves IPv4 addresses with a port: {address} cannot be behind it"
            ))),
        }
    }
}

/// Takes what arrives at a node's listening port to that node.
async fn serve_node(shared: Arc<Shared>, port: Arc<Port>, index: usize) {
    let mut buffers = Buffers::new();
    while let Ok(()) = port.recv(&mut buffers).await {
        for (meta, batch) in buffers.batches() {
            if let Some(route) = route_to_node(&shared, meta.addr, index) {
                pass(&shared, &route, meta.ecn, batch);
            }
        }
        tokio::task::consume_budget().await;
    }
    tracing::warn!(port = %port.local, "a relay port stopped listening");
}

/// Takes what a node answers to a guest back from the node's listening port.
async fn serve_guest(shared: Arc<Shared>, port: Arc<Port>, guest: SocketAddr, index: usize) {
    let mut buffers = Buffers::new();
    while let Ok(()) = port.recv(&mut buffers).await {
        for (meta, batch) in buffers.batches() {
            let route = {
                let table = shared.table();
                let end = table.guests.get(&(guest, index)).map(|guest| guest.end);
                match (end, table.nodes.get(index)) {
                    (Some(end), Some(node)) if node.address == meta.addr => Route {
                        ends: (End::Node(index), end),
                        from: node.address,
                        to: guest,
                        via: node.port.clone(),
                    },
                    _ => continue,
                }
            };
            pass(&shared, &route, meta.ecn, batch);
        }
        tokio::task::consume_budget().await;
    }
}

/// `None` if the relay is closing, or has no socket for a new guest.
fn route_to_node(shared: &Arc<Shared>, source: SocketAddr, index: usize) -> Option<Route> {
    let mut table = shared.table();
    let to = table.nodes.get(index)?.address;
    if let Some(sender) = table.by_address.get(&source).copied() {
        let via = table.nodes[sender].port.clone();
        return Some(Route { ends: (End::Node(sender), End::Node(index)), from: source, to, via });
    }
    table.guests_seen += 1;
    let seen = table.guests_seen;
    if !table.guests.contains_key(&(source, index)) {
        admit_guest(shared, &mut table, source, index)?;
    }
    let guest = table.guests.get_mut(&(source, index))?;
    guest.seen = seen;
    let ends = (guest.end, End::Node(index));
    Some(Route { ends, from: source, to, via: guest.port.clone() })
}

fn admit_guest(
    shared: &Arc<Shared>,
    table: &mut Table,
    source: SocketAddr,
    index: usize,
) -> Option<()> {
    if table.is_closed {
        return None;
    }
    if table.guests.len() == GUESTS_MAX {
        let oldest =
            table.guests.iter().min_by_key(|(_, guest)| guest.seen).map(|(key, _)| *key)?;
        table.remove_guest(oldest);
    }
    let port = match Port::open(shared.at) {
        Ok(port) => Arc::new(port),
        Err(e) => {
            tracing::warn!(%source, "no socket for a new source, its packet is dropped: {e}");
            table.counters.packets_overflown += 1;
            return None;
        }
    };
    let task = tokio::spawn(serve_guest(shared.clone(), port.clone(), source, index));
    let end = End::Guest(table.guests_admitted);
    table.guests_admitted += 1;
    let guest = Guest { port, end, seen: table.guests_seen, task: task.abort_handle() };
    table.guests.insert((source, index), guest);
    Some(())
}

/// Sends a batch on its way, if it may pass: whole, or packet by packet to its fate.
fn pass(shared: &Shared, route: &Route, ecn: Option<EcnCodepoint>, batch: Batch<'_>) {
    let now = Instant::now();
    let (fates, is_delaying) = {
        let mut table = shared.table();
        if !table.allows(route.from, route.to) {
            table.counters.packets_cut += batch.packets();
            return;
        }
        if table.faults.is_none() {
            drop(table);
            return send(shared, route, ecn, batch);
        }
        let fates = table.fates(shared.seed, route.ends, batch.packets(), now);
        (fates, *table.faults.delay_ms.end() > 0)
    };
    for (packet, fates) in batch.parts(1).zip(fates) {
        for due in fates.into_iter().flatten() {
            // Behind delayed packets there is no way past them.
            if due <= now && !is_delaying {
                send(shared, route, ecn, packet);
            } else {
                hold(shared, route, ecn, packet.bytes, due);
            }
        }
    }
}

fn send(shared: &Shared, route: &Route, ecn: Option<EcnCodepoint>, batch: Batch<'_>) {
    let sent = route.via.send(route.to, ecn, batch);
    let packets = batch.packets();
    let mut table = shared.table();
    table.counters.packets_passed += sent;
    table.counters.packets_overflown += packets - sent;
    if sent == packets {
        table.counters.bytes_passed += batch.bytes.len() as u64;
    } else {
        table.counters.bytes_passed += sent * batch.stride as u64;
    }
}

fn hold(shared: &Shared, route: &Route, ecn: Option<EcnCodepoint>, bytes: &[u8], due: Instant) {
    let pushed = shared.delayed().push(due, route, ecn, bytes);
    match pushed {
        Push::First => shared.wake.notify_one(),
        Push::Later => {}
        Push::NoRoom => shared.table().counters.packets_overflown += 1,
    }
}

/// Delivers what was held, when it is due and if nothing has been cut meanwhile.
async fn deliver_delayed(shared: Arc<Shared>) {
    loop {
        let next = shared.delayed().pop(Instant::now());
        match next {
            Ok(held) => {
                let route = &held.route;
                if shared.table().allows(route.from, route.to) {
                    let stride = held.bytes.len().max(1);
                    send(&shared, route, held.ecn, Batch { bytes: &held.bytes, stride });
                } else {
                    shared.table().counters.packets_cut += 1;
                }
                tokio::task::consume_budget().await;
            }
            Err(Some(due)) => {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = shared.wake.notified() => {}
                }
            }
            Err(None) => shared.wake.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
