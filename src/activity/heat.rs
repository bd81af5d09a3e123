//! Hot or cold.

use super::{Activity, ScoreScale};
use crate::clock::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether an actor is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heat {
    /// Nobody would notice a pause.
    #[default]
    Cold,
    /// In use.
    Hot,
}

/// Tells hot from cold. A busy actor (messages wait or run) is hot under every policy.
///
/// Beside that, a cold actor becomes hot when one of these is so, and a hot one stays hot while one is:
///
/// | | becomes hot | stays hot | default |
/// |---|---|---|---|
/// | score | > `hot_above` | > `cold_at` | 0.5, 0.4 |
/// | idle | < `hot_within` | < `cold_after` | 5 s, 15 s |
/// | streams | `streams_are_hot` | `streams_are_hot` | yes |
///
/// The gap between each pair keeps an actor at the edge from changing at every look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HotPolicy {
    /// A score greater than this makes a cold actor hot.
    pub hot_above: f64,
    /// A score greater than this keeps a hot actor hot; at most `hot_above`.
    pub cold_at: f64,
    /// A cold actor that was active within this time is hot.
    pub hot_within: Duration,
    /// A hot actor that was active within this time stays hot; at least `hot_within`.
    pub cold_after: Duration,
    /// Whether an actor with a stream is hot.
    pub streams_are_hot: bool,
    /// What the score is measured by.
    pub scale: ScoreScale,
}

impl Default for HotPolicy {
    fn default() -> Self {
        Self {
            hot_above: 0.5,
            cold_at: 0.4,
            hot_within: Duration::from_secs(5),
            cold_after: Duration::from_secs(15),
            streams_are_hot: true,
            scale: ScoreScale::default(),
        }
    }
}

impl HotPolicy {
    /// Score and queue alone: hot is a score greater than 0.5, a call that runs or a message that waits (R18).
    pub fn by_score() -> Self {
        Self {
            cold_at: 0.5,
            hot_within: Duration::ZERO,
            cold_after: Duration::ZERO,
            streams_are_hot: false,
            ..Self::default()
        }
    }

    /// Whether the actor is hot `now`, given what it was at the last look ([`Heat::Cold`] if there was none).
    pub fn is_hot(&self, previous: Heat, activity: &Activity, now: Moment) -> Heat {
        let (score, window) = match previous {
            Heat::Cold => (self.hot_above, self.hot_within),
            Heat::Hot => (self.cold_at, self.cold_after),
        };
        let hot = activity.is_busy()
            || (self.streams_are_hot && activity.streams > 0)
            || activity.idle(now) < window
            || self.scale.score(activity, now) > score;
        if hot { Heat::Hot } else { Heat::Cold }
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// The field that is wrong and what it may be.
    pub fn check(&self) -> Result<(), InvalidHotPolicy> {
        let score = 0.0..=1.0;
        if !score.contains(&self.hot_above) || !score.contains(&self.cold_at) {
            return Err(InvalidHotPolicy::NoScore {
                hot_above: self.hot_above,
                cold_at: self.cold_at,
            });
        }
        if self.cold_at > self.hot_above {
            return Err(InvalidHotPolicy::Scores {
                hot_above: self.hot_above,
                cold_at: self.cold_at,
            });
        }
        if self.cold_after < self.hot_within {
            return Err(InvalidHotPolicy::Windows {
                hot_within: self.hot_within,
                cold_after: self.cold_after,
            });
        }
        Ok(())
    }
}

/// A policy by which an actor would be hot and cold at once, or never either.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHotPolicy {
    /// A threshold that no score can be.
    #[error("hot_above ({hot_above}) and cold_at ({cold_at}) must be scores, from 0 to 1")]
    NoScore {
        /// As given.
        hot_above: f64,
        /// As given.
        cold_at: f64,
    },
    /// The thresholds are the wrong way round.
    #[error("cold_at ({cold_at}) is greater than hot_above ({hot_above}); lower cold_at")]
    Scores {
        /// As given.
        hot_above: f64,
        /// As given.
        cold_at: f64,
    },
    /// The windows are the wrong way round.
    #[error("cold_after ({cold_after:?}) is shorter than hot_within ({hot_within:?}); lengthen cold_after")]
    Windows {
        /// As given.
        hot_within: Duration,
        /// As given.
        cold_after: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(3_600_000_000_000);

    fn activity(depth: u32, calls: u32, streams: u32, idle_millis: u64) -> Activity {
        Activity {
            depth,
            calls,
            streams,
            last: Moment(NOW.0 - idle_millis * 1_000_000),
        }
    }

    /// R18
    #[test]
    fn a_busy_actor_is_hot_under_every_policy() {
        for policy in [HotPolicy::default(), HotPolicy::by_score()] {
            for previous in [Heat::Cold, Heat::Hot] {
                for busy in [activity(1, 0, 0, 900_000), activity(0, 1, 0, 900_000)] {
                    assert_eq!(policy.is_hot(previous, &busy, NOW), Heat::Hot);
                }
                assert_eq!(policy.is_hot(previous, &activity(0, 0, 0, 900_000), NOW), Heat::Cold);
            }
        }
    }

    /// R18
    #[test]
    fn by_score_an_actor_with_streams_alone_is_cold() {
        let policy = HotPolicy::by_score();
        assert_eq!(policy.is_hot(Heat::Hot, &activity(0, 0, 3, 0), NOW), Heat::Cold);
        let eager = HotPolicy {
            hot_above: 0.25,
            cold_at: 0.25,
            ..policy
        };
        assert_eq!(eager.is_hot(Heat::Cold, &activity(0, 0, 3, 0), NOW), Heat::Hot);
    }

    /// R19
    #[test]
    fn by_default_streams_and_recent_traffic_are_hot() {
        let policy = HotPolicy::default();
        assert_eq!(policy.is_hot(Heat::Cold, &activity(0, 0, 1, 900_000), NOW), Heat::Hot);
        assert_eq!(policy.is_hot(Heat::Cold, &activity(0, 0, 0, 4_999), NOW), Heat::Hot);
        assert_eq!(policy.is_hot(Heat::Cold, &activity(0, 0, 0, 5_000), NOW), Heat::Cold);
    }

    /// R19
    #[test]
    fn between_the_edges_heat_stays_what_it_was() {
        let policy = HotPolicy::default();
        let between = activity(0, 0, 0, 10_000);
        for previous in [Heat::Cold, Heat::Hot] {
            assert_eq!(policy.is_hot(previous, &between, NOW), previous);
        }
        assert_eq!(policy.is_hot(Heat::Hot, &activity(0, 0, 0, 15_000), NOW), Heat::Cold);
        let by_score = HotPolicy {
            hot_above: 0.09,
            cold_at: 0.04,
            ..HotPolicy::by_score()
        };
        for previous in [Heat::Cold, Heat::Hot] {
            assert_eq!(by_score.is_hot(previous, &between, NOW), previous);
        }
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_refused() {
        let default = HotPolicy::default();
        assert_eq!(default.check(), Ok(()));
        assert_eq!(HotPolicy::by_score().check(), Ok(()));
        let mut wrong = default;
        wrong.cold_at = 0.6;
        assert!(matches!(wrong.check(), Err(InvalidHotPolicy::Scores { .. })));
        wrong = default;
        wrong.hot_above = f64::NAN;
        assert!(matches!(wrong.check(), Err(InvalidHotPolicy::NoScore { .. })));
        wrong = default;
        wrong.cold_after = Duration::from_secs(1);
        assert!(matches!(wrong.check(), Err(InvalidHotPolicy::Windows { .. })));
    }
}
