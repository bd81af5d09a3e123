//! The caller: how a process, silo or client, gets its messages to actors.
//!
//! Owns the lines (one per actor: its way, and the short way into a mailbox of this process), the asks that wait for
//! replies from elsewhere, and the links that this process dials. Carries out the steps of the ways.
//!
//! ```text
//!   ActorRef --send--> Line --short way--> mailbox of this process
//!                        |  way: Send      +--> Uplink::deliver_here (the silo's own seats)
//!                        +-----------------+--> Links --frames--> silo
//!   Pending <--Reply-- link              Way events <--Bounce, Fenced, Moved-- link
//! ```
//!
//! **Invariants** (by the names of the tests): `fifo_per_sender`, `every_ask_ends`, `unknown_only_after_a_lost_link`.
//!
//! Imports `actor`, `clock`, `directory`, `ident`, `store` (plain values), `transport`, `wire`.

mod convert;
mod line;
mod links;
mod pending;
mod switchboard;

pub use convert::{back_off, from_call, time_left};
pub use line::Line;
pub use links::{LinkEvents, Links, Spawner, Unsent};
pub use pending::Pending;
pub use switchboard::{Delivered, Switchboard, Uplink};
