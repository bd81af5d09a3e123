//! What silos are asked and answer about rollouts.

use super::{Command, CommandError, Plan, PlanError, Request, Rollout};
use crate::{ident::SiloId, store::StoreError};
use serde::{Deserialize, Serialize};

/// The query that carries [`Asked`] and is answered with [`Answered`], by any silo.
pub const ROLLOUT_QUERY: &str = "quark.rollout";

/// The query that a silo answers with its [`super::SiloReport`].
pub const REPORT_QUERY: &str = "quark.rollout.report";

/// What a silo is asked about the rollout of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Asked {
    /// How far it is.
    Show,
    /// What one would do.
    Plan(Request),
    /// To begin one.
    Start(Request),
    /// To tell it something, if it is as the asker saw it: asked twice, it obeys once.
    Steer {
        /// What.
        command: Command,
        /// The number of the rollout.
        number: u64,
        /// The revision of its record.
        revision: u64,
    },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answered {
    /// The record; none if there never was a rollout.
    Rollout(Option<Box<Rollout>>),
    /// What one would do.
    Plan(Box<Plan>),
    /// Why not, one sentence for each thing that has to be put right. Nothing was changed.
    Refused(Vec<String>),
}

/// Why a rollout was not begun or steered. Nothing was changed, unless the error says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// It cannot be.
    #[error("the rollout cannot be: {}", list(.0))]
    Plan(Vec<PlanError>),
    /// The command does not fit.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It is not as the asker saw it.
    #[error("the rollout has changed meanwhile: it is {phase} now; look at it and say again what it should do")]
    Changed {
        /// How far it is.
        phase: String,
    },
    /// There is none to steer.
    #[error("the cluster has no rollout; start one first")]
    None,
    /// An Active silo did not say what it has.
    #[error("{silo} did not answer ({why}); a plan needs all active silos: try again when it does, or when it is gone")]
    Silent {
        /// Which.
        silo: SiloId,
        /// What happened.
        why: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record in the store cannot be read.
    #[error("the record of the rollout in the store cannot be read by this version: {0}; ask a silo of a newer one")]
    Unreadable(String),
    /// Others change the record all the time.
    #[error("the record of the rollout changed under way, again and again; look at it and try again")]
    Contended,
}

fn list(errors: &[PlanError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl RolloutError {
    /// Sentence by sentence.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            Self::Plan(errors) => errors.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }
}
