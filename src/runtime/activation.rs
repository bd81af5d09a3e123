//! An activation as its silo sees it.

use super::{Control, desk::Desk, local::Told, worker::WorkerHandle};
use crate::{
    activity::Activity,
    actor::KindEntry,
    ident::ActorId,
    mailbox::{Letter, Mailbox, Records, Refused},
};
use std::{fmt, sync::Arc};

/// The one live instance of an actor, as its silo sees it. Cheap to clone. The actor itself stays with its worker; the mailbox is
/// the actor's and outlives the activation.
#[derive(Clone)]
pub struct Activation {
    mailbox: Arc<Mailbox>,
    /// Another than that of the actor's last activation in this process.
    number: u16,
}

impl Activation {
    /// A new activation of the mailbox's actor.
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        let number = mailbox.make();
        Self { mailbox, number }
    }

    /// The activation that was made last with a mailbox.
    pub fn last_of(mailbox: Arc<Mailbox>) -> Self {
        let number = mailbox.made();
        Self { mailbox, number }
    }

    /// The activation that the mailbox's owner has.
    pub(super) fn running(mailbox: Arc<Mailbox>) -> Self {
        let number = mailbox.runs();
        Self { mailbox, number }
    }

    pub(super) fn into_mailbox(self) -> Arc<Mailbox> {
        self.mailbox
    }

    /// Whether no other was made after it.
    pub fn is_last(&self) -> bool {
        self.number == self.mailbox.made()
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Which actor.
    pub fn actor(&self) -> &ActorId {
        self.mailbox.actor()
    }

    /// Its type.
    pub fn kind(&self) -> &KindEntry {
        &Desk::of(&self.mailbox).kind
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
    pub fn control(&self, control: Control) {
        self.clone().take_control(control);
    }

    /// The same of one that is not needed any more.
    pub fn take_control(self, control: Control) {
        let mut queued = Records::new();
        match &control {
            Control::Activate(memory) | Control::Prepare(memory) => self.mailbox.set_epoch(memory.epoch),
            Control::Start { epoch } | Control::Resume { epoch } => self.mailbox.set_epoch(*epoch),
            _ => {}
        }
        match &control {
            Control::Freeze | Control::End(_) => self.mailbox.set_open(false),
            // At once: what comes into the mailbox later is for the next activation.
            Control::Drop | Control::Abandon => queued = self.mailbox.close(),
            Control::Resume { .. } | Control::Start { .. } => self.mailbox.set_open(true),
            Control::Activate(_) | Control::Prepare(_) | Control::CancelFreeze => {}
        }
        WorkerHandle::control(Told {
            activation: self,
            control,
            queued,
        });
    }

    /// Closes the mailbox for good and takes what waits in it.
    pub fn close(&self) -> impl Iterator<Item = Letter> {
        self.mailbox.close().into_letters()
    }
}

impl PartialEq for Activation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mailbox, &other.mailbox) && self.number == other.number
    }
}

impl Eq for Activation {}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activation({})", self.mailbox.actor())
    }
}
