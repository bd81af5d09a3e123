//! Saved states of actors.

use super::{Entry, Owner};
use crate::ident::ActorId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a saved state: 1 for the first, one more with each save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(pub u64);

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A state as it was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// Its number.
    pub etag: ETag,
    /// The version of the actor type that wrote it.
    pub version: String,
    /// Named MessagePack.
    pub body: Bytes,
}

/// A state to save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveRequest {
    /// Whose.
    pub actor: ActorId,
    /// Who the writer believes to own the actor: itself, at its epoch.
    pub owner: Owner,
    /// The number of the state that this one replaces; `None` if there is none.
    pub expected: Option<ETag>,
    /// The version of the actor type that wrote it.
    pub version: String,
    /// Named MessagePack; `None` takes the state away.
    pub body: Option<Bytes>,
    /// Whether there are messages in it that are still to be sent: the actor is among [`super::Store::posters`] until it is saved
    /// without.
    pub has_posts: bool,
    /// Changes of its named states, in the same step: all of it is saved or nothing. Each name at most once.
    pub named: Vec<NamedChange>,
}

/// A change of a named state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedChange {
    /// Which; not empty.
    pub name: String,
    /// The number of the state that this one replaces; `None` if there is none.
    pub expected: Option<ETag>,
    /// What it is from now on; `None` takes it away.
    pub new: Option<NewState>,
}

impl NamedChange {
    /// The number of the state after it.
    pub fn after(&self) -> ETag {
        ETag(self.expected.map_or(0, |last| last.0) + 1)
    }
}

/// What a named state is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewState {
    /// The version of the actor type that wrote it.
    pub version: String,
    /// Named MessagePack.
    pub body: Bytes,
}

/// How a save ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// Saved under this number.
    Saved(ETag),
    /// Taken away; the next save is number one.
    Cleared,
    /// The state had another number than expected; nothing was saved.
    Conflict {
        /// As the writer expected it.
        expected: Option<ETag>,
        /// As it is.
        actual: Option<ETag>,
    },
    /// A named state had another number than expected; nothing was saved.
    NamedConflict {
        /// Which.
        name: String,
        /// As the writer expected it.
        expected: Option<ETag>,
        /// As it is.
        actual: Option<ETag>,
    },
    /// The writer does not own the actor (any more); nothing was saved.
    NotOwner(Entry),
}
