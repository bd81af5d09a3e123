//! A lock that is held for a few instructions.
//!
//! `unsafe` because to give back any lock that can put its waiters to sleep is as dear as to take it: a look for them that no
//! other thread comes between. Of a tell on one thread that was a tenth, of a hop between two actors more (see benches/peers). This
//! one is given back with a store.
//!
//! Who waits looks again and again, and lets others run if that takes long: the thread that holds it may have been taken off its
//! core.

#![allow(unsafe_code, reason = "a lock as dear to give back as to take otherwise; see above")]

use super::{AtomicBool, Ordering, relax};
use std::{
    cell::UnsafeCell,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

/// A lock that is held for a few instructions.
#[derive(Default)]
pub(crate) struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached by whoever has set `held` alone; it goes from thread to thread, as one that is `Send` may.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            held: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for its turn.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        self.try_lock().unwrap_or_else(|| self.wait())
    }

    #[inline]
    fn try_lock(&self) -> Option<Held<'_, T>> {
        let taken = self
            .held
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(|_| Held {
            lock: self,
            value: PhantomData,
        })
    }

    #[cold]
    fn wait(&self) -> Held<'_, T> {
        let mut looks = 0_u32;
        loop {
            // A look does not take the cache line away from the holder.
            if !self.held.load(Ordering::Relaxed)
                && let Some(held) = self.try_lock()
            {
                return held;
            }
            relax(looks);
            looks = looks.wrapping_add(1);
        }
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// The value of a [`Lock`], until it is given back.
pub(crate) struct Held<'a, T> {
    lock: &'a Lock<T>,
    /// It may be where the value may.
    value: PhantomData<&'a mut T>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: who made this has set `held`, which is given back with it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is the only one.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_two_hold_it_at_once_and_a_panic_gives_it_back() {
        const EACH: u64 = 50_000;
        let lock = Lock::new((0u64, 0u64));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut held = lock.lock();
                        held.0 += 1;
                        assert_eq!(held.1 + 1, held.0);
                        held.1 += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), (3 * EACH, 3 * EACH));
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock.lock();
            panic!("while it is held");
        }));
        assert!(panics.is_err());
        lock.lock().0 = 0;
    }
}

#[cfg(all(test, quark_loom))]
mod loom_tests {
    use super::*;
    use crate::sync::explore;
    use loom::thread;
    use std::sync::Arc;

    /// Who finds it held goes away: loom does not end with those that look again and again.
    #[test]
    fn no_two_hold_a_lock_at_once() {
        explore("a lock, three that add to what it holds", 3, || {
            // Loom says if two are at it, or one without the other's writes.
            let lock = Arc::new(Lock::new(loom::cell::Cell::new(0)));
            let add = |lock: &Lock<loom::cell::Cell<u32>>| {
                let held = lock.try_lock();
                held.map_or(0, |held| {
                    held.set(held.get() + 1);
                    1
                })
            };
            let others = [(); 2].map(|()| {
                let lock = lock.clone();
                thread::spawn(move || add(&lock))
            });
            let added: u32 = add(&lock) + others.map(|other| other.join().expect("it ends")).iter().sum::<u32>();
            assert!(added > 0, "one of them got it");
            assert_eq!(lock.try_lock().expect("given back").get(), added);
        });
    }
}
