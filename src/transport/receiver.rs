//! The receiving end of a link.

use super::{TransportError, link::Link};
use crate::{
    ident::RequestId,
    wire::{Decoder, Frame, FrameError, Limits, PlainCall, Step},
};
use bytes::{Bytes, BytesMut};
use std::{fmt, future::poll_fn, io, pin::pin, sync::Arc, task::Poll};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Receives the frames of one link, in order. After it is dropped nothing more of the link is read.
pub struct FrameReceiver {
    link: Arc<Link>,
    /// `None` when nothing more is read.
    reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
    decoder: Decoder,
    buffer: BytesMut,
    /// How much the next read may bring at least: grows with what comes.
    chunk: usize,
    closed: bool,
    /// What [`FrameReceiver::next`] came upon, for [`FrameReceiver::recv`] to tell.
    bad: Option<FrameError>,
}

impl FrameReceiver {
    const MIN_CHUNK: usize = 8 * 1024;
    const MAX_CHUNK: usize = 256 * 1024;
    /// Less room than this is not worth a read.
    const MIN_ROOM: usize = 2 * 1024;

    pub(super) fn new(link: Arc<Link>, limits: Limits, reader: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self {
            link,
            reader: Some(reader),
            decoder: Decoder::new(limits),
            buffer: BytesMut::new(),
            chunk: Self::MIN_CHUNK,
            closed: false,
            bad: None,
        }
    }

    /// The next frame, if it is there already; what else there is to tell [`FrameReceiver::recv`] tells.
    pub fn next_at_hand(&mut self) -> Option<Frame> {
        if self.is_over() {
            return None;
        }
        match self.decoder.step(&mut self.buffer) {
            Ok(Step::Frame(frame)) => return Some(frame),
            Ok(Step::End) => self.closed = true,
            Ok(Step::Need(_)) => {}
            Err(error) => self.bad = Some(error),
        }
        None
    }

    /// The next frame, if it is there already and a plain call.
    pub fn call_at_hand(&mut self) -> Option<PlainCall<'_>> {
        if self.is_over() {
            return None;
        }
        self.decoder.plain_call(&mut self.buffer)
    }

    /// The next frame, if it is there already and a reply that is no failure.
    pub fn reply_at_hand(&mut self) -> Option<(RequestId, Bytes)> {
        if self.is_over() {
            return None;
        }
        self.decoder.plain_reply(&mut self.buffer)
    }

    fn is_over(&self) -> bool {
        self.closed || self.bad.is_some() || self.link.is_aborted()
    }

    /// The next frame; `None` when the peer has closed the link with a goodbye. Cancel-safe.
    ///
    /// # Errors
    /// The link was lost or aborted, or the peer sent what is no frame. The link has ended, both ways.
    pub async fn recv(&mut self) -> Result<Option<Frame>, TransportError> {
        let error = loop {
            if self.link.is_aborted() {
                break TransportError::Aborted;
            }
            if self.closed {
                return Ok(None);
            }
            let step = match self.bad.take() {
                None => self.decoder.step(&mut self.buffer),
                Some(error) => Err(error),
            };
            match step {
                Ok(Step::Frame(frame)) => return Ok(Some(frame)),
                Ok(Step::End) => self.closed = true,
                Ok(Step::Need(more)) => {
                    if let Err(error) = self.read(more).await {
                        break error;
                    }
                }
                Err(error) => break TransportError::BadFrame(error),
            }
        };
        self.link.abort();
        self.reader = None;
        self.buffer = BytesMut::new();
        Err(error)
    }

    async fn read(&mut self, missing: usize) -> Result<(), TransportError> {
        self.make_room(missing);
        let room = self.buffer.capacity() - self.buffer.len();
        let Some(reader) = &mut self.reader else {
            return Err(TransportError::Aborted);
        };
        let link = &self.link;
        let mut read = pin!(reader.read_buf(&mut self.buffer));
        let read = poll_fn(|cx| {
            link.reader.register(cx.waker());
            if link.is_aborted() {
                return Poll::Ready(Err(TransportError::Aborted));
            }
            read.as_mut().poll(cx).map_err(|source| TransportError::Lost { source })
        })
        .await?;
        if read == 0 {
            let within = if self.buffer.is_empty() {
                "without a goodbye"
            } else {
                "within a frame"
            };
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, format!("the stream ended {within}"));
            return Err(TransportError::Lost { source });
        }
        if read == room {
            self.chunk = (self.chunk * 2).min(Self::MAX_CHUNK);
        }
        Ok(())
    }

    /// Makes room for a read: in proportion to what has come, not to what the peer announces.
    fn make_room(&mut self, missing: usize) {
        let (length, capacity) = (self.buffer.len(), self.buffer.capacity());
        // The memory of a large frame is not used for small ones, which would keep it all alive.
        let oversized = capacity > 2 * Self::MAX_CHUNK && length + missing <= Self::MAX_CHUNK;
        let room = self.chunk.max(missing.min(length));
        if oversized {
            let mut fresh = BytesMut::with_capacity(length + room);
            fresh.extend_from_slice(&self.buffer);
            self.buffer = fresh;
        } else if capacity - length < Self::MIN_ROOM {
            self.buffer.reserve(room);
        }
    }

    /// Bytes of memory that the receiver holds for what comes.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity()
    }
}

impl fmt::Debug for FrameReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReceiver").finish_non_exhaustive()
    }
}
