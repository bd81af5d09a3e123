//! Reminders outlive the processes and the store that look after them: a silo is killed that owns buckets, and a Redis besides.

use crate::{
    PATIENCE,
    cluster::{Cluster, keys, settings},
    redis::RedisServer,
};
use futures_util::future::join_all;
use quark::{
    actor::{SaveError, Schedule, Tick},
    client::Client,
    clock::Clock,
    ident::{ActorId, SiloId},
    prelude::*,
    store::{self, Bucket, Missed, Store},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const SILOS: [&str; 3] = ["b-one", "b-two", "b-three"];
const FAILURE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a silo waits for an answer of its store.
const STORE_IS_AWAY: Duration = Duration::from_millis(2_500);
const EVERY: Duration = Duration::from_millis(250);
/// Due while nobody is there who could deliver it.
const LATE: Duration = Duration::from_millis(1500);

/// Keeps when its ticks were due, by the names of their reminders, in the order in which they came. Saved before a tick has ended.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bell {
    rang: BTreeMap<String, Vec<u64>>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.set", reply = Option<String>)]
struct Set {
    name: String,
    after: Duration,
    /// Again and again, and what becomes of missed ticks.
    repeats: Option<Missed>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.ring")]
struct Ring;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "bell.rang", reply = BTreeMap<String, Vec<u64>>)]
struct Rang;

#[actor(kind = "bell", messages(Set, Rang, Tick<Ring>))]
impl Actor for Bell {}

impl Handler<Set> for Bell {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) -> Option<String> {
        let schedule = match set.repeats {
            Some(missed) => Schedule::every(set.after).missed(missed),
            None => Schedule::once(set.after),
        };
        let set = ctx.set_reminder(&set.name, schedule, &Ring).await;
        set.err().map(|error| error.to_string())
    }
}

impl Handler<Tick<Ring>> for Bell {
    async fn handle(&mut self, tick: Tick<Ring>, ctx: &mut Context<Self>) {
        self.rang.entry(tick.reminder).or_default().push(tick.due_micros);
        // Marked as done when this ends.
        while let Err(SaveError::Store { .. }) = ctx.save(self).await {
            let pause = ctx.clock().sleep(Duration::from_millis(50));
            pause.await;
        }
    }
}

impl Handler<Rang> for Bell {
    async fn handle(&mut self, _: Rang, _: &mut Context<Self>) -> BTreeMap<String, Vec<u64>> {
        self.rang.clone()
    }
}

/// Waits until each of the silos has buckets, and together they have all. Answers who has each, in order.
async fn until_shared_out(store: &dyn Store, silos: &[&str]) -> Vec<SiloId> {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        // A store that comes back may take a while.
        let rows = store.buckets().await.unwrap_or_default();
        let owners: Vec<_> = rows.into_iter().filter_map(|row| row.entry.owner).collect();
        let all = owners.len() == usize::from(Bucket::COUNT);
        let is_one = |owner: &SiloId| silos.contains(&owner.name());
        let has = |name: &&str| owners.iter().any(|owner| owner.name() == *name);
        if all && owners.iter().all(is_one) && silos.iter().all(has) {
            return owners;
        }
        assert!(clock.now() < end, "{owners:?}");
        clock.sleep(Duration::from_millis(50)).await;
    }
}

async fn set(client: &Client, key: &str, name: &str, after: Duration, repeats: Option<Missed>) {
    let set = Set {
        name: name.into(),
        after,
        repeats,
    };
    let answer = client.actor::<Bell>(key).ask(set).await.expect("answered");
    assert_eq!(answer, None, "{key}");
}

/// Waits until a bell has rung for a reminder as `enough` says, whatever becomes of silos meanwhile. Answers each tick's due time.
async fn rung(client: &Client, key: &str, name: &str, enough: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    let clock = Clock::system();
    let end = clock.now() + PATIENCE;
    loop {
        let found = match client.actor::<Bell>(key).ask(Rang).await {
            Ok(mut rang) => rang.remove(name).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        if enough(&found) {
            return found;
        }
        assert!(clock.now() < end, "{key} has rung {} times for {name}", found.len());
        clock.sleep(Duration::from_millis(20)).await;
    }
}

/// Each tick from the first to the last came, in order; again, if at all, before the next. Answers how many came again.
fn check(key: &str, rang: &[u64], missed: Missed) -> usize {
    let step = u64::try_from(EVERY.as_micros()).expect("small");
    let mut again = 0;
    for pair in rang.windows(2) {
        match pair[1].checked_sub(pair[0]) {
            Some(0) => again += 1,
            Some(next) if missed == Missed::CatchUp => assert_eq!(next, step, "{key}: a tick is missing: {rang:?}"),
            // One stands for all that were missed.
            Some(next) => assert_eq!(next % step, 0, "{key}: a tick that was never due: {rang:?}"),
            None => panic!("{key}: a tick overtook another: {rang:?}"),
        }
    }
    again
}

/// R120, R121: a silo is killed, and then what `besides` does happens to the store; no tick is missed.
async fn no_tick_is_missed(mut cluster: Cluster, besides: impl AsyncFnOnce(&str)) {
    let store: Arc<dyn Store> = store::open(&cluster.settings.store, &cluster.settings.cluster).expect("opens");
    let client = cluster.client().await;
    let owners = until_shared_out(&*store, &SILOS).await;
    let owner_of = |key: &str| {
        let bucket = Bucket::of(&ActorId::new("bell", key).expect("valid"));
        owners[usize::from(bucket.number())].name().to_owned()
    };
    let keys = keys(12);
    let victim = owner_of(&keys[0]);
    let orphans = keys.iter().filter(|key| owner_of(key) == victim).count();
    for key in &keys {
        set(&client, key, "each", EVERY, Some(Missed::CatchUp)).await;
        set(&client, key, "some", EVERY, Some(Missed::Once)).await;
    }
    let thrice = |rang: &[u64]| rang.len() >= 3;
    join_all(keys.iter().map(|key| rung(&client, key, "each", thrice))).await;
    for key in &keys {
        set(&client, key, "late", LATE, None).await;
    }
    cluster.take(&victim).kill();
    besides(&cluster.settings.store).await;

    let left: Vec<&str> = SILOS.into_iter().filter(|name| *name != victim).collect();
    until_shared_out(&*store, &left).await;
    // What was missed comes at once, and then a few in their time.
    let later = Clock::system().wall_micros() + 2_000_000;
    let till_later = |rang: &[u64]| rang.last().is_some_and(|last| *last > later);
    let mut again = 0;
    for (name, missed) in [("each", Missed::CatchUp), ("some", Missed::Once)] {
        let rang = join_all(keys.iter().map(|key| rung(&client, key, name, till_later))).await;
        for (key, rang) in keys.iter().zip(&rang) {
            again += check(key, rang, missed);
        }
    }
    for key in &keys {
        let late = rung(&client, key, "late", |rang| !rang.is_empty()).await;
        assert!(
            late.iter().all(|due| *due == late[0]),
            "{key}: another tick than was set: {late:?}"
        );
    }
    println!(
        "of {orphans} of {} actors the killed silo looked after the reminders; {again} ticks came again",
        keys.len()
    );
    client.close().await;
}

/// The file is kept from all silos for longer than they wait for it, while another program has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tick_is_missed_when_a_silo_is_killed_and_its_file_is_locked() {
    let cluster = Cluster::embedded(&SILOS, FAILURE_TIMEOUT).await;
    no_tick_is_missed(cluster, async |store: &str| {
        let path = store.strip_prefix("embedded:").expect("a file");
        let other = rusqlite::Connection::open(path).expect("opens");
        other.busy_timeout(PATIENCE).expect("is set");
        other.execute_batch("BEGIN IMMEDIATE").expect("is locked");
        Clock::system().sleep(STORE_IS_AWAY).await;
        other.execute_batch("ROLLBACK").expect("is free again");
    })
    .await;
}

/// Redis ends and comes back with what it kept; and it stands still, so that it does what nobody waits for any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tick_is_missed_when_a_silo_is_killed_and_its_redis_is_killed_and_stopped() {
    let mut server = RedisServer::durable();
    let cluster = Cluster::start(settings(&server.url(), FAILURE_TIMEOUT), &SILOS).await;
    no_tick_is_missed(cluster, async |_: &str| {
        server.pause();
        Clock::system().sleep(STORE_IS_AWAY).await;
        server.resume();
        Clock::system().sleep(Duration::from_secs(1)).await;
        server.kill();
        Clock::system().sleep(Duration::from_secs(1)).await;
        server.restart();
    })
    .await;
}
