//! Looking for activations that have run nothing for long.
//!
//! A worker looks at each of its activations eight times per idle timeout, at a part of them at a time, and is woken for it
//! by a bell of its own: nothing is paid for it where messages are sent and run.

use super::{
    Activation, Event,
    local::Local,
    places::{Kept, Place},
    worker::Shared,
};
use crate::clock::{Clock, Moment, Sleep};
use futures_util::task::{ArcWake, waker};
use std::{
    cell::RefCell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
    time::Duration,
};

/// How often each activation is looked at, per timeout.
const PASSES: u32 = 8;

/// In how many parts at least all activations are looked at.
const PARTS: usize = 4;

/// At most so many places are looked at in one go: some 100 us.
const MOST: usize = 1024;

/// The least time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// Rings when a worker is to look; heard without a lock or a clock.
struct Bell {
    rung: AtomicBool,
    worker: Arc<Shared>,
}

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.rung.store(true, Ordering::Release);
        bell.worker.wake();
    }
}

/// When a worker looks, and how far it has come.
pub(super) struct Looks {
    /// Of a pass over all activations; `None` if it never looks.
    pass: Option<Duration>,
    /// How long an activation must have been idle, as its last look saw it.
    idle: Duration,
    bell: Arc<Bell>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The next look, if there are activations.
    sleep: Option<Sleep>,
    /// The first place that the pass has not come to.
    place: usize,
}

impl Looks {
    /// `timeout`: how long an activation is idle before it is ended; zero for ever.
    pub(super) fn new(timeout: Duration, worker: Arc<Shared>) -> Self {
        let pass = timeout / PASSES;
        Self {
            pass: (!timeout.is_zero()).then_some(pass),
            // A turn that began right after a look may have ended right before the next.
            idle: timeout + pass,
            bell: Arc::new(Bell {
                rung: AtomicBool::new(false),
                worker,
            }),
            state: RefCell::default(),
        }
    }

    /// Whether it is time to look.
    pub(super) fn has_rung(&self) -> bool {
        self.bell.rung.load(Ordering::Acquire)
    }

    /// There are activations.
    pub(super) fn begin(&self, clock: &Clock, places: usize) {
        if self.state.borrow().sleep.is_none() {
            self.plan(clock, places);
        }
    }

    /// Sets the next look of so many places.
    fn plan(&self, clock: &Clock, places: usize) {
        let Some(pass) = self.pass else { return };
        let looks = u32::try_from(places.div_ceil(share(places))).unwrap_or(u32::MAX);
        let mut sleep = clock.sleep((pass / looks.max(1)).max(SHORTEST));
        let waker = waker(self.bell.clone());
        if Pin::new(&mut sleep).poll(&mut Context::from_waker(&waker)).is_ready() {
            waker.wake();
        }
        self.state.borrow_mut().sleep = Some(sleep);
    }

    /// Stops until there are activations again.
    pub(super) fn stop(&self) {
        *self.state.borrow_mut() = State::default();
    }
}

/// How many of so many places are looked at in one go.
fn share(places: usize) -> usize {
    places.div_ceil(PARTS).clamp(1, MOST)
}

impl Local {
    /// Looks at the next part of the activations.
    pub(super) fn look(&self) {
        let looks = &self.looks;
        looks.bell.rung.store(false, Ordering::Release);
        let now = self.clock.now();
        let (tired, is_last) = {
            let mut places = self.places.borrow_mut();
            let mut state = looks.state.borrow_mut();
            let all = places.capacity();
            let end = (state.place + share(all)).min(all);
            let numbers = u32::try_from(state.place).unwrap_or(0)..u32::try_from(end).unwrap_or(u32::MAX);
            let tired: Vec<_> = numbers
                .filter_map(|number| places.get(number)?.look(now, looks.idle))
                .collect();
            let is_last = end >= all;
            state.place = if is_last { 0 } else { end };
            (tired, is_last)
        };
        for activation in tired {
            self.outside.report(&activation, Event::Idle);
        }
        if is_last {
            self.give_back();
        }
        let (is_empty, places) = {
            let places = self.places.borrow();
            (places.is_empty(), places.capacity())
        };
        match is_empty {
            true => looks.stop(),
            false => looks.plan(&self.clock, places),
        }
    }

    /// Gives back the memory of activations that are gone, if they are most. Between visits only.
    fn give_back(&self) {
        self.places.borrow_mut().compact(|place, number| {
            let Some(mailbox) = &place.mailbox else { return };
            if place.has_single(mailbox)
                && let Some(old) = mailbox.slot()
            {
                self.waiting.renumber(old, number);
            }
            mailbox.set_slot(Some(number));
        });
        self.forget_waits();
        self.waiting.shrink();
    }
}

impl Place {
    /// The activation, if it has been idle for so long that it is to end.
    fn look(&self, now: Moment, idle: Duration) -> Option<Activation> {
        let mailbox = self.mailbox.as_ref()?;
        let activity = mailbox.activity();
        let (is_free, keeps) = match &self.kept {
            Kept::Idle(_) => (true, false),
            Kept::Slot(slot) => {
                let slot = slot.as_ref()?;
                (slot.is_free(), slot.timers.is_some())
            }
        };
        if !is_free || activity.is_busy() {
            mailbox.cell().seen_busy(now);
            return None;
        }
        (!keeps && now.since(activity.last) >= idle).then(|| Activation::running(mailbox.clone()))
    }
}
