//! Sockets that take and give whole batches of packets.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quinn::udp::{EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Asked of the kernel for each socket, which may grant less: a burst of a backlog must not be
/// lost here, where loss is to come from the seed.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The largest datagram, or batch of datagrams, the kernel hands over.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Batches taken from a socket in one call.
const RECV_BATCHES: usize = 4;
/// A pause after a read that failed, so that a lasting error does not spin.
const READ_AGAIN: Duration = Duration::from_millis(10);

/// A socket with what it takes to pass offloaded batches.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    offload: UdpSocketState,
    pub(super) local: SocketAddr,
}

impl Port {
    pub(super) fn open(at: Ipv4Addr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((at, 0))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let reference = UdpSockRef::from(&socket);
        let offload = UdpSocketState::new(reference)?;
        offload.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES)?;
        offload.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES)?;
        let local = socket.local_addr()?;
        Ok(Self { socket, offload, local })
    }

    /// Waits for packets and takes some. Fails only when the runtime shuts down.
    pub(super) async fn recv(&self, buffers: &mut Buffers) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            let mut slices: Vec<IoSliceMut<'_>> =
                buffers.bytes.iter_mut().map(|bytes| IoSliceMut::new(bytes)).collect();
            let taken = self.socket.try_io(Interest::READABLE, || {
                self.offload.recv(UdpSockRef::from(&self.socket), &mut slices, &mut buffers.metas)
            });
            match taken {
                Ok(count) => {
                    buffers.count = count;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => {
                    tracing::warn!(port = %self.local, "a relay port could not read, it goes on: {e}");
                    tokio::time::sleep(READ_AGAIN).await;
                }
            }
        }
    }

    /// Sends a batch on as it came, or in parts if the kernel takes only single packets. Says how
    /// many of its packets went.
    pub(super) fn send(&self, to: SocketAddr, ecn: Option<EcnCodepoint>, batch: Batch<'_>) -> u64 {
        let mut sent = 0;
        for part in batch.parts(self.offload.max_gso_segments()) {
            let transmit = Transmit {
                destination: to,
                ecn,
                contents: part.bytes,
                segment_size: (part.bytes.len() > part.stride).then_some(part.stride),
                src_ip: None,
            };
            // Not through tokio, which knows nothing yet of a new socket's readiness.
            if self.offload.try_send(UdpSockRef::from(&self.socket), &transmit).is_ok() {
                sent += part.packets();
            }
        }
        sent
    }
}

/// Room for what one call takes from a socket.
pub(super) struct Buffers {
    bytes: Vec<Vec<u8>>,
    metas: Vec<RecvMeta>,
    count: usize,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![vec![0; DATAGRAM_BYTES_MAX]; RECV_BATCHES],
            metas: vec![RecvMeta::default(); RECV_BATCHES],
            count: 0,
        }
    }

    pub(super) fn batches(&self) -> impl Iterator<Item = (&RecvMeta, Batch<'_>)> {
        self.metas.iter().zip(&self.bytes).take(self.count).map(|(meta, bytes)| {
            (meta, Batch { bytes: &bytes[..meta.len], stride: meta.stride.max(1) })
        })
    }
}

/// Packets of one size and one source in a row; the last may be shorter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
}

impl<'a> Batch<'a> {
    /// An empty packet is one packet.
    pub(super) fn packets(&self) -> u64 {
        self.bytes.len().div_ceil(self.stride).max(1) as u64
    }

    /// The same packets, at most `packets_max` in each part.
    pub(super) fn parts(self, packets_max: usize) -> impl Iterator<Item = Batch<'a>> {
        let size = self.stride * packets_max.max(1);
        let empty = self.bytes.is_empty().then_some(self);
        let parts = self.bytes.chunks(size).map(move |bytes| Batch { bytes, ..self });
        empty.into_iter().chain(parts)
    }
}
