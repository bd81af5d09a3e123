//! The actors of kind `aircraft`. Version 2 of the application did not change them.

use crate::host;
use flights_messages::{AircraftAccount, AircraftTotals, Answer, AuditAircraft, Book, Fly, Look};
use quark::{actor::Hosted, prelude::*};

/// An aircraft; its key is the tail number.
#[derive(Default, Serialize, Deserialize, Shape)]
struct Aircraft {
    totals: AircraftTotals,
    book: Book,
}

#[actor(kind = "aircraft", messages(Fly, Look, AuditAircraft))]
impl Actor for Aircraft {}

impl Handler<Fly> for Aircraft {
    async fn handle(&mut self, fly: Fly, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(fly.stamp);
        self.totals.flights += 1;
        if fly.cancelled {
            self.totals.cancelled += 1;
        } else {
            self.totals.miles += u64::from(fly.miles);
        }
        self.totals.air_minutes += u64::from(fly.air_minutes.unwrap_or(0));
        self.totals.arrival_delay += i64::from(fly.arrival_delay.unwrap_or(0));
        host::answer(self, ctx).await
    }
}

impl Handler<Look> for Aircraft {
    async fn handle(&mut self, look: Look, ctx: &mut Context<Self>) -> Answer {
        self.book.enter(look.stamp);
        host::answer(self, ctx).await
    }
}

impl Handler<AuditAircraft> for Aircraft {
    async fn handle(&mut self, _: AuditAircraft, _: &mut Context<Self>) -> AircraftAccount {
        AircraftAccount {
            version: Self::VERSION.into(),
            totals: self.totals.clone(),
            book: self.book.clone(),
        }
    }
}
