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

impl Kept {
    /// Whether a visit has it.
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Slot(None))
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::Slot(None)
    }
}

/// Of a known length: no look-up compares with it.
type Block = [Place; BLOCK];

/// The places of a worker.
#[derive(Default)]
pub(super) struct Places {
    blocks: Vec<Box<Block>>,
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

    #[inline]
    pub(super) fn get(&mut self, number: u32) -> Option<&mut Place> {
        let number = number as usize;
        Some(&mut self.blocks.get_mut(number / BLOCK)?[number % BLOCK])
    }

    /// Takes a place: the number of one that is empty.
    pub(super) fn add(&mut self) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            return number;
        }
        if self.next as usize == self.capacity() {
            // Made where it stays: it is large for a stack.
            let block: Box<[Place]> = (0..BLOCK).map(|_| Place::default()).collect();
            (self.blocks).push(
                block
                    .try_into()
                    .unwrap_or_else(|_| unreachable!("invariant: it was made as long")),
            );
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
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Place> + use<> {
        places(mem::take(self).blocks)
    }

    /// Gives back the memory of places that are free, if they are most, while nothing runs. Calls `moved` with what has another
    /// number then.
    pub(super) fn compact(&mut self, mut moved: impl FnMut(&Place, u32)) {
        if self.capacity() <= SMALL || self.len >= self.capacity() / 4 {
            return;
        }
        let kept = self.len.div_ceil(BLOCK);
        let mut behind = places(self.blocks.split_off(kept)).filter(Place::is_taken);
        let places = self.blocks.iter_mut().flat_map(|block| block.iter_mut()).zip(0..);
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

/// What is in blocks.
fn places(blocks: Vec<Box<Block>>) -> impl Iterator<Item = Place> {
    (blocks.into_iter()).flat_map(|block| Vec::from(block as Box<[Place]>))
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
        let before = mem::replace(self, Self { mailbox, kept });
        debug_assert!(
            !before.is_taken() && before.kept.is_nothing(),
            "a visit has what it took out"
        );
        // Nothing: to look for that would cost each visit.
        mem::forget(before);
    }

    /// An idle actor comes back to its place.
    #[inline(always)]
    pub(super) fn keep_idle(&mut self, actor: Box<dyn AnyActor>) {
        let before = mem::replace(&mut self.kept, Kept::Idle(actor));
        debug_assert!(before.is_nothing(), "a visit has what it took out");
        // As above.
        mem::forget(before);
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
