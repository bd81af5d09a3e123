//! One direction of a stream between two processes: bytes arrive late, in order, or not at all; never changed, twice or out of
//! order. That is what TCP can do.

use super::{host::Host, network::Network};
use crate::clock::Sleep;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many bytes may be on their way.
const WINDOW: usize = 256 * 1024;

/// One direction of a stream.
pub(super) struct Pipe {
    pub(super) from: Arc<Host>,
    pub(super) to: Arc<Host>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<(u64, Vec<u8>)>,
    /// How much of the first chunk was read.
    read: usize,
    bytes: usize,
    /// When what was written last arrives.
    last: u64,
    /// When the reader sees the end, and whether that is a proper one.
    end: Option<(u64, bool)>,
    /// From when on the writer sees that nobody reads.
    broken: Option<u64>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Pipe {
    /// A direction, and its two ends.
    pub(super) fn new(network: &Network, from: &Arc<Host>, to: &Arc<Host>) -> (Arc<Self>, ReadEnd, WriteEnd) {
        let pipe = Arc::new(Self {
            from: from.clone(),
            to: to.clone(),
            state: Mutex::default(),
        });
        let (network, for_writer) = (network.clone(), network.clone());
        let read = ReadEnd {
            pipe: pipe.clone(),
            network,
            sleep: None,
        };
        let write = WriteEnd {
            pipe: pipe.clone(),
            network: for_writer,
        };
        (pipe, read, write)
    }

    /// The stream breaks: what has not arrived by `arrived` never does, and the two ends see it when they do.
    pub(super) fn cut(&self, arrived: u64, reader_sees: u64, writer_sees: u64) {
        let mut state = self.state.lock();
        while state.chunks.back().is_some_and(|(at, _)| *at > arrived) {
            if let Some((_, lost)) = state.chunks.pop_back() {
                let read = if state.chunks.is_empty() {
                    std::mem::take(&mut state.read)
                } else {
                    0
                };
                state.bytes -= lost.len() - read;
            }
        }
        if state.end.is_none_or(|(at, _)| at > reader_sees) {
            state.end = Some((reader_sees, false));
        }
        state.broken = Some(state.broken.map_or(writer_sees, |at| at.min(writer_sees)));
        state.wake_reader();
        state.wake_writer();
    }

    /// The network carries again: both ends look.
    pub(super) fn look(&self) {
        let mut state = self.state.lock();
        state.wake_reader();
        state.wake_writer();
    }
}

/// Where bytes come out.
pub(super) struct ReadEnd {
    pipe: Arc<Pipe>,
    network: Network,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for ReadEnd {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let now = this.network.now();
            let at = {
                let mut state = this.pipe.state.lock();
                if this.network.is_parted(&this.pipe.from, &this.pipe.to) {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                let first = state.chunks.front().map(|(at, _)| *at);
                match (first, state.end) {
                    (Some(at), _) if at <= now => {
                        while let Some((_, chunk)) = state.chunks.front().filter(|(at, _)| *at <= now) {
                            let rest = &chunk[state.read..];
                            let some = rest.len().min(buffer.remaining());
                            buffer.put_slice(&rest[..some]);
                            let is_all = some == rest.len();
                            state.bytes -= some;
                            state.read += some;
                            if !is_all {
                                break;
                            }
                            state.chunks.pop_front();
                            state.read = 0;
                        }
                        state.wake_writer();
                        return Poll::Ready(Ok(()));
                    }
                    (None, Some((at, proper))) if at <= now => {
                        return Poll::Ready(if proper {
                            Ok(())
                        } else {
                            Err(io::ErrorKind::ConnectionReset.into())
                        });
                    }
                    (Some(at), _) | (None, Some((at, _))) => at,
                    (None, None) => {
                        state.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            // A cut may end the wait earlier.
            this.pipe.state.lock().reader = Some(cx.waker().clone());
            let mut sleep = Box::pin(this.network.sleep_until(at));
            let polled = sleep.as_mut().poll(cx);
            this.sleep = Some(sleep);
            if polled.is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        let sees = self.network.now() + self.network.latency();
        let mut state = self.pipe.state.lock();
        if !self.pipe.to.is_severed() {
            state.broken = Some(state.broken.map_or(sees, |at| at.min(sees)));
            state.wake_writer();
        }
    }
}

/// Where bytes go in.
pub(super) struct WriteEnd {
    pipe: Arc<Pipe>,
    network: Network,
}

impl AsyncWrite for WriteEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pipe = &self.pipe;
        if pipe.from.is_severed() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let now = self.network.now();
        let mut state = pipe.state.lock();
        if state.broken.is_some_and(|at| at <= now || state.bytes >= WINDOW) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.bytes >= WINDOW {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let some = bytes.len().min(WINDOW - state.bytes);
        let at = state.last.max(now + self.network.latency());
        state.last = at;
        state.bytes += some;
        state.chunks.push_back((at, bytes[..some].to_vec()));
        state.wake_reader();
        Poll::Ready(Ok(some))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl WriteEnd {
    fn finish(&self) {
        if self.pipe.from.is_severed() {
            return;
        }
        let arrives = self.network.now() + self.network.latency();
        let mut state = self.pipe.state.lock();
        if state.end.is_none() {
            state.end = Some((arrives.max(state.last), true));
            state.wake_reader();
        }
    }
}

impl Drop for WriteEnd {
    fn drop(&mut self) {
        self.finish();
    }
}
