//! How durations are distributed, in buckets whose width grows with the value.
//!
//! Buckets as in HdrHistogram (Gil Tene, 2012): 16 to each power of two, so that a bucket is at most a sixteenth as wide as
//! what is in it, whatever the magnitude.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Buckets to a power of two, as a power of two.
const FINENESS: u32 = 4;

/// One past the last bucket: 2^36 us, 19 hours. What takes longer is counted there.
const BUCKETS: usize = ((36 - FINENESS as usize) + 1) << FINENESS;

/// Durations as they come. One thread records; any thread may copy at any time.
#[derive(Debug)]
pub struct Durations(Box<[AtomicU64]>);

impl Default for Durations {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Durations {
    /// Counts one duration. Two threads that record at once may lose a count, and nothing else.
    pub fn record(&self, duration: Duration) {
        let count = &self.0[bucket(duration)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn copy(&self) -> Distribution {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let filled = counts.enumerate().filter(|(_, count)| *count > 0);
        Distribution(filled.map(|(at, count)| (narrow(at), count)).collect())
    }
}

/// How often durations of which size came. Sparse: a bucket that nothing fell into is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distribution(BTreeMap<u16, u64>);

impl Distribution {
    /// How many.
    pub fn len(&self) -> u64 {
        self.0.values().sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        *self.0.entry(narrow(bucket(duration))).or_default() += 1;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            let sum = self.0.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// What this one counted and `earlier`, a copy of the same source, had not.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let news = self.0.iter().map(|(bucket, count)| {
            let before = earlier.0.get(bucket).copied().unwrap_or(0);
            (*bucket, count.saturating_sub(before))
        });
        Self(news.filter(|(_, count)| *count > 0).collect())
    }

    /// The duration that a share of `thousandths` does not exceed, rounded up to the end of its bucket; `None` if nothing was counted.
    pub fn quantile(&self, thousandths: u64) -> Option<Duration> {
        let rank = (self.len() * thousandths.min(1000)).div_ceil(1000).max(1);
        let mut counted = 0;
        for (bucket, count) in &self.0 {
            counted += count;
            if counted >= rank {
                return Some(end(*bucket));
            }
        }
        None
    }
}

/// The bucket of a duration, in whole microseconds rounded up.
fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
    let octave = (u64::BITS - micros.leading_zeros()).saturating_sub(FINENESS + 1);
    let at = (u64::from(octave) << FINENESS) + (micros >> octave);
    usize::try_from(at).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The longest duration of a bucket.
fn end(bucket: u16) -> Duration {
    let bucket = u64::from(bucket);
    let octave = (bucket >> FINENESS).saturating_sub(1);
    let first = bucket - (octave << FINENESS);
    Duration::from_micros(((first + 1) << octave) - 1)
}

fn narrow(bucket: usize) -> u16 {
    u16::try_from(bucket).expect("invariant: there are fewer than 65,536 buckets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(micros: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        for micros in micros {
            distribution.record(Duration::from_micros(*micros));
        }
        distribution
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_a_sixteenth_above_the_truth(mut micros in prop::collection::vec(0_u64..1 << 35, 1..200), thousandths in 1_u64..=1000) {
            let found = of(&micros).quantile(thousandths).expect("not empty").as_micros();
            micros.sort_unstable();
            let rank = (micros.len() * usize::try_from(thousandths).expect("small")).div_ceil(1000);
            let truth = u128::from(micros[rank - 1]);
            prop_assert!(truth <= found && found <= truth + truth / 16, "{found} for {truth}");
        }
    }

    #[test]
    fn what_came_since_is_the_difference_of_two_copies() {
        let durations = Durations::default();
        let record = |micros| durations.record(Duration::from_micros(micros));
        [3, 500].into_iter().for_each(record);
        let earlier = durations.copy();
        [500, 70_000].into_iter().for_each(record);
        assert_eq!(durations.copy().since(&earlier), of(&[500, 70_000]));
        let mut all = earlier.clone();
        all.add(&of(&[500, 70_000]));
        assert_eq!(all, durations.copy());
    }

    #[test]
    fn what_is_longer_than_all_buckets_is_in_the_last() {
        let mut distribution = of(&[1]);
        distribution.record(Duration::MAX);
        assert_eq!(distribution.len(), 2);
        assert!(distribution.quantile(1000) > Some(Duration::from_secs(60_000)));
        assert_eq!(distribution.quantile(500), Some(Duration::from_micros(1)));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Distribution::default().quantile(500), None);
        assert!(of(&[]).is_empty());
    }
}
