//! Flights, replayed all the time, and what has to come of them: each message that was answered ran once, in order; the totals are
//! those of the messages that ran.

use crate::flights::{Flight, Flights};
use flights_messages::{
    Aircraft, AircraftTotals, Airport, AirportTotals, Answer, Arrive, AuditAircraft, AuditAirport, Book, Depart, Fly,
    Stamp,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use quark::{
    actor::{Accepts, TryError},
    client::Client,
    prelude::*,
    wire::Ran,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many messages wait for their answers at once.
const AT_ONCE: usize = 48;

/// The sender, in the books of the actors.
const SENDER: u16 = 1;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Answered,
    Panicked,
    /// Its silo was lost; it ran or it did not. Why.
    Unknown(String),
    Failed(String),
}

/// Which message to which actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Depart,
    Arrive,
    Fly,
}

/// A message that was sent, by its number among those to its actor.
struct Sent {
    flight: usize,
    part: Part,
    end: End,
}

type Actor = (&'static str, String);

/// What was sent, to whom, and what became of it.
pub(crate) struct AllSent {
    flights: Flights,
    to: BTreeMap<Actor, Vec<Sent>>,
}

/// Flights that are replayed until it is ended or dropped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sender: tokio::task::JoinHandle<AllSent>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    pub(crate) fn begin(client: Client) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");
        let mut flights = Flights::read(Path::new(path)).expect("readable");
        // Few aircraft: one day's flights again and again.
        flights.flights.truncate(400);
        let stop = Arc::new(AtomicBool::new(false));
        #[allow(clippy::disallowed_methods, reason = "a test's own sender")]
        let sender = tokio::spawn(replay(client, flights, stop.clone()));
        Self { stop, sender }
    }

    pub(crate) async fn end(mut self) -> AllSent {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.sender).await.expect("no panic")
    }
}

/// The key of the actor that hears a part of a flight.
fn actor(flights: &Flights, flight: &Flight, part: Part) -> Option<Actor> {
    Some(match part {
        Part::Depart => ("airport", flights.airports[flight.origin].clone()),
        Part::Arrive => ("airport", flights.airports[flight.destination].clone()),
        Part::Fly => ("aircraft", flights.aircraft[flight.aircraft?].clone()),
    })
}

fn airport_of<'a>(
    known: &'a mut BTreeMap<String, ActorRef<Airport>>,
    client: &Client,
    key: &str,
) -> &'a ActorRef<Airport> {
    known.entry(key.to_owned()).or_insert_with(|| client.actor(key))
}

/// Sends a message now; its answer is waited for apart.
fn send<K: Accepts<M>, M: Message<Reply = Answer>>(
    actor: &ActorRef<K>,
    message: M,
) -> BoxFuture<'static, Result<Answer, CallError>> {
    match actor.try_ask(message) {
        Ok(ask) => Box::pin(ask.owned().into_future()),
        Err(TryError::Failed(error)) => Box::pin(async { Err(error) }),
        Err(other) => panic!("no mailbox can be full: {other:?}"),
    }
}

async fn replay(client: Client, flights: Flights, stop: Arc<AtomicBool>) -> AllSent {
    let mut to: BTreeMap<Actor, Vec<Sent>> = BTreeMap::new();
    let mut airports: BTreeMap<String, ActorRef<Airport>> = BTreeMap::new();
    let mut aircraft: BTreeMap<String, ActorRef<Aircraft>> = BTreeMap::new();
    let mut waiting: FuturesUnordered<BoxFuture<'static, (Actor, usize, End)>> = FuturesUnordered::new();
    let all = (0..flights.flights.len()).cycle();
    for (at, part) in all.flat_map(|at| [(at, Part::Depart), (at, Part::Fly), (at, Part::Arrive)]) {
        while waiting.len() >= AT_ONCE || (stop.load(Ordering::Relaxed) && !waiting.is_empty()) {
            let (actor, number, end) = waiting.next().await.expect("something waits");
            to.get_mut(&actor).expect("sent to")[number].end = end;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let flight = &flights.flights[at];
        let Some(actor) = actor(&flights, flight, part) else {
            continue;
        };
        let sent = to.entry(actor.clone()).or_default();
        let place = sent.len();
        sent.push(Sent {
            flight: at,
            part,
            end: End::Failed("it was not waited for".into()),
        });
        let stamp = Stamp {
            sender: SENDER,
            number: place as u64 + 1,
        };
        let carrier = flights.carriers[flight.carrier].clone();
        let key = actor.1.clone();
        let answer: BoxFuture<'static, Result<Answer, CallError>> = match part {
            Part::Depart => {
                let delay = flight.departure_delay;
                send(
                    airport_of(&mut airports, &client, &key),
                    Depart { stamp, carrier, delay },
                )
            }
            Part::Arrive => {
                let delay = flight.arrival_delay;
                send(
                    airport_of(&mut airports, &client, &key),
                    Arrive { stamp, carrier, delay },
                )
            }
            Part::Fly => {
                let aircraft = aircraft.entry(key.clone()).or_insert_with(|| client.actor(&key));
                let fly = Fly {
                    stamp,
                    cancelled: flight.is_cancelled(),
                    miles: flight.miles,
                    air_minutes: flight.air_minutes,
                    arrival_delay: flight.arrival_delay,
                };
                send(aircraft, fly)
            }
        };
        waiting.push(Box::pin(async move {
            let end = match answer.await {
                Ok(answer) if answer.saved => End::Answered,
                Ok(_) => End::Failed("it was not saved".into()),
                Err(CallError::Panicked { .. }) => End::Panicked,
                Err(error) if error.ran() == Ran::Unknown => End::Unknown(error.to_string()),
                Err(error) => End::Failed(error.to_string()),
            };
            (actor, place, end)
        }));
    }
    AllSent { flights, to }
}

impl AllSent {
    fn all(&self) -> impl Iterator<Item = (&Actor, &Sent)> {
        (self.to.iter()).flat_map(|(actor, sent)| sent.iter().map(move |sent| (actor, sent)))
    }

    pub(crate) fn panicked(&self) -> usize {
        self.all().filter(|(_, sent)| sent.end == End::Panicked).count()
    }

    /// Nothing has failed but what was under way at a silo that was killed.
    pub(crate) fn assert_failed_by_kills_alone(&self) {
        self.assert_ends(|_| false);
    }

    /// Nothing has failed but that, and departures of one carrier.
    pub(crate) fn assert_failed_by_panics_on(&self, carrier: &str) {
        self.assert_ends(|sent| {
            let flight = &self.flights.flights[sent.flight];
            sent.part == Part::Depart && self.flights.carriers[flight.carrier] == carrier
        });
    }

    fn assert_ends(&self, may_panic: impl Fn(&Sent) -> bool) {
        let mut unknown = BTreeMap::<_, Vec<_>>::new();
        for (actor, sent) in self.all() {
            match &sent.end {
                End::Answered => {}
                End::Unknown(why) => unknown.entry(why).or_default().push(actor),
                End::Panicked if may_panic(sent) => {}
                end => panic!("{actor:?}: {:?} of flight {}: {end:?}", sent.part, sent.flight),
            }
        }
        let count: usize = unknown.values().map(Vec::len).sum();
        assert!(
            count <= AT_ONCE,
            "more were lost than were ever under way: {unknown:#?}"
        );
    }

    /// Asks every actor what it has run; answers the versions that they are on.
    pub(crate) async fn audit(&self, client: &Client) -> BTreeSet<String> {
        let mut versions = BTreeSet::new();
        for ((kind, key), sent) in &self.to {
            if *kind == "airport" {
                let account = client.actor::<Airport>(key).ask(AuditAirport).await.expect("answered");
                self.assert_ran(key, &account.book, sent);
                assert_eq!(account.totals, self.airport(sent, &account.book), "totals of {key}");
                versions.insert(account.version);
            } else {
                let account = client
                    .actor::<Aircraft>(key)
                    .ask(AuditAircraft)
                    .await
                    .expect("answered");
                self.assert_ran(key, &account.book, sent);
                assert_eq!(account.totals, self.aircraft(sent, &account.book), "totals of {key}");
                versions.insert(account.version);
            }
        }
        versions
    }

    /// What was answered ran, what panicked did not; each once and in order.
    fn assert_ran(&self, key: &str, book: &Book, sent: &[Sent]) {
        let line = book.line(SENDER).cloned().unwrap_or_default();
        assert_eq!((line.repeated, line.late), (0, 0), "{key}: repeated, late");
        for (number, sent) in (1..).zip(sent) {
            let ran = line.has(number);
            match sent.end {
                End::Answered => assert!(ran, "{key}: number {number} was answered and lost"),
                End::Panicked => assert!(!ran, "{key}: number {number} panicked and left something"),
                End::Unknown(_) | End::Failed(_) => {}
            }
        }
    }

    fn ran<'a>(&'a self, sent: &'a [Sent], book: &'a Book) -> impl Iterator<Item = (&'a Flight, Part)> {
        let ran = (1..)
            .zip(sent)
            .filter(|(number, _)| book.line(SENDER).is_some_and(|line| line.has(*number)));
        ran.map(|(_, sent)| (&self.flights.flights[sent.flight], sent.part))
    }

    fn airport(&self, sent: &[Sent], book: &Book) -> AirportTotals {
        let mut totals = AirportTotals::default();
        for (flight, part) in self.ran(sent, book) {
            match (part, flight.departure_delay, flight.arrival_delay) {
                (Part::Depart, Some(delay), _) => {
                    totals.departures += 1;
                    totals.departure_delay += i64::from(delay);
                }
                (Part::Depart, None, _) => totals.cancelled += 1,
                (_, _, Some(delay)) => {
                    totals.arrivals += 1;
                    totals.arrival_delay += i64::from(delay);
                }
                (_, _, None) => totals.missed += 1,
            }
        }
        totals
    }

    fn aircraft(&self, sent: &[Sent], book: &Book) -> AircraftTotals {
        let mut totals = AircraftTotals::default();
        for (flight, _) in self.ran(sent, book) {
            totals.flights += 1;
            if flight.is_cancelled() {
                totals.cancelled += 1;
            } else {
                totals.miles += u64::from(flight.miles);
            }
            totals.air_minutes += u64::from(flight.air_minutes.unwrap_or(0));
            totals.arrival_delay += i64::from(flight.arrival_delay.unwrap_or(0));
        }
        totals
    }
}
