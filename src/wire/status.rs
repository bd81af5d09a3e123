//! What a silo tells of itself: plain values for the command line, dashboards and tests.

use crate::{
    ident::{ActorId, SiloId},
    store::SiloStatus,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The query that a silo answers with a [`StatusReport`].
pub const STATUS_QUERY: &str = "quark.status";

/// How a silo does now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Which silo.
    pub silo: SiloId,
    /// Where it stands.
    pub status: SiloStatus,
    /// The kinds it hosts and their versions.
    pub versions: BTreeMap<String, String>,
    /// The number of the membership view that it knows.
    pub view: u64,
    /// Actors that are active here, by kind.
    pub activations: BTreeMap<String, usize>,
    /// Messages that wait in mailboxes.
    pub waiting: usize,
    /// Turns that ended since the start.
    pub turns: u64,
    /// Actors that are moving away now.
    pub moving: usize,
    /// Actors that wait to be moved away.
    pub to_move: usize,
    /// Actors that moved away since the start.
    pub moved_out: usize,
    /// Actors that came by moves since the start.
    pub moved_in: usize,
    /// Some of those that are moving away now.
    pub moving_now: Vec<ActorId>,
    /// The drain, while one goes on.
    pub drain: Option<DrainProgress>,
    /// Dead letters that are kept.
    pub dead_letters: usize,
    /// Turns that take too long.
    #[serde(default)]
    pub stuck: Vec<StuckTurn>,
    /// The threads that run actors.
    #[serde(default)]
    pub workers: Vec<WorkerStatus>,
    /// Tells that wait to be tried again.
    #[serde(default)]
    pub retries: usize,
    /// Dead letters that had to make room since the start.
    #[serde(default)]
    pub dead_letters_dropped: u64,
    /// How often no silo for an actor, or this silo for one that was to move here, had a version that the policy allows.
    #[serde(default)]
    pub version_mismatches: u64,
}

/// A turn that takes longer than the silo's `stuck_turn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckTurn {
    /// Whose.
    pub actor: ActorId,
    /// The wire name of its message; empty in a hook.
    pub message: String,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// Whether it blocks its thread, so that no other actor of the thread runs.
    pub blocks: bool,
}

/// How a worker, a thread that runs actors, does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Actors that are active on it.
    pub activations: usize,
    /// Turns so far.
    pub turns: u64,
    /// The share of the last seconds that it was busy, 0 to 1.
    pub busy: f64,
}

/// How far a drain is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainProgress {
    /// What is being done: `cordon`, `migrate`, `deactivate`, `flush`, `close`.
    pub phase: String,
    /// Actors that are still here.
    pub actors_left: usize,
    /// Of these, the ones that run a turn.
    #[serde(default)]
    pub in_flight: usize,
    /// Moves that are wanted or under way.
    #[serde(default)]
    pub moves_left: usize,
    /// Actors that moved away since the silo's start.
    #[serde(default)]
    pub moved: usize,
    /// Actors that were deactivated since, their state saved.
    #[serde(default)]
    pub deactivated: usize,
    /// Since the start of the drain, in milliseconds.
    pub elapsed_ms: u64,
    /// Until what is left is stopped by force, in milliseconds.
    pub remaining_ms: u64,
}

/// Whether a silo can be given work: for the probes of an orchestrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Health {
    /// It joins the cluster: alive, not ready.
    Starting,
    /// It is ready.
    Ready,
    /// It is cordoned or leaves, or stands still until its lease is renewed: alive, not ready.
    Degraded,
    /// It leaves and should have left by now, or has ended: neither.
    Unhealthy,
    /// A state of a newer version.
    #[serde(other)]
    Other,
}

impl Health {
    /// Whether new work should be sent to the silo; false from the start of a drain.
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }

    /// Whether the process should be let alone: killing it would lose what it does.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Unhealthy)
    }
}

/// How a silo ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownReport {
    /// Which silo.
    pub silo: SiloId,
    /// Why.
    pub reason: String,
    /// From the wish to stop until the row was removed, in milliseconds.
    pub took_ms: u64,
    /// The actors that moved to other silos during the whole run; the last million of them.
    pub moved: Vec<MovedActor>,
    /// The actors that came from other silos during the whole run; the last million of them.
    pub arrived: Vec<ArrivedActor>,
    /// How many actors were deactivated here by the shutdown, their state saved.
    pub deactivated: usize,
    /// The actors whose state could not be saved, and why.
    pub unsaved: Vec<(ActorId, String)>,
    /// The actors that were stopped by force.
    pub forced: Vec<ActorId>,
    /// Whether every process that had a link was flushed.
    pub flushed: bool,
}

/// An actor that moved away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedActor {
    /// Which.
    pub actor: ActorId,
    /// The size of its memory, in bytes.
    pub bytes: usize,
}

/// An actor that came by a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedActor {
    /// Which.
    pub actor: ActorId,
    /// From where.
    pub from: SiloId,
    /// From when it took no more turns at the source until it could run here, in microseconds. Exact as far as the two
    /// silos' wall clocks agree.
    pub pause_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_an_older_or_newer_silo_can_be_read() {
        let report = StatusReport {
            silo: SiloId::new("one", 1),
            status: SiloStatus::Active,
            versions: BTreeMap::new(),
            view: 1,
            activations: BTreeMap::new(),
            waiting: 2,
            turns: 3,
            moving: 0,
            to_move: 0,
            moved_out: 0,
            moved_in: 0,
            moving_now: Vec::new(),
            drain: None,
            dead_letters: 4,
            stuck: Vec::new(),
            workers: Vec::new(),
            retries: 0,
            dead_letters_dropped: 0,
            version_mismatches: 0,
        };
        let mut other = serde_json::to_value(&report).expect("it can");
        let fields = other.as_object_mut().expect("named fields");
        for added in [
            "stuck",
            "workers",
            "retries",
            "dead_letters_dropped",
            "version_mismatches",
        ] {
            assert!(fields.remove(added).is_some(), "{added}");
        }
        fields.insert("of a later version".into(), true.into());
        assert_eq!(serde_json::from_value::<StatusReport>(other).expect("it can"), report);
    }
}
