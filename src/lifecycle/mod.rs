//! Lifecycle: in which order a silo leaves the cluster.
//!
//! Owns [`Drain`], a pure state machine: snapshots of the silo in, [`Command`]s out.
//!
//! ```text
//!   Cordon --published--> Migrate --nothing left to move--> Deactivate --no actor left--> Flush --barrier--> Close --> Leave
//!      |                     |                                 |                            |
//!      +---- no answer ------+---- its share of the time ------+---- the deadline: Force ---+
//! ```
//!
//! **Invariants** (by the names of the tests): `a_drain_ends`, `no_leaving_before_the_actors_are_gone`,
//! `forced_actors_are_listed`.
//!
//! Imports `clock` (moments). Never a store or a link.

mod drain;

pub use drain::{Command, Drain, Event, Phase, Snapshot};
