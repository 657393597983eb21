//! What can be done without a key the directory knows.

use super::line::Line;
use super::{Adversary, Tally};
use anyhow::{Result, ensure};
use ed25519_dalek::SigningKey;
use fenbu_protocol::id::FederationId;
use std::net::{SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Handshakes completed side by side.
const AT_A_TIME: u64 = 16;
/// Initials sent in a second.
const INITIALS_PER_S: u32 = 10_000;
/// Initials made beforehand; each is another caller once its first handshake has been given up.
const DISTINCT: usize = 256;

/// Completes handshakes with keys nobody admitted, and greets for another federation.
pub(super) async fn unknown_keys(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut lines = Vec::new();
    for n in 0..AT_A_TIME {
        let mut seed = [0x5e; 32];
        seed[..8].copy_from_slice(&(tally.tries + n).to_be_bytes());
        let connecting = eve.connect_as(&SigningKey::from_bytes(&seed), eve.remote())?;
        lines.push(tokio::time::timeout(Duration::from_secs(5), connecting));
    }
    for connecting in lines {
        tally.tries += 1;
        let Ok(Ok(connection)) = connecting.await else {
            tally.unreached += 1;
            continue;
        };
        let mut line = Line::new(connection);
        line.hello(&eve.directory, FederationId([9; 32])).await?;
        tally.close(line.closed(Duration::from_secs(2)).await);
    }
    Ok(())
}

/// Datagrams of every length, the shapes of QUIC's first bytes among them.
pub(super) async fn noise(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut byte = 0x9d_u8;
    for n in 0..200_usize {
        tally.tries += 1;
        let datagram: Vec<u8> = (0..n * 7 % 1_400)
            .map(|i| {
                byte = byte.wrapping_mul(181).wrapping_add(i as u8 ^ 0x35);
                // An Initial of version 1 with random insides, every third time.
                match (n % 3, i) {
                    (0, 0) => 0xc3,
                    (0, 1..=3) => 0,
                    (0, 4) => 1,
                    _ => byte,
                }
            })
            .collect();
        // A full socket buffer drops some, as networks do.
        let _ = socket.send_to(&datagram, eve.remote());
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(())
}

/// Real Initials, made by dialling a port that never answers.
async fn made(eve: &Adversary) -> Result<&'static Vec<Vec<u8>>> {
    static MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let sink = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let there = sink.local_addr()?;
    let mut initials = Vec::new();
    let mut datagram = [0; 2048];
    while initials.len() < DISTINCT {
        let connecting = eve.connect_as(&eve.key, there)?;
        let received = tokio::time::timeout(Duration::from_secs(2), sink.recv(&mut datagram));
        if let Ok(Ok(length)) = received.await
            && length >= 1200
        {
            initials.push(datagram[..length].to_vec());
        }
        drop(connecting);
    }
    ensure!(initials.iter().all(|i| i[0] & 0xf0 == 0xc0), "these are no Initials");
    Ok(MADE.get_or_init(|| initials))
}

/// First packets as from ten thousand callers a second, none of whom hears the answer.
pub(super) async fn initials(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let made = made(eve).await?;
    let local: SocketAddr = "127.0.0.1:0".parse()?;
    let sockets = (0..8).map(|_| UdpSocket::bind(local)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let mut sent = 0_u32;
    while Instant::now() < end {
        let due = began.elapsed().as_millis() as u32 * (INITIALS_PER_S / 1000);
        while sent < due {
            let socket = &sockets[sent as usize % sockets.len()];
            let _ = socket.send_to(&made[sent as usize % made.len()], eve.remote());
            sent += 1;
            tally.tries += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
