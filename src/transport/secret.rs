//! The secret that the processes of a cluster share.

use std::{fmt, sync::Arc};

/// What the processes of a cluster prove to each other to know. Never printed, never sent.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The shortest secret, in bytes.
    pub const MIN_BYTES: usize = 16;

    /// A secret. It should be random: who hears a handshake can try guesses against it.
    ///
    /// # Errors
    /// It is shorter than [`Secret::MIN_BYTES`].
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self, SecretTooShort> {
        let bytes = bytes.into();
        if bytes.len() < Self::MIN_BYTES {
            return Err(SecretTooShort(bytes.len()));
        }
        Ok(Self(bytes))
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

/// A secret that is easily guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster secret has {0} bytes, but at least {min} are needed: take random ones", min = Secret::MIN_BYTES)]
pub struct SecretTooShort(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(*b"0123456789abcdef").expect("long enough");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(Secret::new(*b"0123456789abcde").err(), Some(SecretTooShort(15)));
        assert_eq!(Secret::new([]).err(), Some(SecretTooShort(0)));
    }
}
