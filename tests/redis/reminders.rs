//! Reminders on a Redis that is killed and comes back with what it kept.

use super::{common, common::until, server::RedisServer};
use quark::{
    actor::{Schedule, Tick},
    clock::Clock,
    prelude::*,
    silo::{Silo, SiloOptions},
};
use std::time::Duration;

/// Counts its ticks.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bell {
    ticks: Vec<u64>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.set", reply = Option<String>)]
struct Set(Duration);

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.ring")]
struct Ring;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.ticks", reply = Vec<u64>)]
struct Ticks;

#[actor(kind = "bell", messages(Set, Ticks, Tick<Ring>))]
impl Actor for Bell {}

impl Handler<Set> for Bell {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) -> Option<String> {
        let set = ctx.set_reminder("ring", Schedule::once(set.0), &Ring).await;
        set.err().map(|error| error.to_string())
    }
}

impl Handler<Tick<Ring>> for Bell {
    async fn handle(&mut self, tick: Tick<Ring>, _: &mut Context<Self>) {
        self.ticks.push(tick.due_micros);
    }
}

impl Handler<Ticks> for Bell {
    async fn handle(&mut self, _: Ticks, _: &mut Context<Self>) -> Vec<u64> {
        self.ticks.clone()
    }
}

/// R120: they are due while Redis is dead, and come once when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn reminders_outlive_a_redis_that_is_killed() {
    let mut server = RedisServer::durable();
    let options = SiloOptions {
        name: "a".into(),
        cluster: "bells".into(),
        store: server.url(),
        workers: 1,
        handle_signals: false,
        ..SiloOptions::default()
    };
    common::log();
    let silo = Silo::builder().options(options).start().await.expect("the silo starts");
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    for key in &keys {
        let set = silo.actor::<Bell>(key).ask(Set(Duration::from_millis(1_500))).await;
        assert_eq!(set.expect("answered"), None);
    }
    server.kill();
    let clock = Clock::system();
    clock.sleep(Duration::from_secs(2)).await;
    server.restart();
    until("all have ticked", || silo.reminder_status().delivered >= 50).await;
    until("all are marked", || silo.reminder_status().at_work == 0).await;
    for key in &keys {
        assert_eq!(silo.actor::<Bell>(key).ask(Ticks).await.expect("answered").len(), 1);
        assert!(silo.reminders::<Bell>(key).await.expect("read").is_empty());
    }
    silo.stop().await.expect("stops in order");
}
