//! What operators ask of one silo, and what it answers: plain values for the command line and dashboards.

use super::{Failure, MoveFailure, MoveRequest, MoveStatus};
use crate::ident::ActorId;
use serde::{Deserialize, Serialize};

/// The query that carries [`MoveAsked`] and is answered with [`MoveAnswered`], by the silo that has the actor.
pub const MOVE_QUERY: &str = "quark.move";

/// The query that carries [`LeaveAsked`] and is answered with [`LeaveAnswered`].
pub const LEAVE_QUERY: &str = "quark.leave";

/// The query that carries [`LettersAsked`] and is answered with [`LettersAnswered`].
pub const LETTERS_QUERY: &str = "quark.letters";

/// The query that any silo answers with a lock of what the kinds of the living silos look like.
pub const SHAPES_QUERY: &str = "quark.shapes";

/// What a silo is asked about the move of an actor away from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MoveAsked {
    /// To begin it.
    Begin(MoveRequest),
    /// How it stands, or how the last one ended.
    Show(ActorId),
    /// To call it off.
    Cancel(ActorId),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MoveAnswered {
    /// How it stands; none: nothing is known of one.
    Status(Option<MoveStatus>),
    /// It cannot be.
    Refused(MoveFailure),
}

/// What a silo is asked about its leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaveAsked {
    /// To take no more actors.
    Cordon,
    /// To take actors again, and to call its leaving off.
    Uncordon,
    /// To leave in order, as on SIGTERM. Answered at once; how far it is is in its status.
    Drain,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaveAnswered {
    /// So it is, or so it will be.
    Done,
    /// Why not.
    Refused(String),
}

/// What a silo is asked about the tells that it could not deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LettersAsked {
    /// The oldest of them.
    List {
        /// Those to this actor alone.
        actor: Option<ActorId>,
        /// The most that are answered.
        limit: usize,
    },
    /// To send these again, by their numbers; none: all.
    Replay(Vec<u64>),
    /// To forget these; none: all.
    Remove(Vec<u64>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LettersAnswered {
    /// The oldest of them, and how many there are.
    Letters(Vec<LetterLine>, usize),
    /// By number: nothing if it has run, else why it has not.
    Replayed(Vec<(u64, Option<String>)>),
    /// How many were forgotten.
    Removed(usize),
}

/// A tell that could not be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterLine {
    /// Which, among those of its silo.
    pub number: u64,
    /// To whom.
    pub actor: ActorId,
    /// The wire name of the message.
    pub message: String,
    /// Its size, in bytes.
    pub bytes: usize,
    /// What became of it at the last attempt.
    pub why: Failure,
    /// When, in microseconds of the wall clock since the Unix epoch.
    pub at_micros: u64,
}
