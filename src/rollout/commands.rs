//! What an operator may tell a rollout.

use super::{Phase, Rollout};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an operator may tell a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Stay as it is until told otherwise: nothing moves, nothing is judged.
    Pause,
    /// Go on with the step that was paused: move what is left, then watch it anew. Or go on with the way back.
    Resume,
    /// On to the next step without a verdict.
    Promote,
    /// Everything back to the old version.
    RollBack {
        /// Why.
        why: String,
    },
    /// The new version stays: the old silos may go, and the way back is closed.
    Finalize,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Promote => "promoted",
            Self::RollBack { .. } => "rolled back",
            Self::Finalize => "finalized",
        })
    }
}

/// A command that does not fit the phase; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("rollout {number} cannot be {command} while it is {phase}; it can be {possible}")]
pub struct CommandError {
    /// Which rollout.
    pub number: u64,
    /// What was asked for.
    pub command: String,
    /// How far the rollout is.
    pub phase: String,
    /// What it can be instead.
    pub possible: String,
}

impl Rollout {
    /// The record after a command. To be written only in place of this very record. `by` says in the log who asked.
    ///
    /// # Errors
    /// [`CommandError`] if the command does not fit the phase.
    pub fn obey(&self, command: &Command, by: &str, at_micros: u64) -> Result<Self, CommandError> {
        let mut next = self.clone();
        match (command, &self.phase) {
            (Command::Pause, Phase::Moving { step } | Phase::Watching { step }) => {
                next.pause(*step, format!("asked for by {by}"), at_micros);
            }
            (Command::Resume, Phase::Paused { step, .. }) => {
                let what = format!("step {}: resumed by {by}", step + 1);
                next.enter(Phase::Moving { step: *step }, at_micros, what);
            }
            (Command::Resume, Phase::PausedBack { why, .. }) => {
                let what = format!("rolling back: resumed by {by}");
                next.enter(Phase::RollingBack { why: why.clone() }, at_micros, what);
            }
            (Command::Promote, Phase::Watching { step } | Phase::Paused { step, .. }) => {
                next.go_on(*step, at_micros, &format!("promoted by {by} without a verdict"));
            }
            (
                Command::RollBack { why },
                Phase::Moving { .. } | Phase::Watching { .. } | Phase::Paused { .. } | Phase::Complete,
            ) => next.roll_back(format!("{why} (asked for by {by})"), at_micros),
            (Command::Finalize, Phase::Complete) => {
                next.enter(Phase::Finalized, at_micros, format!("finalized by {by}"));
            }
            (command, phase) => {
                return Err(CommandError {
                    number: self.number,
                    command: command.to_string(),
                    phase: phase.name().to_owned(),
                    possible: possible(phase).to_owned(),
                });
            }
        }
        Ok(next)
    }
}

fn possible(phase: &Phase) -> &'static str {
    match phase {
        Phase::Moving { .. } => "paused or rolled back",
        Phase::Watching { .. } => "paused, promoted or rolled back",
        Phase::Paused { .. } => "resumed, promoted or rolled back",
        Phase::Complete => "finalized or rolled back",
        Phase::RollingBack { .. } => "nothing until it has rolled back",
        Phase::PausedBack { .. } => "resumed",
        Phase::RolledBack { .. } | Phase::Finalized => "nothing more: it is over",
    }
}
