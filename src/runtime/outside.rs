//! What the runtime needs of its surroundings, and what it reports to them.

use super::Activation;
use crate::{
    actor::{Dehydrated, SaveError, Services},
    clock::Moment,
    ident::{ActorId, ProcessId, RequestId},
    mailbox::Letter,
    store::{StoreError, StoredState},
    wire::{Call, EncodeError, Failure, Outcome, PackedTimer},
};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What the runtime needs of its surroundings.
pub trait Outside: Send + Sync + 'static {
    /// What actors can call. It may outlive the surroundings, and is not to hold them.
    fn services(&self) -> Arc<dyn Services>;

    /// Reads a saved state, to rebuild an activation that panicked.
    fn load(&self, actor: ActorId) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>>;

    /// Sends the answer to an ask of a process.
    fn reply(&self, process: ProcessId, request: RequestId, outcome: Outcome);

    /// Makes a letter ready to travel: its body encoded, its reply address one that works from anywhere. The letter stays
    /// as good as it was.
    ///
    /// # Errors
    /// If the message cannot be serialized; the letter is unchanged.
    fn to_call(&self, actor: &ActorId, letter: &mut Letter) -> Result<Call, EncodeError>;

    /// A tell that will not run, or whose handler panicked, and why.
    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure);

    /// Something happened to an activation.
    fn report(&self, activation: &Activation, event: Event);
}

/// What the runtime reports of an activation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// It could not be activated and is gone; whoever waits for it is to be told this.
    ActivationFailed(Failure),
    /// It asked to be deactivated.
    WantsToEnd,
    /// It has run nothing for the idle timeout. Said again as long as that is so.
    Idle,
    /// It does not own the actor any more and is gone; whoever waits for it is to be told this.
    OwnershipLost(Failure),
    /// It was frozen and packed; it waits.
    Packed(Box<Packed>),
    /// It was not frozen; it waits to be resumed.
    FreezeFailed(FreezeError),
    /// It has ended; the save went like this.
    Ended(Result<(), SaveError>),
    /// The package was decoded.
    Prepared,
    /// The package cannot be read.
    PrepareFailed(String),
    /// It runs here after a move.
    Started,
    /// Its turn waits for too long.
    Stuck {
        /// The wire name of the message.
        message: &'static str,
        /// When the turn began.
        began: Moment,
    },
}

/// A frozen actor.
#[derive(Debug)]
pub struct Packed {
    /// Its memory.
    pub actor: Dehydrated,
    /// The waiting messages, in order.
    pub waiting: Vec<Call>,
    /// Its timers.
    pub timers: Vec<PackedTimer>,
    /// When it took no more turns, in microseconds of the wall clock since the Unix epoch.
    pub frozen_at_micros: u64,
}

/// Why an activation was not frozen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// The running turn did not end in time.
    #[error("its running turn did not end within the freeze timeout")]
    TimedOut,
    /// The actor or a waiting message cannot be serialized.
    #[error("it cannot be packed: {0}")]
    Unwritable(#[from] EncodeError),
    /// The activation is being rebuilt or has none to freeze.
    #[error("it was not running")]
    NotRunning,
}
