//! Reminders on a Redis that is killed and comes back with what it kept.

use super::{actor, common, common::until, open, server::RedisServer, silo};
use quark::{
    actor::{Schedule, Tick},
    clock::Clock,
    ident::Epoch,
    prelude::*,
    silo::{Silo, SiloOptions},
    store::{
        Bucket, Entry, Missed, RedisStore, ReminderId, ReminderSpec, ReminderWrite, Store, TickOutcome, TickStep,
        Unknown,
    },
};
use std::{collections::BTreeMap, time::Duration};

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

/// Sets reminders of one bucket beside those that are there.
async fn fill(store: &RedisStore, names: std::ops::Range<u64>) {
    let write = |n: u64| {
        let spec = ReminderSpec {
            every_micros: Some(1_000_000),
            missed: Missed::Once,
            message: "cart.pay".into(),
            body: "".into(),
            unknown: Unknown::default(),
        };
        ReminderWrite {
            id: ReminderId {
                actor: actor("1"),
                name: n.to_string().into(),
            },
            owner: None,
            new: Some((n, spec)),
        }
    };
    let written = store.write_reminders(names.map(write).collect()).await;
    written.expect("answered");
}

/// Lets 20 ticks be checked and advanced; answers which commands the server ran for that, and how often.
async fn tick(server: &RedisServer, store: &RedisStore, due: u64) -> BTreeMap<String, u64> {
    let all = store.reminders_of(&actor("1")).await.expect("answered");
    let steps: Vec<TickStep> = (all.iter().take(20))
        .map(|reminder| TickStep {
            tick: reminder.tick(),
            epoch: Epoch(1),
            next_micros: Some(due),
        })
        .collect();
    server.command::<()>(&["CONFIG", "RESETSTAT"]);
    for outcomes in [
        store.check_ticks(&silo("a"), steps.clone()).await,
        store.advance_ticks(&silo("a"), steps).await,
    ] {
        assert_eq!(outcomes.expect("answered"), [TickOutcome::Due; 20]);
    }
    let said: String = server.command(&["INFO", "commandstats"]);
    let calls = |line: &str| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((command.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    said.lines().filter_map(calls).collect()
}

/// R121: the server does as much for a tick whatever else the bucket holds, and reads no range of it.
#[tokio::test]
async fn nothing_that_is_done_for_a_tick_reads_a_whole_bucket() {
    let server = RedisServer::start();
    let store = open(&server);
    let owned = Entry::owned(silo("a"), Epoch(1));
    let claimed = store.change_bucket(Bucket::of(&actor("1")), Entry::free(Epoch::ZERO), owned);
    claimed.await.expect("answered").expect("nobody's");
    fill(&store, 0..20).await;
    tick(&server, &store, 1_000_000).await;
    let few = tick(&server, &store, 2_000_000).await;
    fill(&store, 20..5_000).await;
    let many = tick(&server, &store, 3_000_000).await;
    assert_eq!(few.keys().collect::<Vec<_>>(), many.keys().collect::<Vec<_>>());
    for command in ["hmget", "zadd"] {
        assert!(many.contains_key(command), "{command} is counted: {many:?}");
        assert_eq!(few[command], many[command], "{command}");
    }
    let reads_all = ["scan", "keys", "hgetall", "hkeys", "hvals", "zrange", "range"];
    let ranges = many
        .keys()
        .filter(|command| reads_all.iter().any(|word| command.contains(word)));
    assert_eq!(ranges.collect::<Vec<_>>(), Vec::<&String>::new());
}
