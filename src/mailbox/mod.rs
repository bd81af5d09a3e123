//! The mailbox: where messages for one actor wait in this process, bounded, in order.
//!
//! Owns messages between caller and turn (records in place for the short way, letters for every other), their replies, call
//! chains, and the [`Mailbox`] itself: one per actor and process for as long as anybody refers to it, whichever activation
//! empties it. Its hooks feed the activity cell. What runs is not known here: the mailbox tells its [`Host`] when
//! there is something to do.
//!
//! ```text
//!   senders, any thread                                     the owner's thread
//!   push: lock, bound, append record, unlock                take: lock, swap the whole queue for an empty one, unlock
//!     was neither scheduled nor busy? -> Host::inject         run up to a budget of records, publish what is left
//!   on the owner's own thread, at rest: Host::take_single     (waits with the owner, counted as taken)
//!                                                           rest: lock, look again, unlock
//!                                                         take_few: take and rest in one, if that is all
//! ```
//!
//! **Invariants** (by the names of the tests): `the_bound_is_exact`, `every_payload_is_dropped_exactly_once`,
//! `no_push_is_missed_by_an_owner_that_comes_to_rest`, `a_message_on_its_way_into_a_turn_is_at_no_instant_unseen`.
//!
//! Imports `activity`, `clock`, `ident`, `wire`.

mod bounded;
mod buffers;
mod chain;
mod letter;
#[cfg(all(test, quark_loom))]
mod loom_tests;
#[cfg(test)]
mod nowhere;
mod payload;
mod records;
mod reply;
#[cfg(all(test, not(quark_loom)))]
mod tests;
mod waits;

pub use bounded::{Host, Mailbox, NotHere, Refused};
pub use chain::Chain;
pub use letter::{Body, Letter, Outbound, ReplyTo, TypedMessage};
#[cfg(test)]
pub(crate) use nowhere::Nowhere;
pub use payload::{Asked, Call, Form, Payload, Told};
pub use records::{Deliveries, Front, PayloadType, Records};
pub use reply::{
    Answer, Home, Replied, ReplySender, ReplySlot, ReplyValue, ReplyWait, Watched, reply_pair, reply_pair_for,
};
pub use waits::Taken;
