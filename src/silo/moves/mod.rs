//! The moves of a silo's actors to other silos: wanted, offered, under way, ended. They belong to the silo; the supervisor
//! that drives them may be restarted at any time.
//!
//! ```text
//!   want -> Ready -take_due-> Choosing -offer-> Offered -accepted-> Accepted -begin_next-> Freezing -frozen-> Frozen -> ended
//!             ^                                                                               |                |
//!             +----------- Later <------------------------ failed, to be tried again ---------+----------------+
//! ```
//! A batch counts towards the most at once until all of it has ended or waits for nothing but turns that are slow. What is
//! under way is bounded in bytes, by what actors of a kind weighed of late; beside work for others moves begin at a bounded rate.

mod course;
mod outgoing;
mod pace;
mod past;
mod state;
#[cfg(test)]
mod tests;

pub(super) use course::Due;
pub(super) use outgoing::{Cancel, Limits, Moves};
