//! The actors of kind `airport`, version 2: totals, and the delays of each carrier since the airport came to this version.

use crate::host;
use flights_messages::{
    AirportAccount, AirportTotals, Answer, Arrive, AuditAirport, Book, CarrierDelays, Delays, Depart, Look,
};
use quark::{actor::Hosted, prelude::*};
use std::collections::BTreeMap;

/// An airport; its key is the code.
#[derive(Default, Serialize, Deserialize, Shape)]
struct Airport {
    totals: AirportTotals,
    book: Book,
    /// Not in what version 1 wrote.
    #[serde(default)]
    carriers: BTreeMap<String, Delays>,
}

#[actor(kind = "airport", messages(Depart, Arrive, Look, AuditAirport, CarrierDelays))]
impl Actor for Airport {}

impl Handler<Depart> for Airport {
    async fn handle(&mut self, depart: Depart, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(depart.stamp);
        self.carriers.entry(depart.carrier).or_default().depart(depart.delay);
        match depart.delay {
            Some(minutes) => {
                self.totals.departures += 1;
                self.totals.departure_delay += i64::from(minutes);
            }
            None => self.totals.cancelled += 1,
        }
        host::answer(self, ctx).await
    }
}

impl Handler<Arrive> for Airport {
    async fn handle(&mut self, arrive: Arrive, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(arrive.stamp);
        self.carriers.entry(arrive.carrier).or_default().arrive(arrive.delay);
        match arrive.delay {
            Some(minutes) => {
                self.totals.arrivals += 1;
                self.totals.arrival_delay += i64::from(minutes);
            }
            None => self.totals.missed += 1,
        }
        host::answer(self, ctx).await
    }
}

impl Handler<Look> for Airport {
    async fn handle(&mut self, look: Look, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(look.stamp);
        host::answer(self, ctx).await
    }
}

impl Handler<AuditAirport> for Airport {
    async fn handle(&mut self, _: AuditAirport, _: &mut Context<Self>) -> AirportAccount {
        AirportAccount {
            version: Self::VERSION.into(),
            totals: self.totals.clone(),
            book: self.book.clone(),
        }
    }
}

impl Handler<CarrierDelays> for Airport {
    async fn handle(&mut self, _: CarrierDelays, _: &mut Context<Self>) -> BTreeMap<String, Delays> {
        self.carriers.clone()
    }
}
