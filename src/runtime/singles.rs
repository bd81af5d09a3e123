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
    local::{BUDGET, Local},
    places::{Kept, Place},
    watch::NO_MESSAGE,
};
use crate::{
    actor::{Memory, MessageEntry, Source},
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

/// To whom a single goes: the place of its actor, and the number of the actor's desk. Without that the mailbox would have to be looked
/// at for it, which is often not in the processor's cache, and all else of the visit would wait. One word, as it is read right after it
/// was written.
#[derive(Clone, Copy)]
struct To(u64);

impl To {
    #[inline]
    fn new(place: u32, desk: u32) -> Self {
        Self(u64::from(desk) << 32 | u64::from(place))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the bits of it")]
    #[inline]
    fn place(self) -> u32 {
        self.0 as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "the bits of it")]
    #[inline]
    fn desk(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Singles, in the order in which they were sent.
#[derive(Default)]
pub(super) struct Singles {
    to: Vec<To>,
    /// So many of these have been taken.
    gone: usize,
    messages: Records,
}

impl Singles {
    pub(super) fn is_empty(&self) -> bool {
        self.gone == self.to.len()
    }

    #[inline]
    fn push(&mut self, to: To, put: &mut dyn FnMut(&mut Records)) {
        self.to.push(to);
        put(&mut self.messages);
    }

    /// Takes the next one.
    #[inline]
    fn next(&mut self) -> Option<(To, Front<'_>)> {
        let to = *self.to.get(self.gone)?;
        self.gone += 1;
        if self.is_empty() {
            self.to.clear();
            self.gone = 0;
        }
        Some((to, self.messages.front()?))
    }

    /// Takes the single of a place, if nothing else is here.
    #[inline]
    fn take_only(&mut self, place: u32, taken: &mut Records) -> bool {
        let is_it = matches!(self.to[..], [to] if to.place() == place);
        if is_it {
            self.to.clear();
            self.messages.move_first(taken);
        }
        is_it
    }

    /// Takes the single of a place, if it is here.
    fn remove(&mut self, place: u32, taken: &mut Records) {
        if self.to[self.gone..].iter().all(|to| to.place() != place) {
            return;
        }
        let mut others = Self::default();
        for to in self.to.drain(..).skip(self.gone) {
            if to.place() == place {
                self.messages.move_first(taken);
            } else {
                others.to.push(to);
                self.messages.move_first(&mut others.messages);
            }
        }
        *self = others;
    }

    /// An activation has got another place.
    fn renumber(&mut self, old: u32, new: u32) {
        let of_old = self.to.iter_mut().filter(|to| to.place() == old);
        of_old.for_each(|to| *to = To::new(new, to.desk()));
    }

    /// Gives back memory that is not needed.
    fn shrink(&mut self) {
        self.messages.shrink();
        self.to.shrink_to(SMALL);
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
            while let Some((to, message)) = singles.next() {
                take(to.place(), message);
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
    pub(super) fn take_single(&self, desk: &Desk, mailbox: &Mailbox, put: &mut dyn FnMut(&mut Records)) -> bool {
        let Some(place) = mailbox.slot() else { return false };
        let cell = mailbox.cell();
        let is_idle = |place: &mut Place| matches!(place.kept, Kept::Idle(_));
        if cell.waiting() > 0 || !self.places.borrow_mut().get(place).is_some_and(is_idle) {
            return false;
        }
        cell.taken(1);
        (self.waiting.sent.borrow_mut()).push(To::new(place, desk.number()), put);
        true
    }

    /// The desk of an actor that comes up here: its singles are run by its number.
    pub(super) fn know(&self, mailbox: &Mailbox) {
        let desk = Desk::of(mailbox);
        if desk.number() == Desk::UNKNOWN {
            let mut desks = self.desks.borrow_mut();
            desk.set_number(u32::try_from(desks.len()).expect("invariant: fewer kinds than 2^32"));
            desks.push(Desk::shared(mailbox));
        }
    }

    /// Does what is next. Answers how many messages were run; `None` if nothing is to be done, or may be.
    #[inline]
    pub(super) fn go_on(&self, quota: u32) -> Option<u32> {
        if self.is_held() {
            return None;
        }
        loop {
            if let Some(ran) = self.run_singles(BUDGET.min(quota)) {
                return Some(ran);
            }
            if let Some(mailbox) = self.waiting.next_ready() {
                return Some(self.visit(mailbox, quota));
            }
            if !self.waiting.begin_round() {
                return None;
            }
        }
    }

    /// Runs singles of the round, at most so many, as long as nothing is to be done ahead of them; as of a visit, whether it is held
    /// was looked at before. Answers how many messages were run; `None` if there are no singles.
    #[inline(never)]
    fn run_singles(&self, most: u32) -> Option<u32> {
        let mut round = self.waiting.round.borrow_mut();
        if round.is_empty() {
            return None;
        }
        let desks = self.desks.borrow();
        let (mut memory, mut ran) = (None, 0);
        // The first, if any.
        let mut timed = self.is_timed();
        self.gathered.begin();
        while let Some((to, message)) = round.next() {
            if memory.is_none() {
                memory = self.take_memory();
            }
            let desk = desks.get(to.desk() as usize);
            let desk = desk.expect("invariant: the desk of an actor that comes up is known");
            self.visit_single(to.place(), desk, message, &mut memory, mem::take(&mut timed));
            ran += 1;
            // With what ran where it was sent.
            if ran + self.ran_here.get() >= most || self.shared.inbox_has_some() || !self.told.borrow().is_empty() {
                break;
            }
        }
        self.shared.shown.leave();
        self.keep_memory(memory);
        self.gathered.hand_over(&self.clock);
        Some(self.ran(ran))
    }

    /// Runs a single.
    #[inline(always)]
    fn visit_single(&self, number: u32, desk: &Desk, message: Front<'_>, memory: &mut Option<Memory>, timed: bool) {
        let Some((mailbox, actor)) = self.places.borrow_mut().get(number).and_then(Place::take_idle) else {
            unreachable!("invariant: an actor does nothing until its single is run");
        };
        self.refill();
        let entry = self.entry_of_single(desk, &message);
        self.shared.shown.enter(number, shown(entry));
        let since = timed.then(|| self.clock.now());
        mailbox.cell().left(0);
        match self.run_idle(number, &mailbox, desk, actor, entry, Source::Queue(message), memory) {
            Ok(actor) => {
                self.count(&desk.meter, 1, since);
                if let Some(place) = self.places.borrow_mut().get(number) {
                    place.put_idle(mailbox, actor);
                }
            }
            Err(slot) => {
                self.count(&desk.meter, 1, since.filter(|_| !slot.has_turn()));
                self.ran_slot(number, slot);
            }
        }
    }

    /// How a single is run; `None` if that is found by its name.
    #[inline]
    pub(super) fn entry_of_single<'a>(&self, desk: &'a Desk, message: &Front<'_>) -> Option<&'a MessageEntry> {
        match message.form() {
            Form::Letter => None,
            Form::Told | Form::Asked => self.entry_of(desk, message.message()),
        }
    }
}

/// The message of an entry, as it is shown.
#[inline]
pub(super) fn shown(entry: Option<&MessageEntry>) -> u16 {
    entry.map_or(NO_MESSAGE, MessageEntry::number)
}
