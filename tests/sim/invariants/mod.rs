//! What must hold of every run, one file each, by the names of `docs/guarantees.md`.

mod at_most_one_move;
mod conservation;
mod drained_is_empty;
mod epochs_have_one_owner;
mod events_come_in_order;
mod fifo_per_sender;
mod forwards_terminate;
mod liveness_after_healing;
mod memory_returns;
mod no_acked_effect_lost;
mod no_effect_twice;
mod one_effective_activation;
mod one_running_activation;
mod owners_alone_save;
mod owners_follow_each_other;
mod per_actor_linearizable;
mod the_dead_stay_dead;
mod ticks_come;
mod timers_fire_once;
mod version_gate;
mod views_never_go_back;

use crate::story::Run;

/// What must hold of a run: its name, and what says why it does not.
pub(crate) type Invariant = (&'static str, fn(&Run) -> Result<(), String>);

/// All of them.
pub(crate) const ALL: &[Invariant] = &[
    ("liveness_after_healing", liveness_after_healing::check),
    ("no_acked_effect_lost", no_acked_effect_lost::check),
    ("no_effect_twice", no_effect_twice::check),
    ("fifo_per_sender", fifo_per_sender::check),
    ("one_effective_activation", one_effective_activation::check),
    ("owners_follow_each_other", owners_follow_each_other::check),
    ("owners_alone_save", owners_alone_save::check),
    ("epochs_have_one_owner", epochs_have_one_owner::check),
    ("one_running_activation", one_running_activation::check),
    ("per_actor_linearizable", per_actor_linearizable::check),
    ("conservation", conservation::check),
    ("version_gate", version_gate::check),
    ("timers_fire_once", timers_fire_once::check),
    ("ticks_come", ticks_come::check),
    ("events_come_in_order", events_come_in_order::check),
    ("drained_is_empty", drained_is_empty::check),
    ("at_most_one_move", at_most_one_move::check),
    ("the_dead_stay_dead", the_dead_stay_dead::check),
    ("views_never_go_back", views_never_go_back::check),
    ("forwards_terminate", forwards_terminate::check),
    ("memory_returns", memory_returns::check),
];

/// The invariants that a run breaks, and why.
pub(crate) fn broken(run: &Run) -> Vec<(&'static str, String)> {
    let broken = |(name, check): &Invariant| Some((*name, check(run).err()?));
    ALL.iter().filter_map(broken).collect()
}
