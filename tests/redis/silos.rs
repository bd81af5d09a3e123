//! Silos on a Redis store: they drain, and a dead Redis is no dead cluster.

use super::{answered::Answered, common, common::*, server::RedisServer};
use futures_util::future::join_all;
use quark::{
    actor::ActorRef,
    client::Client,
    clock::Clock,
    membership::MembershipConfig,
    silo::{Silo, SiloHandle, SiloOptions},
    store::{RedisStore, SiloStatus, Store},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time};

const CLUSTER: &str = "silos";

const ACTORS: u64 = 40;

/// Shorter than the default, so that an outage outlasts all of them.
fn budgets() -> MembershipConfig {
    MembershipConfig {
        heartbeat_interval: Duration::from_millis(400),
        read_interval: Duration::from_millis(800),
        failure_timeout: Duration::from_millis(2_500),
        lease: Duration::from_millis(2_000),
        probe_timeout: Duration::from_millis(500),
        store_timeout: Duration::from_millis(1_000),
        mute_timeout: Duration::from_secs(8),
        ..MembershipConfig::default()
    }
}

async fn start_on(server: &RedisServer, name: &str, membership: MembershipConfig) -> SiloHandle {
    let options = SiloOptions {
        name: name.into(),
        cluster: CLUSTER.into(),
        store: server.url(),
        workers: 1,
        handle_signals: false,
        membership,
        ..SiloOptions::default()
    };
    common::log();
    Silo::builder().options(options).start().await.expect("the silo starts")
}

/// Senders inside and outside that go on until they are told to stop; every ask must be answered.
struct Load {
    senders: JoinSet<(String, u64)>,
    answered: Answered,
    enough: Arc<AtomicBool>,
}

impl Load {
    fn start(client: &Client, inside: &SiloHandle) -> Self {
        let mut load = Self {
            senders: JoinSet::new(),
            answered: Answered::default(),
            enough: Arc::default(),
        };
        for actor in 0..ACTORS {
            let key = actor.to_string();
            load.add(format!("client-{key}"), client.actor::<Ledger>(&key));
            load.add(format!("inside-{key}"), inside.actor::<Ledger>(&key));
        }
        load
    }

    fn add(&mut self, name: String, ledger: ActorRef<Ledger>) {
        let (answered, enough) = (self.answered.clone(), self.enough.clone());
        self.senders.spawn(async move {
            let mut sent = 0;
            while !enough.load(Ordering::Relaxed) {
                let asks = (sent..sent + 3).map(|n| {
                    ledger.ask(Book {
                        sender: name.clone(),
                        n,
                    })
                });
                for reply in join_all(asks).await {
                    reply.expect("no ask fails");
                    answered.count();
                }
                sent += 3;
            }
            (name, sent)
        });
    }

    /// Waits until so many more asks are answered.
    async fn answers(&self, more: u64) {
        self.answered.more(more).await;
    }

    /// Ends it and checks that every ask ran once and in order.
    async fn check(mut self, at: &SiloHandle) {
        self.enough.store(true, Ordering::Relaxed);
        while let Some(sender) = self.senders.join_next().await {
            let (name, sent) = sender.expect("no ask failed");
            let key = name.split_once('-').expect("a name with a key").1;
            let entries = at.actor::<Ledger>(key).ask(Read).await.expect("answered");
            assert_in_order(&entries, &name, sent);
        }
    }
}

async fn client_of(silos: &[&SiloHandle]) -> Client {
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder().cluster(CLUSTER).seeds(seeds).connect();
    client.await.expect("connects")
}

/// Two silos, a client of theirs, and a load that has begun.
async fn two_under_load(server: &RedisServer) -> (SiloHandle, SiloHandle, Client, Load) {
    let (a, b) = (
        start_on(server, "a", budgets()).await,
        start_on(server, "b", budgets()).await,
    );
    know_each_other(&[&a, &b]).await;
    let client = client_of(&[&a, &b]).await;
    let load = Load::start(&client, &b);
    load.answers(ACTORS * 20).await;
    (a, b, client, load)
}

/// How Redis goes away.
#[derive(Clone, Copy, PartialEq)]
enum Outage {
    Killed,
    Paused,
}

/// R86, R1 to R8, guarantees 4 and 14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_redis_fails_no_request_and_a_silo_drains_when_it_is_back() {
    outlive(Outage::Killed).await;
}

/// The same, where connections stay and nothing answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_redis_fails_no_request_and_a_silo_drains_when_it_goes_on() {
    outlive(Outage::Paused).await;
}

/// An outage that outlasts lease and failure timeout fails no request that needs no new owner, nobody is declared dead in it,
/// and when it is over a silo drains as if it had not been.
async fn outlive(outage: Outage) {
    let mut server = RedisServer::durable();
    let (a, b, client, load) = two_under_load(&server).await;

    match outage {
        Outage::Killed => server.kill(),
        Outage::Paused => server.pause(),
    }
    let clock = Clock::system();
    let back = clock.now() + budgets().failure_timeout * 2;
    while clock.now() < back {
        load.answers(ACTORS).await;
    }
    match outage {
        Outage::Killed => server.restart(),
        Outage::Paused => server.resume(),
    }
    wait_for_heartbeats(&server).await;
    load.answers(ACTORS * 5).await;
    assert_eq!((a.view().active().count(), b.view().active().count()), (2, 2));

    let report = a.stop().await.expect("it leaves in order");
    assert_eq!((report.forced.len(), report.unsaved.len()), (0, 0), "{report:?}");
    assert!(!report.moved.is_empty(), "{report:?}");
    load.answers(ACTORS * 5).await;
    load.check(&b).await;
    client.close().await;
    b.stop().await.expect("it leaves in order");
}

/// Waits until both silos, which must have kept their rows, have written new heartbeats.
async fn wait_for_heartbeats(server: &RedisServer) {
    let store = RedisStore::open(&server.url(), CLUSTER).expect("opens");
    let heartbeats = || async {
        let table = store.members().await.expect("it is back");
        let rows = table.rows.into_iter();
        rows.map(|row| (row.silo, row.heartbeat)).collect::<Vec<_>>()
    };
    let old = heartbeats().await;
    assert_eq!(old.len(), 2, "nobody was declared dead or left: {old:?}");
    let beats = async {
        while heartbeats()
            .await
            .iter()
            .zip(&old)
            .any(|(new, old)| new.0 != old.0 || new.1 <= old.1)
        {
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(Duration::from_secs(30), beats)
        .await
        .expect("the silos write again");
}

/// R82: with a read interval of minutes and no peer that could tell, a change by another process is seen at once.
#[tokio::test]
async fn a_change_of_the_table_is_seen_without_waiting_for_a_read() {
    let server = RedisServer::start();
    let membership = MembershipConfig {
        read_interval: Duration::from_secs(300),
        failure_timeout: Duration::from_secs(600),
        mute_timeout: Duration::from_secs(1_200),
        dead_retention: Duration::from_secs(2_400),
        ..MembershipConfig::default()
    };
    let a = start_on(&server, "a", membership.clone()).await;
    let store = RedisStore::open(&server.url(), CLUSTER).expect("opens");
    let table = store.members().await.expect("it answers");
    // Nobody who could tell the silo by another way: a row that is only in the store.
    let mut row = table.rows[0].clone();
    row.silo = quark::ident::SiloId::new("written", 1);
    let put = quark::store::Change::Put(row.clone());
    store
        .change_member(table.view, put)
        .await
        .expect("it answers")
        .expect("nobody else changes it");
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while a.view().get(&row.silo).is_none() {
        assert!(clock.now() < end, "the change is not seen");
        clock.sleep(Duration::from_millis(5)).await;
    }
    a.stop().await.expect("it leaves in order");
}

/// R86: silos that outlive what the store held write it again: their rows, who owns what, and at last the states. No request
/// fails meanwhile, and a silo drains afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silos_write_again_what_a_redis_has_forgotten() {
    let mut server = RedisServer::start();
    let (a, b, client, load) = two_under_load(&server).await;
    // From now on the actors know of states that will be gone.
    for actor in 0..ACTORS {
        let saved = b.actor::<Ledger>(&actor.to_string()).ask(Save).await;
        assert_eq!(saved.expect("answered"), None);
    }
    server.kill();
    server.restart();
    let store = RedisStore::open(&server.url(), CLUSTER).expect("opens");
    let written = async {
        loop {
            let rows = store.members().await.expect("it is back").rows;
            let mut owned = 0;
            for silo in [a.id(), b.id()] {
                owned += store.owned_by(silo).await.expect("it is back").len() as u64;
            }
            let active = rows.iter().filter(|row| row.status == SiloStatus::Active);
            if active.count() == 2 && owned == ACTORS {
                return;
            }
            Clock::system().sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(Duration::from_secs(30), written)
        .await
        .expect("they write it again");
    load.answers(ACTORS * 20).await;

    let report = a.stop().await.expect("it leaves in order");
    assert_eq!((report.forced.len(), report.unsaved.len()), (0, 0), "{report:?}");
    assert!(!report.moved.is_empty(), "{report:?}");
    load.check(&b).await;
    client.close().await;
    let report = b.stop().await.expect("it leaves in order");
    assert_eq!((report.forced.len(), report.unsaved.len()), (0, 0), "{report:?}");
}
