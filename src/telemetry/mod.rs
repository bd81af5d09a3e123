//! Telemetry: what is counted while actors run, in a form that can be added, subtracted and sent.
//!
//! Owns distributions of durations ([`Durations`] is written by one thread and read by any; [`Distribution`] is a plain copy)
//! and what is known of a kind's turns ([`KindFigures`]) and of moves ([`ArrivalFigures`]). Imports nothing of the crate.
//!
//! **Invariants** (by the names of the tests): `a_quantile_is_at_most_a_sixteenth_above_the_truth`,
//! `what_came_since_is_the_difference_of_two_copies`.

mod distribution;
mod figures;

pub use distribution::{Distribution, Durations};
pub use figures::{ArrivalFigures, KindFigures};
