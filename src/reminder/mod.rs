//! Reminders: who delivers which tick when.
//!
//! Owns the decisions of one silo about the buckets of reminders that it looks after: which to claim and to hand over, what to read
//! of them, when a tick is to be checked, delivered and advanced, and what becomes of ticks that were missed. Pure: takes events with
//! the wall time, answers commands.
//!
//! ```text
//!   bucket:    wanted --claim--> loading --> serving --not wanted--> releasing (its ticks end) --hand over--> gone
//!                                               \---overtaken---------------------------------------------> gone
//!   reminder:  waiting --due--> checking --> in flight --ran--> advancing --> waiting for its next tick, or gone
//!                 ^  ^             |            | did not run        | set again or removed meanwhile: gone
//!                 |  \--not now----/            |                    v
//!                 \-------after a pause---------/                (read again)
//! ```
//!
//! Of a bucket only what is due within seconds is in memory; the next seconds are read in time, and what is set meanwhile is told by who
//! sets it or found by the count of changes, which is looked at every second.
//!
//! **Invariants** (by the names of the tests): `a_tick_is_checked_before_it_is_delivered_and_advanced_after_it_ran`,
//! `a_bucket_is_handed_over_when_its_ticks_have_ended`, `an_overtaken_owner_delivers_nothing_more`,
//! `a_tick_that_did_not_run_is_delivered_again_under_its_id`.
//!
//! Imports `ident` and plain values of `store`.

mod buckets;
mod command;
mod engine;
mod late;
mod queue;
#[cfg(test)]
mod tests;

pub use command::{Command, Event, Ran, Written};
pub use engine::Reminders;
