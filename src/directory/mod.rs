//! The directory as callers see it: the way to each actor.
//!
//! Owns [`Way`], one per actor and process: which silo the actor's messages go to, and the switch to another one behind a
//! fence, so that messages stay in order. A way is a pure state machine: events in, [`Step`]s out, to be carried out in order.
//!
//! ```text
//!   New --located--> Open --bounce, newer hint--> Fencing --Fenced--> Open (newer hint) or Locating --located--> Open
//!                     |                             |
//!                     +--------- link lost ---------+--> Lost --link again: Fence, new k--> Fencing
//!                                                         |
//!                                                         +--silo dead--> Locating to enter --Enter--> Entering --Fenced--> Open
//! ```
//!
//! **Invariants** (by the names of the tests): `hints_never_switch_a_way`, `newer_epoch_wins_among_the_hints_heard_during_a_fence`,
//! `what_was_given_back_goes_before_what_was_held`; in all orders of events, with `migration`: `order per caller`,
//! `proven not run is true`, `nothing to a silo that leaves`.
//!
//! Imports `ident`.

mod way;

#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod tests;

pub use way::{Step, Way};
