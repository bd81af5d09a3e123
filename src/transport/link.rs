//! One link: the queue between its senders and its writer.

use super::{
    Connection, Ended, FrameReceiver, FrameSender, Peer,
    queue::{Lane, Queue},
};
use crate::wire::{Envelope, Frame, FrameError, Limits, Outgoing};
use futures_util::{FutureExt, task::AtomicWaker};
use parking_lot::Mutex;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// How large frames may be.
    pub limits: Limits,
    /// From how many queued bytes on [`FrameSender::writable`] waits.
    pub high_water_bytes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            high_water_bytes: 1024 * 1024,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// Why a frame was not sent; see [`SendError`](super::SendError).
pub(super) enum Unsent {
    Closed,
    Unsendable(Box<FrameError>),
}

/// What sender, receiver and writer of one link share.
pub(super) struct Link {
    options: LinkOptions,
    state: Mutex<State>,
    /// Bytes that were sent and not yet written. Written with `state` locked.
    queued: AtomicUsize,
    aborted: AtomicBool,
    /// The receiver while it waits for bytes, to hear of an abort.
    pub(super) reader: AtomicWaker,
    /// The writer while it waits for the system, to hear of an abort.
    pub(super) writer: AtomicWaker,
    /// Bytes were written, or the link ended.
    changed: Notify,
}

struct State {
    queue: Queue,
    phase: Phase,
    /// Bytes that were ever sent, by lane.
    sent: [u64; 2],
    /// How many of them were written and flushed.
    flushed: [u64; 2],
    /// The writer while it waits for something to write.
    idle: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// No more frames; what is queued is still written.
    Closing,
    Ended,
}

/// The connection over the two directions of a stream whose peer has proved itself.
pub(super) fn connection(
    options: LinkOptions,
    peer: Peer,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Connection {
    let (sender, receiver, driver) = link(options, peer.takes_pieces, reader, writer);
    Connection {
        peer,
        sender,
        receiver,
        driver: driver.boxed(),
    }
}

/// A link over the two directions of a stream. `in_pieces`: its peer takes large frames in pieces.
pub(super) fn link(
    options: LinkOptions,
    in_pieces: bool,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> (FrameSender, FrameReceiver, impl Future<Output = ()> + Send + 'static) {
    let link = Arc::new(Link {
        options,
        state: Mutex::new(State {
            queue: Queue::new(in_pieces),
            phase: Phase::Open,
            sent: [0; 2],
            flushed: [0; 2],
            idle: None,
        }),
        queued: AtomicUsize::new(0),
        aborted: AtomicBool::new(false),
        reader: AtomicWaker::new(),
        writer: AtomicWaker::new(),
        changed: Notify::new(),
    });
    let driver = super::driver::drive(link.clone(), writer);
    let receiver = FrameReceiver::new(link.clone(), options.limits, Box::new(reader));
    (FrameSender::new(link), receiver, driver)
}

impl Link {
    pub(super) fn send(&self, frame: &Frame) -> Result<(), Unsent> {
        self.push(|queue| queue.push(frame, &self.options.limits))
    }

    /// The same with a call whose message is no large one.
    pub(super) fn send_call(&self, call: Envelope<'_>, body: &[u8]) -> Result<(), Unsent> {
        self.push(|queue| queue.push_call(call, body, &self.options.limits))
    }

    fn push(&self, push: impl FnOnce(&mut Queue) -> Result<(Lane, usize), FrameError>) -> Result<(), Unsent> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(Unsent::Closed);
        }
        let (lane, bytes) = push(&mut state.queue).map_err(|cause| Unsent::Unsendable(Box::new(cause)))?;
        let idle = self.queued(&mut state, lane, bytes);
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
        Ok(())
    }

    /// Counts what was queued; the writer is to be woken.
    fn queued(&self, state: &mut State, lane: Lane, bytes: usize) -> Option<Waker> {
        state.sent[lane as usize] += bytes as u64;
        self.queued.store(self.queued_bytes() + bytes, Ordering::Relaxed);
        state.idle.take()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.queued_bytes() < self.options.high_water_bytes
    }

    pub(super) async fn writable(&self) -> Result<(), Ended> {
        self.wait(|| {
            if self.is_closed() {
                Some(Err(Ended))
            } else {
                self.is_writable().then_some(Ok(()))
            }
        })
        .await
    }

    pub(super) async fn flushed(&self) -> Result<(), Ended> {
        let target = self.state.lock().sent;
        self.wait(|| {
            let state = self.state.lock();
            if state
                .flushed
                .iter()
                .zip(target)
                .all(|(flushed, target)| *flushed >= target)
            {
                Some(Ok(()))
            } else {
                (state.phase == Phase::Ended).then_some(Err(Ended))
            }
        })
        .await
    }

    async fn wait<T>(&self, ready: impl Fn() -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before looking: a change after the look is heard.
            changed.as_mut().enable();
            if let Some(result) = ready() {
                return result;
            }
            changed.await;
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return;
        }
        let bytes = state.queue.push_end();
        state.phase = Phase::Closing;
        let idle = self.queued(&mut state, Lane::InOrder, bytes);
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
        self.changed.notify_waiters();
    }

    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.end();
        self.reader.wake();
        self.writer.wake();
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    /// The sending direction ends: by the writer, or by an abort.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Ended;
        state.queue.clear();
        self.queued.store(0, Ordering::Relaxed);
        let idle = state.idle.take();
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().phase != Phase::Open
    }

    /// For the last sender: a link that nobody can close any more would never end.
    pub(super) fn abandon(&self) {
        if !self.is_closed() {
            self.abort();
        }
    }

    /// For the writer: puts what is next into `batch`, which is empty. `None` when nothing comes any more.
    pub(super) fn poll_batch(&self, cx: &mut Context<'_>, batch: &mut Outgoing) -> Poll<Option<Lane>> {
        let mut state = self.state.lock();
        if state.phase == Phase::Ended {
            return Poll::Ready(None);
        }
        if let Some(lane) = state.queue.take(batch) {
            return Poll::Ready(Some(lane));
        }
        if state.phase == Phase::Closing {
            return Poll::Ready(None);
        }
        state.idle = Some(cx.waker().clone());
        Poll::Pending
    }

    /// For the writer: so many bytes were taken by the stream.
    pub(super) fn wrote(&self, bytes: usize) {
        let high = self.options.high_water_bytes;
        let state = self.state.lock();
        let before = self.queued_bytes();
        // An abort may have set it to 0 meanwhile.
        self.queued.store(before.saturating_sub(bytes), Ordering::Relaxed);
        drop(state);
        if before >= high && before.saturating_sub(bytes) < high {
            self.changed.notify_waiters();
        }
    }

    /// For the writer: so many bytes were written and flushed.
    pub(super) fn flushed_to_system(&self, lane: Lane, bytes: u64) {
        self.state.lock().flushed[lane as usize] += bytes;
        self.changed.notify_waiters();
    }
}
