//! What waits to be written on a link, in the order in which it goes out.

use crate::wire::{Envelope, Frame, FrameError, Limits, Outgoing};
use bytes::Buf;
use std::collections::VecDeque;

/// About so many bytes are written without a look at what may go before the rest.
const BATCH_BYTES: usize = 256 * 1024;

/// Which of the two orders of a link a frame keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// The order of sends.
    InOrder,
    /// None with what is in order: goes before it.
    Aside,
}

/// What waits to be written. Ends of batches are ends of frames.
#[derive(Default)]
pub(super) struct Queue {
    aside: Outgoing,
    full: VecDeque<Outgoing>,
    last: Outgoing,
    /// The memory of a batch that was written.
    spare: Outgoing,
    in_pieces: bool,
}

impl Queue {
    /// `in_pieces`: large frames go in pieces.
    pub(super) fn new(in_pieces: bool) -> Self {
        Self {
            in_pieces,
            ..Self::default()
        }
    }

    /// Appends a frame; its lane, and how many bytes it has there.
    pub(super) fn push(&mut self, frame: &Frame, limits: &Limits) -> Result<(Lane, usize), FrameError> {
        if frame.is_aside() {
            let before = self.aside.remaining();
            self.aside.push(frame, limits)?;
            return Ok((Lane::Aside, self.aside.remaining() - before));
        }
        if self.in_pieces && frame.is_large() {
            let mut whole = Outgoing::new();
            whole.push(frame, limits)?;
            self.end_batch();
            let mut bytes = 0;
            for piece in whole.into_pieces() {
                bytes += piece.remaining();
                self.full.push_back(piece);
            }
            return Ok((Lane::InOrder, bytes));
        }
        self.push_in_order(|last| last.push(frame, limits))
    }

    /// Appends a call whose message is no large one.
    pub(super) fn push_call(
        &mut self,
        call: Envelope<'_>,
        body: &[u8],
        limits: &Limits,
    ) -> Result<(Lane, usize), FrameError> {
        self.push_in_order(|last| last.push_call(call, body, limits))
    }

    fn push_in_order(
        &mut self,
        push: impl FnOnce(&mut Outgoing) -> Result<(), FrameError>,
    ) -> Result<(Lane, usize), FrameError> {
        let before = self.last.remaining();
        push(&mut self.last)?;
        let bytes = self.last.remaining() - before;
        if self.last.remaining() >= BATCH_BYTES {
            self.end_batch();
        }
        Ok((Lane::InOrder, bytes))
    }

    /// Appends the goodbye; how many bytes it has.
    pub(super) fn push_end(&mut self) -> usize {
        let before = self.last.remaining();
        self.last.push_end();
        self.last.remaining() - before
    }

    fn end_batch(&mut self) {
        if self.last.has_remaining() {
            let next = std::mem::take(&mut self.spare);
            self.full.push_back(std::mem::replace(&mut self.last, next));
        }
    }

    /// Puts what is to be written next into `batch`, which is empty.
    pub(super) fn take(&mut self, batch: &mut Outgoing) -> Option<Lane> {
        if self.aside.has_remaining() {
            std::mem::swap(&mut self.aside, batch);
            return Some(Lane::Aside);
        }
        if let Some(next) = self.full.pop_front() {
            self.spare = std::mem::replace(batch, next);
        } else if self.last.has_remaining() {
            std::mem::swap(&mut self.last, batch);
        } else {
            return None;
        }
        Some(Lane::InOrder)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.in_pieces);
    }
}
