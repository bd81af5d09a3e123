//! What a mailbox has only while something waits in it: kept per thread, to be used again.

use super::Records;
use std::{
    cell::RefCell,
    mem,
    ops::{Deref, DerefMut},
    task::Waker,
};

/// What waits in a mailbox.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) queue: Records,
    /// Who waits for room.
    pub(super) senders: Vec<Waker>,
}

/// A queue keeps that much memory, in words, for the next mailbox.
const SMALL: usize = 16;

/// How many a thread keeps.
const KEPT: usize = 1024;

thread_local! {
    #[allow(clippy::vec_box, reason = "the boxes are what is kept")]
    static FREE: RefCell<Vec<Box<Waits>>> = const { RefCell::new(Vec::new()) };
}

/// An empty one.
pub(super) fn take() -> Box<Waits> {
    // None any more: the thread is ending.
    let kept = FREE.try_with(|free| free.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

/// Takes back an empty one.
pub(super) fn give_back(mut waits: Box<Waits>) {
    waits.queue.shrink_above(SMALL);
    if waits.senders.capacity() > 0 {
        waits.senders = Vec::new();
    }
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(waits);
        }
    });
}

/// All that waited in a mailbox, and its memory, which is given back with it.
pub struct Taken(Option<Box<Waits>>);

impl Taken {
    /// Nobody waits for room.
    pub(super) fn new(waits: Box<Waits>) -> Self {
        Self(Some(waits))
    }

    /// What is left.
    pub fn into_records(mut self) -> Records {
        mem::take(&mut *self)
    }
}

impl Default for Taken {
    fn default() -> Self {
        Self::new(take())
    }
}

impl Deref for Taken {
    type Target = Records;

    #[inline]
    fn deref(&self) -> &Records {
        &self.0.as_ref().expect("invariant: there until it is dropped").queue
    }
}

impl DerefMut for Taken {
    #[inline]
    fn deref_mut(&mut self) -> &mut Records {
        &mut self.0.as_mut().expect("invariant: there until it is dropped").queue
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // What was not run goes with its memory.
        if let Some(waits) = self.0.take().filter(|waits| waits.queue.is_empty()) {
            give_back(waits);
        }
    }
}
