//! What an activation is told to do, and what it is made of.

use crate::{
    actor::DeactivateReason,
    ident::Epoch,
    store::{ETag, StoredState},
    wire::{PackedSubscription, PackedTimer},
};
use bytes::Bytes;

/// What an activation is told to do; carried out between turns.
#[derive(Debug)]
pub enum Control {
    /// Make the actor from its memory and run.
    Activate(Memory),
    /// Make the actor from its memory and wait for `Start`.
    Prepare(Memory),
    /// Run what was prepared, owned by this epoch.
    Start {
        /// The epoch.
        epoch: Epoch,
    },
    /// Stop after the running turn, pack and wait.
    Freeze,
    /// Stop waiting for the running turn to end.
    CancelFreeze,
    /// Run on after a freeze, owned by this epoch.
    Resume {
        /// The epoch.
        epoch: Epoch,
    },
    /// Run the queue to its end, save and end.
    End(DeactivateReason),
    /// Forget everything without a word.
    Drop,
    /// Forget everything; whether what was taken out of the mailbox ran, here or elsewhere, is not known.
    Abandon,
}

/// What an actor is made of.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The epoch by which this silo owns it.
    pub epoch: Epoch,
    /// Its memory; `None` makes it anew.
    pub body: Option<Bytes>,
    /// The number of the state that is saved.
    pub etag: Option<ETag>,
    /// Whether the memory differs from what is saved.
    pub unsaved: bool,
    /// Its timers, as they came with it.
    pub timers: Vec<PackedTimer>,
    /// What it is subscribed to, as it came with it.
    pub streams: Vec<PackedSubscription>,
}

impl Memory {
    /// What was saved.
    pub fn saved(epoch: Epoch, state: Option<StoredState>) -> Self {
        Self {
            epoch,
            etag: state.as_ref().map(|state| state.etag),
            body: state.map(|state| state.body),
            unsaved: false,
            timers: Vec::new(),
            streams: Vec::new(),
        }
    }
}
