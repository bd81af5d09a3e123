//! The Redis store on servers of its own: the laws of all stores, outages, what it refuses, what others have written, silos.

#[path = "../common/answered.rs"]
mod answered;
#[path = "../common/mod.rs"]
mod common;
mod outages;
mod records;
mod refusals;
mod reminders;
#[path = "../common/redis.rs"]
mod server;
mod silos;

use quark::{
    clock::Clock,
    ident::{ActorId, Epoch, SiloId},
    store::{
        self, Change, ETag, Entry, EntryChange, Owner, RedisStore, RegisterOutcome, SaveOutcome, SaveRequest, Store,
        StoreError,
        conformance::{self, row},
    },
};
use server::RedisServer;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Far longer than any operation may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn open(server: &RedisServer) -> RedisStore {
    RedisStore::open(&server.url(), "test").expect("opens")
}

/// A store of a cluster's own on a server that the test's thread has to itself.
fn fresh() -> Arc<dyn Store> {
    thread_local! {
        static SERVER: RedisServer = RedisServer::start();
    }
    SERVER.with(fresh_on)
}

fn fresh_on(server: &RedisServer) -> Arc<dyn Store> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let cluster = format!("law-{}", LAST.fetch_add(1, Ordering::Relaxed));
    store::open(&server.url(), &cluster).expect("opens")
}

fn actor(key: &str) -> ActorId {
    ActorId::new("cart", key).expect("valid")
}

fn silo(name: &str) -> SiloId {
    SiloId::new(name, 1)
}

fn request(actor: &ActorId, expected: Option<u64>, body: impl Into<bytes::Bytes>) -> SaveRequest {
    SaveRequest {
        actor: actor.clone(),
        owner: Owner {
            silo: silo("a"),
            epoch: Epoch(1),
        },
        expected: expected.map(ETag),
        version: "1.0.0".into(),
        body: Some(body.into()),
        has_posts: false,
        named: Vec::new(),
    }
}

fn cannot_open(url: &str) -> String {
    match RedisStore::open(url, "test") {
        Err(error @ StoreError::CannotOpen { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(store) => panic!("{store:?} was opened"),
    }
}

/// R82, R88, R111, R117 to R119: what every store keeps.
mod laws {
    quark::store_conformance!(super::fresh());
}

/// All keys of a script are in one slot, or a node of a Redis Cluster would refuse it.
#[tokio::test]
async fn a_node_of_a_redis_cluster_keeps_the_laws() {
    let server = RedisServer::start_with(&["--save", "", "--cluster-enabled", "yes"]);
    let () = server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let clock = Clock::system();
    while !server
        .command::<String>(&["CLUSTER", "INFO"])
        .contains("cluster_state:ok")
    {
        clock.sleep(Duration::from_millis(10)).await;
    }
    conformance::all(|| fresh_on(&server)).await;
}

/// Clusters of one server hear nothing of each other, not even those of one name in different databases.
#[tokio::test]
async fn databases_hear_nothing_of_each_other() {
    let server = RedisServer::start();
    let one = open(&server);
    let other = RedisStore::open(&format!("redis://127.0.0.1:{}/1", server.port()), "test").unwrap();
    let (mut heard, unheard) = (one.views(), other.views());
    for view in 0..10 {
        one.change_member(view, Change::Put(row(&silo("a"))))
            .await
            .unwrap()
            .unwrap();
    }
    heard.wait_for(|view| *view == 10).await.unwrap();
    let mut own = other.views();
    other
        .change_member(0, Change::Put(row(&silo("b"))))
        .await
        .unwrap()
        .unwrap();
    own.wait_for(|view| *view > 0).await.unwrap();
    assert_eq!(*unheard.borrow(), 1);
}

/// Large states go beside the small operations, and a batch of them in parts.
#[tokio::test]
async fn a_batch_of_large_states_is_saved_and_loaded() {
    let server = RedisServer::start();
    let store = open(&server);
    let actors: Vec<_> = (0..40).map(|key| actor(&key.to_string())).collect();
    store.register(&silo("a"), actors.clone()).await.unwrap();
    // Every other one is small.
    let body =
        |number: usize| vec![u8::try_from(number).unwrap(); if number.is_multiple_of(2) { 300_000 } else { 300 }];
    let saves = actors
        .iter()
        .enumerate()
        .map(|(number, actor)| request(actor, None, body(number)));
    let outcomes = store.save(saves.collect()).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == SaveOutcome::Saved(ETag(1))));
    let states = store.load(actors.clone()).await.unwrap();
    for (number, state) in states.into_iter().enumerate() {
        assert_eq!(state.unwrap().body, body(number));
    }
    // A new owner gets them too, among small ones and none.
    let free = actors.iter().map(|actor| EntryChange {
        actor: actor.clone(),
        expected: Entry::owned(silo("a"), Epoch(1)),
        new: Entry::free(Epoch(2)),
    });
    store.change_entries(free.collect()).await.unwrap();
    let mut mixed = actors;
    mixed.insert(20, actor("new"));
    let outcomes = store.register(&silo("b"), mixed).await.unwrap();
    let bodies = outcomes.into_iter().map(|outcome| match outcome {
        RegisterOutcome::Registered(registered) => registered.state.map(|state| state.body),
        RegisterOutcome::Owned(entry) => panic!("{entry:?}"),
    });
    let mut expected: Vec<_> = (0..40).map(|number| Some(body(number).into())).collect();
    expected.insert(20, None);
    assert!(bodies.eq(expected), "a state is another's");
}
