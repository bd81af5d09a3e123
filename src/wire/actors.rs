//! What a silo tells of its actors, one by one: plain values for the command line, dashboards and tests.

use crate::ident::{ActorId, Epoch, SiloId};
use serde::{Deserialize, Serialize};

/// The query that carries [`ActorsAsked`] and is answered with [`ActorsListed`].
pub const ACTORS_QUERY: &str = "quark.actors";

/// The query that carries an [`ActorId`] and is answered with [`ActorFound`], by any silo.
pub const ACTOR_QUERY: &str = "quark.actor";

/// Which actors of a silo are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActorsAsked {
    /// Of this kind alone.
    pub kind: Option<String>,
    /// Whose keys begin so.
    pub prefix: Option<String>,
    /// The hot ones alone, or the others alone.
    pub hot: Option<bool>,
    /// The most that are answered; 0 is 100.
    pub limit: usize,
}

/// Actors of a silo, the hottest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActorsListed {
    /// As many as were asked for.
    pub actors: Vec<ActorLine>,
    /// How many there are that suit.
    pub total: usize,
}

/// An active actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorLine {
    /// Which.
    pub actor: ActorId,
    /// Where.
    pub silo: SiloId,
    /// The version of its kind there.
    pub version: String,
    /// Whether it counts as hot.
    pub hot: bool,
    /// Its activity score, 0 to 1.
    pub score: f64,
    /// Messages that wait.
    pub waiting: usize,
    /// How long ago its last message came, in milliseconds.
    pub idle_ms: u64,
}

/// Where an actor is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorFound {
    /// Which.
    pub actor: ActorId,
    /// Its owner by the directory.
    pub owner: Option<SiloId>,
    /// The epoch of its entry.
    pub epoch: Epoch,
    /// The number of its saved state and the version that wrote it.
    pub saved: Option<SavedState>,
}

/// A saved state, from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState {
    /// Its number.
    pub etag: u64,
    /// The version of the actor type that wrote it.
    pub version: String,
    /// Its size, in bytes.
    pub bytes: usize,
}
