//! The runtime: when what runs, and on which thread.
//!
//! Owns activations, the workers (one per arbiter) that give them their turns one at a time, the pauses after panics, timers and
//! idle activations, blocking work, and dead letters. What ownership means is decided elsewhere: the runtime is told to
//! activate, freeze, resume, start and end, and reports what came of it through [`Outside`]. Where messages wait is the room
//! `mailbox`; what a turn does with one, and the fence around its panic, is in `actor`.
//!
//! ```text
//!   Mailbox --inject--> this thread: run queue ---------------+
//!                       other threads: inbox, which wakes     v
//!   Activation::control -----------> inbox ----------> Worker: what it was told first, then from each mailbox
//!   an answer to who waits here ---> inbox                    at most a budget of messages per visit
//! ```
//!
//! **Invariants** (by the names of the tests): `one_turn_at_a_time`, `tells_of_one_sender_run_in_order`, `a_panic_is_contained`,
//! `a_flooded_actor_does_not_starve_its_neighbours`, `what_two_threads_send_runs_whatever_the_worker_is_at`,
//! `a_frozen_actor_does_not_tick_and_one_whose_move_is_called_off_goes_on`.
//!
//! Imports `actor`, `activity`, `clock`, `ident`, `mailbox`, `sync`, `store` (plain values), `wire`.

mod activation;
mod answer;
#[cfg(feature = "testkit")]
mod apart;
mod backoff;
#[cfg(test)]
mod backoff_tests;
mod blocking;
mod control;
mod dead_letters;
mod desk;
mod far;
#[cfg(test)]
mod fixture;
mod gather;
#[cfg(test)]
mod hearing_tests;
mod here;
mod hooks;
mod idle;
#[cfg(test)]
mod idle_tests;
mod inbox;
#[cfg(test)]
mod lease_tests;
mod letters;
mod local;
#[cfg(all(test, quark_loom))]
mod loom_tests;
mod meter;
mod orders;
mod outside;
mod places;
mod pool;
mod retry;
mod round;
mod singles;
#[cfg(test)]
mod singles_tests;
mod slot;
#[cfg(test)]
mod timer_tests;
mod wait;
mod watch;
mod worker;

pub use activation::Activation;
pub(crate) use answer::fail;
pub use blocking::BlockingPool;
pub use control::{Control, Memory};
pub use dead_letters::{DeadLetter, DeadLetters, NotClaimed};
pub use outside::{Event, FreezeError, Outside, Packed};
pub use pool::{Load, Pool, WorkerPlace, WorkerTask};
pub use retry::RetryPolicy;
pub use watch::{Blocked, Watcher};
