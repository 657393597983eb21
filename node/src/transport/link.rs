//! One QUIC connection to a peer: a stream per lane and direction, frames in order within a lane.
//!
//! A lane's stream opens with one byte, the lane's number; then frames, each a big-endian `u32`
//! length and its bytes. Lower lanes go first: QUIC packs their bytes before others', and
//! [`LinkEvents::recv`] hands their frames out first.
//!
//! Nothing here is unbounded. A lane's queue in either direction holds one largest frame's worth of
//! bytes; [`LinkHandle::send`] waits while it is full, and a lane whose frames are not taken is not
//! read from QUIC, whose window then holds the peer back.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::limits::FRAME_BYTES_MAX;
use fenbu_protocol::log::Lane;
use futures_util::task::AtomicWaker;
use quinn::{Connection, ConnectionError, VarInt, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::error::describe;
use super::read::{self, Received};
use super::{TransportError, clean_reason, code};

/// What a queued frame costs beside its bytes, so that a queue of empty frames is bounded too.
pub(crate) const QUEUED_OVERHEAD_BYTES: usize = 64;
/// A lane's queue in one direction: the largest frame fits.
pub(crate) const LANE_QUEUE_BYTES: usize = FRAME_BYTES_MAX + QUEUED_OVERHEAD_BYTES;
/// Queued frames are written together up to this many bytes.
const WRITE_BYTES: usize = 64 << 10;
/// Frames up to this long are copied beside their neighbours, longer ones handed over as they are.
const COPY_BYTES_MAX: usize = 8 << 10;

const LANES: usize = Lane::COUNT;

/// What a frame of `len` bytes takes of a lane's queue.
pub(crate) fn cost(len: usize) -> u32 {
    // INVARIANT: callers checked `len` against `FRAME_BYTES_MAX`, which is far below `u32::MAX`.
    u32::try_from(len + QUEUED_OVERHEAD_BYTES).expect("frames are short")
}

/// A connection whose handshake proved the peer's key. Dropping every handle closes it.
#[derive(Debug)]
pub struct Link {
    /// The sending half; clones are cheap.
    pub handle: LinkHandle,
    /// The receiving half.
    pub events: LinkEvents,
}

impl Deref for Link {
    type Target = LinkHandle;
    fn deref(&self) -> &LinkHandle {
        &self.handle
    }
}

/// What happens on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A whole frame; in order within its lane.
    Frame { lane: Lane, bytes: Bytes },
    /// Frames of so many bytes in all (as given to `send`) have been taken by QUIC since the last
    /// such event.
    Sent { bytes: u64 },
    /// The last event. `by_peer` tells who closed; the reason says who is to blame.
    Closed { by_peer: bool, code: u64, reason: String },
}

/// Bytes a link has moved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// UDP payload, handshake and acknowledgements included.
    pub udp_bytes_in: u64,
    pub udp_bytes_out: u64,
    /// Bytes of lanes' streams: frames, their lengths and the lane numbers.
    pub stream_bytes_in: u64,
    pub stream_bytes_out: u64,
}

/// What the link's tasks and its owner share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// How long a frame may be incomplete before the link's pace is looked at.
    pub(crate) frame_patience: Duration,
    pub(crate) stream_bytes_in: AtomicU64,
    stream_bytes_out: AtomicU64,
    /// Bytes taken by QUIC and not yet told.
    sent: AtomicU64,
    waker: AtomicWaker,
    /// Our own reason for closing; the first one stands.
    closed: OnceLock<(u32, String)>,
}

impl Shared {
    /// Closes the connection, and remembers why for [`LinkEvent::Closed`].
    pub(crate) fn close(&self, connection: &Connection, code: u32, reason: &str) {
        let reason = clean_reason(reason.as_bytes());
        let (code, reason) = self.closed.get_or_init(|| (code, reason));
        connection.close(VarInt::from_u32(*code), reason.as_bytes());
    }

    fn tell_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::AcqRel);
        self.waker.wake();
    }
}

/// The sending half of a link.
#[derive(Clone, Debug)]
pub struct LinkHandle(Arc<Inner>);

struct Inner {
    connection: Connection,
    peer: NodeId,
    dialed: bool,
    /// What the peer may have under way once it is admitted.
    window: VarInt,
    admitted: Once,
    writers: [OnceLock<Writer>; LANES],
    shared: Arc<Shared>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.peer)
            .field("dialed", &self.dialed)
            .field("remote", &self.connection.remote_address())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close(&self.connection, code::DROPPED, "the node let go of the link");
    }
}

/// Begins reading from an established connection to `peer`.
pub(crate) fn start(
    connection: Connection,
    peer: NodeId,
    dialed: bool,
    window: VarInt,
    frame_patience: Duration,
) -> Link {
    let shared = Arc::new(Shared {
        frame_patience,
        stream_bytes_in: AtomicU64::default(),
        stream_bytes_out: AtomicU64::default(),
        sent: AtomicU64::default(),
        waker: AtomicWaker::new(),
        closed: OnceLock::new(),
    });
    let (senders, receivers) = read::lanes();
    let (closing, closed) = oneshot::channel();
    tokio::spawn({
        let (connection, shared) = (connection.clone(), shared.clone());
        async move {
            let error = read::accept_lanes(&connection, peer, &shared, senders).await;
            // Nobody listens if the events were dropped.
            let _ = closing.send(closing_of(error, &shared));
        }
    });
    let inner = Inner {
        connection,
        peer,
        dialed,
        window,
        admitted: Once::new(),
        writers: Default::default(),
        shared: shared.clone(),
    };
    let events = LinkEvents { lanes: receivers, shared, closed: Some(closed) };
    Link { handle: LinkHandle(Arc::new(inner)), events }
}

/// The last event of a link that ended with `error`.
fn closing_of(error: ConnectionError, shared: &Shared) -> LinkEvent {
    let (by_peer, code, reason) = match error {
        ConnectionError::LocallyClosed => match shared.closed.get() {
            Some((code, reason)) => (false, u64::from(*code), reason.clone()),
            None => (false, u64::from(code::DONE), "this node is shutting down".into()),
        },
        ConnectionError::ApplicationClosed(close) => {
            (true, close.error_code.into_inner(), clean_reason(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            (true, u64::from(close.error_code), clean_reason(close.to_string().as_bytes()))
        }
        ConnectionError::TimedOut => {
            (false, u64::from(code::SILENT), "nothing was heard of the peer for too long".into())
        }
        // Where packets reach the peer and not us, it gives the link up before we do.
        ConnectionError::Reset => {
            let why = "it knows nothing of this link any more: it restarted, or had heard nothing for too long";
            (true, u64::from(code::FORGOTTEN), why.into())
        }
        other => (false, u64::from(code::QUIC), format!("QUIC failed: {}", describe(&other))),
    };
    LinkEvent::Closed { by_peer, code, reason }
}

impl LinkHandle {
    /// The key the peer proved.
    pub fn peer(&self) -> NodeId {
        self.0.peer
    }

    /// Whether this node dialled.
    pub fn dialed(&self) -> bool {
        self.0.dialed
    }

    /// Where the peer is now; it may move.
    pub fn remote(&self) -> SocketAddr {
        self.0.connection.remote_address()
    }

    /// QUIC's current estimate.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    pub fn stats(&self) -> LinkStats {
        let udp = self.0.connection.stats();
        LinkStats {
            udp_bytes_in: udp.udp_rx.bytes,
            udp_bytes_out: udp.udp_tx.bytes,
            stream_bytes_in: self.0.shared.stream_bytes_in.load(Ordering::Relaxed),
            stream_bytes_out: self.0.shared.stream_bytes_out.load(Ordering::Relaxed),
        }
    }

    /// Queues a frame on its lane, waiting while the lane's queue is full. Lanes this version does
    /// not know travel on the last. Dropping the future before it is done queues nothing.
    ///
    /// The first call says that the peer is welcome: until then a peer that dialled us may have
    /// only a stranger's window under way.
    ///
    /// # Errors
    /// [`TransportError::TooLong`] over `FRAME_BYTES_MAX`; [`TransportError::LinkClosed`].
    pub async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), TransportError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(TransportError::TooLong { bytes: frame.len(), max: FRAME_BYTES_MAX });
        }
        let inner = &*self.0;
        if inner.connection.close_reason().is_some() {
            return Err(self.closed_error());
        }
        if !inner.dialed {
            inner.admitted.call_once(|| inner.connection.set_receive_window(inner.window));
        }
        let lane = Lane(lane.0.min(LANES as u8 - 1));
        let writer = inner.writers[usize::from(lane.0)]
            .get_or_init(|| Writer::spawn(lane, inner.peer, &inner.connection, &inner.shared));
        let Ok(permit) = writer.budget.clone().acquire_many_owned(cost(frame.len())).await else {
            return Err(self.closed_error());
        };
        writer.queue.send((frame, permit)).map_err(|_| self.closed_error())
    }

    fn closed_error(&self) -> TransportError {
        let ours = self.0.shared.closed.get().map(|(_, reason)| reason.clone());
        let why = ours.or_else(|| self.0.connection.close_reason().map(|e| describe(&e)));
        TransportError::LinkClosed(why.unwrap_or_else(|| "it is closing".into()))
    }

    /// Closes the link at once; what is queued and not yet sent is lost. The other side is told
    /// `code` and `reason` (cut at `REASON_BYTES_MAX`). The first close stands.
    pub fn close(&self, code: u32, reason: &str) {
        self.0.shared.close(&self.0.connection, code, reason);
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }
}

/// The receiving half of a link.
#[derive(Debug)]
pub struct LinkEvents {
    lanes: [mpsc::UnboundedReceiver<Received>; LANES],
    shared: Arc<Shared>,
    closed: Option<oneshot::Receiver<LinkEvent>>,
}

impl LinkEvents {
    /// The next event; `None` after [`LinkEvent::Closed`]. What the peer sent whole before closing
    /// is still handed out. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<LinkEvent> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Frames received on a lane and not yet taken.
    #[cfg(test)]
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.lanes[usize::from(lane.0)].len()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<LinkEvent>> {
        let Some(closed) = &mut self.closed else { return Poll::Ready(None) };
        self.shared.waker.register(cx.waker());
        match self.shared.sent.swap(0, Ordering::AcqRel) {
            0 => {}
            bytes => return Poll::Ready(Some(LinkEvent::Sent { bytes })),
        }
        let mut open = false;
        for (lane, frames) in (0..).map(Lane).zip(&mut self.lanes) {
            match frames.poll_recv(cx) {
                Poll::Ready(Some(frame)) => {
                    return Poll::Ready(Some(LinkEvent::Frame { lane, bytes: frame.bytes }));
                }
                Poll::Ready(None) => {}
                Poll::Pending => open = true,
            }
        }
        if open {
            return Poll::Pending;
        }
        Pin::new(closed).poll(cx).map(|event| {
            self.closed = None;
            event.ok()
        })
    }
}

/// The sending end of one lane.
struct Writer {
    queue: mpsc::UnboundedSender<(Bytes, OwnedSemaphorePermit)>,
    /// Bounds the queue in bytes.
    budget: Arc<Semaphore>,
}

impl Writer {
    fn spawn(lane: Lane, peer: NodeId, connection: &Connection, shared: &Arc<Shared>) -> Self {
        let (queue, frames) = mpsc::unbounded_channel();
        let budget = Arc::new(Semaphore::new(LANE_QUEUE_BYTES));
        let (connection, shared) = (connection.clone(), shared.clone());
        tokio::spawn({
            let budget = budget.clone();
            async move {
                let ended = tokio::select! {
                    ended = write_lane(lane, &connection, &shared, frames) => ended,
                    _ = connection.closed() => Ok(()),
                };
                if let Err(WriteError::Stopped(_)) = ended {
                    let reason = format!("node {} stopped reading lane {}", peer.short(), lane.0);
                    shared.close(&connection, code::STREAM_ABANDONED, &reason);
                }
                // Whoever waits to send learns that the link is closed.
                budget.close();
            }
        });
        Self { queue, budget }
    }
}

async fn write_lane(
    lane: Lane,
    connection: &Connection,
    shared: &Shared,
    mut frames: mpsc::UnboundedReceiver<(Bytes, OwnedSemaphorePermit)>,
) -> Result<(), WriteError> {
    let mut stream = connection.open_uni().await?;
    // A closed stream has no priority to set, and the first write says so.
    let _ = stream.set_priority(-i32::from(lane.0));
    let mut batch = Batch::default();
    batch.small.put_u8(lane.0);
    while let Some((frame, permit)) = frames.recv().await {
        batch.push(frame, permit);
        while batch.bytes < WRITE_BYTES {
            let Ok((frame, permit)) = frames.try_recv() else { break };
            batch.push(frame, permit);
        }
        let mut chunks = batch.chunks();
        let wire_bytes: usize = chunks.iter().map(Bytes::len).sum();
        stream.write_all_chunks(&mut chunks).await?;
        shared.stream_bytes_out.fetch_add(wire_bytes as u64, Ordering::Relaxed);
        shared.tell_sent(batch.finish());
    }
    Ok(())
}

/// Frames on their way into one write.
#[derive(Default)]
struct Batch {
    chunks: Vec<Bytes>,
    /// Lengths and short frames, side by side.
    small: BytesMut,
    /// Of the frames, without their lengths.
    bytes: usize,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Batch {
    fn push(&mut self, frame: Bytes, permit: OwnedSemaphorePermit) {
        self.bytes += frame.len();
        self.permits.push(permit);
        // `send` refused anything longer than `FRAME_BYTES_MAX`.
        self.small.put_u32(frame.len() as u32);
        if frame.len() <= COPY_BYTES_MAX {
            self.small.put(frame);
        } else {
            self.chunks.push(self.small.split().freeze());
            self.chunks.push(frame);
        }
    }

    fn chunks(&mut self) -> Vec<Bytes> {
        let mut chunks = std::mem::take(&mut self.chunks);
        if !self.small.is_empty() {
            chunks.push(self.small.split().freeze());
        }
        chunks
    }

    /// Gives the room back to the queue; returns the frames' bytes.
    fn finish(&mut self) -> u64 {
        self.permits.clear();
        std::mem::take(&mut self.bytes) as u64
    }
}
