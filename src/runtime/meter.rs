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

/// Of so many visits one is timed.
const TIMED: u32 = 16;

/// What a worker counts of the actors of one kind. Its thread counts; any thread reads.
#[derive(Default)]
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
    /// Whether the turns of a visit are timed: a clock costs more than a small turn.
    pub(super) fn is_timed(&self) -> bool {
        let visits = self.visits.get().wrapping_add(1);
        self.visits.set(visits);
        visits.is_multiple_of(TIMED)
    }

    /// Counts the turns of a visit; `since`: when it began, if they are timed. Not none.
    pub(super) fn count(&self, meter: &Meter, turns: u32, since: Option<Moment>) {
        meter.ran(turns);
        if let Some(since) = since {
            meter.took(self.clock.now().since(since) / turns);
        }
    }
}
