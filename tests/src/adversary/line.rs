//! A connection written by hand.

use anyhow::{Result, anyhow};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{FederationId, Hash};
use fenbu_protocol::wire::{Hello, Message, WIRE_VERSION};
use quinn::{Connection, ConnectionError, SendStream};
use std::collections::BTreeMap;
use std::time::Duration;

/// A connection that is up, and the streams opened by hand.
#[derive(Debug)]
pub struct Line {
    pub connection: Connection,
    lanes: BTreeMap<u8, SendStream>,
}

impl Line {
    pub fn new(connection: Connection) -> Self {
        Self { connection, lanes: BTreeMap::new() }
    }

    /// Reads and forgets whatever the node says, so that its flow control never stops.
    pub fn listens(&self) {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            while let Ok(mut stream) = connection.accept_uni().await {
                tokio::spawn(async move {
                    while let Ok(Some(_)) = stream.read_chunk(usize::MAX, true).await {}
                });
            }
        });
    }

    /// Bytes on a lane's stream, which is opened if need be.
    ///
    /// # Errors
    /// The link is closed.
    pub async fn raw(&mut self, lane: u8, bytes: &[u8]) -> Result<()> {
        if !self.lanes.contains_key(&lane) {
            let mut stream = self.connection.open_uni().await?;
            stream.write_all(&[lane]).await?;
            self.lanes.insert(lane, stream);
        }
        let stream = self.lanes.get_mut(&lane).ok_or_else(|| anyhow!("no stream"))?;
        Ok(stream.write_all(bytes).await?)
    }

    /// Ends a lane's stream.
    pub fn finish(&mut self, lane: u8) {
        if let Some(mut stream) = self.lanes.remove(&lane) {
            let _ = stream.finish();
        }
    }

    /// Breaks a lane's stream off.
    pub fn reset(&mut self, lane: u8) {
        if let Some(mut stream) = self.lanes.remove(&lane) {
            let _ = stream.reset(7_u32.into());
        }
    }

    /// A whole frame.
    ///
    /// # Errors
    /// The link is closed.
    pub async fn frame(&mut self, lane: u8, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?.to_be_bytes();
        self.raw(lane, &[&length[..], payload].concat()).await
    }

    /// # Errors
    /// The link is closed.
    pub async fn say(&mut self, message: &Message) -> Result<()> {
        self.frame(1, &message.to_frame()).await
    }

    /// # Errors
    /// The link is closed.
    pub async fn hello(&mut self, directory: &Directory, federation: FederationId) -> Result<()> {
        self.say(&Message::Hello(Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation,
            epoch: directory.epoch(),
            directory: directory.head(),
            digest: Hash([0xee; 32]),
            agent: "eve".into(),
            state: None,
        }))
        .await
    }

    /// The code with which the node closed the link, if it does so soon.
    pub async fn closed(&self, patience: Duration) -> Option<u64> {
        let closed = tokio::time::timeout(patience, self.connection.closed()).await.ok()?;
        Some(code(&closed))
    }

    /// The code with which it has closed it.
    pub fn code(&self) -> Option<u64> {
        self.connection.close_reason().as_ref().map(code)
    }
}

/// The close code, or one of the local ones of `fenbu_node::transport::code`.
fn code(error: &ConnectionError) -> u64 {
    use fenbu_node::transport::code::{DONE, FORGOTTEN, QUIC, SILENT};
    match error {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        ConnectionError::TimedOut => SILENT.into(),
        ConnectionError::Reset => FORGOTTEN.into(),
        ConnectionError::LocallyClosed => DONE.into(),
        _ => QUIC.into(),
    }
}
