//! Wakes of who waits on another worker's thread, gathered and handed over together.
//!
//! A wake across threads is a lock that two threads want, and a system call if the other sleeps; answers to many callers of one
//! thread come in bursts. The first wake of a visit goes at once, so that the other thread begins; those after it wait for the
//! end of the visit, at most [`MOST`] of them, and only if the turns of the last visits were [`QUICK`]: nobody is kept waiting by
//! turns that take long.

use crate::{
    clock::{Clock, Moment},
    mailbox::Home,
};
use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    task::Waker,
    time::Duration,
};

/// The most wakes that are handed over together.
const MOST: usize = 32;

/// Turns that take less, on average, are quick.
const QUICK: Duration = Duration::from_micros(2);

/// By where they wait.
type Wakers = Vec<(Arc<dyn Home>, Vec<Waker>)>;

/// Whom to wake on other threads.
#[derive(Default)]
pub(super) struct Gathered {
    wakers: RefCell<Wakers>,
    /// Within a visit.
    visits: Cell<bool>,
    /// When the first of the visit was woken.
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

    /// Wakes somebody on another thread, soon.
    pub(super) fn wake(&self, home: &Arc<dyn Home>, waker: Waker, clock: &Clock) {
        let mut at_once = !self.visits.get() || self.slow.get();
        if self.visits.get() {
            self.count.set(self.count.get() + 1);
            if self.began.get().is_none() {
                self.began.set(Some(clock.now()));
                at_once = true;
            }
        }
        let mut all = self.wakers.borrow_mut();
        let at = all.iter().position(|(host, _)| Arc::ptr_eq(host, home));
        let at = at.unwrap_or_else(|| {
            all.push((home.clone(), Vec::with_capacity(MOST)));
            all.len() - 1
        });
        all[at].1.push(waker);
        if at_once || all[at].1.len() >= MOST {
            // Without the borrow: a host that has ended wakes them here, and who is woken may do anything.
            let (home, mut wakers) = all.swap_remove(at);
            drop(all);
            home.wake_all(&mut wakers);
            self.wakers.borrow_mut().push((home, wakers));
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
        let mut all = self.wakers.take();
        for (home, wakers) in &mut all {
            if !wakers.is_empty() {
                home.wake_all(wakers);
            }
        }
        // Their memory is used again.
        self.wakers.replace(all);
        let count = self.count.replace(0);
        if count > 1 {
            self.slow.set(clock.now().since(began) / (count - 1) > QUICK);
        }
    }

    /// Forgets the other hosts: the worker has ended.
    pub(super) fn end(&self) {
        self.wakers.borrow_mut().clear();
    }
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use parking_lot::Mutex;

    /// Notes how many it was to wake at a time.
    #[derive(Default)]
    struct There(Mutex<Vec<usize>>);

    impl Home for There {
        fn wake(&self, _: &Arc<dyn Home>, waker: Waker) {
            waker.wake();
        }

        fn wake_all(&self, wakers: &mut Vec<Waker>) {
            self.0.lock().push(wakers.drain(..).count());
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

        fn wake(&self, times: usize, each: Duration) {
            let home: Arc<dyn Home> = self.home.clone();
            for _ in 0..times {
                self.gathered.wake(&home, Waker::noop().clone(), &self.clock);
                self.hands.advance(each);
            }
        }

        fn visit(&self, times: usize, each: Duration) -> Vec<usize> {
            self.gathered.begin();
            self.wake(times, each);
            self.gathered.hand_over(&self.clock);
            std::mem::take(&mut self.home.0.lock())
        }
    }

    #[test]
    fn the_first_wake_of_a_visit_goes_at_once_and_the_others_together() {
        let case = Case::new();
        assert_eq!(case.visit(1, QUICK), [1]);
        assert_eq!(case.visit(20, Duration::ZERO), [1, 19]);
        assert_eq!(case.visit(MOST + 3, Duration::ZERO), [1, MOST, 2]);
        case.wake(2, Duration::ZERO);
        assert_eq!(
            *case.home.0.lock(),
            [1, 1],
            "outside of visits nobody would hand them over"
        );
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
