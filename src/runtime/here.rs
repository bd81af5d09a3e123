//! Turns that run where they are sent: of an idle actor, for a caller on its worker's own thread.

use super::{
    Activation,
    desk::Desk,
    local::{BUDGET, Local},
    places::Kept,
    slot::{Slot, State},
    watch::At,
};
use crate::{
    actor::{AnyActor, Begin, MessageEntry, Rare, Source, TurnScope, restore_turn, save_turn, swap_actor},
    clock::Moment,
    mailbox::{Mailbox, NotHere},
};
use futures_util::task::waker_ref;
use std::{
    any::{Any, TypeId},
    mem::{self, ManuallyDrop},
    sync::Arc,
    task::Context,
};

/// An actor that is idle again, and the mailbox of its place.
type Idle = (Option<Arc<Mailbox>>, Box<dyn AnyActor>);

/// How deep turns run within each other.
const DEPTH: u32 = 16;

impl Local {
    /// So many turns run where they are sent. The last, when the coarse clock has ticked since the first.
    fn use_up(&self, now: Moment, turns: u32) {
        let first = self.here_tick.get().unwrap_or(now);
        self.here_tick.set(Some(first));
        let left = self.here_left.get().saturating_sub(turns);
        self.here_left.set(if first == now { left } else { 0 });
    }

    pub(super) fn may_run_here(&self) -> bool {
        self.here_left.get() > 0 && self.depth.get() < DEPTH && !self.is_held()
    }

    pub(super) fn run_here(&self, mailbox: &Arc<Mailbox>, message: TypeId, call: &mut dyn Any) -> Result<(), NotHere> {
        let number = mailbox.slot().ok_or(NotHere)?;
        if !mailbox.is_at_rest() {
            self.run_queued(number, mailbox)?;
        }
        let mut places = self.places.borrow_mut();
        let place = places.get(number).ok_or(NotHere)?;
        match mem::take(&mut place.kept) {
            Kept::Idle(actor) => {
                let mut likely = self.likely.get();
                let Some(entry) = Desk::of(mailbox).kind.message_of(message, &mut likely) else {
                    place.kept = Kept::Idle(actor);
                    return Err(NotHere);
                };
                self.likely.set(likely);
                let lent = place.mailbox.take();
                drop(places);
                let (at, outer) = self.enter_here(number, mailbox);
                let kept = self.run_idle(mailbox, lent, actor, entry, call);
                self.leave_here(at, outer);
                match kept {
                    Ok((lent, actor)) => {
                        if let Some(place) = self.places.borrow_mut().get(number) {
                            place.keep_idle(lent, actor);
                        }
                    }
                    Err(slot) => self.ran_slot(number, slot),
                }
                Ok(())
            }
            Kept::Slot(Some(mut slot)) if slot.is_free() => {
                drop(places);
                let (at, outer) = self.enter_here(number, mailbox);
                slot.enter();
                let ran = slot.run_here(self, self.recent.get(), message, call);
                self.left(&mut slot);
                self.leave_here(at, outer);
                self.ran_slot(number, slot);
                ran
            }
            // It is busy, or runs further out.
            kept => {
                place.kept = kept;
                Err(NotHere)
            }
        }
    }

    /// Runs what is queued for an idle actor before a message that is to run here, if the actor is the last that was made ready:
    /// whoever was before it waits no longer than if nothing had been queued.
    ///
    /// # Errors
    /// [`NotHere`]: there is more to it, or the message may not run here any more.
    fn run_queued(&self, number: u32, mailbox: &Arc<Mailbox>) -> Result<(), NotHere> {
        let is_last = |last: &Arc<Mailbox>| Arc::ptr_eq(last, mailbox);
        let most = BUDGET.min(self.here_left.get());
        let mut places = self.places.borrow_mut();
        let place = places.get(number).filter(|place| matches!(place.kept, Kept::Idle(_)));
        let place = place.filter(|_| self.ready.borrow().back().is_some_and(is_last));
        let place = place.ok_or(NotHere)?;
        // It has come to rest with that, and is ready no more.
        let taken = mailbox.take_few(most).ok_or(NotHere)?;
        let (Kept::Idle(actor), Some(mailbox)) = (mem::take(&mut place.kept), self.ready.borrow_mut().pop_back())
        else {
            unreachable!("invariant: both were just seen");
        };
        let lent = place.mailbox.take();
        drop(places);
        let (at, outer) = self.begin_here(number);
        let ended = self.run_round(number, mailbox, lent, actor, (taken, true), most);
        self.end_here(at, outer);
        let (turns, mailbox) = ended.map_err(|_| NotHere)?;
        self.use_up(self.recent.get(), turns);
        self.ran_here.set(self.ran_here.get() + turns);
        (mailbox.is_at_rest() && self.here_left.get() > 0)
            .then_some(())
            .ok_or(NotHere)
    }

    fn begin_here(&self, number: u32) -> (At, Option<TurnScope>) {
        self.depth.set(self.depth.get() + 1);
        (self.shared.shown.nest(number), save_turn())
    }

    fn end_here(&self, at: At, outer: Option<TurnScope>) {
        restore_turn(outer);
        self.shared.shown.back(at);
        self.depth.set(self.depth.get() - 1);
    }

    fn enter_here(&self, number: u32, mailbox: &Mailbox) -> (At, Option<TurnScope>) {
        Desk::of(mailbox).meter.ran(1);
        self.use_up(self.recent.get(), 1);
        self.begin_here(number)
    }

    fn leave_here(&self, at: At, outer: Option<TurnScope>) {
        self.end_here(at, outer);
        self.ran_here.set(self.ran_here.get() + 1);
    }

    /// Runs a message of a caller on this thread, if the actor is idle and that is all there is to it; nearly always it is
    /// again after that. Else a slot is needed.
    fn run_idle(
        &self,
        mailbox: &Arc<Mailbox>,
        mut lent: Option<Arc<Mailbox>>,
        actor: Box<dyn AnyActor>,
        entry: &MessageEntry,
        call: &mut dyn Any,
    ) -> Result<Idle, Box<Slot>> {
        let (cell, mut timers) = (mailbox.cell(), None);
        swap_actor(&mut lent, &mut timers);
        cell.turns_started(self.recent.get());
        self.shared.shown.turn(entry.number());
        let mut memory = self.take_memory();
        let begin = Begin {
            actor,
            source: Source::Here(call),
            kind: &Desk::of(mailbox).kind,
            clock: &self.clock,
            memory: &mut memory,
        };
        // Nothing unless the actor is not answered: to look for that once more would cost each turn.
        let mut rare = ManuallyDrop::new(Rare::Nothing);
        let idle = entry.run(begin, &mut Context::from_waker(&waker_ref(mailbox)), &mut rare);
        self.keep_memory(memory);
        if !matches!(*rare, Rare::Waits(_)) {
            cell.turns_ended();
        }
        let activation = || Activation::running(mailbox.clone());
        match idle {
            Some(actor) => {
                swap_actor(&mut lent, &mut timers);
                if timers.is_none() {
                    return Ok((lent, actor));
                }
                let mut slot = self.new_slot();
                slot.begin_for(activation(), lent, State::Idle(actor));
                slot.timers = timers;
                slot.enter();
                self.left(&mut slot);
                Err(slot)
            }
            None => {
                let mut slot = self.new_slot();
                slot.begin_for(activation(), lent, State::Gone);
                // Of the turn around this one, until the scope is left.
                slot.timers = timers;
                slot.after(self, mem::take(&mut *rare));
                self.left(&mut slot);
                Err(slot)
            }
        }
    }

    /// After a turn that ran where it was sent.
    fn ran_slot(&self, number: u32, slot: Box<Slot>) {
        let (free, over, has_step) = (slot.is_free(), slot.is_over(), slot.has_step());
        if over {
            return self.remove(number, slot.activation.mailbox());
        }
        let mailbox = self.put_back(number, slot, None);
        if has_step {
            mailbox.wake();
        } else if !free {
            mailbox.rest_here();
        }
    }
}
