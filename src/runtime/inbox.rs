//! What other threads hand to a worker, and how it parks.

use crate::sync::{AtomicBool, Mutex, Ordering};
use std::{mem, task::Waker};

/// What other threads hand to a worker. On cache lines of its own: else what they read of the worker beside it would go away with each
/// hand-over.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    /// Whether anything is there; spares a look under the lock.
    has_some: AtomicBool,
    /// Whether the worker is parked, as it seems without the lock.
    is_parked: AtomicBool,
}

#[derive(Default)]
struct State<T> {
    handed: T,
    /// Of the worker, while it is parked.
    parked: Option<Waker>,
}

impl<T: Default> Inbox<T> {
    /// Hands something over; wakes the worker if it is parked.
    pub(super) fn put(&self, put: impl FnOnce(&mut T)) {
        let parked = {
            let mut state = self.state.lock();
            put(&mut state.handed);
            self.has_some.store(true, Ordering::Release);
            self.take_parked(&mut state)
        };
        if let Some(worker) = parked {
            worker.wake();
        }
    }

    /// Wakes the worker if it is parked.
    pub(super) fn wake(&self) {
        let parked = self.take_parked(&mut self.state.lock());
        if let Some(worker) = parked {
            worker.wake();
        }
    }

    fn take_parked(&self, state: &mut State<T>) -> Option<Waker> {
        let parked = state.parked.take();
        if parked.is_some() {
            self.is_parked.store(false, Ordering::Relaxed);
        }
        parked
    }

    /// Whether the worker is parked, as it seems.
    pub(super) fn is_parked(&self) -> bool {
        self.is_parked.load(Ordering::Relaxed)
    }

    /// Whether something is there: soon, if another thread hands it over now.
    pub(super) fn has_some(&self) -> bool {
        self.has_some.load(Ordering::Acquire)
    }

    /// Exchanges what is there for `empty`.
    pub(super) fn take(&self, empty: &mut T) {
        let mut state = self.state.lock();
        self.has_some.store(false, Ordering::Relaxed);
        mem::swap(&mut state.handed, empty);
    }

    /// Parks the worker until somebody hands something over or wakes it, if it `may` with something there or not. What `may`
    /// reads was written before the wake that would be missed otherwise.
    pub(super) fn park(&self, worker: &Waker, may: impl FnOnce(bool) -> bool) -> bool {
        let mut state = self.state.lock();
        let parks = may(self.has_some.load(Ordering::Relaxed));
        // Under the lock: who comes later finds the worker there.
        state.parked = parks.then(|| worker.clone());
        self.is_parked.store(parks, Ordering::Relaxed);
        parks
    }

    /// Does something with what is there, without taking it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.state.lock().handed)
    }
}
