//! What a worker has on its own thread: activations, those that are ready, and turns that run where they are sent.

use super::{
    Activation, Control, Event, Outside,
    answer::fail,
    desk::Desk,
    far::FarAsks,
    gather::Gathered,
    idle::Looks,
    places::{Kept, Place, Places},
    singles::Waiting,
    slot::{Due, Slot, State, Visit, drop_fenced, earlier},
    wait::Wait,
    watch::NO_MESSAGE,
    worker::{Handed, Shared},
};
use crate::{
    actor::Memory,
    clock::{Clock, Moment},
    mailbox::{Mailbox, Records},
    wire::{Failure, FailureCode, Ran},
};
use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// How many messages an activation runs before the next one's turn.
pub(super) const BUDGET: u32 = 32;

/// How many turns run where they are sent within one turn, or between two rounds of the worker, if the coarse clock does not tick
/// before. What falls back to the queue costs several times as much and waits for its turn, so the quota is large.
const HERE_QUOTA: u32 = 4096;

/// More moments than activations may wait for are forgotten in time.
const FEW_WAITS: usize = 64;

/// How many blocks of turns' memory are kept.
const MEMORIES: usize = 256;

/// How many slots are kept that no activation needs.
const SPARE: usize = 256;

#[cfg(not(all(test, quark_loom)))]
thread_local! {
    /// The worker of this thread.
    pub(super) static HERE: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

#[cfg(all(test, quark_loom))]
loom::thread_local! {
    /// The worker of this thread of a model.
    pub(super) static HERE: RefCell<Option<Rc<Local>>> = RefCell::new(None);
}

/// What an activation is told.
pub(super) struct Told {
    pub(super) activation: Activation,
    pub(super) control: Control,
    /// What was taken out of the mailbox with it.
    pub(super) queued: Records,
}

/// A worker on its own thread.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) clock: Clock,
    pub(super) waiting: Waiting,
    /// A single that runs before its turn; borrowed while it does.
    pub(super) early: RefCell<Records>,
    /// Memory for what other threads hand over.
    pub(super) handed: Cell<Handed>,
    /// Whom to wake on other workers' threads once the visit is over.
    pub(super) gathered: Gathered,
    /// Asks of this thread's tasks that go to other workers.
    pub(super) far: FarAsks,
    /// Parked: who makes something ready on this thread wakes it.
    pub(super) idle: Cell<bool>,
    /// What activations were told on this thread, and what was taken over from others.
    pub(super) told: RefCell<VecDeque<Told>>,
    pub(super) places: RefCell<Places>,
    /// Of the actors that are or were here, by their numbers. Borrowed while singles run.
    pub(super) desks: RefCell<Vec<Arc<Desk>>>,
    /// Slots that are as new.
    #[allow(clippy::vec_box, reason = "the boxes are what is kept")]
    spare: RefCell<Vec<Box<Slot>>>,
    /// Memory for turns: the first of it, and the rest.
    memory: Cell<Option<Memory>>,
    pub(super) looks: Looks,
    memories: RefCell<Vec<Memory>>,
    waits: RefCell<BinaryHeap<Reverse<Wait>>>,
    pub(super) depth: Cell<u32>,
    /// By the coarse clock, as it was last read: before each visit, and before each turn that runs where it is sent.
    pub(super) recent: Cell<Moment>,
    /// Which of its kind's messages came last: likely the next.
    pub(super) likely: Cell<u32>,
    pub(super) here_left: Cell<u32>,
    pub(super) here_tick: Cell<Option<Moment>>,
    pub(super) ran_here: Cell<u32>,
    pub(super) visits: Cell<u32>,
    /// When turns were timed last, by the coarse clock.
    pub(super) timed_tick: Cell<Moment>,
}

impl Local {
    pub(super) fn new(
        shared: Arc<Shared>,
        outside: Arc<dyn Outside>,
        clock: Clock,
        idle_timeout: Duration,
    ) -> Rc<Self> {
        let recent = Cell::new(clock.recently());
        Rc::new(Self {
            looks: Looks::new(idle_timeout, shared.clone()),
            shared,
            outside,
            clock,
            waiting: Waiting::default(),
            early: RefCell::default(),
            handed: Cell::default(),
            gathered: Gathered::default(),
            far: FarAsks::default(),
            idle: Cell::new(false),
            told: RefCell::default(),
            places: RefCell::default(),
            desks: RefCell::default(),
            spare: RefCell::default(),
            memory: Cell::new(None),
            memories: RefCell::default(),
            waits: RefCell::default(),
            depth: Cell::new(0),
            recent,
            likely: Cell::new(0),
            here_left: Cell::new(HERE_QUOTA),
            here_tick: Cell::new(None),
            ran_here: Cell::new(0),
            visits: Cell::new(0),
            timed_tick: Cell::new(Moment(0)),
        })
    }

    #[inline(always)]
    pub(super) fn is_held(&self) -> bool {
        self.recent.set(self.clock.recently());
        self.shared.is_held(&self.clock, self.recent.get())
    }

    #[inline(always)]
    pub(super) fn take_memory(&self) -> Option<Memory> {
        self.memory.take().or_else(|| self.take_more())
    }

    #[cold]
    fn take_more(&self) -> Option<Memory> {
        self.memories.borrow_mut().pop()
    }

    #[inline(always)]
    pub(super) fn keep_memory(&self, memory: Option<Memory>) {
        if let Some(memory) = memory
            && let Some(second) = self.memory.replace(Some(memory))
        {
            self.keep_more(second);
        }
    }

    #[cold]
    fn keep_more(&self, memory: Memory) {
        if self.memories.borrow().len() < MEMORIES {
            self.memories.borrow_mut().push(memory);
        }
    }

    /// A turn of its own begins: it may run so many within itself.
    pub(super) fn refill(&self) {
        self.here_left.set(HERE_QUOTA);
        self.here_tick.set(None);
    }

    /// Whether nothing is to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.told.borrow().is_empty()
    }

    pub(super) fn new_slot(&self) -> Box<Slot> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// A slot for an activation that needed none until now.
    pub(super) fn slot_of(&self, number: u32, mailbox: Arc<Mailbox>, state: State) -> Box<Slot> {
        let own = (self.places.borrow_mut().get(number)).and_then(|place| place.mailbox.take());
        let own = own.unwrap_or_else(|| mailbox.clone());
        let mut slot = self.new_slot();
        slot.begin_for(Activation::running(mailbox), own, state);
        slot
    }

    /// Takes an activation out of its place, to tell it something; `None` if that runs already, further out.
    fn take_out(&self, number: u32, mailbox: Arc<Mailbox>) -> Option<Box<Slot>> {
        let mut places = self.places.borrow_mut();
        let place = places.get(number)?;
        match std::mem::take(&mut place.kept) {
            Kept::Slot(slot) => slot,
            Kept::Idle(actor) => {
                drop(places);
                let mut slot = self.slot_of(number, mailbox, State::Idle(actor));
                if slot.activation.mailbox().cell().waiting() > 0 {
                    self.waiting.remove_single(number, &mut slot.taken);
                }
                Some(slot)
            }
        }
    }

    /// Puts an activation back. Answers its mailbox, `mailbox` if that is it.
    pub(super) fn put_back(&self, number: u32, mut slot: Box<Slot>, mailbox: Option<Arc<Mailbox>>) -> Arc<Mailbox> {
        let mut places = self.places.borrow_mut();
        let place = places.get(number).expect("invariant: what was taken out has its place");
        match slot.rest() {
            Some((kept, own)) => {
                *place = kept;
                drop(places);
                let mut spare = self.spare.borrow_mut();
                if spare.len() < SPARE {
                    spare.push(slot);
                }
                own
            }
            None => {
                let mailbox = mailbox.unwrap_or_else(|| slot.activation.mailbox().clone());
                if place.mailbox.is_none() {
                    place.mailbox = Some(mailbox.clone());
                }
                place.kept = Kept::Slot(Some(slot));
                mailbox
            }
        }
    }

    /// Goes on with an activation. Answers how many messages were run.
    pub(super) fn visit(&self, mailbox: Arc<Mailbox>, quota: u32) -> u32 {
        let Some(number) = mailbox.slot() else {
            // Nothing runs here yet; control comes by its own way.
            if !mailbox.rest(true) {
                mailbox.take_woken();
                mailbox.rest(true);
            }
            return 0;
        };
        let mut places = self.places.borrow_mut();
        let place = places.get(number).expect("invariant: what runs has its place");
        if place.has_single(&mailbox) {
            // It was sent before what is in the mailbox.
            self.waiting.ready.borrow_mut().push_back(mailbox);
            return 0;
        }
        match std::mem::take(&mut place.kept) {
            Kept::Idle(actor) => {
                drop(places);
                self.visit_idle(number, mailbox, actor, quota)
            }
            Kept::Slot(Some(slot)) => {
                drop(places);
                self.visit_slot(number, slot, Some(mailbox), false, quota)
            }
            Kept::Slot(None) => unreachable!("invariant: a visit begins when none is under way"),
        }
    }

    /// `mailbox`: its own, if that is at hand.
    fn visit_slot(
        &self,
        number: u32,
        mut slot: Box<Slot>,
        mailbox: Option<Arc<Mailbox>>,
        forced: bool,
        quota: u32,
    ) -> u32 {
        (self.shared.shown).enter(number, slot.message);
        slot.enter();
        let granted = BUDGET.min(quota);
        let mut budget = granted;
        let timed = self.is_timed().then(|| self.clock.now());
        self.gathered.begin();
        let visit = slot.within(|slot| slot.visit(self, forced, &mut budget));
        self.gathered.hand_over(&self.clock);
        let turns = granted - budget;
        if turns > 0 {
            // A turn that waits is timed when it ends.
            self.count(slot.meter(), turns, timed.filter(|_| !slot.has_turn()));
        }
        self.visited(number, slot, mailbox, (visit, false), turns)
    }

    /// After a visit that needed a slot. `due`: it is to be visited again in any case. Answers how many messages were run.
    pub(super) fn visited(
        &self,
        number: u32,
        mut slot: Box<Slot>,
        mailbox: Option<Arc<Mailbox>>,
        (visit, due): (Visit, bool),
        turns: u32,
    ) -> u32 {
        self.left(&mut slot);
        self.shared.shown.leave();
        let ran = self.ran(turns);
        if visit == Visit::Over {
            self.remove(number, slot.activation.mailbox());
            return ran;
        }
        let mailbox = self.put_back(number, slot, mailbox);
        match visit {
            _ if due => {}
            Visit::Rests { busy } if mailbox.rest(busy) => {}
            _ => self.waiting.ready.borrow_mut().push_back(mailbox),
        }
        ran
    }

    /// Counts what a visit ran, with what ran where it was sent within it. Answers it.
    pub(super) fn ran(&self, turns: u32) -> u32 {
        let ran = turns + self.ran_here.replace(0);
        self.shared.ran(ran);
        ran
    }

    pub(super) fn left(&self, slot: &mut Slot) {
        if slot.has_turn() {
            slot.message = self.shared.shown.message();
            self.shared.shown.waits(&mut slot.listed, slot.activation.mailbox());
        } else {
            slot.message = NO_MESSAGE;
        }
        if let Some(at) = slot.leave() {
            let mailbox = slot.activation.mailbox().clone();
            let mut waits = self.waits.borrow_mut();
            waits.push(Reverse(Wait { at, mailbox }));
            let is_crowded = waits.len() > 2 * self.places.borrow().len() + FEW_WAITS;
            drop(waits);
            if is_crowded {
                self.forget_waits();
            }
        }
    }

    /// Forgets moments that mean nothing any more: each activation waits for one at most.
    pub(super) fn forget_waits(&self) {
        let mut waits = self.waits.borrow_mut();
        let mut places = self.places.borrow_mut();
        waits.retain(|Reverse(wait)| {
            let place = wait.mailbox.slot().and_then(|number| places.get(number));
            place.is_some_and(|place| match &place.kept {
                Kept::Idle(_) => false,
                Kept::Slot(Some(slot)) => slot.awaited == Some(wait.at),
                // It runs: it is alive.
                Kept::Slot(None) => true,
            })
        });
        if waits.len() < waits.capacity() / 4 {
            let room = waits.len() * 2;
            waits.shrink_to(room);
        }
    }

    pub(super) fn remove(&self, number: u32, mailbox: &Mailbox) {
        mailbox.set_slot(None);
        let place = self.places.borrow_mut().remove(number);
        if place.has_single(mailbox) {
            let mut message = Records::new();
            self.waiting.remove_single(number, &mut message);
            mailbox.put_back(&mut message);
        }
        self.shared.removed();
        drop(place);
    }

    /// Does what an activation was told.
    pub(super) fn obey(&self, told: Told) {
        let Told {
            activation,
            control,
            queued,
        } = told;
        let mailbox = activation.mailbox();
        let (number, mut slot) = match mailbox.slot() {
            Some(number) if mailbox.runs() == activation.number() => {
                let slot = self.take_out(number, activation.into_mailbox());
                (number, slot.expect("invariant: a visit begins when none is under way"))
            }
            other => {
                if !matches!(control, Control::Activate(_) | Control::Prepare(_)) {
                    tracing::debug!(?activation, ?control, "an activation that is over was told something");
                    return;
                }
                if let Some(other) = other {
                    tracing::error!(?activation, "an activation began before the last one had ended");
                    self.remove(other, mailbox);
                }
                let (number, places) = {
                    let mut places = self.places.borrow_mut();
                    (places.add(), places.capacity())
                };
                self.looks.begin(&self.clock, places);
                self.know(mailbox);
                mailbox.set_runs(activation.number());
                mailbox.set_slot(Some(number));
                let mut slot = self.new_slot();
                let own = mailbox.clone();
                slot.begin_for(activation, own, State::Empty);
                (number, slot)
            }
        };
        slot.obey(self, control, queued);
        self.visit_slot(number, slot, None, true, BUDGET);
    }

    /// Tells of a turn that waits since `began`, if it still does.
    pub(super) fn look_at(&self, mailbox: &Mailbox, began: Moment) {
        let mut places = self.places.borrow_mut();
        let place = mailbox.slot().and_then(|number| places.get(number));
        if let Some(Place {
            kept: Kept::Slot(Some(slot)),
            ..
        }) = place
            && mailbox.activity().last == began
            && let Some(message) = slot.turn_name()
        {
            let (activation, event) = (slot.activation.clone(), Event::Stuck { message, began });
            drop(places);
            self.outside.report(&activation, event);
        }
    }

    // Turns that wait for a moment.

    /// When the worker is to look after its turns, or asks of its thread.
    pub(super) fn next_wake(&self) -> Option<Moment> {
        let turns = self.waits.borrow().peek().map(|Reverse(wait)| wait.at);
        earlier(turns, self.far.next_look())
    }

    /// Wakes the turns whose moment has come, and looks for idle activations if it is time to.
    pub(super) fn fire_due(&self) {
        self.refill();
        if self.looks.has_rung() {
            self.look();
        }
        if !self.next_wake().is_some_and(|at| self.clock.has_come(at)) {
            return;
        }
        let now = self.clock.now();
        self.far.look(now);
        loop {
            let mut waits = self.waits.borrow_mut();
            if waits.peek().is_none_or(|Reverse(wait)| wait.at > now) {
                return;
            }
            let Some(Reverse(Wait { at, mailbox })) = waits.pop() else {
                return;
            };
            drop(waits);
            match self.is_due(&mailbox, at, now) {
                Due::No => {}
                Due::Now => mailbox.wake(),
                Due::At(at) => self.waits.borrow_mut().push(Reverse(Wait { at, mailbox })),
            }
        }
    }

    fn is_due(&self, mailbox: &Mailbox, at: Moment, now: Moment) -> Due {
        let Some(number) = mailbox.slot() else { return Due::No };
        let mut places = self.places.borrow_mut();
        match places.get(number).map(|place| &mut place.kept) {
            Some(Kept::Slot(slot)) => {
                let Some(mut slot) = slot.take() else { return Due::No };
                drop(places);
                let due = slot.is_due(at, now);
                self.put_back(number, slot, None);
                due
            }
            _ => Due::No,
        }
    }

    /// Drops what runs; what waits is answered.
    pub(super) fn end(&self) {
        self.waiting.take_singles(|number, message| {
            let mut places = self.places.borrow_mut();
            let mailbox = places.get(number).and_then(|place| place.mailbox.as_ref());
            let mailbox = mailbox.expect("invariant: an actor does nothing until its single is run");
            let mut messages = Records::new();
            messages.push(message.into_letter());
            mailbox.put_back(&mut messages);
        });
        let places = self.places.borrow_mut().drain();
        for place in places {
            let Some(mailbox) = place.mailbox else { continue };
            match place.kept {
                Kept::Idle(actor) => drop_fenced(State::Idle(actor)),
                Kept::Slot(slot) => slot.into_iter().for_each(|mut slot| slot.stop()),
            }
            mailbox.set_slot(None);
            let text = format!("the silo of {} has ended; the message did not run", mailbox.actor());
            let failure = Failure::new(FailureCode::ShuttingDown, Ran::No, text);
            for letter in mailbox.close().into_letters() {
                fail(&*self.outside, mailbox.actor(), letter, failure.clone());
            }
        }
        self.told.borrow_mut().clear();
        self.waiting.ready.borrow_mut().clear();
        self.gathered.end();
        self.far.wake_all();
        self.desks.borrow_mut().clear();
        self.looks.stop();
        self.waits.borrow_mut().clear();
        self.shared.forget();
    }
}
