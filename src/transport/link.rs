//! One link: the queue between its sender and its writer.

use super::{Ended, SendError};
use crate::wire::{Frame, Limits};
use std::time::Duration;

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// How large frames may be.
    pub limits: Limits,
    /// From how many queued bytes on [`super::FrameSender::writable`] waits.
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

pub(super) struct Link {}

impl Link {
    pub(super) fn send(&self, _frame: Frame) -> Result<(), SendError> {
        todo!()
    }
    pub(super) fn queued_bytes(&self) -> usize {
        todo!()
    }
    pub(super) async fn writable(&self) -> Result<(), Ended> {
        todo!()
    }
    pub(super) async fn flushed(&self) -> Result<(), Ended> {
        todo!()
    }
    pub(super) fn close(&self) {
        todo!()
    }
    pub(super) fn abort(&self) {
        todo!()
    }
    pub(super) fn is_closed(&self) -> bool {
        todo!()
    }
}
