//! What a rollout is expected to do, and what it has done: the receipt.

use super::{PlannedKind, Request, Rollout};
use crate::telemetry::ArrivalFigures;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many actors of a silo are on their way at once, with the default options: ten batches of 64.
const UNDER_WAY: u32 = 640;

/// How long it takes until all silos have heard of a step and said that they are done.
const HEARING: Duration = Duration::from_secs(2);

/// How long an actor stands still if no move was seen yet.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(50);

/// What a rollout is expected to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Forecast {
    /// How many actors move in each step.
    pub moves: Vec<u64>,
    /// What they weigh, in bytes, by the moves that the silos have seen; `None` if they saw none.
    pub bytes: Option<u64>,
    /// For how long one in two actors, and one in a hundred, would stand still, likewise.
    pub pauses: Option<(Duration, Duration)>,
    /// How long it takes if every step is found good: its watch, and the moves by the default options.
    pub takes: Duration,
}

/// What was expected of a rollout and what it has done so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What was expected.
    pub expected: Forecast,
    /// How many actors came to other silos.
    pub arrived: u64,
    /// How many left theirs. As many as came: none is lost, none is there twice. `None` if a silo that could say so is gone.
    pub departed: Option<u64>,
    /// What they weighed, in bytes.
    pub bytes: u64,
    /// For how long one in two, and one in a hundred, stood still.
    pub pauses: Option<(Duration, Duration)>,
    /// From its begin to the last entry of its log.
    pub took: Duration,
}

impl Forecast {
    pub(super) fn of(request: &Request, kinds: &[PlannedKind], seen: &ArrivalFigures) -> Self {
        let steps = request.steps.len();
        let moves: Vec<u64> = (0..steps)
            .map(|step| kinds.iter().filter_map(|kind| kind.moves.get(step)).sum())
            .collect();
        let all: u64 = moves.iter().sum();
        let pauses = seen.pauses.quantile(500).zip(seen.pauses.quantile(990));
        let pause = pauses.map_or(UNKNOWN_PAUSE, |(half, _)| half);
        let silos = kinds.iter().map(|kind| kind.silos_with_old).max().unwrap_or(1).max(1);
        let at_once = u64::from(UNDER_WAY) * u64::try_from(silos).unwrap_or(u64::MAX);
        let rounds = all.div_ceil(at_once);
        let moving = pause.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        let each = request.criteria.watch_for + HEARING;
        Self {
            bytes: (seen.bytes.checked_div(seen.actors)).map(|each| each.saturating_mul(all)),
            pauses,
            takes: each
                .saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
                .saturating_add(moving),
            moves,
        }
    }
}

impl Rollout {
    /// What was expected of it and what it has done so far.
    pub fn receipt(&self) -> Receipt {
        let mut arrived = ArrivalFigures::default();
        self.receipts.iter().for_each(|step| arrived.add(&step.arrived));
        let took = match (self.log.first(), self.log.last()) {
            (Some(first), Some(last)) => Duration::from_micros(last.at_micros.saturating_sub(first.at_micros)),
            _ => Duration::ZERO,
        };
        Receipt {
            expected: self.forecast.clone(),
            arrived: arrived.actors,
            departed: self.receipts.iter().map(|step| step.departed).sum(),
            bytes: arrived.bytes,
            pauses: arrived.pauses.quantile(500).zip(arrived.pauses.quantile(990)),
            took,
        }
    }
}
