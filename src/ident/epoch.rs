//! Epochs, the fences of ownership, and hints, guesses about it.

use super::SiloId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of an actor's ownership: grows with every change of the directory entry and is never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first owner.
    pub const ZERO: Self = Self(0);

    /// Whether nobody has owned the actor.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The next epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A guess about who owns an actor: a silo and the epoch it is believed to own the actor by.
///
/// Epoch 0 is placement's word: the silo that should register the actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hint {
    /// The silo.
    pub silo: SiloId,
    /// The epoch.
    pub epoch: Epoch,
}
