//! Messages that are alone: sent on a worker's own thread to one of its actors that does nothing and for which nothing waits.
//!
//! They wait for their turn here, in one queue of the worker's, and not in mailboxes. That spares each the mailbox's lock twice and
//! the worker a count of the mailbox and half of a visit: a quarter of a hop between two actors (see `ping-pong` and `tell-1000` in
//! benches/peers).
//! A second message to the same actor goes into its mailbox, and the actor is ready then, as it is for messages of other threads.
//!
//! An actor's single was sent before all that is in its mailbox, and is run before: a visit looks for it.

use super::{
    desk::Desk,
    local::Local,
    places::{Kept, Place},
    slot::Slot,
    watch::NO_MESSAGE,
};
use crate::{
    actor::{AnyActor, Source},
    mailbox::{Form, Front, Mailbox, Records},
};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    mem,
    sync::Arc,
};

/// Memory for so many is kept.
const SMALL: usize = 1024;

/// Singles, in the order in which they were sent.
#[derive(Default)]
pub(super) struct Singles {
    /// The places of their actors.
    numbers: Vec<u32>,
    /// So many of these have been taken.
    gone: usize,
    messages: Records,
}

impl Singles {
    pub(super) fn is_empty(&self) -> bool {
        self.gone == self.numbers.len()
    }

    fn push(&mut self, number: u32, put: &mut dyn FnMut(&mut Records)) {
        self.numbers.push(number);
        put(&mut self.messages);
    }

    /// Takes the next one, and the place of its actor.
    #[inline]
    fn next(&mut self) -> Option<(u32, Front<'_>)> {
        let number = *self.numbers.get(self.gone)?;
        self.gone += 1;
        if self.is_empty() {
            self.numbers.clear();
            self.gone = 0;
        }
        Some((number, self.messages.front()?))
    }

    /// Takes the single of a place, if nothing else is here.
    #[inline]
    fn take_only(&mut self, number: u32, taken: &mut Records) -> bool {
        let is_it = self.numbers == [number];
        if is_it {
            self.numbers.clear();
            self.messages.move_first(taken);
        }
        is_it
    }

    /// Takes the single of a place, if it is here.
    fn remove(&mut self, number: u32, taken: &mut Records) {
        if !self.numbers[self.gone..].contains(&number) {
            return;
        }
        let mut others = Self::default();
        for of in self.numbers.drain(..).skip(self.gone) {
            if of == number {
                self.messages.move_first(taken);
            } else {
                others.numbers.push(of);
                self.messages.move_first(&mut others.messages);
            }
        }
        *self = others;
    }

    /// An activation has got another place.
    fn renumber(&mut self, old: u32, new: u32) {
        let of_old = self.numbers.iter_mut().filter(|number| **number == old);
        of_old.for_each(|number| *number = new);
    }

    /// Gives back memory that is not needed.
    fn shrink(&mut self) {
        self.messages.shrink();
        self.numbers.shrink_to(SMALL);
    }
}

/// What waits for its turn on a worker, in rounds: each single and each ready activation that was there when a round began has its
/// turn in it.
#[derive(Default)]
pub(super) struct Waiting {
    /// Singles of the round under way. Borrowed while one runs.
    round: RefCell<Singles>,
    /// How many of those that are ready have their turn in it.
    ready_left: Cell<usize>,
    /// Singles that were sent since it began.
    sent: RefCell<Singles>,
    pub(super) ready: RefCell<VecDeque<Arc<Mailbox>>>,
}

impl Waiting {
    /// Whether nothing waits. Between visits only.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.borrow().is_empty() && self.sent.borrow().is_empty() && self.round.borrow().is_empty()
    }

    /// The next one that is ready, if it has its turn in this round.
    fn next_ready(&self) -> Option<Arc<Mailbox>> {
        let left = self.ready_left.get().checked_sub(1)?;
        let next = self.ready.borrow_mut().pop_front();
        // Some may have run before their turn.
        self.ready_left.set(if next.is_some() { left } else { 0 });
        next
    }

    /// Begins a round. `false` if nothing waits.
    fn begin_round(&self) -> bool {
        mem::swap(&mut *self.round.borrow_mut(), &mut *self.sent.borrow_mut());
        self.ready_left.set(self.ready.borrow().len());
        self.ready_left.get() > 0 || !self.round.borrow().is_empty()
    }

    /// Takes the single of a place, if it is the only one that was sent.
    #[inline]
    pub(super) fn take_only_single(&self, number: u32, taken: &mut Records) -> bool {
        self.sent.borrow_mut().take_only(number, taken)
    }

    /// Takes the single of a place, which has one, to be run by and by. Between visits only.
    pub(super) fn remove_single(&self, number: u32, taken: &mut Records) {
        self.round.borrow_mut().remove(number, taken);
        self.sent.borrow_mut().remove(number, taken);
    }

    /// An activation that has a single has got another place. Between visits only.
    pub(super) fn renumber(&self, old: u32, new: u32) {
        self.round.borrow_mut().renumber(old, new);
        self.sent.borrow_mut().renumber(old, new);
    }

    /// Takes all singles, with the places of their actors. Between visits only.
    pub(super) fn take_singles(&self, mut take: impl FnMut(u32, Front<'_>)) {
        for singles in [&self.round, &self.sent] {
            let mut singles = singles.take();
            while let Some((number, message)) = singles.next() {
                take(number, message);
            }
        }
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&self) {
        self.round.borrow_mut().shrink();
        self.sent.borrow_mut().shrink();
        let mut ready = self.ready.borrow_mut();
        if ready.capacity() > SMALL && ready.len() < ready.capacity() / 4 {
            let room = ready.len() * 2;
            ready.shrink_to(room);
        }
    }
}

impl Place {
    /// Whether a single waits for its actor, which does nothing.
    pub(super) fn has_single(&self, mailbox: &Mailbox) -> bool {
        matches!(self.kept, Kept::Idle(_)) && mailbox.cell().waiting() > 0
    }
}

impl Local {
    /// Takes a message for an actor whose mailbox is at rest; `put` adds it to what it is given. `false`, and that is not called, if
    /// there is more to the actor, or a single waits for it already.
    #[inline]
    pub(super) fn take_single(&self, mailbox: &Mailbox, put: &mut dyn FnMut(&mut Records)) -> bool {
        let Some(number) = mailbox.slot() else { return false };
        let cell = mailbox.cell();
        let is_idle = |place: &mut Place| matches!(place.kept, Kept::Idle(_));
        if cell.waiting() > 0 || !self.places.borrow_mut().get(number).is_some_and(is_idle) {
            return false;
        }
        cell.taken(1);
        self.waiting.sent.borrow_mut().push(number, put);
        true
    }

    /// Does what is next. Answers how many messages were run; `None` if nothing is to be done, or may be.
    #[inline]
    pub(super) fn go_on(&self, quota: u32) -> Option<u32> {
        if self.is_held() {
            return None;
        }
        let waiting = &self.waiting;
        loop {
            if let Some((number, message)) = waiting.round.borrow_mut().next() {
                return Some(self.visit_single(number, message));
            }
            if let Some(mailbox) = waiting.next_ready() {
                return Some(self.visit(mailbox, quota));
            }
            if !waiting.begin_round() {
                return None;
            }
        }
    }

    /// Runs a single. Answers how many messages were run.
    fn visit_single(&self, number: u32, message: Front<'_>) -> u32 {
        let Some((mailbox, actor)) = self.places.borrow_mut().get(number).and_then(Place::take_idle) else {
            unreachable!("invariant: an actor does nothing until its single is run");
        };
        if self.depth.get() == 0 {
            self.refill();
        }
        self.shared.shown.enter(number, NO_MESSAGE);
        self.gathered.begin();
        let timed = self.is_timed().then(|| self.clock.now());
        let desk = Desk::of(&mailbox);
        let ended = self.run_single(number, &mailbox, desk, actor, message);
        self.gathered.hand_over(&self.clock);
        self.shared.shown.leave();
        match ended {
            Ok(actor) => {
                self.count(&desk.meter, 1, timed);
                if let Some(place) = self.places.borrow_mut().get(number) {
                    place.put_idle(mailbox, actor);
                }
            }
            Err(slot) => {
                self.count(&desk.meter, 1, timed.filter(|_| !slot.has_turn()));
                self.ran_slot(number, slot);
            }
        }
        self.ran(1)
    }

    /// Runs a single as a turn of its own.
    #[inline]
    pub(super) fn run_single(
        &self,
        number: u32,
        mailbox: &Arc<Mailbox>,
        desk: &Desk,
        actor: Box<dyn AnyActor>,
        message: Front<'_>,
    ) -> Result<Box<dyn AnyActor>, Box<Slot>> {
        mailbox.cell().left(0);
        let mut likely = self.likely.get();
        let entry = match message.form() {
            Form::Letter => None,
            Form::Told | Form::Asked => desk.kind.message_of(message.message(), &mut likely),
        };
        self.likely.set(likely);
        self.run_idle(number, mailbox, desk, actor, entry, Source::Queue(message))
    }
}
