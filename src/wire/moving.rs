//! What is asked and answered about the moves of actors: plain values for the handle, the command line and tests.

use super::Refusal;
use crate::ident::{ActorId, SiloId};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A move that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRequest {
    /// Which actor; active on the silo that is asked.
    pub actor: ActorId,
    /// Where to; `None` is whichever silo suits best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SiloId>,
}

/// A move that has ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where the actor is now.
    pub to: SiloId,
    /// The size of its memory, in bytes.
    pub bytes: usize,
    /// How often it was tried.
    pub attempts: u32,
}

/// Why a move came to nothing. The actor is where it was, with everything it had, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(from = "Head", into = "Head")]
#[non_exhaustive]
pub enum MoveFailure {
    /// It is active on no silo: there is nothing to be moved.
    #[error("the actor is active on no silo; its next message activates it")]
    UnknownActor,
    /// It has no activation at this silo, but at another.
    #[error("the actor is not active on this silo; ask the one that it is on")]
    NotHere,
    /// It is moving already.
    #[error("the actor is already being migrated; wait for that move, or cancel it")]
    AlreadyMoving,
    /// The target is this silo.
    #[error("the actor is on the target already")]
    SameSilo,
    /// Its kind is declared immovable.
    #[error("the actor's kind is declared `immovable`; it ends with its silo, its state saved")]
    Immovable,
    /// The target is no member of the cluster.
    #[error("the target is no member of the cluster as this silo knows it")]
    UnknownTarget,
    /// The target joins, leaves or is dead.
    #[error("the target is not Active")]
    TargetNotActive,
    /// The target does not host the kind.
    #[error("the target does not host the actor's kind")]
    TargetDoesNotHost,
    /// The version policy does not allow the target's version.
    #[error("the version policy does not let an actor of version {source_version} go to a silo with {target_version}")]
    TargetVersion {
        /// At this silo.
        source_version: Version,
        /// At the target.
        target_version: Version,
    },
    /// No other silo may take it.
    #[error("no other active silo hosts the kind in a version that the policy allows")]
    NoTarget,
    /// The silo leaves, and moves all that can move by itself.
    #[error("the silo leaves and moves all its actors by itself")]
    Leaving,
    /// So many moves are wanted that no more are taken.
    #[error("too many moves are wanted already; ask again when some have ended")]
    TooMany,
    /// The target did not take it.
    #[error("the target refused: {0:?}")]
    Refused(Refusal),
    /// The target did not answer the offer.
    #[error("the target did not answer the offer")]
    NoAnswer,
    /// Its turn, or its `on_deactivate`, did not end within the freeze timeout.
    #[error("its running turn took longer than the freeze timeout")]
    TurnTooLong,
    /// The actor or a waiting message cannot be serialized.
    #[error("it cannot be packed: {0}")]
    CannotPack(String),
    /// With what waits for it, it is larger than a package may be.
    #[error("it is too large to move: {0}")]
    TooLarge(String),
    /// The target was not done within the migration timeout.
    #[error("the target was not done within the migration timeout")]
    TimedOut,
    /// The move was called off before its commit.
    #[error("the move was called off before its commit; the actor goes on where it was")]
    CalledOff,
    /// The target was lost after it had committed, and may have run what waited: those messages ended unknown.
    #[error("the target was lost in the middle of the move")]
    TargetLost,
    /// Somebody cancelled it, or the silo ended.
    #[error("the move was cancelled")]
    Cancelled,
    /// A reason of a newer version.
    #[error("the move failed: {0}")]
    Other(String),
}

impl MoveFailure {
    /// Whether the same move may go well a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(Refusal::NotHosted | Refusal::Version { .. } | Refusal::Unreadable(_)) => false,
            Self::Refused(_) => true,
            Self::NoAnswer | Self::TurnTooLong | Self::TimedOut | Self::CalledOff | Self::TooMany => true,
            Self::AlreadyMoving => true,
            _ => false,
        }
    }
}

/// [`MoveFailure`] as it travels: a word, and what belongs to it.
#[derive(Serialize, Deserialize)]
struct Head {
    why: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Version>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Version>,
}

const WORDS: &[(&str, MoveFailure)] = &[
    ("unknown-actor", MoveFailure::UnknownActor),
    ("not-here", MoveFailure::NotHere),
    ("already-moving", MoveFailure::AlreadyMoving),
    ("same-silo", MoveFailure::SameSilo),
    ("immovable", MoveFailure::Immovable),
    ("unknown-target", MoveFailure::UnknownTarget),
    ("target-not-active", MoveFailure::TargetNotActive),
    ("target-does-not-host", MoveFailure::TargetDoesNotHost),
    ("no-target", MoveFailure::NoTarget),
    ("leaving", MoveFailure::Leaving),
    ("too-many", MoveFailure::TooMany),
    ("no-answer", MoveFailure::NoAnswer),
    ("turn-too-long", MoveFailure::TurnTooLong),
    ("timed-out", MoveFailure::TimedOut),
    ("called-off", MoveFailure::CalledOff),
    ("target-lost", MoveFailure::TargetLost),
    ("cancelled", MoveFailure::Cancelled),
];

impl From<MoveFailure> for Head {
    fn from(failure: MoveFailure) -> Self {
        let text = failure.to_string();
        let head = |why: &'static str| Self {
            why: why.into(),
            text: None,
            refusal: None,
            source: None,
            target: None,
        };
        match failure {
            MoveFailure::TargetVersion {
                source_version,
                target_version,
            } => Self {
                source: Some(source_version),
                target: Some(target_version),
                ..head("target-version")
            },
            MoveFailure::Refused(refusal) => Self {
                refusal: Some(refusal),
                ..head("refused")
            },
            MoveFailure::CannotPack(text) => Self {
                text: Some(text),
                ..head("cannot-pack")
            },
            MoveFailure::TooLarge(text) => Self {
                text: Some(text),
                ..head("too-large")
            },
            plain => match WORDS.iter().find(|(_, known)| *known == plain) {
                Some((word, _)) => head(word),
                None => Self {
                    text: Some(text),
                    ..head("other")
                },
            },
        }
    }
}

impl From<Head> for MoveFailure {
    fn from(head: Head) -> Self {
        let text = head.text.unwrap_or_default();
        match (&*head.why, head.refusal, head.source, head.target) {
            ("target-version", _, Some(source_version), Some(target_version)) => Self::TargetVersion {
                source_version,
                target_version,
            },
            ("refused", Some(refusal), ..) => Self::Refused(refusal),
            ("cannot-pack", ..) => Self::CannotPack(text),
            ("too-large", ..) => Self::TooLarge(text),
            (word, ..) => match WORDS.iter().find(|(known, _)| *known == word) {
                Some((_, failure)) => failure.clone(),
                None if text.is_empty() => Self::Other(word.to_owned()),
                None => Self::Other(text),
            },
        }
    }
}

/// Where a move stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MoveState {
    /// It waits for its turn, or to be tried again.
    NotStarted,
    /// It was offered to its target, or is under way.
    InProgress,
    /// The actor is at its target.
    Completed,
    /// It was given up.
    Failed,
    /// It was cancelled in time.
    Cancelled,
    /// A state of a newer version.
    #[serde(other)]
    Other,
}

/// A move, wanted, under way or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveStatus {
    /// Which actor.
    pub actor: ActorId,
    /// The silo that it moves from.
    pub source: SiloId,
    /// The silo that it moves to, once one is chosen.
    #[serde(default)]
    pub target: Option<SiloId>,
    /// Where it stands.
    pub state: MoveState,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// Why it failed, or why the last attempt did.
    #[serde(default)]
    pub error: Option<MoveFailure>,
    /// The size of the actor's memory, in bytes, once it is known.
    #[serde(default)]
    pub bytes: usize,
    /// When it was wanted, in microseconds of the source's wall clock since the Unix epoch.
    pub wanted_at_us: u64,
    /// When it ended, by the same clock.
    #[serde(default)]
    pub ended_at_us: Option<u64>,
}

/// How many moves stand where, of those that go out from a silo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveCounts {
    /// Wanted, and not begun.
    pub not_started: usize,
    /// Offered or under way.
    pub in_progress: usize,
    /// Ended well since the silo's start.
    pub completed: u64,
    /// Given up since.
    pub failed: u64,
    /// Cancelled since.
    pub cancelled: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use std::collections::BTreeMap;

    #[test]
    fn every_failure_survives_the_wire() {
        let version = Version::new(1, 2, 3);
        let with_more = [
            MoveFailure::TargetVersion {
                source_version: version.clone(),
                target_version: version,
            },
            MoveFailure::Refused(Refusal::Full),
            MoveFailure::CannotPack("a NaN as a key".into()),
            MoveFailure::TooLarge("a whale".into()),
        ];
        let plain = WORDS.iter().map(|(_, failure)| failure.clone());
        for failure in plain.chain(with_more) {
            let read: MoveFailure = decode(&encode(&failure).expect("encodes")).expect("is read");
            assert_eq!(read, failure);
        }
    }

    #[test]
    fn a_failure_of_a_newer_version_is_another_reason() {
        let newer = BTreeMap::from([("why", "quarantined"), ("text", "it is in quarantine")]);
        let failure: MoveFailure = decode(&encode(&newer).expect("encodes")).expect("is read");
        assert_eq!(failure, MoveFailure::Other("it is in quarantine".into()));
    }
}
