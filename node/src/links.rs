//! Links as the driver sees them: tasks that turn a link's events into the engine's inputs and the
//! engine's sends into frames, and keep counts.

use crate::clock::Clock;
use crate::transport::{Link, LinkEvent, LinkHandle, code};
use bytes::Bytes;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::log::Lane;
use fenbu_protocol::sync::{Input, LinkId, Pace};
use fenbu_protocol::wire::Message;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames between a link's reader and the driver. Small: what waits here is decoded already.
const DECODED_MAX: usize = 4;

/// The driver's end of a link.
#[derive(Debug)]
pub(crate) struct OpenLink {
    pub(crate) peer: NodeId,
    pub(crate) handle: LinkHandle,
    /// Unbounded here because the engine bounds what it hands out (`OUTBOX_BYTES_MAX`).
    frames: mpsc::UnboundedSender<(Lane, Arc<[u8]>)>,
}

impl OpenLink {
    /// Starts a link's two tasks. Inputs from peers go to `peers`, whose bound holds the link back;
    /// what the engine must hear at once goes to `urgent`.
    pub(crate) fn start(
        id: LinkId,
        link: Link,
        peers: mpsc::Sender<Input>,
        urgent: mpsc::UnboundedSender<Input>,
        clock: Clock,
        pace: Arc<Mutex<Pace>>,
    ) -> Self {
        let Link { handle, mut events } = link;
        let (frames, mut queue) = mpsc::unbounded_channel::<(Lane, Arc<[u8]>)>();
        let sender = handle.clone();
        tokio::spawn(async move {
            while let Some((lane, frame)) = queue.recv().await {
                // Closing again is harmless where the link has just ended by itself; where the frame
                // was refused, a link that says nothing more must not stay up.
                if let Err(error) = sender.send(lane, Bytes::from_owner(frame)).await {
                    sender.close(code::DROPPED, &error.to_string());
                    return;
                }
            }
        });
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                // A closed channel means that the driver is gone, and with it the link.
                let told = match event {
                    LinkEvent::Frame { bytes, .. } => {
                        let input = input_of(id, &bytes);
                        // Not reading is what holds a peer back; QUIC's windows do the rest.
                        let wait = held_back(&pace, clock, bytes.len(), &input);
                        drop(bytes);
                        if !wait.is_zero() {
                            tokio::time::sleep(wait).await;
                        }
                        peers.send(input).await.is_ok()
                    }
                    LinkEvent::Sent { bytes } => {
                        urgent.send(Input::Sent { link: id, bytes: bytes as usize }).is_ok()
                    }
                    LinkEvent::Closed { by_peer: false, code, reason } if is_violation(code) => {
                        let _ =
                            peers.send(Input::Garbled { link: id, reason: reason.clone() }).await;
                        let _ = peers.send(Input::LinkDown { link: id, reason }).await;
                        return;
                    }
                    LinkEvent::Closed { by_peer, reason, .. } => {
                        let by = if by_peer { "the peer: " } else { "" };
                        let reason = format!("{by}{reason}");
                        // After the frames that came before it.
                        let _ = peers.send(Input::LinkDown { link: id, reason }).await;
                        return;
                    }
                };
                if !told {
                    return;
                }
            }
        });
        Self { peer: handle.peer(), handle, frames }
    }

    pub(crate) fn send(&self, lane: Lane, frame: Arc<[u8]>) {
        // A link that has just closed says so in its own event.
        let _ = self.frames.send((lane, frame));
    }
}

/// How long to leave a peer unread after this.
fn held_back(pace: &Mutex<Pace>, clock: Clock, bytes: usize, input: &Input) -> Duration {
    let message = match input {
        Input::Message { message, .. } => Some(message),
        _ => None,
    };
    let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
    Duration::from_millis(pace.take(clock.now_ms(), bytes, message))
}

/// Whether this node closed a link because its peer broke a rule of the transport.
fn is_violation(code: u64) -> bool {
    u32::try_from(code).is_ok_and(|code| code::VIOLATIONS.contains(&code))
}

fn input_of(link: LinkId, bytes: &[u8]) -> Input {
    match Message::from_frame(bytes) {
        Ok(message) => Input::Message { link, message },
        Err(error) => Input::Garbled { link, reason: error.to_string() },
    }
}

/// The channel peers' messages come through.
pub(crate) fn channel() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(DECODED_MAX)
}
