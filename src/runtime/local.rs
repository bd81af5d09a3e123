//! What a worker has on its own thread: activations, those that are ready, and turns that run where they are sent.

use super::{
    Activation, Control, Event, Outside,
    answer::fail,
    idle::Looks,
    slot::{Slot, Visit},
    watch::NO_MESSAGE,
    worker::Shared,
};
use crate::{
    actor::{Memory, restore_turn, save_turn},
    clock::{Clock, Moment},
    mailbox::{Mailbox, NotHere, Records},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::task::waker_ref;
use slab::Slab;
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

/// How many messages an activation runs before the next one's turn.
const BUDGET: u32 = 32;

/// How deep turns run within each other.
const DEPTH: u32 = 16;

/// How many turns run where they are sent within one turn, or between two rounds of the worker, if the coarse clock does not tick
/// before. What falls back to the queue costs some 50 times as much, so the quota is large.
const HERE_QUOTA: u32 = 4096;

/// More moments than activations may wait for are forgotten in time.
const FEW_WAITS: usize = 64;

/// How many blocks of turns' memory are kept.
const MEMORIES: usize = 256;

thread_local! {
    /// The worker of this thread.
    pub(super) static HERE: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// What an activation is told.
pub(super) struct Told {
    pub(super) activation: Arc<Activation>,
    pub(super) control: Control,
    /// What was taken out of the mailbox with it.
    pub(super) queued: Records,
}

/// A worker on its own thread.
pub(super) struct Local {
    pub(super) this: Weak<Local>,
    pub(super) shared: Arc<Shared>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) clock: Clock,
    pub(super) ready: RefCell<VecDeque<Arc<Mailbox>>>,
    /// Parked: who makes something ready on this thread wakes it.
    pub(super) idle: Cell<bool>,
    pub(super) slots: RefCell<Slab<Rc<RefCell<Slot>>>>,
    /// Memory for turns: the first of it, and the rest.
    memory: Cell<Option<Memory>>,
    pub(super) looks: Looks,
    memories: RefCell<Vec<Memory>>,
    waits: RefCell<BinaryHeap<Reverse<Wait>>>,
    depth: Cell<u32>,
    here_left: Cell<u32>,
    here_tick: Cell<Option<Moment>>,
    ran_here: Cell<u32>,
}

/// An activation whose turn or timers are to be looked after.
struct Wait {
    at: Moment,
    mailbox: Arc<Mailbox>,
}

impl Local {
    pub(super) fn new(
        shared: Arc<Shared>,
        outside: Arc<dyn Outside>,
        clock: Clock,
        idle_timeout: Duration,
    ) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: this.clone(),
            looks: Looks::new(idle_timeout, shared.clone()),
            shared,
            outside,
            clock,
            ready: RefCell::default(),
            idle: Cell::new(false),
            slots: RefCell::default(),
            memory: Cell::new(None),
            memories: RefCell::default(),
            waits: RefCell::default(),
            depth: Cell::new(0),
            here_left: Cell::new(HERE_QUOTA),
            here_tick: Cell::new(None),
            ran_here: Cell::new(0),
        })
    }

    pub(super) fn next_ready(&self) -> Option<Arc<Mailbox>> {
        if self.shared.is_held(&self.clock) {
            return None;
        }
        self.ready.borrow_mut().pop_front()
    }

    pub(super) fn take_memory(&self) -> Option<Memory> {
        self.memory.take().or_else(|| self.memories.borrow_mut().pop())
    }

    pub(super) fn keep_memory(&self, memory: Option<Memory>) {
        if let Some(memory) = memory
            && let Some(second) = self.memory.replace(Some(memory))
            && self.memories.borrow().len() < MEMORIES
        {
            self.memories.borrow_mut().push(second);
        }
    }

    /// A turn of its own begins: it may run so many within itself.
    pub(super) fn refill(&self) {
        self.here_left.set(HERE_QUOTA);
        self.here_tick.set(None);
    }

    /// A turn runs where it is sent. The last, when the coarse clock has ticked since the first.
    fn use_up(&self, now: Moment) {
        let first = self.here_tick.get().unwrap_or(now);
        self.here_tick.set(Some(first));
        let left = self.here_left.get() - 1;
        self.here_left.set(if first == now { left } else { 0 });
    }

    fn slot(&self, mailbox: &Mailbox) -> Option<Rc<RefCell<Slot>>> {
        self.slots.borrow().get(mailbox.slot()? as usize).cloned()
    }

    /// Goes on with an activation. `forced`: also if nothing has woken it. Answers how many messages were run.
    pub(super) fn visit(&self, mailbox: Arc<Mailbox>, forced: bool, quota: u32) -> u32 {
        let Some(cell) = self.slot(&mailbox) else {
            // Nothing runs here yet; control comes by its own way.
            if !mailbox.rest(true) {
                mailbox.take_woken();
                mailbox.rest(true);
            }
            return 0;
        };
        let mut slot = cell.borrow_mut();
        (self.shared.shown).enter(mailbox.slot().unwrap_or(u32::MAX), slot.message);
        slot.enter();
        let granted = BUDGET.min(quota);
        let mut budget = granted;
        let visit = slot.visit(self, &waker_ref(&mailbox), forced, &mut budget);
        self.left(&mut slot, &mailbox);
        self.shared.shown.leave();
        let ran = granted - budget + self.ran_here.replace(0);
        self.shared.ran(ran);
        match visit {
            Visit::Over => {
                drop(slot);
                self.remove(&mailbox);
            }
            Visit::HasMore => self.ready.borrow_mut().push_back(mailbox),
            Visit::Rests { busy } => {
                if !mailbox.rest(busy) {
                    self.ready.borrow_mut().push_back(mailbox);
                }
            }
        }
        ran
    }

    fn left(&self, slot: &mut Slot, mailbox: &Arc<Mailbox>) {
        if slot.has_turn() {
            slot.message = self.shared.shown.message();
            self.shared.shown.waits(&mut slot.listed, mailbox);
        } else {
            slot.message = NO_MESSAGE;
        }
        if let Some(at) = slot.leave() {
            let mailbox = mailbox.clone();
            let mut waits = self.waits.borrow_mut();
            waits.push(Reverse(Wait { at, mailbox }));
            let is_crowded = waits.len() > 2 * self.slots.borrow().len() + FEW_WAITS;
            drop(waits);
            if is_crowded {
                self.forget_waits();
            }
        }
    }

    /// Forgets moments that mean nothing any more: each activation waits for one at most.
    pub(super) fn forget_waits(&self) {
        let mut waits = self.waits.borrow_mut();
        waits.retain(|Reverse(wait)| {
            let slot = self.slot(&wait.mailbox);
            // One that is borrowed runs: it is alive.
            slot.is_some_and(|slot| slot.try_borrow().map_or(true, |slot| slot.awaited == Some(wait.at)))
        });
        if waits.len() < waits.capacity() / 4 {
            let room = waits.len() * 2;
            waits.shrink_to(room);
        }
    }

    fn remove(&self, mailbox: &Mailbox) {
        if let Some(number) = mailbox.slot() {
            mailbox.set_slot(None);
            let slot = self.slots.borrow_mut().try_remove(number as usize);
            self.shared.removed();
            drop(slot);
        }
    }

    /// Does what an activation was told.
    pub(super) fn obey(&self, told: Told) {
        let Told {
            activation,
            control,
            queued,
        } = told;
        let mailbox = activation.mailbox().clone();
        let own = |slot: &Rc<RefCell<Slot>>| Arc::ptr_eq(&slot.borrow().activation, &activation);
        let slot = match self.slot(&mailbox) {
            Some(slot) if own(&slot) => slot,
            other => {
                if !matches!(control, Control::Activate(_) | Control::Prepare(_)) {
                    tracing::debug!(?activation, ?control, "an activation that is over was told something");
                    return;
                }
                if other.is_some() {
                    tracing::error!(?activation, "an activation began before the last one had ended");
                    self.remove(&mailbox);
                }
                let slot = Rc::new(RefCell::new(Slot::new(activation.clone())));
                let number = self.slots.borrow_mut().insert(slot.clone());
                self.looks.begin(&self.clock, self.slots.borrow().capacity());
                mailbox.set_slot(Some(
                    u32::try_from(number).expect("invariant: fewer than 2^32 activations"),
                ));
                slot
            }
        };
        slot.borrow_mut().obey(self, control, queued);
        drop(slot);
        self.visit(mailbox, true, BUDGET);
    }

    // Turns where they are sent.

    pub(super) fn may_run_here(&self) -> bool {
        self.here_left.get() > 0 && self.depth.get() < DEPTH && !self.shared.is_held(&self.clock)
    }

    pub(super) fn run_here(&self, mailbox: &Arc<Mailbox>, message: TypeId, call: &mut dyn Any) -> Result<(), NotHere> {
        let cell = self.slot(mailbox).ok_or(NotHere)?;
        // Borrowed: it runs, further out.
        let mut slot = cell.try_borrow_mut().map_err(|_| NotHere)?;
        if !slot.is_free() {
            return Err(NotHere);
        }
        let now = self.clock.recently();
        self.use_up(now);
        self.depth.set(self.depth.get() + 1);
        let at = (self.shared.shown).nest(mailbox.slot().unwrap_or(u32::MAX));
        let outer = save_turn();
        slot.enter();
        let ran = slot.run_here(self, &waker_ref(mailbox), now, message, call);
        self.left(&mut slot, mailbox);
        restore_turn(outer);
        self.shared.shown.back(at);
        self.depth.set(self.depth.get() - 1);
        self.ran_here.set(self.ran_here.get() + 1);
        let (free, over, has_step) = (slot.is_free(), slot.is_over(), slot.has_step());
        drop(slot);
        if over {
            self.remove(mailbox);
        } else if has_step {
            mailbox.wake();
        } else if !free {
            mailbox.rest_here();
        }
        ran
    }

    /// Tells of a turn that waits since `began`, if it still does.
    pub(super) fn look_at(&self, mailbox: &Mailbox, began: Moment) {
        if let Some(cell) = self.slot(mailbox) {
            let mut slot = cell.borrow_mut();
            if mailbox.activity().last == began
                && let Some(message) = slot.turn_name()
            {
                let event = Event::Stuck { message, began };
                self.outside.report(&slot.activation, event);
            }
        }
    }

    // Turns that wait for a moment.

    /// When the worker is to look after its turns.
    pub(super) fn next_wake(&self) -> Option<Moment> {
        self.waits.borrow().peek().map(|Reverse(wait)| wait.at)
    }

    /// Wakes the turns whose moment has come, and looks for idle activations if it is time to.
    pub(super) fn fire_due(&self) {
        self.refill();
        if self.looks.has_rung() {
            self.look();
        }
        // At its moment, not only past it: then the alarm has rung.
        let has_come = |at: Moment| self.clock.is_past(Moment(at.0.saturating_sub(1)));
        if !self.next_wake().is_some_and(has_come) {
            return;
        }
        let now = self.clock.now();
        loop {
            let mut waits = self.waits.borrow_mut();
            if waits.peek().is_none_or(|Reverse(wait)| wait.at > now) {
                return;
            }
            let Some(Reverse(Wait { at, mailbox })) = waits.pop() else {
                return;
            };
            drop(waits);
            let Some(slot) = self.slot(&mailbox) else { continue };
            let again = slot.borrow_mut().is_due(at, now);
            drop(slot);
            match again {
                super::slot::Due::No => {}
                super::slot::Due::Now => mailbox.wake(),
                super::slot::Due::At(at) => self.waits.borrow_mut().push(Reverse(Wait { at, mailbox })),
            }
        }
    }

    /// Drops what runs; what waits is answered.
    pub(super) fn end(&self) {
        let slots: Vec<_> = self.slots.borrow_mut().drain().collect();
        for cell in slots {
            let mut slot = cell.borrow_mut();
            let mailbox = slot.activation.mailbox().clone();
            slot.stop();
            mailbox.set_slot(None);
            let text = format!("the silo of {} has ended; the message did not run", mailbox.actor());
            let failure = Failure::new(FailureCode::ShuttingDown, Ran::No, text);
            for letter in mailbox.close().into_letters() {
                fail(&*self.outside, mailbox.actor(), letter, failure.clone());
            }
        }
        self.ready.borrow_mut().clear();
        self.looks.stop();
        self.waits.borrow_mut().clear();
        self.shared.forget();
    }
}

impl PartialEq for Wait {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Wait {}

impl PartialOrd for Wait {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wait {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
