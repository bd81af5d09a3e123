//! Lifecycle: in which order a silo leaves the cluster.
//!
//! Owns [`Drain`], a pure state machine: snapshots of the silo in, [`Command`]s out.
//!
//! ```text
//!   Cordon --published--> Migrate --nothing left to move--> Deactivate --no actor left--> Flush --barrier--> Close --> Leave
//!      |                     |                                 |                            |
//!      +---- no answer ------+---- its share of the time ------+---- the deadline: Force ---+
//!      +---------------------+---------------------------------+---- Uncordon: the silo stays
//! ```
//!
//! **Invariants** (by the names of the tests): `the_steps_come_in_the_order_of_the_contract`, `a_drain_ends_whatever_hangs`,
//! `actors_that_cannot_move_are_deactivated_before_the_silo_leaves`, `a_drain_can_be_called_off_until_the_barrier`.
//!
//! Imports `clock` (moments). Never a store or a link.

mod drain;

pub use drain::{Command, Drain, Event, Phase, Snapshot};
