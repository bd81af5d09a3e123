//! Where a reference sends to: one actor as seen from this process.

use crate::{
    clock::Clock,
    ident::{ActorId, InvalidName},
    mailbox::{Letter, Mailbox, Outbound},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// One actor as seen from this process. Implemented by whoever knows the way to it.
pub trait Port: Send + Sync + 'static {
    /// Which actor.
    fn actor(&self) -> &ActorId;

    /// The short way, if the actor runs in this process: its mailbox. If that has closed, [`Port::send`] knows on.
    fn direct(&self) -> Option<&Arc<Mailbox>>;

    /// Opens the short way to an actor of which this process knows nothing yet, if it runs here or can at once.
    fn open(&self) -> Option<&Arc<Mailbox>> {
        None
    }

    /// Sends a message straight out, in the order of calls, if the actor's way leads to another process and nothing stands in it.
    /// Never blocks.
    fn send_out(&self, outbound: &mut Outbound<'_>) -> SentOut {
        let _elsewhere = outbound;
        SentOut::No
    }

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
    fn room(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// Ends what was taken, has not left this process, and is past its deadline: it did not run.
    fn end_overdue(&self) {}

    /// The clock that deadlines are of.
    fn clock(&self) -> &Clock;

    /// How long an ask waits unless told otherwise.
    fn ask_timeout(&self) -> Duration;
}

/// What became of a message that might have gone straight out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentOut {
    /// It is on its way.
    Yes,
    /// The same, and who waits for its reply is woken in time before the deadline, to look at the time himself from then on.
    Watched,
    /// Nothing happened: it is for [`Port::send`].
    No,
    /// The same, and it would wait until some of what was sent before was handled: who can wait himself does so at less cost.
    Paced,
}

/// A letter that was not taken.
#[derive(Debug)]
pub enum Undelivered {
    /// No room now.
    Full(Letter),
    /// It cannot be sent at all.
    Failed(Letter, Failure),
}

/// A port of an actor that cannot be: every call through it fails and says why.
pub fn unusable_port(why: InvalidName, clock: Clock) -> Arc<dyn Port> {
    let actor = ActorId::unusable(why.what);
    Arc::new(Unusable { actor, why, clock })
}

struct Unusable {
    actor: ActorId,
    why: InvalidName,
    clock: Clock,
}

impl Port for Unusable {
    fn actor(&self) -> &ActorId {
        &self.actor
    }

    fn direct(&self) -> Option<&Arc<Mailbox>> {
        None
    }

    fn send(&self, letter: Letter) -> Result<(), Undelivered> {
        let failure = Failure::new(FailureCode::BadName, Ran::No, self.why.to_string());
        Err(Undelivered::Failed(letter, failure))
    }

    fn room(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn ask_timeout(&self) -> Duration {
        Duration::ZERO
    }
}
