//! Turns that run where they are sent: of an idle actor, for a caller on its worker's own thread.

use super::{
    answer::send,
    desk::Desk,
    letters::run_letter,
    local::{BUDGET, Local},
    places::{Kept, Place},
    singles::shown,
    slot::{Slot, State},
    watch::{At, NO_MESSAGE},
};
use crate::{
    actor::{AnyActor, Begin, Memory, MessageEntry, Nested, Rare, Source, Timers, leave_turn, nest_turn, run_as},
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

    /// `desk`: the mailbox's.
    pub(super) fn run_here(
        &self,
        desk: &Desk,
        mailbox: &Arc<Mailbox>,
        message: TypeId,
        call: &mut dyn Any,
    ) -> Result<(), NotHere> {
        let number = mailbox.slot().ok_or(NotHere)?;
        if mailbox.cell().waiting() > 0 && self.run_behind_single(number, desk, mailbox, message, call)? {
            return Ok(());
        }
        if !mailbox.is_at_rest() {
            self.run_queued(number, mailbox)?;
        }
        let mut places = self.places.borrow_mut();
        let place = places.get(number).ok_or(NotHere)?;
        match mem::take(&mut place.kept) {
            Kept::Idle(actor) => {
                let Some(entry) = self.entry_of(desk, message) else {
                    place.kept = Kept::Idle(actor);
                    return Err(NotHere);
                };
                drop(places);
                let (at, outer) = self.enter_here(number, entry.number(), desk);
                let mut memory = self.take_memory();
                let source = Source::Here(call);
                let kept = self.run_idle(number, mailbox, desk, actor, Some(entry), source, &mut memory);
                self.keep_memory(memory);
                self.leave_here(at, outer, 1);
                match kept {
                    Ok(actor) => self.keep_idle(number, actor),
                    Err(slot) => self.ran_slot(number, slot),
                }
                Ok(())
            }
            Kept::Slot(Some(mut slot)) if slot.is_free() => {
                drop(places);
                let (at, outer) = self.enter_here(number, NO_MESSAGE, desk);
                slot.enter();
                let ran = slot.within(|slot| slot.run_here(self, self.recent.get(), message, call));
                self.left(&mut slot);
                self.leave_here(at, outer, 1);
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

    /// How a message of a kind is run.
    #[inline]
    pub(super) fn entry_of<'a>(&self, desk: &'a Desk, message: TypeId) -> Option<&'a MessageEntry> {
        let mut likely = self.likely.get();
        let entry = desk.kind.message_of(message, &mut likely);
        self.likely.set(likely);
        entry
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
        let is_idle = |place: &&mut Place| matches!(place.kept, Kept::Idle(_)) && !place.has_single(mailbox);
        let place = places.get(number).filter(is_idle);
        let place = place.filter(|_| self.waiting.ready.borrow().back().is_some_and(is_last));
        let place = place.ok_or(NotHere)?;
        // It has come to rest with that, and is ready no more.
        let mut taken = mailbox.take_few(most).ok_or(NotHere)?;
        let (Kept::Idle(actor), Some(mailbox)) =
            (mem::take(&mut place.kept), self.waiting.ready.borrow_mut().pop_back())
        else {
            unreachable!("invariant: both were just seen");
        };
        drop(places);
        let (at, outer) = self.begin_here(number, NO_MESSAGE);
        let ended = self.run_round(number, &mailbox, actor, (&mut taken, true), most);
        self.end_here(at, outer);
        let (turns, actor) = ended.map_err(|_| NotHere)?;
        self.keep_idle(number, actor);
        self.use_up(self.recent.get(), turns);
        self.ran_here.set(self.ran_here.get() + turns);
        (mailbox.is_at_rest() && self.here_left.get() > 0)
            .then_some(())
            .ok_or(NotHere)
    }

    /// Runs the single of an idle actor, if it is the only one, and a message that is to run here behind it, if nothing has come
    /// between. Answers whether the message has run; the actor is idle in its place otherwise.
    ///
    /// # Errors
    /// [`NotHere`]: there is more to it, or the message may not run here any more.
    fn run_behind_single(
        &self,
        number: u32,
        desk: &Desk,
        mailbox: &Arc<Mailbox>,
        message: TypeId,
        call: &mut dyn Any,
    ) -> Result<bool, NotHere> {
        let mut single = self.early.try_borrow_mut().map_err(|_| NotHere)?;
        if !self.waiting.take_only_single(number, &mut single) {
            return Err(NotHere);
        }
        let kept = (self.places.borrow_mut().get(number)).map(|place| mem::take(&mut place.kept));
        let (Some(Kept::Idle(actor)), Some(front)) = (kept, single.front()) else {
            unreachable!("invariant: an actor does nothing until its single is run");
        };
        let entry = self.entry_of_single(desk, &front);
        let (at, outer) = self.enter_here(number, shown(entry), desk);
        let mut memory = self.take_memory();
        mailbox.cell().left(0);
        let ended = self.run_idle(number, mailbox, desk, actor, entry, Source::Queue(front), &mut memory);
        drop(single);
        let is_next = || mailbox.is_at_rest() && self.here_left.get() > 0;
        let entry = || self.entry_of(desk, message).filter(|_| is_next());
        let mut turns = 1;
        // Matched where they are made: held in a variable, an end would be written in parts and read as a whole.
        let goes_on = match ended {
            Ok(actor) => match entry() {
                Some(entry) => {
                    turns = 2;
                    self.uses(1, desk);
                    self.shared.shown.turn(entry.number());
                    let source = Source::Here(call);
                    match self.run_idle(number, mailbox, desk, actor, Some(entry), source, &mut memory) {
                        Ok(actor) => self.keep_idle(number, actor),
                        Err(slot) => self.ran_slot(number, slot),
                    }
                    true
                }
                None => {
                    self.keep_idle(number, actor);
                    self.here_left.get() > 0
                }
            },
            Err(slot) => {
                self.ran_slot(number, slot);
                false
            }
        };
        self.keep_memory(memory);
        self.leave_here(at, outer, turns);
        goes_on.then_some(turns == 2).ok_or(NotHere)
    }

    #[inline(always)]
    fn begin_here(&self, number: u32, message: u16) -> (At, Nested) {
        self.depth.set(self.depth.get() + 1);
        (self.shared.shown.nest(number, message), nest_turn())
    }

    #[inline(always)]
    fn end_here(&self, at: At, outer: Nested) {
        leave_turn(outer);
        self.shared.shown.back(at);
        self.depth.set(self.depth.get() - 1);
    }

    /// So many turns of a kind begin where they are sent.
    fn uses(&self, turns: u32, desk: &Desk) {
        desk.meter.ran(turns);
        self.use_up(self.recent.get(), turns);
    }

    fn enter_here(&self, number: u32, message: u16, desk: &Desk) -> (At, Nested) {
        self.uses(1, desk);
        self.begin_here(number, message)
    }

    fn leave_here(&self, at: At, outer: Nested, turns: u32) {
        self.end_here(at, outer);
        self.ran_here.set(self.ran_here.get() + turns);
    }

    /// Runs a message of an actor that is idle, if that is all there is to it; nearly always it is again after that. Else a slot is
    /// needed. `entry`: of the message, which is shown already; `None` of a letter. Inlined: of a caller here it is known what the
    /// source is.
    #[allow(clippy::too_many_arguments, reason = "each is at hand at the callers, and inlined")]
    #[inline(always)]
    pub(super) fn run_idle(
        &self,
        number: u32,
        mailbox: &Arc<Mailbox>,
        desk: &Desk,
        actor: Box<dyn AnyActor>,
        entry: Option<&MessageEntry>,
        source: Source<'_>,
        memory: &mut Option<Memory>,
    ) -> Result<Box<dyn AnyActor>, Box<Slot>> {
        let (cell, mut timers) = (mailbox.cell(), None);
        cell.turns_started(self.recent.get());
        // Nothing unless the actor is not answered: to look for that once more would cost each turn.
        let mut rare = ManuallyDrop::new(Rare::Nothing);
        let idle = run_as(mailbox, &mut timers, || {
            let waker = waker_ref(mailbox);
            let cx = &mut Context::from_waker(&waker);
            let begin = Begin {
                actor,
                source,
                kind: &desk.kind,
                clock: &self.clock,
                memory,
            };
            match entry {
                Some(entry) => entry.run(begin, cx, &mut rare),
                None => run_letter(self, begin, cx, &mut rare),
            }
        });
        match (idle, timers) {
            (Some(actor), None) => {
                cell.turns_ended();
                Ok(actor)
            }
            (idle, timers) => self.ended_otherwise(number, mailbox, idle, timers, mem::take(&mut *rare)),
        }
    }

    /// There is more to a turn's end than that its actor is idle again.
    #[inline(never)]
    fn ended_otherwise(
        &self,
        number: u32,
        mailbox: &Arc<Mailbox>,
        idle: Option<Box<dyn AnyActor>>,
        timers: Option<Box<Timers>>,
        rare: Rare,
    ) -> Result<Box<dyn AnyActor>, Box<Slot>> {
        if !matches!(rare, Rare::Waits(_)) {
            mailbox.cell().turns_ended();
        }
        let (state, rare) = match (idle, rare) {
            // Of an ask from another process: all else is as it was.
            (
                None,
                Rare::Ended {
                    actor,
                    wants: false,
                    remote,
                },
            ) => {
                send(&*self.outside, remote);
                if timers.is_none() {
                    return Ok(actor);
                }
                (State::Idle(actor), None)
            }
            (None, rare) => (State::Gone, Some(rare)),
            (Some(actor), _) => (State::Idle(actor), None),
        };
        let mut slot = self.slot_of(number, mailbox.clone(), state);
        slot.timers = timers;
        if let Some(rare) = rare {
            slot.within(|slot| slot.after(self, rare));
        }
        self.left(&mut slot);
        Err(slot)
    }

    /// After a turn that ran where it was sent.
    pub(super) fn ran_slot(&self, number: u32, slot: Box<Slot>) {
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
