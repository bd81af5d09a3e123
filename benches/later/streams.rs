//! Streams: events of one publisher to one subscriber, and one event to many, on one worker.

use crate::{
    Found,
    figures::{Figure, Goal, quantile},
    start,
};
use quark::{
    prelude::*,
    stream::{Event, Subscription},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// How many events one publisher publishes.
const EVENTS: u64 = 2_000_000;

/// How many subscribers there are to one event, and how often one is published.
const SUBSCRIBERS: u64 = 1_000;
const TIMES: u64 = 2_000;

/// How many events subscribers got.
static GOT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Listener {
    got: u64,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "listener.listen", reply = Result<bool, String>)]
struct Listen;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "measured")]
struct Measured {
    number: u64,
}

#[actor(kind = "listener", messages(Listen, Event<Measured>), volatile)]
impl Actor for Listener {}

impl Handler<Listen> for Listener {
    async fn handle(&mut self, _: Listen, ctx: &mut Context<Self>) -> Result<bool, String> {
        let made = ctx.subscribe::<Measured>("bench", "x", Subscription::new()).await;
        made.map_err(|error| error.to_string())
    }
}

impl Handler<Event<Measured>> for Listener {
    async fn handle(&mut self, event: Event<Measured>, _: &mut Context<Self>) {
        self.got += event.number & 1;
        // One thread writes.
        GOT.store(GOT.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// Publishes from a turn, so that publisher, stream and subscriber share one worker's thread.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Publisher;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "publisher.publish", reply = Result<(), String>)]
struct Publish {
    events: u64,
}

/// Publishes one event; answers how long the stream took to give it to all, in nanoseconds.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "publisher.once", reply = Result<u64, String>)]
struct Once;

#[actor(kind = "publisher", messages(Publish, Once), volatile)]
impl Actor for Publisher {}

impl Handler<Publish> for Publisher {
    async fn handle(&mut self, publish: Publish, ctx: &mut Context<Self>) -> Result<(), String> {
        let stream = ctx.stream("bench", "x");
        for number in 0..publish.events {
            let published = stream.publish(Measured { number }).await;
            published.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Handler<Once> for Publisher {
    async fn handle(&mut self, _: Once, ctx: &mut Context<Self>) -> Result<u64, String> {
        let stream = ctx.stream("bench", "x");
        let begun = Instant::now();
        let delivered = stream.deliver(Measured { number: 0 }).await;
        let took = begun.elapsed();
        delivered.map_err(|error| error.to_string())?;
        u64::try_from(took.as_nanos()).map_err(|error| error.to_string())
    }
}

pub(crate) async fn events(cluster: &str) -> Found {
    let (silo, _folder) = start(cluster, "memory", 1).await?;
    let said = silo.actor::<Listener>("0").ask(Listen).await;
    said.map_err(|error| error.to_string())??;
    let publisher = silo.actor::<Publisher>("0");
    GOT.store(0, Ordering::Release);
    let begun = Instant::now();
    let events = EVENTS;
    let published = publisher.ask(Publish { events }).await;
    published.map_err(|error| error.to_string())??;
    while GOT.load(Ordering::Acquire) < EVENTS {
        tokio::task::yield_now().await;
    }
    let rate = EVENTS as f64 / begun.elapsed().as_secs_f64();
    silo.stop().await.map_err(|error| error.to_string())?;
    let what = "events of one publisher through a stream to a subscriber, one worker";
    Ok(vec![Figure::new(what, "per s", Goal::AtLeast(1e6), rate)])
}

pub(crate) async fn fanout(cluster: &str) -> Found {
    let (silo, _folder) = start(cluster, "memory", 1).await?;
    for n in 0..SUBSCRIBERS {
        let said = silo.actor::<Listener>(&n.to_string()).ask(Listen).await;
        said.map_err(|error| error.to_string())??;
    }
    let publisher = silo.actor::<Publisher>("0");
    let (mut given, mut run) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        GOT.store(0, Ordering::Release);
        let begun = Instant::now();
        let took = publisher.ask(Once).await;
        given.push(took.map_err(|error| error.to_string())?? as f64 / 1000.0);
        while GOT.load(Ordering::Acquire) < SUBSCRIBERS {
            std::hint::spin_loop();
        }
        run.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    silo.stop().await.map_err(|error| error.to_string())?;
    let what = |figure: &str| format!("an event to {SUBSCRIBERS} subscribers, one worker, {figure}");
    Ok(vec![
        Figure::new(
            what("given to all, median"),
            "us",
            Goal::AtMost(60.0),
            quantile(&mut given, 0.5),
        ),
        Figure::new(what("run by all, median"), "us", Goal::None, quantile(&mut run, 0.5)),
    ])
}
