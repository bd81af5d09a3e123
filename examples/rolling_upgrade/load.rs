//! The load: senders that replay the flights, and one that measures how long a plain ask takes.

use crate::{
    flights::{Flight, Flights},
    latency::Latencies,
    sender::{Place, Sender, Sent},
    tally::{Passage, Tally},
};
use anyhow::{Context, Result};
use flights_messages::{Answer, Arrive, Depart, Fly, Look};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use quark::{
    actor::Ask,
    prelude::{CallError, Message},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

/// Senders that replay flights.
pub(crate) const SENDERS: u16 = 4;
/// Plain asks per second.
const PROBES: u32 = 500;
/// The most messages of one sender that are not answered yet.
const MAX_WAITING: usize = 512;

/// What the senders share.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) flights: Arc<Flights>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) latencies: Arc<Latencies>,
    /// How many flights may be sent.
    pub(crate) released: watch::Receiver<usize>,
}

/// What is to be counted when a message has come to its end.
type Waiting = FuturesUnordered<BoxFuture<'static, ()>>;

impl Load {
    /// Replays every [`SENDERS`]th flight from `first` on; ends when the last is answered.
    ///
    /// # Errors
    /// If flights are no longer released before all are sent.
    pub(crate) async fn replay(mut self, mut sender: Sender, first: usize) -> Result<Sent> {
        let flights = self.flights.clone();
        let mut waiting = Waiting::new();
        let mut next = first;
        loop {
            let flight = flights.flights.get(next).filter(|_| waiting.len() < MAX_WAITING);
            tokio::select! {
                Some(()) = waiting.next() => {}
                released = is_released(&mut self.released, next), if flight.is_some() => {
                    released?;
                    let flight = flight.expect("invariant: this arm is for a flight");
                    self.send(&mut sender, flight, &mut waiting).await;
                    next += usize::from(SENDERS);
                }
                else => return Ok(sender.into_sent()),
            }
        }
    }

    async fn send(&self, sender: &mut Sender, flight: &Flight, waiting: &mut Waiting) {
        let carrier = || self.flights.carriers[flight.carrier].clone();
        self.tally.sent();
        let depart = sender.airport(flight.origin, |stamp| Depart {
            stamp,
            carrier: carrier(),
            delay: flight.departure_delay,
        });
        let depart = depart.await;
        waiting.push(self.passage(depart, Passage::Departure, flight));
        if let Some(aircraft) = flight.aircraft {
            self.tally.sent();
            let fly = sender.aircraft(aircraft, |stamp| Fly {
                stamp,
                cancelled: flight.is_cancelled(),
                miles: flight.miles,
                air_minutes: flight.air_minutes,
                arrival_delay: flight.arrival_delay,
            });
            let (fly, tally) = (fly.await, self.tally.clone());
            waiting.push(async move { tally.ended(answer(fly).await) }.boxed());
        }
        self.tally.sent();
        let arrive = sender.airport(flight.destination, |stamp| Arrive {
            stamp,
            carrier: carrier(),
            delay: flight.arrival_delay,
        });
        let arrive = arrive.await;
        waiting.push(self.passage(arrive, Passage::Arrival, flight));
    }

    fn passage<M: Message<Reply = Answer>>(
        &self,
        ask: Result<Ask<'static, M>, CallError>,
        passage: Passage,
        flight: &Flight,
    ) -> BoxFuture<'static, ()> {
        let (tally, flights, flight) = (self.tally.clone(), self.flights.clone(), flight.clone());
        async move { tally.passed(answer(ask).await, passage, &flight, &flights) }.boxed()
    }

    /// Asks actors that were in the flights so far, at a steady rate, and notes how long each answer takes; ends when
    /// `stop` is set and all are answered.
    pub(crate) async fn probe(self, mut sender: Sender, mut stop: watch::Receiver<bool>) -> Result<Sent> {
        let mut ticks = time::interval(Duration::from_secs(1) / PROBES);
        let mut waiting = Waiting::new();
        let mut random = Random(0x5eed);
        loop {
            tokio::select! {
                Some(()) = waiting.next() => {}
                () = stop.wait_for(|stop| *stop).map(drop) => break,
                _ = ticks.tick(), if waiting.len() < MAX_WAITING => {
                    let released = *self.released.borrow();
                    if let Some(place) = random.place(&self.flights.flights[..released]) {
                        let asked = self.ask(&mut sender, place).await;
                        waiting.push(asked);
                    }
                }
            }
        }
        while waiting.next().await.is_some() {}
        Ok(sender.into_sent())
    }

    async fn ask(&self, sender: &mut Sender, place: Place) -> BoxFuture<'static, ()> {
        self.tally.sent();
        let (phase, sent_at) = (self.latencies.phase(), Instant::now());
        let look = |stamp| Look { stamp };
        let asked = match place {
            Place::Aircraft(aircraft) => sender.aircraft(aircraft, look).await,
            Place::Airport(airport) => sender.airport(airport, look).await,
        };
        let (tally, latencies) = (self.tally.clone(), self.latencies.clone());
        async move {
            let answer = answer(asked).await;
            if answer.is_ok() {
                latencies.note(phase, sent_at.elapsed());
            }
            tally.ended(answer);
        }
        .boxed()
    }
}

async fn is_released(released: &mut watch::Receiver<usize>, flight: usize) -> Result<()> {
    let waited = released.wait_for(|released| *released > flight).await;
    waited.map(drop).context("the replay was stopped")
}

async fn answer<M: Message<Reply = Answer>>(ask: Result<Ask<'static, M>, CallError>) -> Result<Answer, CallError> {
    ask?.await
}

/// Marsaglia's xorshift64: the same actors in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("invariant: it is below a usize")
    }

    /// An actor of one of the flights.
    fn place(&mut self, flights: &[Flight]) -> Option<Place> {
        if flights.is_empty() {
            return None;
        }
        let flight = &flights[self.below(flights.len())];
        Some(match (self.below(4), flight.aircraft) {
            (0, _) => Place::Airport(flight.origin),
            (1, _) | (_, None) => Place::Airport(flight.destination),
            (_, Some(aircraft)) => Place::Aircraft(aircraft),
        })
    }
}
