//! Migration: how one actor changes its silo while messages go on arriving.
//!
//! Owns [`Seat`], all that one silo knows of one actor: its tenure here (registering, active, frozen, prepared,
//! committed), the forwarding entry that an earlier tenure left, and what fences have to wait for. A seat is a pure state
//! machine: events in, [`Command`]s out, to be carried out in order. Beside it [`Sending`] and [`Receiving`], the two ends
//! of a package that is too large for one frame: to a seat it is one event, when its last part has come.
//!
//! ```text
//!   source                               directory                     target
//!   Active --freeze--> Freezing                                        (no tenure)
//!   Freezing --packed--> Frozen  ------------- Package ------------->  Prepared
//!                                      <-- (S,e) to (T,e+1) ---------  Prepared, asked
//!   Frozen  <-------------------------------- Committed -------------  Committed
//!   forwarding  ----------------------------------- Go ------------->  Active: package's queue, held, callers
//!   forwarding  ------------------------------- Forward n ---------->
//!               <------------------------------- Rested n -----------
//!   (nothing)   --------------------------------- Closed ----------->  predecessor closed
//! ```
//!
//! **Invariants** (by the names of the laws in `tests/model`, which holds them in all orders of events): `one silo at a time`,
//! `only the owner runs turns`, `no message twice`, `order per caller`, `proven not run is true`, `no acknowledged effect lost`,
//! `no write from an older epoch`, `everything ends`. Each rule has a test here, by the order of events that needs it.
//!
//! Imports `ident`, `store` (plain values), `wire` (reasons). Never a clock, a store or a link.

mod command;
mod ending;
mod forwarding;
mod parcel;
mod seat;
mod source;
mod target;
mod tenure;

#[cfg(test)]
mod tests;

pub use command::{Command, Purpose};
pub use forwarding::Forwarding;
pub use parcel::{Part, Receiving, Sending};
pub use seat::Seat;
pub use tenure::{Arrival, Phase, Predecessor, Source};
