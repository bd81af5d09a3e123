//! What is known of a kind's turns at one silo.

use super::Distribution;
use serde::{Deserialize, Serialize};

/// What happened to the actors of one kind at one silo since its start. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindFigures {
    /// Turns that ended, well or not.
    pub turns: u64,
    /// Turns that ended in a panic.
    pub panics: u64,
    /// Activations that failed: the state could not be read, or a hook failed or panicked.
    pub activation_failures: u64,
    /// Messages and states that could not be decoded.
    pub decode_failures: u64,
    /// Saves that found another state or owner than expected.
    pub store_conflicts: u64,
    /// How long turns took from the start of the handler to its end. A sample: not every turn is timed.
    pub turn_times: Distribution,
}

impl KindFigures {
    /// What went wrong, of any sort.
    pub fn failures(&self) -> u64 {
        self.panics
            .saturating_add(self.activation_failures)
            .saturating_add(self.decode_failures)
            .saturating_add(self.store_conflicts)
    }

    /// Adds what another silo, or another span of time, counted.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add);
        self.turn_times.add(&other.turn_times);
    }

    /// What this one counted and `earlier`, of the same silo, had not.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut news = self.clone();
        news.combine(earlier, u64::saturating_sub);
        news.turn_times = self.turn_times.since(&earlier.turn_times);
        news
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        for (own, other) in [
            (&mut self.turns, other.turns),
            (&mut self.panics, other.panics),
            (&mut self.activation_failures, other.activation_failures),
            (&mut self.decode_failures, other.decode_failures),
            (&mut self.store_conflicts, other.store_conflicts),
        ] {
            *own = with(*own, other);
        }
    }
}

/// The actors that came to one silo by moves since its start. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArrivalFigures {
    /// How many.
    pub actors: u64,
    /// Their packed memories, in bytes.
    pub bytes: u64,
    /// How long each stood still: from its last turn at the source to its first here, by the wall clocks of both.
    pub pauses: Distribution,
}

impl ArrivalFigures {
    /// Adds what another silo counted.
    pub fn add(&mut self, other: &Self) {
        self.actors = self.actors.saturating_add(other.actors);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.pauses.add(&other.pauses);
    }

    /// What this one counted and `earlier`, of the same silo, had not.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            actors: self.actors.saturating_sub(earlier.actors),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            pauses: self.pauses.since(&earlier.pauses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn figures(n: u64) -> KindFigures {
        let mut turn_times = Distribution::default();
        turn_times.record(Duration::from_millis(n));
        KindFigures {
            turns: n,
            panics: 2 * n,
            activation_failures: 3 * n,
            decode_failures: 4 * n,
            store_conflicts: 5 * n,
            turn_times,
        }
    }

    #[test]
    fn what_was_added_is_what_came_since() {
        let mut sum = figures(1);
        sum.add(&figures(10));
        assert_eq!(sum.since(&figures(1)), figures(10));
        assert_eq!(sum.failures(), 11 * 14);
    }
}
