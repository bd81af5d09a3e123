//! How large frames may be.

use super::FrameError;
use crate::ident::ActorId;

/// How large frames may be; all processes of a cluster should agree. Checked before anything is allocated, and when
/// sending, so that the sender hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame, with its header. At most 4 GiB, whatever it says.
    pub max_frame_bytes: usize,
    /// Bytes of a package that travels in parts, put together. At most 4 GiB, whatever it says.
    pub max_package_bytes: usize,
    /// Actors in the chain of a call. At most 65,535, whatever it says.
    pub max_chain: usize,
}

impl Limits {
    /// Bytes of a name on the wire: kinds, keys, messages, silos.
    pub const MAX_NAME_BYTES: usize = ActorId::MAX_LEN;

    /// How far a call stays below the limit of its frame when it is sent, in bytes: what forwarding it and giving it back adds.
    pub const CALL_MARGIN: usize = 4096;

    pub(super) fn check_frame(&self, bytes: usize, subject: impl FnOnce() -> String) -> Result<(), FrameError> {
        let max = self.max_frame_bytes.min(u32::MAX as usize);
        check("max_frame_bytes", "bytes", bytes, max, subject)
    }

    /// The same for a call that is sent: it stays below by the margin.
    pub(super) fn check_call_frame(&self, bytes: usize, subject: impl FnOnce() -> String) -> Result<(), FrameError> {
        let max = self.max_frame_bytes.min(u32::MAX as usize);
        let margin = Self::CALL_MARGIN.min(max / 16);
        let subject = || format!("{}, with what forwarding it adds,", subject());
        check("max_frame_bytes", "bytes", bytes + margin, max, subject)
    }

    pub(super) fn check_chain(&self, actors: usize, subject: impl FnOnce() -> String) -> Result<(), FrameError> {
        let max = self.max_chain.min(usize::from(u16::MAX));
        check("max_chain", "actors", actors, max, subject)
    }

    pub(super) fn check_name(name: &[u8], subject: impl FnOnce() -> String) -> Result<(), FrameError> {
        check("MAX_NAME_BYTES", "bytes", name.len(), Self::MAX_NAME_BYTES, subject)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: 64 * 1024 * 1024,
            max_package_bytes: 256 * 1024 * 1024,
            max_chain: 64,
        }
    }
}

fn check(
    limit: &'static str,
    unit: &'static str,
    value: usize,
    max: usize,
    subject: impl FnOnce() -> String,
) -> Result<(), FrameError> {
    if value <= max {
        return Ok(());
    }
    Err(FrameError::TooLong {
        subject: subject(),
        value,
        unit,
        limit,
        max,
    })
}
