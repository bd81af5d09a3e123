//! Membership: which silos there are, and whether this one is still one of them.
//!
//! Owns the view of the membership table, heartbeats, suspicion and death of peers, and the lease of this silo. One
//! engine, [`Membership`], takes [`Event`]s with the time and answers [`Command`]s. Imports `ident`, `clock` and the plain
//! values of `store`; sees no other engine, no socket, no clock.
//!
//! ```text
//!          Started                lease held, start complete       drain                Leave
//! (no row) ------> Joining row ------------------------> Active <-------> ShuttingDown ------> row removed: Left
//!                      \____________________________________|_________________|
//!                                         | silent; or a successor of the same name joined
//!                                         v
//!                                        Dead (final) -- dead_retention --> row removed
//! ```
//!
//! **Heartbeats** go through their own store operation and touch no other field. **Suspicion** of a peer needs reads: the
//! same heartbeat in uninterrupted good reads of this observer for `failure_timeout`; then a direct probe fails, a
//! second Active peer does not reach it either, and one more read still shows the same heartbeat. An outage of the
//! store interrupts the reads, so it kills nobody.
//!
//! **Lease.** A silo may serve for `lease` from when it *sent* its last successful heartbeat. Observers count from when
//! they *saw* it, and longer, so the lease ends before anybody can declare the silo Dead. While every other silo of the view
//! confirms that it cannot reach the store either, the lease is extended: a confirmation is also a promise to begin
//! counting everyone's silence anew, so none of those who promised can declare a death within `failure_timeout`. A
//! confirmation counts from when it was asked for, extends a lease that holds and revives none, and counts nothing once
//! a peer has shown that it knows a newer view: then somebody does reach the store. What is left open: a silo that joins
//! through the store while it reaches none of the others, and these cannot reach the store, may declare them Dead while
//! they serve on; then the epochs in the store keep all but one from having an effect.
//!
//! A lease is given, at first and after it was lost, only by a heartbeat *and then* a change of the own row: the change
//! moves the view, so a declaration of death that somebody prepared before the heartbeat conflicts and sees it.
//!
//! **Two live silos of one name** are an operator's error. A silo that joins declares every lower incarnation of its
//! name Dead before it adds its own row, because by contract their process is gone; the older of two live ones sees its own
//! death and is fenced.
//!
//! **Invariants** (by the names of the tests): `a_silo_that_heartbeats_is_never_declared_dead`,
//! `a_silent_silo_is_declared_dead_within_the_bound`, `a_store_outage_kills_nobody`, `heartbeats_change_no_other_field`,
//! `dead_left_and_replaced_silos_are_gone_for_good`; under random faults, with the laws checked at every step:
//! `no_fault_breaks_a_law_and_the_cluster_heals`.

mod calls;
mod config;
mod duties;
mod engine;
mod lease;
mod moves;
mod view;
mod watch;

pub use config::{BudgetError, MembershipConfig};
pub use engine::Membership;
pub use moves::{Command, Event, FenceReason};
pub use view::View;

#[cfg(test)]
mod death_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod simulation;
