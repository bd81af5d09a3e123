//! Asks of a worker's own tasks for actors of other workers: who wakes them before their deadlines.
//!
//! Nearly all are answered long before, and an alarm for each costs as much as the rest of what the caller does. So the worker looks at
//! all of them now and then, and wakes those whose deadlines come near; these set alarms of their own.

use crate::{clock::Moment, mailbox::Watched};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

/// How often the worker looks, as long as asks wait.
const LOOK: Duration = Duration::from_secs(1);

/// Asks are woken so long before their deadlines, or at the next look.
const AHEAD: Duration = Duration::from_secs(2);

/// Those that are over are forgotten when there are so many, or twice as many as were not over at the last time.
const FEW: usize = 1024;

/// The asks that a worker wakes before their deadlines.
#[derive(Default)]
pub(super) struct FarAsks {
    asks: RefCell<Vec<(Moment, Watched)>>,
    /// When it looks next, if asks wait.
    look_at: Cell<Option<Moment>>,
    /// When there are so many, those that are over are forgotten.
    tidy_at: Cell<usize>,
}

impl FarAsks {
    /// Whether an ask that is sent `now` can leave it to the worker to be woken.
    pub(super) fn takes(deadline: Moment, now: Moment) -> bool {
        deadline > now + AHEAD + LOOK
    }

    /// An ask leaves it to the worker to be woken before `deadline`. Answers whether the worker looks earlier than it knows.
    pub(super) fn add(&self, deadline: Moment, ask: Watched, now: Moment) -> bool {
        let mut asks = self.asks.borrow_mut();
        asks.push((deadline, ask));
        if asks.len() >= self.tidy_at.get().max(FEW) {
            asks.retain(|(_, ask)| !ask.is_over());
            self.tidy_at.set(asks.len() * 2);
        }
        let begins = self.look_at.get().is_none();
        if begins {
            self.look_at.set(Some(now + LOOK));
        }
        begins
    }

    /// When the worker is to look.
    pub(super) fn next_look(&self) -> Option<Moment> {
        self.look_at.get()
    }

    /// Wakes those whose deadlines come near, if it is time to.
    pub(super) fn look(&self, now: Moment) {
        if self.look_at.get().is_some_and(|at| at <= now) {
            self.wake(|deadline| deadline < now + AHEAD);
            let mut asks = self.asks.borrow_mut();
            let room = asks.len() * 2;
            asks.shrink_to(room);
            self.tidy_at.set(room);
            self.look_at.set((!asks.is_empty()).then(|| now + LOOK));
        }
    }

    /// Wakes all: the worker does not look for some time, or ever again.
    pub(super) fn wake_all(&self) {
        if self.look_at.take().is_some() {
            self.wake(|_| true);
            *self.asks.borrow_mut() = Vec::new();
        }
    }

    fn wake(&self, is_near: impl Fn(Moment) -> bool) {
        let mut woken = Vec::new();
        self.asks.borrow_mut().retain(|(deadline, ask)| {
            if is_near(*deadline) {
                woken.extend(ask.take_waker());
                return false;
            }
            !ask.is_over()
        });
        // Without the borrow: who is woken may do anything.
        for waker in woken {
            waker.wake();
        }
    }
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::mailbox::{Replied, ReplySender, ReplyWait, reply_pair_for};
    use futures_util::task::{ArcWake, waker};
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    const SECOND: u64 = 1_000_000_000;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl ArcWake for Wakes {
        fn wake_by_ref(wakes: &Arc<Self>) {
            wakes.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Default)]
    struct Case {
        far: FarAsks,
        wakes: Arc<Wakes>,
    }

    impl Case {
        /// An ask that waits, sent at moment 0.
        fn ask(&self, deadline: u64) -> (ReplySender<u32>, ReplyWait<u32>) {
            let (sender, wait) = reply_pair_for(Some(waker(self.wakes.clone())));
            self.far.add(Moment(deadline), wait.watched(), Moment(0));
            (sender, wait)
        }

        fn woken(&self) -> u32 {
            self.wakes.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn an_ask_is_woken_before_its_deadline_and_not_again() {
        let case = Case::default();
        assert!(!FarAsks::takes(Moment(3 * SECOND), Moment(0)), "that is too soon");
        assert!(FarAsks::takes(Moment(3 * SECOND + 1), Moment(0)));
        let _asks = [case.ask(4 * SECOND), case.ask(100 * SECOND)];
        for second in 1..=5 {
            let at = case.far.next_look().expect("asks wait");
            assert_eq!(at, Moment(second * SECOND));
            case.far.look(Moment(at.0 - 1));
            case.far.look(at);
            assert_eq!(case.woken(), u32::from(second >= 3), "after {second} s");
        }
        case.far.wake_all();
        assert_eq!((case.woken(), case.far.next_look()), (2, None));
    }

    #[test]
    fn those_that_are_over_are_forgotten_and_the_worker_looks_no_more() {
        let case = Case::default();
        let kept = case.ask(100 * SECOND);
        for n in 0..10 * FEW {
            let (sender, wait) = case.ask(100 * SECOND);
            if n % 2 == 0 {
                sender.answer(Ok(Replied::Typed(1)));
            }
            drop(wait);
            assert!(case.far.asks.borrow().len() <= FEW, "of {n}");
        }
        drop(kept);
        case.far.look(Moment(SECOND));
        assert_eq!((case.far.next_look(), case.far.asks.borrow().capacity()), (None, 0));
        let _again = case.ask(100 * SECOND);
        assert!(case.far.next_look().is_some());
    }
}
