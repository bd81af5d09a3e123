//! The receiving end of a link.

use super::{TransportError, link::Link};
use crate::wire::Frame;
use std::{fmt, sync::Arc};

/// Receives the frames of one link, in order. After it is dropped nothing more of the link is read.
pub struct FrameReceiver {
    link: Arc<Link>,
}

impl FrameReceiver {
    /// The next frame; `None` when the peer has closed the link with a goodbye. Cancel-safe.
    ///
    /// # Errors
    /// The link was lost or aborted, or the peer sent what is no frame. The link has ended, both ways.
    pub async fn recv(&mut self) -> Result<Option<Frame>, TransportError> {
        todo!()
    }
}

impl fmt::Debug for FrameReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReceiver").finish_non_exhaustive()
    }
}
