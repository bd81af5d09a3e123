//! An activation as its silo sees it.

use super::{Control, worker::WorkerHandle};
use crate::{
    activity::Activity,
    actor::KindEntry,
    ident::ActorId,
    mailbox::{Letter, Mailbox, Records, Refused},
};
use std::{fmt, sync::Arc};

/// The one live instance of an actor, as its silo sees it. The actor itself stays with its worker; the mailbox is the
/// actor's and outlives the activation.
pub struct Activation {
    mailbox: Arc<Mailbox>,
    kind: Arc<KindEntry>,
    worker: WorkerHandle,
}

impl Activation {
    pub(super) fn new(mailbox: Arc<Mailbox>, kind: Arc<KindEntry>, worker: WorkerHandle) -> Self {
        Self { mailbox, kind, worker }
    }

    /// Which actor.
    pub fn actor(&self) -> &ActorId {
        self.mailbox.actor()
    }

    /// Its type.
    pub fn kind(&self) -> &KindEntry {
        &self.kind
    }

    /// Where its messages wait.
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// What its mailbox hooks recorded.
    pub fn activity(&self) -> Activity {
        self.mailbox.activity()
    }

    /// The short way into the mailbox.
    ///
    /// # Errors
    /// [`Refused`] with the letter.
    pub fn try_push(&self, letter: Letter) -> Result<(), Refused<Letter>> {
        self.mailbox.push(letter)
    }

    /// A message that its seat lets rest here, whatever the bound: the seat's own bounds hold.
    pub fn push(&self, letter: Letter) {
        self.mailbox.put(letter);
    }

    /// Tells the activation what to do, ahead of all messages. Freezing, ending and dropping close the mailbox at once.
    pub fn control(self: &Arc<Self>, control: Control) {
        let mut queued = Records::new();
        match &control {
            Control::Freeze | Control::End(_) => self.mailbox.set_open(false),
            // At once: what comes into the mailbox later is for the next activation.
            Control::Drop | Control::Abandon => queued = self.mailbox.close(),
            Control::Resume { .. } | Control::Start { .. } => self.mailbox.set_open(true),
            Control::Activate(_) | Control::Prepare(_) | Control::CancelFreeze => {}
        }
        self.worker.control(self.clone(), control, queued);
    }

    /// Closes the mailbox for good and takes what waits in it.
    pub fn close(&self) -> impl Iterator<Item = Letter> {
        self.mailbox.close().into_letters()
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activation({})", self.mailbox.actor())
    }
}
