//! The kind `airport`: one actor for each airport code.

use crate::{Answer, Book, Look, Stamp};
use quark::prelude::*;
use std::collections::BTreeMap;

/// Stands for an airport.
#[actor_interface(kind = "airport", messages(Depart, Arrive, Look, AuditAirport, CarrierDelays))]
pub struct Airport;

/// A flight that was to leave the airport.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "airport.depart", reply = Answer)]
pub struct Depart {
    /// Who says so, and which message of theirs to this airport it is.
    pub stamp: Stamp,
    /// The code of the carrier. Version 1 does not look at it.
    pub carrier: String,
    /// How late it left, in minutes; `None` if it was cancelled.
    pub delay: Option<i32>,
}

/// A flight that was to reach the airport.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "airport.arrive", reply = Answer)]
pub struct Arrive {
    /// Who says so, and which message of theirs to this airport it is.
    pub stamp: Stamp,
    /// The code of the carrier. Version 1 does not look at it.
    pub carrier: String,
    /// How late it came, in minutes; `None` if it was cancelled or diverted.
    pub delay: Option<i32>,
}

/// What an airport has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct AirportTotals {
    /// Flights that left.
    pub departures: u64,
    /// Flights that were to leave and did not.
    pub cancelled: u64,
    /// Minutes of delay of those that left; early ones count against late ones.
    pub departure_delay: i64,
    /// Flights that came.
    pub arrivals: u64,
    /// Flights that were to come and did not.
    pub missed: u64,
    /// Minutes of delay of those that came; early ones count against late ones.
    pub arrival_delay: i64,
}

/// The question for everything that an airport knows, in any version.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "airport.audit", reply = AirportAccount)]
pub struct AuditAirport;

/// Everything that an airport knows, in any version.
#[derive(Debug, Serialize, Deserialize, Shape)]
pub struct AirportAccount {
    /// The version of the actor that answers.
    pub version: String,
    /// What it has seen.
    pub totals: AirportTotals,
    /// What messages it has run, and in which order.
    pub book: Book,
}

/// The question for the delays by carrier. Airports answer it from version 1.1.0; older ones do not know it.
#[derive(Message, Serialize, Deserialize)]
#[message(name = "airport.carrier_delays", reply = BTreeMap<String, Delays>)]
pub struct CarrierDelays;

/// The delays of one carrier at one airport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Shape)]
pub struct Delays {
    /// Flights that left.
    pub departures: u64,
    /// Minutes of delay of those that left; early ones count against late ones.
    pub departure_delay: i64,
    /// Flights that came.
    pub arrivals: u64,
    /// Minutes of delay of those that came; early ones count against late ones.
    pub arrival_delay: i64,
}

impl Delays {
    /// Counts a flight that was to leave.
    pub fn depart(&mut self, delay: Option<i32>) {
        if let Some(minutes) = delay {
            self.departures += 1;
            self.departure_delay += i64::from(minutes);
        }
    }

    /// Counts a flight that was to come.
    pub fn arrive(&mut self, delay: Option<i32>) {
        if let Some(minutes) = delay {
            self.arrivals += 1;
            self.arrival_delay += i64::from(minutes);
        }
    }
}
