//! The places of a worker's activations: numbered, in blocks that never move.
//!
//! Nearly all activations are idle, and take 24 bytes here then instead of some 250.

use super::slot::Slot;
use crate::{actor::AnyActor, mailbox::Mailbox};
use std::{mem, sync::Arc};

/// Places in a block.
const BLOCK: usize = 256;

/// Fewer places are not worth giving back.
const SMALL: usize = 1024;

/// What is kept in a place.
pub(super) enum Kept {
    /// Idle, and that is all.
    Idle(Box<dyn AnyActor>),
    /// There is more to it; `None` while it runs.
    Slot(Option<Box<Slot>>),
}

/// The place of one activation, or of none.
#[derive(Default)]
pub(super) struct Place {
    /// `None` of no activation, and while a visit has it.
    pub(super) mailbox: Option<Arc<Mailbox>>,
    pub(super) kept: Kept,
}

impl Default for Kept {
    fn default() -> Self {
        Self::Slot(None)
    }
}

/// The places of a worker.
#[derive(Default)]
pub(super) struct Places {
    blocks: Vec<Box<[Place]>>,
    free: Vec<u32>,
    /// The first that was never used.
    next: u32,
    len: usize,
}

impl Places {
    /// How many are taken.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    pub(super) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    pub(super) fn get(&mut self, number: u32) -> Option<&mut Place> {
        let number = number as usize;
        self.blocks.get_mut(number / BLOCK)?.get_mut(number % BLOCK)
    }

    /// Takes a place: the number of one that is empty.
    pub(super) fn add(&mut self) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            return number;
        }
        if self.next as usize == self.capacity() {
            self.blocks.push((0..BLOCK).map(|_| Place::default()).collect());
        }
        self.next = self
            .next
            .checked_add(1)
            .expect("invariant: fewer than 2^32 activations");
        self.next - 1
    }

    /// Gives back a place, and answers what was in it.
    pub(super) fn remove(&mut self, number: u32) -> Place {
        let place = self.get(number).map(mem::take).unwrap_or_default();
        self.len -= 1;
        self.free.push(number);
        place
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> Vec<Box<[Place]>> {
        mem::take(self).blocks
    }

    /// Gives back the memory of places that are free, if they are most, while nothing runs. Calls `moved` with what has another
    /// number then.
    pub(super) fn compact(&mut self, mut moved: impl FnMut(&Place, u32)) {
        if self.capacity() <= SMALL || self.len >= self.capacity() / 4 {
            return;
        }
        let kept = self.len.div_ceil(BLOCK);
        let behind: Vec<_> = self.blocks.split_off(kept).into_iter().flatten().collect();
        let mut behind = behind.into_iter().filter(Place::is_taken);
        let places = self.blocks.iter_mut().flatten().zip(0..);
        self.free = Vec::new();
        for (place, number) in places {
            if place.is_taken() {
                continue;
            }
            match behind.next() {
                Some(other) => {
                    moved(&other, number);
                    *place = other;
                }
                None => self.free.push(number),
            }
        }
        self.next = u32::try_from(self.capacity()).unwrap_or(u32::MAX);
    }
}

impl Place {
    /// Takes the actor and its mailbox, if it is idle and that is all.
    #[inline]
    pub(super) fn take_idle(&mut self) -> Option<(Arc<Mailbox>, Box<dyn AnyActor>)> {
        match mem::take(self) {
            Self {
                mailbox: Some(mailbox),
                kept: Kept::Idle(actor),
            } => Some((mailbox, actor)),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Puts back what was taken by [`Place::take_idle`].
    #[inline]
    pub(super) fn put_idle(&mut self, mailbox: Arc<Mailbox>, actor: Box<dyn AnyActor>) {
        let (mailbox, kept) = (Some(mailbox), Kept::Idle(actor));
        match self {
            // Nearly always nothing was there, and that is not worth a drop.
            Self {
                mailbox: None,
                kept: Kept::Slot(None),
            } => mem::forget(mem::replace(self, Self { mailbox, kept })),
            _ => *self = Self { mailbox, kept },
        }
    }

    /// An idle actor comes back to its place.
    #[inline]
    pub(super) fn keep_idle(&mut self, actor: Box<dyn AnyActor>) {
        let kept = Kept::Idle(actor);
        match self.kept {
            Kept::Slot(None) => mem::forget(mem::replace(&mut self.kept, kept)),
            _ => self.kept = kept,
        }
    }

    fn is_taken(&self) -> bool {
        self.mailbox.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{
        Activation, Control, Event,
        fixture::{Book, Save, ask, bench, once, value},
        local::HERE,
    };
    use std::time::Duration;

    /// How many activations have more than a place.
    fn slots() -> usize {
        HERE.with(|here| {
            let here = here.borrow();
            let mut places = here.as_ref().expect("a worker").places.borrow_mut();
            let numbers = 0..u32::try_from(places.capacity()).expect("few");
            let is_slot = |number: &u32| {
                matches!(
                    places.get(*number),
                    Some(Place {
                        kept: Kept::Slot(Some(_)),
                        ..
                    })
                )
            };
            numbers.filter(is_slot).count()
        })
    }

    #[tokio::test]
    async fn an_activation_that_has_come_to_rest_has_its_place_alone() {
        bench(async |bench| {
            let actor = bench.actor("a");
            value(ask(&actor, Book(1)).await);
            assert_eq!(slots(), 0);
            value(ask(&actor, once("t", Duration::from_secs(1), 2)).await);
            assert_eq!(slots(), 1, "it has a timer");
            bench.pass(Duration::from_secs(1)).await;
            assert_eq!(value(ask(&actor, Book(3)).await), 3);
            assert_eq!(slots(), 0);
        })
        .await;
    }

    /// The interleaving: a turn runs; its activation is dropped, and another made that owns the actor by the next epoch; the turn
    /// goes on and saves, before its worker has heard.
    #[tokio::test]
    async fn an_activation_that_was_overtaken_saves_nothing() {
        bench(async |bench| {
            let actor = bench.actor("a");
            assert!(value(ask(&actor, Save).await));
            let _next = Activation::new(actor.mailbox().clone());
            assert!(!value(ask(&actor, Save).await));
            let events = bench.events();
            assert!(matches!(events[..], [Event::OwnershipLost(_)]), "{events:?}");
            actor.control(Control::Drop);
            bench.settle().await;
        })
        .await;
    }

    #[test]
    fn a_place_takes_24_bytes() {
        assert_eq!(size_of::<Place>(), 24);
    }
}
