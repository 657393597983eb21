//! Frames out of a peer's streams, and what a peer may not do with them.
//!
//! Memory follows what arrived, never what was announced: a frame's buffer grows with its bytes,
//! and at most one frame per lane is being put together.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::limits::{FRAME_BYTES_MAX, LINK_BYTES_PER_S_MIN};
use fenbu_protocol::log::Lane;
use quinn::{Connection, ConnectionError, ReadError, RecvStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use super::code;
use super::link::{LANE_QUEUE_BYTES, Shared, cost};

const LANES: usize = Lane::COUNT;
/// A frame's buffer begins with at most this, whatever length was announced.
const FIRST_BUFFER_BYTES: usize = 16 << 10;

/// A frame waiting to be taken; its permit gives the room back when it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Where a lane's frames go.
#[derive(Debug)]
pub(crate) struct LaneSender {
    frames: mpsc::UnboundedSender<Received>,
    /// Bounds the queue in bytes.
    budget: Arc<Semaphore>,
}

/// The senders of lanes no stream has claimed yet.
type Unclaimed = Mutex<[Option<LaneSender>; LANES]>;

/// A queue for every lane.
pub(crate) fn lanes() -> ([Option<LaneSender>; LANES], [mpsc::UnboundedReceiver<Received>; LANES]) {
    let mut senders = [const { None }; LANES];
    let receivers = std::array::from_fn(|lane| {
        let (frames, receiver) = mpsc::unbounded_channel();
        let budget = Arc::new(Semaphore::new(LANE_QUEUE_BYTES));
        senders[lane] = Some(LaneSender { frames, budget });
        receiver
    });
    (senders, receivers)
}

/// Why reading a stream ended early.
enum End {
    /// The connection is gone; its own error tells more.
    Lost,
    /// Nobody takes events any more.
    Dropped,
    /// The peer broke a rule: a code and what it did.
    Violation(u32, String),
}

/// Reads the streams `peer` opens until the connection ends, and tells how it did. A violation
/// closes the connection with a reason that names the peer.
pub(crate) async fn accept_lanes(
    connection: &Connection,
    peer: NodeId,
    shared: &Arc<Shared>,
    senders: [Option<LaneSender>; LANES],
) -> ConnectionError {
    let unclaimed = Arc::new(Mutex::new(senders));
    let mut opened = 0;
    loop {
        let stream = tokio::select! {
            stream = connection.accept_uni() => stream,
            both_ways = connection.accept_bi() => match both_ways {
                Ok(_) => {
                    let did = "opened a bidirectional stream".to_owned();
                    blame(connection, peer, shared, code::STREAM_UNEXPECTED, &did);
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        opened += 1;
        if opened > LANES {
            let did = format!("opened more than {LANES} streams");
            blame(connection, peer, shared, code::STREAM_UNEXPECTED, &did);
            continue;
        }
        tokio::spawn(read_stream(
            connection.clone(),
            peer,
            shared.clone(),
            stream,
            unclaimed.clone(),
        ));
    }
}

fn blame(connection: &Connection, peer: NodeId, shared: &Shared, code: u32, did: &str) {
    shared.close(connection, code, &format!("node {} {did}", peer.short()));
}

async fn read_stream(
    connection: Connection,
    peer: NodeId,
    shared: Arc<Shared>,
    stream: RecvStream,
    unclaimed: Arc<Unclaimed>,
) {
    match read_lane(
        Frames { stream, chunk: Bytes::new(), shared: &shared, begun: None },
        &unclaimed,
    )
    .await
    {
        Ok(()) | Err(End::Lost) => {}
        Err(End::Dropped) => {
            shared.close(&connection, code::DROPPED, "the node let go of the link");
        }
        Err(End::Violation(code, did)) => blame(&connection, peer, &shared, code, &did),
    }
}

/// Reads one stream to its end.
async fn read_lane(mut frames: Frames<'_>, unclaimed: &Unclaimed) -> Result<(), End> {
    if !frames.more(Lane(u8::MAX)).await? {
        return Err(End::Violation(
            code::STREAM_TRUNCATED,
            "opened a stream and sent nothing".into(),
        ));
    }
    let lane = Lane(frames.chunk.get_u8());
    let sender = {
        let mut unclaimed = unclaimed.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = unclaimed.get_mut(usize::from(lane.0)).ok_or_else(|| {
            let did = format!("opened a stream for lane {}, which does not exist", lane.0);
            End::Violation(code::STREAM_UNEXPECTED, did)
        })?;
        slot.take().ok_or_else(|| {
            let did = format!("opened a second stream for lane {}", lane.0);
            End::Violation(code::STREAM_UNEXPECTED, did)
        })?
    };
    while let Some(len) = frames.length(lane).await? {
        if len > FRAME_BYTES_MAX {
            let did = format!(
                "announced a frame of {len} bytes on lane {}; the limit is {FRAME_BYTES_MAX}",
                lane.0
            );
            return Err(End::Violation(code::FRAME_TOO_LARGE, did));
        }
        // Room first: while the queue is full, the bytes stay in QUIC and hold the peer back.
        // INVARIANT: the budget is never closed.
        let room = sender.budget.clone().acquire_many_owned(cost(len)).await.expect("open");
        let bytes = frames.body(lane, len).await?;
        sender.frames.send(Received { bytes, _room: room }).map_err(|_| End::Dropped)?;
    }
    Ok(())
}

/// A stream and what has been taken from it, not yet used.
struct Frames<'a> {
    stream: RecvStream,
    chunk: Bytes,
    shared: &'a Shared,
    /// Within a frame: when to look again, and what the link had brought at the last look.
    begun: Option<(Instant, u64)>,
}

impl Frames<'_> {
    /// Makes sure that `chunk` holds something; false at the stream's end.
    async fn more(&mut self, lane: Lane) -> Result<bool, End> {
        while self.chunk.is_empty() {
            let read = match self.begun {
                None => self.stream.read_chunk(usize::MAX, true).await,
                Some((look, before)) => {
                    match timeout_at(look, self.stream.read_chunk(usize::MAX, true)).await {
                        Ok(read) => read,
                        Err(_) => {
                            self.look(lane, before)?;
                            continue;
                        }
                    }
                }
            };
            match read {
                Ok(Some(chunk)) => {
                    let bytes = chunk.bytes.len() as u64;
                    self.shared.stream_bytes_in.fetch_add(bytes, Ordering::Relaxed);
                    self.chunk = chunk.bytes;
                }
                Ok(None) => return Ok(false),
                Err(ReadError::Reset(_)) => {
                    let did = format!("reset the stream of lane {}", lane.0);
                    return Err(End::Violation(code::STREAM_ABANDONED, did));
                }
                Err(_) => return Err(End::Lost),
            }
        }
        Ok(true)
    }

    /// A frame has been incomplete for a while. That is a slow line, or a lane that waits behind more
    /// urgent ones, as long as the link as a whole brings something.
    fn look(&mut self, lane: Lane, before: u64) -> Result<(), End> {
        let patience = self.shared.frame_patience;
        let now = self.shared.stream_bytes_in.load(Ordering::Relaxed);
        let brought = now - before;
        if brought < LINK_BYTES_PER_S_MIN * patience.as_secs().max(1) {
            let did = format!(
                "sent {brought} bytes in {} s with a frame of lane {} unfinished",
                patience.as_secs(),
                lane.0
            );
            return Err(End::Violation(code::FRAME_SLOW, did));
        }
        self.begun = Some((Instant::now() + patience, now));
        Ok(())
    }

    /// A frame begins: from here on its bytes are due.
    fn begin(&mut self) {
        let before = self.shared.stream_bytes_in.load(Ordering::Relaxed);
        self.begun = Some((Instant::now() + self.shared.frame_patience, before));
    }

    /// The next frame's announced length; `None` where the stream ends between frames.
    async fn length(&mut self, lane: Lane) -> Result<Option<usize>, End> {
        let mut len = [0; 4];
        self.begun = None;
        for (at, byte) in len.iter_mut().enumerate() {
            if !self.more(lane).await? {
                return if at == 0 { Ok(None) } else { Err(truncated(lane)) };
            }
            if at == 0 {
                self.begin();
            }
            *byte = self.chunk.get_u8();
        }
        Ok(Some(u32::from_be_bytes(len) as usize))
    }

    /// The frame's bytes, copied: a slice would keep whole datagrams alive beyond any account.
    async fn body(&mut self, lane: Lane, len: usize) -> Result<Bytes, End> {
        let mut body = Vec::with_capacity(len.min(FIRST_BUFFER_BYTES));
        // Anew: waiting for room was this node's doing.
        self.begin();
        while body.len() < len {
            if !self.more(lane).await? {
                return Err(truncated(lane));
            }
            let part = self.chunk.split_to(self.chunk.len().min(len - body.len()));
            if body.capacity() - body.len() < part.len() {
                // At most doubles what has arrived, and ends at exactly the frame's length.
                let grown = (body.capacity() * 2).max(body.len() + part.len()).min(len);
                body.reserve_exact(grown - body.len());
            }
            body.extend_from_slice(&part);
        }
        Ok(Bytes::from(body))
    }
}

fn truncated(lane: Lane) -> End {
    let did = format!("ended the stream of lane {} within a frame", lane.0);
    End::Violation(code::STREAM_TRUNCATED, did)
}
