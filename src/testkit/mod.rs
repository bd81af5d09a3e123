//! A whole cluster on one thread, from one seed: to find what goes wrong in a distributed program before its users do.
//!
//! Owns [`Sim`], which runs real silos and clients, everything of them but their sockets, threads, clocks and random numbers, as
//! processes of a simulated [`World`]; what can be done to that world ([`FaultPlan`], [`Fleet`]); and [`Simulation`], which runs your
//! actors in two versions through a rolling upgrade with faults. The same seed does the same, event by event.
//!
//! ```text
//!   Sim (this thread)
//!    |- a process: LocalSet -- silo: supervisors, links, workers, as in production ------\
//!    |- a process: LocalSet -- client                                                    |- clock: a view of the world's time
//!    |- the store: a process; the memory store behind delays, outages, lost answers      |- network: streams that are late, cut
//!    |- sim: the scenario and its faults                                                 |- chance: drawn from the seed
//!    nobody has anything to do -> it is later: the next alarm of any process ------------/
//! ```
//!
//! A link is one stream, as TCP makes them: bytes are late, or stop coming; none is lost alone, comes twice, or before an earlier one.
//! Loss shows itself as delay, repetition and reordering as links that are made again while the old one's bytes still arrive.
//!
//! What is not simulated: threads (two workers never run at the same moment; `make loom` is for that), TLS, the stores' own programs,
//! and what your actors do outside of Quark: an actor that reads the machine's clock or draws random numbers itself makes a seed
//! worthless; use `ctx.clock()`.
//!
//! Imports everything.

mod fleet;
mod host;
mod ledger;
mod network;
mod pipe;
mod plan;
mod sim;
mod simulation;
mod steps;
mod store;
mod trace;
mod world;

pub use fleet::Fleet;
pub use ledger::{OwnerChange, Saved};
pub use network::NetworkOptions;
pub use plan::{Fault, FaultPlan};
pub use sim::{Sim, TimeUp, here, living, note, note_of};
pub use simulation::{Simulation, Verdict};
pub use steps::STEPS;
pub use store::StoreOptions;
pub use trace::Event;
pub use world::{ClientProcess, Departure, Leftovers, World};
