//! The kind `aircraft`: one actor for each tail number.

use crate::{Answer, Book, Look, Stamp};
use quark::prelude::*;

/// Stands for the aircraft with a tail number.
#[actor_interface(kind = "aircraft", messages(Fly, Look, AuditAircraft))]
pub struct Aircraft;

/// A scheduled flight of the aircraft.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "aircraft.fly", reply = Answer)]
pub struct Fly {
    /// Who says so, and which message of theirs to this aircraft it is.
    pub stamp: Stamp,
    /// Whether it never left.
    pub cancelled: bool,
    /// The distance, in miles.
    pub miles: u32,
    /// The time in the air, in minutes; `None` if it was cancelled or diverted.
    pub air_minutes: Option<u32>,
    /// How late it arrived, in minutes; `None` if it was cancelled or diverted.
    pub arrival_delay: Option<i32>,
}

/// What an aircraft has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct AircraftTotals {
    /// Scheduled flights.
    pub flights: u64,
    /// Those that never left.
    pub cancelled: u64,
    /// Miles of those that left.
    pub miles: u64,
    /// Minutes in the air.
    pub air_minutes: u64,
    /// Minutes of delay at arrival; early ones count against late ones.
    pub arrival_delay: i64,
}

/// The question for everything that an aircraft knows.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "aircraft.audit", reply = AircraftAccount)]
pub struct AuditAircraft;

/// Everything that an aircraft knows.
#[derive(Debug, Serialize, Deserialize, Shape)]
pub struct AircraftAccount {
    /// The version of the actor that answers.
    pub version: String,
    /// What it has done.
    pub totals: AircraftTotals,
    /// What messages it has run, and in which order.
    pub book: Book,
}
