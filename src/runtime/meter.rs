//! What a worker counts of the actors of one kind.

use super::local::Local;
use crate::{
    clock::Moment,
    telemetry::{Durations, KindFigures},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Of so many visits one is timed in any case.
const TIMED: u32 = 64;

/// What a worker counts of the actors of one kind. Its thread counts; any thread reads. On cache lines of its own: senders on other
/// threads read what is beside it.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Meter {
    turns: AtomicU64,
    panics: AtomicU64,
    activation_failures: AtomicU64,
    decode_failures: AtomicU64,
    store_conflicts: AtomicU64,
    turn_times: Durations,
}

/// A store: there is one writer.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Meter {
    /// Turns have begun.
    #[inline]
    pub(super) fn ran(&self, turns: u32) {
        add(&self.turns, u64::from(turns));
    }

    /// A turn took so long, or some took so long on average.
    pub(super) fn took(&self, time: Duration) {
        self.turn_times.record(time);
    }

    /// A handler or a hook panicked.
    pub(super) fn panicked(&self) {
        add(&self.panics, 1);
    }

    /// An activation failed.
    pub(super) fn activation_failed(&self) {
        add(&self.activation_failures, 1);
    }

    /// A message or a state could not be decoded, or is not known.
    pub(super) fn undecodable(&self) {
        add(&self.decode_failures, 1);
    }

    /// A save found another state or owner.
    pub(super) fn conflicted(&self) {
        add(&self.store_conflicts, 1);
    }

    /// What was counted so far.
    pub(super) fn figures(&self) -> KindFigures {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        KindFigures {
            turns: count(&self.turns),
            panics: count(&self.panics),
            activation_failures: count(&self.activation_failures),
            decode_failures: count(&self.decode_failures),
            store_conflicts: count(&self.store_conflicts),
            turn_times: self.turn_times.copy(),
        }
    }
}

impl Local {
    /// Whether the turns of a visit are timed: a clock costs more than a small turn. Those of the first after each tick of the coarse
    /// clock are (of a worker that is not busy nearly all), and one of [`TIMED`].
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        let visits = self.visits.get().wrapping_add(1);
        self.visits.set(visits);
        let tick = self.recent.get();
        visits.is_multiple_of(TIMED) || self.timed_tick.replace(tick) != tick
    }

    /// Counts the turns of a visit; `since`: when it began, if they are timed. Not none.
    #[inline(always)]
    pub(super) fn count(&self, meter: &Meter, turns: u32, since: Option<Moment>) {
        meter.ran(turns);
        if let Some(since) = since {
            self.time(meter, turns, since);
        }
    }

    #[cold]
    fn time(&self, meter: &Meter, turns: u32, since: Moment) {
        meter.took(self.clock.now().since(since) / turns);
    }
}

#[cfg(all(test, not(quark_loom)))]
mod tests {
    use super::*;
    use crate::runtime::{
        desk::Desk,
        fixture::{Book, bench, tell},
    };

    #[tokio::test]
    async fn the_first_visit_after_a_tick_is_timed_and_one_of_many() {
        bench(async |bench| {
            let actor = bench.actor("a");
            bench.run(&actor);
            bench.settle().await;
            let timed = || Desk::of(actor.mailbox()).meter.figures().turn_times.len();
            let before = timed();
            for visits in 1..=10 {
                tell(&actor, Book(visits));
                bench.pass(Duration::from_millis(1)).await;
            }
            assert_eq!(timed() - before, 10, "a worker that is not busy");
            for visits in 0..u64::from(TIMED) * 3 {
                tell(&actor, Book(visits));
                bench.settle().await;
            }
            assert_eq!(timed() - before, 10 + 3, "one that is");
        })
        .await;
    }
}
