//! The secret that the processes of a cluster share.

use std::{fmt, sync::Arc};

/// What the processes of a cluster prove to each other to know. Never printed, never sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// A secret. It should be random and at least 32 bytes long: a peer that is not of the cluster can try guesses
    /// against what it hears of a handshake.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the proofs of the handshake.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
