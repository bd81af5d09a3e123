//! Directory entries: who owns an actor.

use super::StoredState;
use crate::ident::{ActorId, Epoch, SiloId};
use serde::{Deserialize, Serialize};

/// A directory entry: the only truth about who owns an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The owner; `None` is free.
    pub owner: Option<SiloId>,
    /// Grows at every change of the entry, also when it becomes free; 0 if the actor never had an owner.
    pub epoch: Epoch,
}

impl Entry {
    /// An owned entry.
    pub fn owned(silo: SiloId, epoch: Epoch) -> Self {
        Self {
            owner: Some(silo),
            epoch,
        }
    }

    /// A free entry.
    pub fn free(epoch: Epoch) -> Self {
        Self { owner: None, epoch }
    }

    /// Whether it names this very owner.
    pub fn is_owned_by(&self, owner: &Owner) -> bool {
        self.epoch == owner.epoch && self.owner.as_ref() == Some(&owner.silo)
    }
}

/// An owner at an epoch: what a write is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The silo.
    pub silo: SiloId,
    /// The epoch.
    pub epoch: Epoch,
}

/// A compare-and-set of one entry.
///
/// `new.epoch` must be greater than `expected.epoch`. All else is the caller's mistake: a backend refuses it with
/// [`EntryOutcome::Conflict`] and the entry as it is, which then may equal `expected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// Which actor's.
    pub actor: ActorId,
    /// As it must be.
    pub expected: Entry,
    /// As it shall be.
    pub new: Entry,
}

impl EntryChange {
    /// Whether it may be made to an entry that is now `actual`.
    pub(super) fn applies_to(&self, actual: &Entry) -> bool {
        *actual == self.expected && self.new.epoch > self.expected.epoch
    }
}

/// How a compare-and-set of an entry ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryOutcome {
    /// It took effect.
    Changed,
    /// The entry, which is here, was another (or the new epoch is not greater); nothing was changed.
    Conflict(Entry),
}

/// How a registration ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// The entry was free and is the caller's now.
    Registered(Registered),
    /// Somebody owns it (the caller itself, perhaps); it was left as it is.
    Owned(Entry),
}

/// A new owner's epoch and what was saved for the actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The epoch of the new entry.
    pub epoch: Epoch,
    /// The actor's saved state.
    pub state: Option<StoredState>,
}
