//! Activity: how busy an activation is.
//!
//! Owns the lock-free cell that a mailbox records its events in, the score that sums it up, the policy that tells hot
//! from cold, and the order in which a drain takes actors. A cell is 24 bytes within its mailbox. Each of its counters has one
//! writer, so that an event costs a plain store. Imports `ident` and `clock`.
//!
//! ```text
//! mailbox --taken, turns_started, left, turns_ended--> ActivityCell --snapshot--> Activity --HotPolicy--> Heat --> Rank
//! ```
//!
//! **Invariants**
//! - `no_push_is_missed_by_an_owner_that_comes_to_rest` (in `mailbox`)
//! - `a_message_on_its_way_into_a_turn_is_at_no_instant_unseen` (in `mailbox`)
//! - `counts_never_go_below_zero`
//! - `a_busy_actor_is_hot_under_every_policy`
//! - `the_coldest_come_first_and_the_hot_last`

mod cell;
mod heat;
mod rank;
mod score;

pub use cell::ActivityCell;
pub use heat::{Heat, HotPolicy, InvalidHotPolicy};
pub use rank::Rank;
pub use score::{Activity, ScoreScale};
