//! What a cell shows at an instant, and the score of it.

use crate::clock::Moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How busy an activation is. From [`super::ActivityCell::snapshot`], or put together by who knows the parts from
/// elsewhere (the depth from the mailbox itself, say).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activity {
    /// Messages in the mailbox.
    pub depth: u32,
    /// Calls and turns that run.
    pub calls: u32,
    /// Streams it is subscribed to.
    pub streams: u32,
    /// When something last happened.
    pub last: Moment,
}

impl Activity {
    /// How long nothing has happened.
    pub fn idle(&self, now: Moment) -> Duration {
        now.since(self.last)
    }

    /// Whether messages wait or run.
    pub fn is_busy(&self) -> bool {
        self.depth > 0 || self.calls > 0
    }

    /// The score on the default scale; see [`ScoreScale::score`].
    pub fn score(&self, now: Moment) -> f64 {
        ScoreScale::default().score(self, now)
    }
}

/// What counts as much in a score. The shares themselves are fixed: 0.4 for the queue, 0.3 for calls, 0.2 for streams
/// and 0.1 for recency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreScale {
    /// The depth from which the queue counts in full; at least 1. Default 10.
    pub full_depth: u32,
    /// The number of calls from which they count in full; at least 1. Default 5.
    pub full_calls: u32,
    /// The idle time from which recency counts nothing. Default 60 s.
    pub recency: Duration,
}

impl Default for ScoreScale {
    fn default() -> Self {
        Self {
            full_depth: 10,
            full_calls: 5,
            recency: Duration::from_secs(60),
        }
    }
}

impl ScoreScale {
    /// How active, from 0 to 1: 0.4 · min(depth / `full_depth`, 1) + 0.3 · min(calls / `full_calls`, 1) + 0.2 if there is
    /// a stream + 0.1 · max(1 - idle / `recency`, 0). The formula and its shares are those of Quark for .NET (R17).
    pub fn score(&self, activity: &Activity, now: Moment) -> f64 {
        let share = |part: u32, full: u32| (f64::from(part) / f64::from(full.max(1))).min(1.0);
        let idle = activity.idle(now);
        let recency = if idle < self.recency {
            1.0 - idle.as_secs_f64() / self.recency.as_secs_f64()
        } else {
            0.0
        };
        let streams = if activity.streams > 0 { 0.2 } else { 0.0 };
        0.4 * share(activity.depth, self.full_depth)
            + 0.3 * share(activity.calls, self.full_calls)
            + streams
            + 0.1 * recency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(depth: u32, calls: u32, streams: u32, idle_millis: u64) -> f64 {
        let last = Moment(7_000_000);
        let activity = Activity {
            depth,
            calls,
            streams,
            last,
        };
        activity.score(last + Duration::from_millis(idle_millis))
    }

    /// R17
    #[test]
    fn the_score_is_the_sum_of_its_shares() {
        for (depth, calls, streams, idle, expected) in [
            (0, 0, 0, 60_000, 0.0),
            (0, 0, 0, 600_000, 0.0),
            (0, 0, 0, 0, 0.1),
            (0, 0, 0, 30_000, 0.05),
            (0, 0, 0, 59_400, 0.001),
            (1, 0, 0, 60_000, 0.04),
            (5, 0, 0, 60_000, 0.2),
            (10, 0, 0, 60_000, 0.4),
            (11, 0, 0, 60_000, 0.4),
            (u32::MAX, 0, 0, 60_000, 0.4),
            (0, 1, 0, 60_000, 0.06),
            (0, 5, 0, 60_000, 0.3),
            (0, 6, 0, 60_000, 0.3),
            (0, 0, 1, 60_000, 0.2),
            (0, 0, 9, 60_000, 0.2),
            (5, 2, 1, 30_000, 0.57),
            (10, 5, 1, 0, 1.0),
            (u32::MAX, u32::MAX, u32::MAX, 0, 1.0),
        ] {
            let found = score(depth, calls, streams, idle);
            assert!(
                (found - expected).abs() < 1e-9,
                "({depth}, {calls}, {streams}, {idle} ms): {found}"
            );
            assert!((0.0..=1.0).contains(&found));
        }
    }

    /// R28
    #[test]
    fn an_event_after_now_counts_as_now() {
        let activity = Activity {
            last: Moment(1000),
            ..Activity::default()
        };
        assert!((activity.score(Moment(0)) - 0.1).abs() < 1e-9);
    }

    /// R18
    #[test]
    fn the_scale_can_be_changed() {
        let scale = ScoreScale {
            full_depth: 100,
            full_calls: 0,
            recency: Duration::ZERO,
        };
        let activity = Activity {
            depth: 50,
            calls: 1,
            ..Activity::default()
        };
        assert!((scale.score(&activity, Moment(0)) - 0.5).abs() < 1e-9);
    }
}
