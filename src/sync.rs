//! Locks and atomics where threads meet on the path of a message: the machine's, or loom's, which tries the orders in which
//! threads can go on and the values that they can read (`make loom`).
//!
//! Imports nothing of the crate.

#[cfg(not(all(test, quark_loom)))]
pub(crate) use self::machine::*;

#[cfg(all(test, quark_loom))]
pub(crate) use self::explored::*;

#[cfg_attr(
    all(test, quark_loom),
    allow(dead_code, reason = "in models loom's own lock stands for it")
)]
mod lock;

#[cfg(not(all(test, quark_loom)))]
mod machine {
    pub(crate) use super::lock::Lock;
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

    /// Between two looks for what another thread is about to do.
    pub(super) fn relax(looks: u32) {
        if looks % 128 == 127 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(all(test, quark_loom))]
mod explored {
    use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

    /// Runs `model` in all orders in which its threads can go on with at most so many preemptions, and with all values that they
    /// can read, and says how many these were. Panics, with the order, if one does, or if no thread can go on.
    pub(crate) fn explore(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = runs.clone();
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 20_000;
        builder.check(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            model();
        });
        println!("{name}: {} runs", runs.load(std::sync::atomic::Ordering::Relaxed));
    }

    /// Between two looks for what another thread is about to do.
    pub(super) fn relax(_: u32) {
        loom::thread::yield_now();
    }

    pub(crate) use Mutex as Lock;

    /// Loom's lock by the names of the others.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread of a model panics with a lock")
        }
    }
}
