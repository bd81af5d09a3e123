//! What the programs of the flights application say to each other: the kinds of actors, their messages, their replies.
//!
//! Callers depend on this crate and on Quark, never on the actors. It imports nothing but Quark and Serde.

mod aircraft;
mod airport;
mod book;

pub use aircraft::{Aircraft, AircraftAccount, AircraftTotals, AuditAircraft, Fly};
pub use airport::{Airport, AirportAccount, AirportTotals, Arrive, AuditAirport, CarrierDelays, Delays, Depart};
pub use book::{Book, Line, Stamp};

use quark::prelude::*;

/// A question that changes nothing but the book of the actor: how far is it?
#[derive(Message, Serialize, Deserialize)]
#[message(name = "flights.look", reply = Answer)]
pub struct Look {
    /// Who asks, and which message of theirs to this actor it is.
    pub stamp: Stamp,
}

/// What an actor answers to a message that it has entered in its book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct Answer {
    /// The version of the actor that ran the message.
    pub version: String,
    /// Whether the state with this message in it is in the store. Silos that save each message say so, others never do.
    pub saved: bool,
}
