//! How large what comes from the network may be.

/// How large frames may be; both ends of a cluster should agree. Checked before anything is allocated, and when sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame, with its header.
    pub max_frame_bytes: usize,
    /// Actors in the chain of a call.
    pub max_chain: usize,
}

impl Limits {
    /// Bytes of a name on the wire: kinds, keys, messages, silos.
    pub const MAX_NAME_BYTES: usize = crate::ident::ActorId::MAX_LEN;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: 64 * 1024 * 1024,
            max_chain: 64,
        }
    }
}
