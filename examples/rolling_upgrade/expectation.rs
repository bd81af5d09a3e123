//! What the totals must be: a plain loop over the flights.

use crate::flights::Flights;
use flights_messages::{AircraftTotals, AirportTotals};

/// The totals of all actors, in the order of the lists of [`Flights`].
#[derive(Debug)]
pub(crate) struct Expectation {
    pub(crate) aircraft: Vec<AircraftTotals>,
    pub(crate) airports: Vec<AirportTotals>,
}

impl Expectation {
    /// The totals of these flights.
    pub(crate) fn of(flights: &Flights) -> Self {
        let mut aircraft = vec![AircraftTotals::default(); flights.aircraft.len()];
        let mut airports = vec![AirportTotals::default(); flights.airports.len()];
        for flight in &flights.flights {
            let origin = &mut airports[flight.origin];
            if let Some(delay) = flight.departure_delay {
                origin.departures += 1;
                origin.departure_delay += i64::from(delay);
            } else {
                origin.cancelled += 1;
            }
            let destination = &mut airports[flight.destination];
            if let Some(delay) = flight.arrival_delay {
                destination.arrivals += 1;
                destination.arrival_delay += i64::from(delay);
            } else {
                destination.missed += 1;
            }
            if let Some(place) = flight.aircraft {
                let aircraft = &mut aircraft[place];
                aircraft.flights += 1;
                if flight.is_cancelled() {
                    aircraft.cancelled += 1;
                } else {
                    aircraft.miles += u64::from(flight.miles);
                }
                aircraft.air_minutes += flight.air_minutes.map_or(0, u64::from);
                aircraft.arrival_delay += flight.arrival_delay.map_or(0, i64::from);
            }
        }
        Self { aircraft, airports }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The figures were taken from the file with another tool (awk).
    #[test]
    fn the_totals_of_the_month_are_those_of_the_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");
        let flights = Flights::read(Path::new(path)).expect("readable");
        let expected = Expectation::of(&flights);
        let newark = flights
            .airports
            .iter()
            .position(|code| code == "EWR")
            .expect("is there");
        let atlanta = flights
            .airports
            .iter()
            .position(|code| code == "ATL")
            .expect("is there");
        let tail = flights
            .aircraft
            .iter()
            .position(|tail| tail == "N730MQ")
            .expect("is there");
        let newark = &expected.airports[newark];
        assert_eq!(
            (newark.departures, newark.cancelled, newark.departure_delay),
            (9655, 238, 143_915)
        );
        let atlanta = &expected.airports[atlanta];
        assert_eq!(
            (atlanta.arrivals, atlanta.missed, atlanta.arrival_delay),
            (1368, 28, 5680)
        );
        let wanted = AircraftTotals {
            flights: 74,
            cancelled: 2,
            miles: 37_475,
            air_minutes: 6685,
            arrival_delay: 309,
        };
        assert_eq!(expected.aircraft[tail], wanted);
    }
}
