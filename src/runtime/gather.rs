//! Answers for callers on another worker's thread, gathered and handed over together.
//!
//! What a caller waits with is in its own thread's cache, and to write to it from here would take it away and bring it back: so an
//! answer is carried there in a buffer and said there. To hand that over is a lock that two threads want, and a system call if the
//! other sleeps; answers to many callers of one thread come in bursts. The first of a visit goes at once if the other thread sleeps, so
//! that it begins; others wait for the end of the visit, at most [`MOST`] of them, and only if the turns of the last visits were
//! [`QUICK`]: nobody is kept waiting by turns that take long.

use crate::{
    clock::{Clock, Moment},
    mailbox::{Deliveries, Home},
};
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

/// The most answers that are handed over together.
const MOST: usize = 32;

/// Turns that take less, on average, are quick.
const QUICK: Duration = Duration::from_micros(2);

/// By where they go.
type Homes = Vec<(Arc<dyn Home>, Deliveries)>;

/// What goes to other threads.
#[derive(Default)]
pub(super) struct Gathered {
    homes: RefCell<Homes>,
    /// Within a visit.
    visits: Cell<bool>,
    /// When the first of the visit went.
    began: Cell<Option<Moment>>,
    /// It and those after it.
    count: Cell<u32>,
    /// Whether the last visit that was measured was slow.
    slow: Cell<bool>,
}

impl Gathered {
    /// A visit begins.
    pub(super) fn begin(&self) {
        self.visits.set(true);
    }

    /// Brings something to another thread, soon: as [`Home::deliver`] of that.
    pub(super) fn deliver(
        &self,
        home: Arc<dyn Home>,
        put: &mut dyn FnMut(&mut Deliveries, Arc<dyn Home>),
        clock: &Clock,
    ) {
        let mut at_once = !self.visits.get() || self.slow.get();
        if self.visits.get() {
            self.count.set(self.count.get() + 1);
            if self.began.get().is_none() {
                self.began.set(Some(clock.now()));
                at_once |= home.sleeps();
            }
        }
        let mut all = self.homes.borrow_mut();
        let at = all.iter().position(|(other, _)| Arc::ptr_eq(other, &home));
        let at = at.unwrap_or_else(|| {
            all.push((home.clone(), Deliveries::default()));
            all.len() - 1
        });
        put(&mut all[at].1, home);
        if at_once || all[at].1.len() >= MOST {
            // Without the borrow: for a host that has ended it is done here, and who is woken may do anything.
            let (home, mut deliveries) = all.swap_remove(at);
            drop(all);
            home.deliver_all(&mut deliveries);
            self.homes.borrow_mut().push((home, deliveries));
        }
    }

    /// The visit is over.
    #[inline]
    pub(super) fn hand_over(&self, clock: &Clock) {
        self.visits.set(false);
        if let Some(began) = self.began.take() {
            self.hand_over_all(began, clock);
        }
    }

    fn hand_over_all(&self, began: Moment, clock: &Clock) {
        let mut all = self.homes.take();
        for (home, deliveries) in &mut all {
            if !deliveries.is_empty() {
                home.deliver_all(deliveries);
            }
        }
        // Their memory is used again.
        self.homes.replace(all);
        let count = self.count.replace(0);
        if count > 1 {
            self.slow.set(clock.now().since(began) / (count - 1) > QUICK);
        }
    }

    /// Forgets the other hosts: the worker has ended.
    pub(super) fn end(&self) {
        drop(self.homes.take());
    }
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::{clock::ManualClock, mailbox::Watched};
    use parking_lot::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Notes how many were brought at a time.
    #[derive(Default)]
    struct There {
        brought: Mutex<Vec<usize>>,
        awake: AtomicBool,
    }

    impl Home for There {
        fn deliver(self: Arc<Self>, put: &mut dyn FnMut(&mut Deliveries, Arc<dyn Home>)) {
            put(&mut Deliveries::default(), self);
        }

        fn deliver_all(&self, deliveries: &mut Deliveries) {
            self.brought.lock().push(deliveries.len());
            deliveries.deliver();
        }

        fn sleeps(&self) -> bool {
            !self.awake.load(Ordering::Relaxed)
        }

        fn watch(&self, _: Moment, _: Moment, _: &dyn Fn() -> Watched) -> bool {
            false
        }
    }

    struct Case {
        gathered: Gathered,
        home: Arc<There>,
        clock: Clock,
        hands: ManualClock,
    }

    impl Case {
        fn new() -> Self {
            let (clock, hands) = Clock::manual();
            Self {
                gathered: Gathered::default(),
                home: Arc::default(),
                clock,
                hands,
            }
        }

        fn bring(&self, times: usize, each: Duration) {
            let home: Arc<dyn Home> = self.home.clone();
            for _ in 0..times {
                let put = &mut |deliveries: &mut Deliveries, home| deliveries.push(home);
                self.gathered.deliver(home.clone(), put, &self.clock);
                self.hands.advance(each);
            }
        }

        fn visit(&self, times: usize, each: Duration) -> Vec<usize> {
            self.gathered.begin();
            self.bring(times, each);
            self.gathered.hand_over(&self.clock);
            std::mem::take(&mut self.home.brought.lock())
        }
    }

    #[test]
    fn the_first_of_a_visit_goes_at_once_to_who_sleeps_and_the_others_together() {
        let case = Case::new();
        assert_eq!(case.visit(1, QUICK), [1]);
        assert_eq!(case.visit(20, Duration::ZERO), [1, 19]);
        assert_eq!(case.visit(MOST + 3, Duration::ZERO), [1, MOST, 2]);
        case.bring(2, Duration::ZERO);
        assert_eq!(
            *case.home.brought.lock(),
            [1, 1],
            "outside of visits nobody would hand them over"
        );
        case.home.brought.lock().clear();
        case.home.awake.store(true, Ordering::Relaxed);
        assert_eq!(case.visit(20, Duration::ZERO), [20], "to who is awake");
        assert_eq!(case.visit(MOST + 3, Duration::ZERO), [MOST, 3]);
    }

    #[test]
    fn nobody_waits_for_turns_that_take_long_once_that_was_seen() {
        let case = Case::new();
        assert_eq!(case.visit(4, QUICK * 10), [1, 3], "it was not known");
        assert_eq!(case.visit(4, QUICK * 10), [1; 4]);
        assert_eq!(case.visit(4, Duration::ZERO), [1; 4]);
        assert_eq!(case.visit(4, Duration::ZERO), [1, 3], "they are quick again");
    }
}
