//! Host names to socket addresses, and what to tell others to dial.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use fenbu_protocol::limits::ADDRESSES_MAX;

use super::TransportError;
use crate::config::{Config, split_address};

/// A resolver that does not answer counts as one that does not know.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Socket addresses of `host:port`, at most `ADDRESSES_MAX`, that a socket bound to `local` can
/// reach.
pub(crate) async fn resolve(
    address: &str,
    local: SocketAddr,
) -> Result<Vec<SocketAddr>, TransportError> {
    let (host, port) = split_address(address)
        .map_err(|why| TransportError::Address { address: address.into(), why })?;
    let unresolved = |why: String| TransportError::Unresolved { address: address.into(), why };
    let found: Vec<SocketAddr> =
        tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| unresolved("the resolver does not answer".into()))?
            .map_err(|e| unresolved(e.to_string()))?
            .collect();
    if found.is_empty() {
        return Err(unresolved("it has no address".into()));
    }
    let usable: Vec<SocketAddr> =
        found.into_iter().filter(|a| local.is_ipv6() || a.is_ipv4()).take(ADDRESSES_MAX).collect();
    if usable.is_empty() {
        return Err(TransportError::Ipv6Only { address: address.into() });
    }
    Ok(usable)
}

/// What other nodes are told to dial: `advertise` as set, else the address listened on, else (when
/// listening on all of them) the one this machine reaches others from. Empty on a machine without
/// a network. `bound` is [`super::Endpoint::local_addr`], whose port is real even where port 0 was
/// asked for.
pub fn advertised(config: &Config, bound: SocketAddr) -> Vec<String> {
    if !config.advertise.is_empty() {
        return config.advertise.clone();
    }
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    outward_ip(bound).map(|ip| SocketAddr::new(ip, bound.port()).to_string()).into_iter().collect()
}

/// Asks the routing table: connecting a UDP socket sends nothing. The targets are addresses set
/// aside for documentation (RFC 5737, RFC 3849), so only a default route matches.
fn outward_ip(bound: SocketAddr) -> Option<std::net::IpAddr> {
    let v4 = (("0.0.0.0", 0), ("192.0.2.1", 9));
    let v6 = (("::", 0), ("2001:db8::1", 9));
    let tries = if bound.is_ipv6() { vec![v4, v6] } else { vec![v4] };
    tries.into_iter().find_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_prefers_what_was_set_then_what_is_bound() {
        let mut config = Config::default();
        let bound: SocketAddr = "127.0.0.1:7000".parse().unwrap();
        assert_eq!(advertised(&config, bound), ["127.0.0.1:7000"]);
        config.advertise = vec!["head.example:1".into()];
        assert_eq!(advertised(&config, bound), ["head.example:1"]);
        // Whatever the machine's network, nobody is told to dial an unspecified address.
        config.advertise.clear();
        let all = advertised(&config, "0.0.0.0:7000".parse().unwrap());
        assert!(all.iter().all(|a| a.ends_with(":7000") && !a.starts_with("0.0.0.0")));
    }

    #[tokio::test]
    async fn addresses_that_cannot_be_dialled_say_why() {
        let v4: SocketAddr = "0.0.0.0:0".parse().unwrap();
        assert_eq!(resolve("127.0.0.1:5", v4).await.unwrap(), ["127.0.0.1:5".parse().unwrap()]);
        let wrong = resolve("nonsense", v4).await.unwrap_err();
        assert!(wrong.to_string().contains("host:port"), "{wrong}");
        let v6 = resolve("[::1]:5", v4).await.unwrap_err();
        assert!(matches!(v6, TransportError::Ipv6Only { .. }), "{v6}");
        let name = resolve("no-such-host.invalid:5", v4).await.unwrap_err();
        assert!(matches!(name, TransportError::Unresolved { .. }), "{name}");
    }
}
