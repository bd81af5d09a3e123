//! An actor that a reminder wakes and that listens to a stream, in three versions; who publishes to it; and what it was told.

use crate::{history, load::PATIENCE};
use quark::{
    actor::{Schedule, Tick},
    client::Client,
    prelude::*,
    store::Missed,
    stream::{Event, Subscription},
    testkit::World,
};
use std::time::Duration;

/// The time between two ticks.
pub(crate) const PERIOD: Duration = Duration::from_secs(3);

/// The watchers of a story.
pub(crate) const WATCHERS: [&str; 2] = ["watcher-0", "watcher-1"];

const REMINDER: &str = "beat";

/// Sets the reminder and listens.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "watcher.begin", reply = Result<(), String>)]
pub(crate) struct Begin {
    /// Whether each tick that was missed comes late; else one stands for all.
    pub(crate) catches_up: bool,
}

/// Takes the reminder away and listens no more.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "watcher.stop", reply = Result<(), String>)]
pub(crate) struct Stop;

/// What the reminder brings.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "watcher.beat")]
pub(crate) struct Beat;

/// What is published: by whom, and the how manieth it is.
#[derive(Clone, Debug, Message, Serialize, Deserialize)]
#[message(name = "watcher.news")]
pub(crate) struct News {
    pub(crate) by: String,
    pub(crate) n: u64,
}

macro_rules! watcher {
    ($module:ident, $version:literal) => {
        pub(crate) mod $module {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize)]
            pub(crate) struct Watcher {}

            #[actor(kind = "watcher", version = $version, messages(Begin, Stop, Tick<Beat>, Event<News>))]
            impl Actor for Watcher {}

            impl Handler<Begin> for Watcher {
                async fn handle(&mut self, begin: Begin, ctx: &mut Context<Self>) -> Result<(), String> {
                    let missed = if begin.catches_up {
                        Missed::CatchUp
                    } else {
                        Missed::Once
                    };
                    let listens = ctx.subscribe::<News>("news", "all", Subscription::new()).await;
                    listens.map_err(|error| error.to_string())?;
                    let schedule = Schedule::every(PERIOD).missed(missed);
                    let set = ctx.set_reminder(REMINDER, schedule, &Beat).await;
                    set.map_err(|error| error.to_string())
                }
            }

            impl Handler<Stop> for Watcher {
                async fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> Result<(), String> {
                    let cancelled = ctx.cancel_reminder(REMINDER).await;
                    cancelled.map_err(|error| error.to_string())?;
                    let left = ctx.unsubscribe::<News>("news", "all").await;
                    left.map(drop).map_err(|error| error.to_string())
                }
            }

            impl Handler<Tick<Beat>> for Watcher {
                async fn handle(&mut self, tick: Tick<Beat>, ctx: &mut Context<Self>) {
                    history::record(|history, world| {
                        let ticks = history.ticks.entry(ctx.key().to_owned()).or_default();
                        ticks.push((tick.due_micros, world.clock().wall_micros()));
                    });
                }
            }

            impl Handler<Event<News>> for Watcher {
                async fn handle(&mut self, news: Event<News>, ctx: &mut Context<Self>) {
                    history::record(|history, _| {
                        let heard = history.heard.entry(ctx.key().to_owned()).or_default();
                        heard.push((news.by.clone(), news.n));
                    });
                }
            }
        }
    };
}

watcher!(v1, "1.0.0");
watcher!(v2, "1.1.0");
watcher!(v3, "1.2.0");

/// All watchers begin.
pub(crate) async fn begin(client: &Client, world: &World, catches_up: bool) -> Result<(), String> {
    for key in WATCHERS {
        let told = client
            .actor::<v1::Watcher>(key)
            .ask(Begin { catches_up })
            .await
            .map_err(|error| error.to_string());
        told.flatten().map_err(|why| format!("{key} does not begin: {why}"))?;
    }
    history::record(|history, _| history.watched.0 = world.clock().wall_micros());
    Ok(())
}

/// All watchers stop, within `limit`.
pub(crate) async fn stop(client: &Client, world: &World, limit: Duration) -> Result<(), String> {
    history::record(|history, _| history.watched.1 = world.clock().wall_micros());
    let end = world.now() + limit;
    for key in WATCHERS {
        loop {
            let told = client.actor::<v1::Watcher>(key).ask(Stop).within(PATIENCE).await;
            match told.map_err(|error| error.to_string()).flatten() {
                Ok(()) => break,
                Err(why) if world.now() >= end => return Err(format!("{key} does not stop: {why}")),
                Err(_) => world.sleep(Duration::from_millis(100)).await,
            }
        }
    }
    Ok(())
}

/// A client that publishes until then, one after the other.
pub(crate) async fn publish(client: &Client, name: &str, world: &World, rest: Duration, until: Duration) {
    let stream = client.stream::<News>("news", "all");
    let mut n = 0;
    while world.now() < until {
        world
            .sleep(rest.mul_f64((1 + world.below(4_000)) as f64 / 1_000.0))
            .await;
        n += 1;
        let by = name.to_owned();
        let told = stream.deliver(News { by: by.clone(), n }).await;
        history::record(|history, _| {
            let told = told.map(drop).map_err(|error| error.to_string());
            history.published.push((by, n, told));
        });
    }
}
