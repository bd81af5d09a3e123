//! An activation as its senders see it: a mailbox that any thread may push into.

use super::{Control, mailbox::Mailbox, worker::WorkerHandle};
use crate::{
    activity::ActivityCell,
    actor::{KindEntry, Letter},
    clock::Clock,
    ident::ActorId,
};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::Arc,
    task::{Wake, Waker},
};

/// The one live instance of an actor, as its senders see it. The actor itself stays with its worker.
pub struct Activation {
    actor: ActorId,
    kind: Arc<KindEntry>,
    /// Names it within its worker.
    pub(super) number: u64,
    pub(super) worker: WorkerHandle,
    pub(super) clock: Clock,
    mailbox: Mutex<Mailbox>,
    activity: ActivityCell,
}

/// A letter that a mailbox did not take.
#[derive(Debug)]
pub enum PushError {
    /// No room.
    Full(Letter),
    /// The activation takes no messages by the short way (any more): its seat knows where they go.
    Closed(Letter),
}

impl Activation {
    pub(super) fn new(
        actor: ActorId,
        kind: Arc<KindEntry>,
        number: u64,
        worker: WorkerHandle,
        clock: Clock,
        capacity: usize,
        open: bool,
    ) -> Self {
        let now = clock.now();
        Self {
            actor,
            kind,
            number,
            worker,
            clock,
            mailbox: Mutex::new(Mailbox::new(capacity, open)),
            activity: ActivityCell::new(now),
        }
    }

    /// Which actor.
    pub fn actor(&self) -> &ActorId {
        &self.actor
    }

    /// Its type.
    pub fn kind(&self) -> &KindEntry {
        &self.kind
    }

    /// What its mailbox hooks recorded.
    pub fn activity(&self) -> &ActivityCell {
        &self.activity
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.mailbox.lock().len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one more message would be taken.
    pub fn has_room(&self) -> bool {
        self.mailbox.lock().has_room()
    }

    /// The short way into the mailbox.
    ///
    /// # Errors
    /// [`PushError`] with the letter.
    pub fn try_push(self: &Arc<Self>, letter: Letter) -> Result<(), PushError> {
        let mut mailbox = self.mailbox.lock();
        if !mailbox.is_open() {
            return Err(PushError::Closed(letter));
        }
        if !mailbox.has_room() {
            return Err(PushError::Full(letter));
        }
        self.accept(&mut mailbox, letter);
        Ok(())
    }

    /// A message that its seat lets rest here, whatever the bound: the seat's own bounds hold.
    pub fn push(self: &Arc<Self>, letter: Letter) {
        self.accept(&mut self.mailbox.lock(), letter);
    }

    fn accept(self: &Arc<Self>, mailbox: &mut Mailbox, letter: Letter) {
        self.activity.enqueued(self.clock.now());
        mailbox.push(letter);
        self.schedule(mailbox);
    }

    /// Tells the activation what to do, ahead of all messages. Freezing, ending and dropping close the mailbox at once.
    pub fn control(self: &Arc<Self>, control: Control) {
        let mut mailbox = self.mailbox.lock();
        match &control {
            Control::Freeze | Control::End(_) | Control::Drop | Control::Abandon => mailbox.set_open(false),
            Control::Resume { .. } | Control::Start { .. } => mailbox.set_open(true),
            Control::Activate(_) | Control::Prepare(_) | Control::CancelFreeze => {}
        }
        mailbox.control(control);
        self.schedule(&mut mailbox);
    }

    /// Ready when there is room, or the mailbox is closed.
    pub(crate) fn poll_room(&self, waker: &Waker) -> bool {
        let mut mailbox = self.mailbox.lock();
        if !mailbox.is_open() || mailbox.has_room() {
            return true;
        }
        mailbox.wait_for_room(waker);
        false
    }

    fn schedule(self: &Arc<Self>, mailbox: &mut Mailbox) {
        if !std::mem::replace(&mut mailbox.scheduled, true) {
            self.worker.inject(self.clone());
        }
    }

    pub(super) fn with_mailbox<T>(&self, read: impl FnOnce(&mut Mailbox) -> T) -> T {
        read(&mut self.mailbox.lock())
    }
}

impl Wake for Activation {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut mailbox = self.mailbox.lock();
        mailbox.woken = true;
        self.schedule(&mut mailbox);
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activation({})", self.actor)
    }
}
