//! The UDP socket: dual-stack where asked for, with buffers that survive a burst.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

use super::TransportError;

/// What is asked of the system. Linux grants at most `net.core.rmem_max` and `wmem_max`.
const BUFFER_BYTES: usize = 16 << 20;

/// A socket bound to `listen`. "[::]" takes IPv4 as well.
pub(crate) fn bind(listen: SocketAddr) -> Result<UdpSocket, TransportError> {
    try_bind(listen).map_err(|e| match e {
        Errno::ADDRINUSE => TransportError::PortInUse(listen),
        Errno::ACCESS | Errno::PERM => TransportError::PortForbidden(listen),
        Errno::ADDRNOTAVAIL => TransportError::NoSuchAddress(listen),
        other => TransportError::Bind { listen, source: io::Error::from(other) },
    })
}

fn try_bind(listen: SocketAddr) -> Result<UdpSocket, Errno> {
    let family = if listen.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = rustix::net::socket_with(
        family,
        SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        Some(ipproto::UDP),
    )?;
    if listen.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    // Best effort: a smaller buffer costs speed in bursts, nothing else.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    let _ = sockopt::set_socket_send_buffer_size(&socket, BUFFER_BYTES);
    rustix::net::bind(&socket, &listen)?;
    let granted = sockopt::socket_recv_buffer_size(&socket)?;
    // Linux reports twice what it grants.
    if granted / 2 < BUFFER_BYTES {
        tracing::debug!(
            granted_bytes = granted / 2,
            "the UDP receive buffer is smaller than asked for; `sysctl net.core.rmem_max` sets it"
        );
    }
    Ok(UdpSocket::from(socket))
}
