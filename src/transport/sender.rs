//! The sending end of a link.

use super::link::{Link, Unsent};
use crate::wire::{Envelope, Frame, FrameError, Outgoing};
use std::{fmt, sync::Arc};

/// A frame that was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The link is closed; another one may take the frame.
    #[error("the link is closed")]
    Closed(Box<Frame>),
    /// The frame breaks a limit; no link takes it.
    #[error("the frame cannot be sent: {cause}")]
    Unsendable {
        /// The frame.
        frame: Box<Frame>,
        /// What is wrong with it.
        #[source]
        cause: FrameError,
    },
}

/// The link ended before what was awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link ended")]
pub struct Ended;

/// Sends frames on one link, in order. Cheap to clone; usable from any thread and under any lock.
///
/// When the last clone is dropped without [`FrameSender::close`], the link is aborted.
#[derive(Clone)]
pub struct FrameSender(Arc<Handle>);

struct Handle {
    link: Arc<Link>,
    #[cfg(feature = "testkit")]
    faulty: super::faulty::Faulty,
}

impl Handle {
    #[cfg(not(feature = "testkit"))]
    fn send(&self, frame: &Frame) -> Result<(), Unsent> {
        self.link.send(frame)
    }

    #[cfg(feature = "testkit")]
    fn send(&self, frame: &Frame) -> Result<(), Unsent> {
        self.faulty.send(&self.link, frame)
    }

    #[cfg(not(feature = "testkit"))]
    fn send_call(&self, call: Envelope<'_>, body: &[u8]) -> Result<(), Unsent> {
        self.link.send_call(call, body)
    }

    #[cfg(feature = "testkit")]
    fn send_call(&self, call: Envelope<'_>, body: &[u8]) -> Result<(), Unsent> {
        self.faulty.send_call(&self.link, call, body)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.abandon();
    }
}

impl FrameSender {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self(Arc::new(Handle {
            link,
            #[cfg(feature = "testkit")]
            faulty: Default::default(),
        }))
    }

    fn link(&self) -> &Link {
        &self.0.link
    }

    /// Encodes and queues a frame. Never blocks. All sends of a link, from whatever thread, are on the wire in the order
    /// in which they returned.
    ///
    /// # Errors
    /// The frame comes back: the link is closed, or the frame breaks a limit.
    pub fn send(&self, frame: Frame) -> Result<(), SendError> {
        match self.0.send(&frame) {
            Ok(()) => Ok(()),
            Err(Unsent::Closed) => Err(SendError::Closed(Box::new(frame))),
            Err(Unsent::Unsendable(cause)) => Err(SendError::Unsendable {
                frame: Box::new(frame),
                cause: *cause,
            }),
        }
    }

    /// The same with a frame that stays where it is. Answers whether it was sent; if not, [`FrameSender::send`] says why.
    pub fn send_ref(&self, frame: &Frame) -> bool {
        self.0.send(frame).is_ok()
    }

    /// The same with a call that was never made whole, and whose message, which is copied, has less than [`Outgoing::BY_REFERENCE`].
    pub fn send_call(&self, call: Envelope<'_>, body: &[u8]) -> bool {
        debug_assert!(body.len() < Outgoing::BY_REFERENCE, "a large one is not copied");
        self.0.send_call(call, body).is_ok()
    }

    /// Bytes that are queued and not yet handed to the system.
    pub fn queued_bytes(&self) -> usize {
        self.link().queued_bytes()
    }

    /// Whether fewer bytes are queued than the high-water mark ([`super::LinkOptions::high_water_bytes`]).
    pub fn is_writable(&self) -> bool {
        self.link().is_writable()
    }

    /// Waits until fewer bytes are queued than the high-water mark ([`super::LinkOptions::high_water_bytes`]).
    ///
    /// # Errors
    /// The link ended.
    pub async fn writable(&self) -> Result<(), Ended> {
        self.link().writable().await
    }

    /// Waits until everything sent before the call was handed to the system. It may still be lost with the network.
    ///
    /// # Errors
    /// The link ended before.
    pub async fn flushed(&self) -> Result<(), Ended> {
        self.link().flushed().await
    }

    /// Takes no more frames, writes what is queued and a goodbye, and shuts the sending direction down. Receiving goes on:
    /// receive until the peer's end before dropping the receiver, else the system may throw away what the peer has not
    /// read yet.
    pub fn close(&self) {
        self.link().close();
    }

    /// Ends the link at once, both ways: what is queued is dropped, nothing more is read.
    pub fn abort(&self) {
        self.link().abort();
    }

    /// Whether frames are refused: closed, aborted or lost.
    pub fn is_closed(&self) -> bool {
        self.link().is_closed()
    }
}

impl fmt::Debug for FrameSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSender")
            .field("queued_bytes", &self.queued_bytes())
            .field("closed", &self.is_closed())
            .finish()
    }
}
