//! TCP over loopback for peers whose libraries count nothing: the bytes of every connection made, and
//! a way to cut the last one.

use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One side's connections, all of which it made itself.
#[derive(Debug, Clone, Default)]
pub struct Line(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    received: AtomicU64,
    last: Mutex<Option<std::net::TcpStream>>,
}

impl Line {
    /// Connects with Nagle's algorithm off.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<Counted> {
        let stream = TcpStream::connect(address).await?.into_std()?;
        *self.0.last.lock().unwrap_or_else(|e| e.into_inner()) = Some(stream.try_clone()?);
        self.count(TcpStream::from_std(stream)?)
    }

    /// A connection that was accepted, likewise.
    pub fn count(&self, stream: TcpStream) -> std::io::Result<Counted> {
        stream.set_nodelay(true)?;
        Ok(Counted { stream, line: self.clone() })
    }

    /// Cuts the connection made last, if it still stands.
    pub fn cut(&self) {
        let last = self.0.last.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(last) = last {
            // An error says that it has ended already.
            let _ = last.shutdown(Shutdown::Both);
        }
    }

    /// Sent and received so far.
    pub fn bytes(&self) -> [u64; 2] {
        [self.0.sent.load(Ordering::Relaxed), self.0.received.load(Ordering::Relaxed)]
    }
}

/// A connection whose bytes its [`Line`] counts.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.line.0.received.fetch_add(read as u64, Ordering::Relaxed);
        outcome
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &outcome {
            self.line.0.sent.fetch_add(*written as u64, Ordering::Relaxed);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
