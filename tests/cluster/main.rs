//! Clusters of real processes that are killed, stopped, cut off and drained: who may serve, what is lost, what is true.
//!
//! Each silo is this very test program, run again as [`program`]. All of them host one kind, [`notes::Notes`]: a list that each
//! message appends itself to and that is saved before the answer. At the end of every test the lists are held against what the
//! senders were told ([`load`]).
//!
//! Needs the feature `testkit`: the crash matrix stops processes within the steps of a move.

#[path = "../common/answered.rs"]
mod answered;
#[path = "../common/redis.rs"]
mod redis;

mod cluster;
mod fencing;
mod load;
mod matrix;
mod network;
mod notes;
mod once;
mod partition;
mod process;
mod program;
mod proxy;
mod reminders;
mod restart;

use std::time::Duration;

/// Far longer than anything here may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
