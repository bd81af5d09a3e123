//! Activity: how busy an activation is.
//!
//! Owns the lock-free cell that a mailbox records its events in, the score that sums it up, the policy that tells hot
//! from cold, and the order in which a drain takes actors. A cell is 16 bytes and belongs to its activation: it ends with
//! it, so a late event finds nothing to revive. Where tracking is off there is no cell. Imports `ident` and `clock`.
//!
//! ```text
//! mailbox --enqueued, turn_started, call_ended--> ActivityCell --snapshot--> Activity --HotPolicy--> Heat --> Rank
//! ```
//!
//! **Invariants**
//! - `no_count_is_lost_between_threads`
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
