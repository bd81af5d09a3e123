//! Where a reference sends to: one actor as seen from this process.

use super::Letter;
use crate::{clock::Clock, ident::ActorId, wire::Failure};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// One actor as seen from this process. Implemented by whoever knows the way to it.
pub trait Port: Send + Sync + 'static {
    /// Which actor.
    fn actor(&self) -> &ActorId;

    /// Takes the letter, in the order of calls, or gives it back. Never blocks.
    ///
    /// # Errors
    /// [`Undelivered`] with the letter; nothing happened.
    #[allow(
        clippy::result_large_err,
        reason = "the letter goes back as it came; a full mailbox is no reason to allocate"
    )]
    fn send(&self, letter: Letter) -> Result<(), Undelivered>;

    /// Ready when there may be room after [`Undelivered::Full`].
    fn room(&self) -> BoxFuture<'static, ()>;

    /// The clock that deadlines are of.
    fn clock(&self) -> &Clock;

    /// How long an ask waits unless told otherwise.
    fn ask_timeout(&self) -> Duration;
}

/// A letter that was not taken.
#[derive(Debug)]
pub enum Undelivered {
    /// No room now.
    Full(Letter),
    /// It cannot be sent at all.
    Failed(Letter, Failure),
}
