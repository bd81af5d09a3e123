//! What happens to messages, counted where it happens: sent, answered, failed, by which version.

use crate::flights::{Flight, Flights};
use flights_messages::{Answer, Delays};
use quark::prelude::CallError;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many errors are kept as text.
const KEPT_ERRORS: usize = 5;

/// A passage of a flight through an airport.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Passage {
    /// It was to leave.
    Departure,
    /// It was to come.
    Arrival,
}

/// Delays by airport and carrier.
pub(crate) type ByCarrier = BTreeMap<String, BTreeMap<String, Delays>>;

/// The counts of all senders.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

/// See [`Tally`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Those that were answered.
    pub(crate) answered: u64,
    /// Those that ended in an error.
    pub(crate) failed: u64,
    /// Answers, by the version that gave them.
    pub(crate) by_version: BTreeMap<String, u64>,
    /// What the airports of a version were told of delays, by that version.
    pub(crate) carriers: BTreeMap<String, ByCarrier>,
    /// The first errors.
    pub(crate) errors: Vec<String>,
}

impl Tally {
    /// A message is on its way.
    pub(crate) fn sent(&self) {
        self.counts().sent += 1;
    }

    /// A message came to its end.
    pub(crate) fn ended(&self, result: Result<Answer, CallError>) {
        match result {
            Ok(answer) => self.answered(&answer),
            Err(error) => self.failed(&error),
        }
    }

    /// A message about a flight's passage through an airport came to its end.
    pub(crate) fn passed(
        &self,
        result: Result<Answer, CallError>,
        passage: Passage,
        flight: &Flight,
        flights: &Flights,
    ) {
        if let Ok(answer) = &result {
            let (airport, delay) = match passage {
                Passage::Departure => (flight.origin, flight.departure_delay),
                Passage::Arrival => (flight.destination, flight.arrival_delay),
            };
            let mut counts = self.counts();
            let airports = counts.carriers.entry(answer.version.clone()).or_default();
            let carriers = airports.entry(flights.airports[airport].clone()).or_default();
            let delays = carriers.entry(flights.carriers[flight.carrier].clone()).or_default();
            match passage {
                Passage::Departure => delays.depart(delay),
                Passage::Arrival => delays.arrive(delay),
            }
        }
        self.ended(result);
    }

    /// An ask ended in an error.
    pub(crate) fn failed(&self, error: &CallError) {
        let mut counts = self.counts();
        counts.failed += 1;
        if counts.errors.len() < KEPT_ERRORS {
            counts.errors.push(error.to_string());
        }
    }

    /// The counts as they are now.
    pub(crate) fn now(&self) -> Counts {
        self.counts().clone()
    }

    fn answered(&self, answer: &Answer) {
        let mut counts = self.counts();
        counts.answered += 1;
        *counts.by_version.entry(answer.version.clone()).or_default() += 1;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
