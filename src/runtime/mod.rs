//! The runtime: executes actors.
//!
//! Owns activations with their bounded mailboxes, the workers (one per arbiter) that run their turns one at a time, and the
//! fence around panics. What ownership means is decided elsewhere: the runtime is told to activate, freeze, resume, start
//! and end, and reports what came of it through [`Outside`].
//!
//! ```text
//!   sender --push--> Mailbox (letters | control lane) --inject--> Worker: control first, then letters, a budget per turn
//!                       | closed: the letter comes back             |
//!                       v                                           v
//!                    the seat holds or forwards it              reply, dead letter, Event
//! ```
//!
//! **Invariants** (by the names of the tests): `a_panic_is_contained`, `tells_of_one_sender_run_in_order`,
//! `a_frozen_actor_does_not_tick_and_one_whose_move_is_called_off_goes_on`, `a_flooded_actor_does_not_starve_its_neighbours`.
//!
//! Imports `actor`, `activity`, `clock`, `ident`, `store` (plain values), `wire`.

mod activation;
mod answer;
mod backoff;
#[cfg(test)]
mod backoff_tests;
mod blocking;
mod control;
mod dead_letters;
mod desk;
#[cfg(test)]
mod fixture;
mod hooks;
mod idle;
#[cfg(test)]
mod idle_tests;
#[cfg(test)]
mod lease_tests;
mod local;
mod meter;
mod orders;
mod outside;
mod places;
mod pool;
mod retry;
mod slot;
#[cfg(test)]
mod timer_tests;
mod watch;
mod worker;

pub use activation::Activation;
pub(crate) use answer::fail;
pub use blocking::BlockingPool;
pub use control::{Control, Memory};
pub use dead_letters::{DeadLetter, DeadLetters, NotClaimed};
pub use outside::{Event, FreezeError, Outside, Packed};
pub use pool::{Load, Pool};
pub use retry::RetryPolicy;
pub use watch::{Blocked, Watcher};
