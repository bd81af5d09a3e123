//! Explores the protocol: the engines' own code, in every order in which messages, answers and failures can come.
//!
//! Owns a small world around the engines: silos that carry out what their real [`Seat`](quark::migration::Seat) of one
//! actor commands, callers that carry out what their real [`Way`](quark::directory::Way) wants, links, a directory entry
//! and a saved state. Whatever can happen next is an [`acts::Act`]; the checker takes each in each world that it reaches,
//! so that a test that passes has seen all orders within its bound.
//!
//! ```text
//!            Step                  Frame                  Command
//!   Way  ------------>  AtCaller  ------->  AtSilo  <--------------------  Seat
//!        <------------             links     | ^    -------------------->
//!            event                           | |          event
//!                                        Ask v | Answer
//!                                           store: the entry, the saved state
//! ```
//!
//! **Invariants** (`check`): one silo at a time; only the owner runs turns; no message twice; order per caller; proven
//! not run is true; no acknowledged effect lost; no write from an older epoch; commands fit the runtime; nothing to a silo
//! that leaves; everything ends (where nothing more happens by itself, nobody waits, and a next message finds its way).
//!
//! `laws_hold` explores situations to their end, each of which also has to reach a world in which all that it is about has
//! happened. `faults_are_found` breaks one rule at a time and expects the checker to find which law falls.
//!
//! Simpler than the real thing: one actor; a turn is one step (but for a pause, which catches one in the middle); a
//! package comes without an offer; replies arrive at once; deaths are agreed upon; few messages, so that
//! no bound on what is held is reached; the store loses answers, never writes.
//!
//! Imports the library's public engines only. Never its supervisors, threads, clock or wire format: those are under test
//! elsewhere.

mod acts;
mod caller;
mod check;
mod config;
mod explore;
mod faults_are_found;
mod laws_hold;
mod silo;
mod steps;
mod store;
mod world;
