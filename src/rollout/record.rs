//! The record of a rollout, as the store keeps it.

use super::{Criteria, Finding, Forecast};
use crate::{
    ident::{SiloId, Weight},
    store::Unknown,
    telemetry::{ArrivalFigures, KindFigures},
};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A rollout: what it wants, how far it is, what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Which; one more for each rollout of the cluster.
    pub number: u64,
    /// Grows with every change of the record.
    pub revision: u64,
    /// The kinds and where they go.
    pub kinds: BTreeMap<String, Target>,
    /// The shares of the actors that go to the new version, one step after the other; they grow, and the last is all.
    pub steps: Vec<Weight>,
    /// By what it is judged.
    pub criteria: Criteria,
    /// How far it is.
    pub phase: Phase,
    /// The share that belongs to the new version now.
    pub weight: Weight,
    /// What each silo had counted when the watch of this step began.
    #[serde(default)]
    pub marks: BTreeMap<SiloId, BTreeMap<String, KindFigures>>,
    /// What had come to each silo by moves when the phase began.
    #[serde(default)]
    pub arrival_marks: BTreeMap<SiloId, ArrivalFigures>,
    /// How many actors had left each silo by moves when the phase began.
    #[serde(default)]
    pub departure_marks: BTreeMap<SiloId, u64>,
    /// What the plan expected.
    #[serde(default)]
    pub forecast: Forecast,
    /// What the old version did in the last step in which it had a share, by kind: what the last step is compared with.
    #[serde(default)]
    pub control: BTreeMap<String, KindFigures>,
    /// What was done, step by step.
    #[serde(default)]
    pub receipts: Vec<StepReceipt>,
    /// What happened, the newest last; the oldest make room.
    #[serde(default)]
    pub log: Vec<LogEntry>,
    /// What a newer program says besides.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Where a kind goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The versions that it is hosted in when the rollout begins, besides the new one.
    pub from: Vec<Version>,
    /// The new version.
    pub to: Version,
}

/// How far a rollout is. Steps are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// The silos move what the step's weight moves.
    Moving {
        /// Which step.
        step: usize,
    },
    /// The versions are compared.
    Watching {
        /// Which step.
        step: usize,
    },
    /// Nothing happens until somebody decides.
    Paused {
        /// Which step.
        step: usize,
        /// Why.
        why: String,
    },
    /// All actors are on the new version, which was found good; the old one may still come back.
    Complete,
    /// The silos move everything back.
    RollingBack {
        /// Why.
        why: String,
    },
    /// The way back took too long: nothing happens until somebody decides. What has not gone back yet is on the new version.
    PausedBack {
        /// Why it rolls back.
        why: String,
        /// Why it does not get on, with the actors left.
        stopped: String,
    },
    /// Over: everything is on the old version.
    RolledBack {
        /// Why.
        why: String,
    },
    /// Over: the new version stays.
    Finalized,
}

impl Phase {
    /// Whether the rollout is over.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Finalized)
    }

    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Moving { .. } => "moving",
            Self::Watching { .. } => "watching",
            Self::Paused { .. } => "paused",
            Self::Complete => "complete",
            Self::RollingBack { .. } => "rolling back",
            Self::PausedBack { .. } => "paused on the way back",
            Self::RolledBack { .. } => "rolled back",
            Self::Finalized => "finalized",
        }
    }
}

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReceipt {
    /// The share of the step; none is a way back.
    pub weight: Weight,
    /// How long the silos took to move, in milliseconds, as far as one controller saw it.
    pub moving_ms: u64,
    /// What moved meanwhile, as its new silos saw it.
    #[serde(default)]
    pub arrived: ArrivalFigures,
    /// How many left their silos meanwhile, as these saw it; `None` if one of them is gone.
    #[serde(default)]
    pub departed: Option<u64>,
    /// What the new version did while it was watched, by kind.
    pub new: BTreeMap<String, KindFigures>,
    /// What the old version did meanwhile, by kind.
    pub old: BTreeMap<String, KindFigures>,
    /// What was found to be worse, by kind; empty if the step was good.
    pub findings: BTreeMap<String, Vec<Finding>>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, in microseconds since the Unix epoch, by the clock of the silo that carried the rollout on.
    pub at_micros: u64,
    /// What.
    pub what: String,
}

/// The most entries that a log keeps.
const LOG: usize = 100;

impl Rollout {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.phase.is_over()
    }

    /// Goes to a phase, and says so in the log.
    pub(super) fn enter(&mut self, phase: Phase, at_micros: u64, what: String) {
        self.phase = phase;
        self.revision += 1;
        if self.log.len() >= LOG {
            self.log.remove(0);
        }
        self.log.push(LogEntry { at_micros, what });
    }
}
