//! One sender: a client of the cluster, a reference to each actor, and a number on each message to it.

use crate::flights::Flights;
use flights_messages::{Aircraft, Airport, Stamp};
use quark::{
    actor::{Accepts, Ask, TryError},
    client::Client,
    prelude::*,
    wire::{Failure, FailureCode, Ran},
};
use std::time::Duration;
use tokio::time;

/// How long a sender waits when a mailbox is full. What it has to send behind that message waits too, so that it stays in
/// order.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// An actor, as a place in the lists of [`Flights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Aircraft(usize),
    Airport(usize),
}

/// A sender; its messages to one actor run in the order in which they are sent.
pub(crate) struct Sender {
    number: u16,
    /// References end with their client.
    _client: Client,
    aircraft: Vec<ActorRef<Aircraft>>,
    airports: Vec<ActorRef<Airport>>,
    sent: Sent,
}

/// How many messages a sender has sent, by actor.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The sender.
    pub(crate) sender: u16,
    /// To each aircraft.
    pub(crate) aircraft: Vec<u64>,
    /// To each airport.
    pub(crate) airports: Vec<u64>,
}

impl Sender {
    /// A sender of a number that no other has, with a client of its own.
    pub(crate) fn new(number: u16, client: Client, flights: &Flights) -> Self {
        Self {
            number,
            aircraft: flights.aircraft.iter().map(|tail| client.actor(tail)).collect(),
            airports: flights.airports.iter().map(|code| client.actor(code)).collect(),
            sent: Sent {
                sender: number,
                aircraft: vec![0; flights.aircraft.len()],
                airports: vec![0; flights.airports.len()],
            },
            _client: client,
        }
    }

    /// Sends a message to an aircraft; the answer is waited for apart.
    pub(crate) async fn aircraft<M: Message>(
        &mut self,
        aircraft: usize,
        message: impl FnOnce(Stamp) -> M,
    ) -> Result<Ask<'static, M>, CallError>
    where
        Aircraft: Accepts<M>,
    {
        let stamp = self.stamp(Place::Aircraft(aircraft));
        send(&self.aircraft[aircraft], message(stamp)).await
    }

    /// Sends a message to an airport; the answer is waited for apart.
    pub(crate) async fn airport<M: Message>(
        &mut self,
        airport: usize,
        message: impl FnOnce(Stamp) -> M,
    ) -> Result<Ask<'static, M>, CallError>
    where
        Airport: Accepts<M>,
    {
        let stamp = self.stamp(Place::Airport(airport));
        send(&self.airports[airport], message(stamp)).await
    }

    /// What it has sent.
    pub(crate) fn into_sent(self) -> Sent {
        self.sent
    }

    fn stamp(&mut self, place: Place) -> Stamp {
        let number = match place {
            Place::Aircraft(aircraft) => &mut self.sent.aircraft[aircraft],
            Place::Airport(airport) => &mut self.sent.airports[airport],
        };
        *number += 1;
        Stamp {
            sender: self.number,
            number: *number,
        }
    }
}

async fn send<K: Accepts<M>, M: Message>(actor: &ActorRef<K>, mut message: M) -> Result<Ask<'static, M>, CallError> {
    loop {
        match actor.try_ask(message) {
            Ok(ask) => return Ok(ask.owned()),
            Err(TryError::Full(back)) => message = back,
            Err(TryError::Failed(error)) => return Err(error),
            Err(other) => return Err(Failure::new(FailureCode::Unknown, Ran::Unknown, format!("{other:?}")).into()),
        }
        time::sleep(FULL_PAUSE).await;
    }
}
