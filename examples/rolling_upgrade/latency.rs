//! How long plain asks take: before, during and after the drains.

use serde::Serialize;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Where the upgrade stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No silo was told to stop yet.
    #[default]
    Before,
    /// A silo drains: from its signal to its end.
    During,
    /// No silo drains any more, or for now.
    After,
}

/// The latencies of the plain asks, as they were measured.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    phase: Phase,
    micros: [Vec<u64>; 3],
    fresh: Vec<u64>,
}

impl Latencies {
    /// The phase now.
    pub(crate) fn phase(&self) -> Phase {
        self.samples().phase
    }

    /// The upgrade enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.samples().phase = phase;
    }

    /// An ask that was sent in a phase is answered now. One that saw two phases counts as `During`.
    pub(crate) fn note(&self, sent_in: Phase, took: Duration) {
        let mut samples = self.samples();
        let phase = if sent_in == samples.phase {
            sent_in
        } else {
            Phase::During
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        samples.micros[phase as usize].push(micros);
        samples.fresh.push(micros);
    }

    /// What was measured since the last call.
    pub(crate) fn take_fresh(&self) -> Vec<u64> {
        std::mem::take(&mut self.samples().fresh)
    }

    /// All that was measured in a phase.
    pub(crate) fn spread(&self, phase: Phase) -> Option<Spread> {
        Spread::of(self.samples().micros[phase as usize].clone())
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The spread of some measurements, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    /// Half of them are at most this.
    pub(crate) p50: u64,
    /// 99 % of them are at most this.
    pub(crate) p99: u64,
    /// All of them are at most this.
    pub(crate) max: u64,
}

impl Spread {
    /// The spread by nearest rank; `None` of nothing.
    pub(crate) fn of(mut micros: Vec<u64>) -> Option<Self> {
        micros.sort_unstable();
        let rank = |percent: usize| {
            micros
                .get((micros.len() * percent).div_ceil(100).saturating_sub(1))
                .copied()
        };
        Some(Self {
            p50: rank(50)?,
            p99: rank(99)?,
            max: rank(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values_by_nearest_rank() {
        let spread = Spread::of((1..=200).rev().collect());
        let wanted = Spread {
            p50: 100,
            p99: 198,
            max: 200,
        };
        assert_eq!(spread, Some(wanted));
        let one = Spread::of(vec![7]).expect("one");
        assert_eq!((one.p50, one.p99, one.max), (7, 7, 7));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn an_ask_that_saw_two_phases_counts_as_during() {
        let latencies = Latencies::default();
        latencies.note(Phase::Before, Duration::from_micros(1));
        latencies.enter(Phase::During);
        latencies.note(Phase::Before, Duration::from_micros(2));
        latencies.note(Phase::During, Duration::from_micros(3));
        latencies.enter(Phase::After);
        latencies.note(Phase::During, Duration::from_micros(4));
        latencies.note(Phase::After, Duration::from_micros(5));
        let all = |phase| latencies.samples().micros[phase as usize].clone();
        assert_eq!(all(Phase::Before), [1]);
        assert_eq!(all(Phase::During), [2, 3, 4]);
        assert_eq!(all(Phase::After), [5]);
        assert_eq!(latencies.take_fresh().len(), 5);
        assert!(latencies.take_fresh().is_empty());
    }
}
