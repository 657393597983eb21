//! A peer library in a process of its own: what it must be able to do, and the loop that obeys.

use std::io::BufRead;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::{Load, Retitle};

/// What the bench tells a peer's process, one JSON line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Make the workload's records; answers with an address for `Join`.
    Fill {
        seed: u64,
        records: usize,
    },
    /// Meet the peer at the address and take everything; answers with a [`Span`].
    Join {
        address: Value,
        seed: u64,
        records: usize,
    },
    Disconnect,
    /// Meet the same peer again, until both are known to be equal; answers with a [`Span`].
    Reconnect,
    /// Edit records; answers when (in ns) the first edit began.
    Edit {
        edits: Vec<Retitle>,
    },
    /// From now on watch for these edits.
    Arm {
        edits: Vec<Retitle>,
    },
    /// Answers when (in ns) the last of the edits last armed for showed.
    Seen,
    /// Bytes sent and received so far.
    Bytes,
    /// Make new records; answers with a [`Span`].
    Write {
        seed: u64,
        records: usize,
        in_flight: usize,
    },
}

/// A peer's answer to an order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done(Value),
    Failed(String),
}

/// From when to when, on the machine's monotonic clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Span {
    pub from_ns: u64,
    pub to_ns: u64,
}

impl Span {
    pub fn since(from_ns: u64) -> Self {
        Self { from_ns, to_ns: crate::process::now_ns() }
    }

    pub fn seconds(self) -> f64 {
        self.to_ns.saturating_sub(self.from_ns) as f64 / 1e9
    }
}

/// A system that is a library: what one side of it can be told. The words are those of [`Order`].
pub trait Peer {
    async fn fill(&mut self, load: Load) -> Result<Value>;
    async fn join(&mut self, address: Value, load: Load) -> Result<Span>;
    async fn disconnect(&mut self) -> Result<()>;
    async fn reconnect(&mut self) -> Result<Span>;
    async fn edit(&mut self, edits: Vec<Retitle>) -> Result<u64>;
    async fn arm(&mut self, edits: Vec<Retitle>) -> Result<()>;
    async fn seen(&mut self) -> Result<u64>;
    fn bytes(&self) -> [u64; 2];
    async fn write(&mut self, load: Load, in_flight: usize) -> Result<Span>;
}

/// Obeys orders from stdin until it ends.
pub async fn serve(mut peer: impl Peer) -> Result<()> {
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
        // Whoever gave the orders has gone; nothing here is worth keeping.
        std::process::exit(0);
    });
    while let Some(line) = orders.recv().await {
        let answer = match obey(&mut peer, serde_json::from_str(&line)?).await {
            Ok(value) => Answer::Done(value),
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(())
}

async fn obey(peer: &mut impl Peer, order: Order) -> Result<Value> {
    let to_json = |span: Span| Ok(serde_json::to_value(span)?);
    match order {
        Order::Fill { seed, records } => peer.fill(Load { seed, records }).await,
        Order::Join { address, seed, records } => {
            to_json(peer.join(address, Load { seed, records }).await?)
        }
        Order::Disconnect => peer.disconnect().await.map(|()| Value::Null),
        Order::Reconnect => to_json(peer.reconnect().await?),
        Order::Edit { edits } => Ok(peer.edit(edits).await?.into()),
        Order::Arm { edits } => peer.arm(edits).await.map(|()| Value::Null),
        Order::Seen => Ok(peer.seen().await?.into()),
        Order::Bytes => Ok(serde_json::to_value(peer.bytes())?),
        Order::Write { seed, records, in_flight } => {
            to_json(peer.write(Load { seed, records }, in_flight).await?)
        }
    }
}
