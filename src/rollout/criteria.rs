//! By what a new version is judged.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// By what a new version is judged against the old one, and how long a step takes.
///
/// Rates are failures per turn in thousandths. All times are of the silo that carries the rollout on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Criteria {
    /// Turns of the new version, of each kind, without which nothing is good. A kind of which neither version ran a turn meanwhile is not
    /// judged and holds nothing up. Default 100.
    pub min_turns: u64,
    /// Turns that must have been timed in both versions before latencies are compared: of sixteen visits to an actor one is timed. With
    /// fewer, slowness is no finding and holds nothing up. Default 100.
    pub min_timed: u64,
    /// How much higher than the old version's the failure rate may be, in thousandths. Default 5.
    pub failure_margin: u32,
    /// How many times the old version's p50 and p99 of turn times the new one's may be, in percent. Default 200.
    pub slower_percent: u32,
    /// Slower by less than this is no finding. Default 5 ms.
    pub slower_floor: Duration,
    /// How long a step is watched at least. Default 30 s.
    pub watch_for: Duration,
    /// How long it is watched at most: still undecided, the rollout pauses. Default 10 minutes.
    pub watch_limit: Duration,
    /// How long the silos may take to move what a step moves: then the rollout pauses. A way back that takes longer goes on, and says
    /// what it waits for each time. Default 10 minutes.
    pub settle_limit: Duration,
    /// What a bad verdict does. Default: roll back.
    pub on_bad: OnBad,
}

/// What a bad verdict does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBad {
    /// All actors go back to the old version.
    #[default]
    RollBack,
    /// Everything stays where it is until somebody decides.
    Pause,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            min_turns: 100,
            min_timed: 100,
            failure_margin: 5,
            slower_percent: 200,
            slower_floor: Duration::from_millis(5),
            watch_for: Duration::from_secs(30),
            watch_limit: Duration::from_secs(600),
            settle_limit: Duration::from_secs(600),
            on_bad: OnBad::RollBack,
        }
    }
}

impl Criteria {
    /// Checks that a verdict can be reached.
    ///
    /// # Errors
    /// The first value that cannot be, and what can.
    pub fn check(&self) -> Result<(), BadCriteria> {
        let why = if self.watch_for > self.watch_limit {
            "watch_for is longer than watch_limit, which it must fit into"
        } else if self.failure_margin > 1000 {
            "failure_margin is above 1000 thousandths"
        } else if self.slower_percent < 100 {
            "slower_percent is below 100: the new version would have to be faster than the old one"
        } else if self.settle_limit.is_zero() {
            "settle_limit is zero"
        } else {
            return Ok(());
        };
        Err(BadCriteria(why))
    }
}

/// Criteria by which nothing could be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the criteria of the rollout cannot be: {0}")]
pub struct BadCriteria(&'static str);
