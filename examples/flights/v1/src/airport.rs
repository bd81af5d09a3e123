//! The actors of kind `airport`, version 1: totals alone.

use crate::host;
use flights_messages::{AirportAccount, AirportTotals, Answer, Arrive, AuditAirport, Book, Depart, Look};
use quark::{actor::Hosted, prelude::*};

/// An airport; its key is the code.
#[derive(Default, Serialize, Deserialize, Shape)]
struct Airport {
    totals: AirportTotals,
    book: Book,
}

#[actor(kind = "airport", messages(Depart, Arrive, Look, AuditAirport))]
impl Actor for Airport {}

impl Handler<Depart> for Airport {
    async fn handle(&mut self, depart: Depart, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(depart.stamp);
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
