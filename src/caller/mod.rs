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
//! **Invariants** (by the names of the tests): `messages_of_one_sender_keep_their_order_over_a_forget`,
//! `what_waits_for_a_way_past_its_deadline_is_ended_by_a_sweep`, `a_caller_of_ever_new_actors_keeps_a_bounded_number_of_lines`;
//! with silos that die: `a_killed_silo_loses_no_acknowledged_message`.
//!
//! Imports `actor`, `clock`, `directory`, `ident`, `store` (plain values), `transport`, `wire`.

mod convert;
mod line;
mod links;
mod pending;
mod query;
mod switchboard;
mod watch;

pub use convert::{arrival, back_off, from_call, in_place_of, time_left};
pub use line::Line;
pub use links::{Arrived, FRAMES_A_TURN, LinkEvents, Links, Spawner, Unsent};
pub use pending::Pending;
pub use switchboard::{Delivered, Switchboard, Uplink};
