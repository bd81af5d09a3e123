//! Rollouts in a running cluster: a new version takes over step by step under load, a bad one goes back by itself.

#![allow(clippy::disallowed_methods, reason = "tests spawn senders of their own")]

mod common;

use common::{cluster_name, know_each_other, silo};
use quark::{
    actor::{CallError, Hosted},
    admin::{Admin, AdminError},
    client::Client,
    ident::{ActorId, SiloId, Weight},
    prelude::*,
    rollout::{Command, Criteria, Phase, Request, Rollout},
    silo::SiloHandle,
    wire::ActorsAsked,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Books a number, once, and saves it.
#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[message(name = "tally.add", reply = Result<(), String>)]
struct Add(u64);

/// What was booked, in order.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "tally.read", reply = Vec<u64>)]
struct Read;

/// A tally in a version of its own, that does something before it books.
macro_rules! tally {
    ($name:ident, $version:literal, $before:expr) => {
        mod $name {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize)]
            pub(super) struct Tally(Vec<u64>);

            #[actor(kind = "tally", messages(Add, Read), version = $version, unlisted)]
            impl Actor for Tally {}

            impl Handler<Add> for Tally {
                async fn handle(&mut self, add: Add, ctx: &mut Context<Self>) -> Result<(), String> {
                    let before: fn(u64) = $before;
                    before(add.0);
                    self.0.push(add.0);
                    (ctx.save(self).await)
                        .map(drop)
                        .map_err(|error| error.to_string())
                }
            }

            impl Handler<Read> for Tally {
                async fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<u64> {
                    self.0.clone()
                }
            }
        }
    };
}

tally!(first, "1.0.0", |_| {});
tally!(second, "1.1.0", |_| {});
tally!(bad, "1.2.0", |n| assert!(
    n % 3 != 0,
    "a number that this version does not like"
));

tally!(slow, "1.2.0", |_| std::thread::sleep(Duration::from_millis(20)));

/// A version that does not take what the first takes.
mod breaking {
    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    pub(super) struct Tally;

    #[actor(kind = "tally", messages(Read), version = "1.3.0", unlisted)]
    impl Actor for Tally {}

    impl Handler<Read> for Tally {
        async fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<u64> {
            Vec::new()
        }
    }
}

const KEYS: u64 = 40;

async fn start<A: Actor + Hosted>(cluster: &str, name: &str) -> SiloHandle {
    let silo = silo(cluster, name).without_linked().register::<A>();
    silo.start().await.expect("the silo starts")
}

async fn client(cluster: &str, silos: &[&SiloHandle]) -> Client {
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder().cluster(cluster).seeds(seeds).connect();
    client.await.expect("connects")
}

/// Adds numbers to all tallies until it is told to stop; answers what was booked by each, and how many panicked.
struct Load {
    stop: Arc<AtomicBool>,
    sender: tokio::task::JoinHandle<(BTreeMap<String, Vec<u64>>, u64)>,
}

impl Load {
    fn begin(client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sender = tokio::spawn(async move {
            let mut booked: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            let mut panicked = 0;
            let tallies: Vec<_> = (0..KEYS)
                .map(|key| client.actor::<first::Tally>(&key.to_string()))
                .collect();
            for n in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let asks = tallies.iter().map(|tally| tally.ask(Add(n)));
                for (key, answer) in futures_util::future::join_all(asks).await.into_iter().enumerate() {
                    match answer {
                        Ok(saved) => {
                            saved.expect("saved");
                            booked.entry(key.to_string()).or_default().push(n);
                        }
                        Err(CallError::Panicked { .. }) => panicked += 1,
                        Err(error) => panic!("tally {key}, number {n}: {error}"),
                    }
                }
            }
            (booked, panicked)
        });
        Self { stop, sender }
    }

    async fn end(self) -> (BTreeMap<String, Vec<u64>>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.sender
            .await
            .expect("every ask was answered, or its handler panicked")
    }
}

/// Criteria that a test can wait for.
fn soon() -> Criteria {
    Criteria {
        min_turns: 50,
        watch_for: Duration::from_millis(300),
        watch_limit: Duration::from_secs(60),
        settle_limit: Duration::from_secs(60),
        // The machine may do anything to one of the silos for a while.
        slower_percent: 100_000,
        ..Criteria::default()
    }
}

fn request() -> Request {
    Request {
        criteria: soon(),
        ..Request::default()
    }
}

async fn until(silo: &SiloHandle, is_so: impl Fn(&Rollout) -> bool) -> Rollout {
    let clock = quark::clock::Clock::system();
    let end = clock.now() + Duration::from_secs(90);
    loop {
        let rollout = silo.rollout().await.expect("read").expect("begun");
        if is_so(&rollout) {
            return rollout;
        }
        assert!(clock.now() < end, "{rollout:#?}");
        clock.sleep(Duration::from_millis(20)).await;
    }
}

/// Where the tallies are active.
async fn homes(admin: &Admin) -> BTreeMap<String, SiloId> {
    let asked = ActorsAsked {
        kind: Some("tally".into()),
        limit: 10_000,
        ..ActorsAsked::default()
    };
    let (listed, silent) = admin.actors(&asked).await;
    assert!(silent.is_empty(), "{silent:?}");
    (listed.actors.into_iter())
        .map(|line| (line.actor.key().to_owned(), line.silo))
        .collect()
}

async fn assert_booked(client: &Client, booked: &BTreeMap<String, Vec<u64>>) {
    for (key, numbers) in booked {
        let read = client.actor::<first::Tally>(key).ask(Read).await.expect("answered");
        assert_eq!(read, *numbers, "tally {key}: each number once, in order");
    }
}

/// R93 to R97
#[tokio::test(flavor = "multi_thread")]
async fn a_good_version_takes_over_step_by_step_and_no_request_fails() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<first::Tally>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    let client = client(&cluster, &[&a, &b]).await;
    let load = Load::begin(client.clone());
    let (c, d) = (
        start::<second::Tally>(&cluster, "c").await,
        start::<second::Tally>(&cluster, "d").await,
    );
    let all = [&a, &b, &c, &d];
    know_each_other(&all).await;

    let begun = a.start_rollout(&request()).await.expect("possible");
    assert_eq!(begun.weight.to_string(), "10 %");
    let is_new = |silo: &SiloId| [c.id(), d.id()].contains(&silo);
    let admin = Admin::new(client.clone());
    for step in 0..3 {
        let watched = until(&b, |rollout| match rollout.phase {
            Phase::Watching { step: at } => at >= step,
            _ => rollout.phase == Phase::Complete,
        });
        let weight = watched.await.weight;
        for (key, silo) in homes(&admin).await {
            let actor = ActorId::new("tally", key).expect("valid");
            // The next step may have begun meanwhile: then some are on the new side already.
            assert!(
                !weight.takes(&actor) || is_new(&silo),
                "{actor} belongs to the new version"
            );
        }
    }
    let complete = until(&c, |rollout| rollout.phase == Phase::Complete).await;
    let (booked, panicked) = load.end().await;
    assert_eq!(panicked, 0);
    assert!(homes(&admin).await.values().all(is_new));
    assert_eq!(a.status().activations.get("tally"), None);
    assert_booked(&client, &booked).await;

    let moved: u64 = complete.receipts.iter().map(|receipt| receipt.arrived.actors).sum();
    assert_eq!(moved, KEYS, "each actor moved once: {:#?}", complete.receipts);
    assert_eq!(complete.receipt().departed, Some(moved), "as many left as came");
    assert!(complete.receipts.iter().all(|receipt| receipt.new["tally"].turns >= 50));
    let seen = admin.rollout().await.expect("answered").expect("begun");
    assert_eq!(
        admin.steer(&seen, Command::Finalize).await.expect("fits").phase,
        Phase::Finalized
    );
    for silo in all {
        silo.stop().await.expect("stops");
    }
}

/// R96: what the bad version fails, it fails; nothing else fails, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_version_goes_back_by_itself_and_all_totals_are_right() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<first::Tally>(&cluster, "b").await,
    );
    let c = start::<bad::Tally>(&cluster, "c").await;
    let all = [&a, &b, &c];
    know_each_other(&all).await;
    let client = client(&cluster, &all).await;
    let load = Load::begin(client.clone());
    let ten = Weight::new(1_000).expect("valid");
    let steps = vec![ten, Weight::ALL];
    c.start_rollout(&Request { steps, ..request() })
        .await
        .expect("possible");
    let over = until(&a, Rollout::is_over).await;
    assert!(
        matches!(&over.phase, Phase::RolledBack { why } if why.contains("tally: panics")),
        "{over:#?}"
    );
    assert_eq!(over.weight, Weight::NONE);
    let (booked, panicked) = load.end().await;
    assert!(panicked > 0, "the bad version was seen");
    let admin = Admin::new(client.clone());
    assert!(homes(&admin).await.values().all(|silo| silo != c.id()), "all are back");
    assert_booked(&client, &booked).await;
    for silo in all {
        silo.stop().await.expect("stops");
    }
}

/// It has read the record before it is Active, so what it places in its first second it places by it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_joins_places_by_the_rollout_from_its_first_actor_on() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<second::Tally>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    a.start_rollout(&request()).await.expect("possible");
    until(&a, |rollout| rollout.phase == Phase::Complete).await;
    let c = start::<first::Tally>(&cluster, "c").await;
    for key in 0..KEYS {
        let booked = c.actor::<first::Tally>(&key.to_string()).ask(Add(1)).await;
        booked.expect("answered").expect("saved");
    }
    assert_eq!(
        c.status().activations.get("tally"),
        None,
        "they belong to the new version"
    );
    assert_eq!(b.status().activations.get("tally"), Some(&40));
    for silo in [a, b, c] {
        silo.stop().await.expect("stops");
    }
}

/// R96: a version that is right and slow.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_slower_goes_back_by_itself_and_no_request_fails() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<first::Tally>(&cluster, "b").await,
    );
    let c = start::<slow::Tally>(&cluster, "c").await;
    let all = [&a, &b, &c];
    know_each_other(&all).await;
    let client = client(&cluster, &all).await;
    let load = Load::begin(client.clone());
    let criteria = Criteria {
        // One visit of an actor in 16 is timed.
        min_turns: 400,
        min_timed: 10,
        slower_percent: 200,
        ..soon()
    };
    c.start_rollout(&Request {
        criteria,
        ..Request::default()
    })
    .await
    .expect("possible");
    let over = until(&a, Rollout::is_over).await;
    assert!(
        matches!(&over.phase, Phase::RolledBack { why } if why.contains("tally: p50")),
        "{over:#?}"
    );
    let (booked, panicked) = load.end().await;
    assert_eq!(panicked, 0);
    let admin = Admin::new(client.clone());
    assert!(homes(&admin).await.values().all(|silo| silo != c.id()), "all are back");
    assert_booked(&client, &booked).await;
    for silo in all {
        silo.stop().await.expect("stops");
    }
}

/// The first of the silos carries a rollout on; it leaves in the middle of each step.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_when_the_silo_that_carries_it_on_leaves() {
    let cluster = cluster_name();
    let mut old = Vec::new();
    for name in ["a", "b", "c"] {
        old.push(start::<first::Tally>(&cluster, name).await);
    }
    let new = start::<second::Tally>(&cluster, "d").await;
    know_each_other(&old.iter().chain([&new]).collect::<Vec<_>>()).await;
    let client = client(&cluster, &[&new]).await;
    let load = Load::begin(client.clone());
    new.start_rollout(&request()).await.expect("possible");
    for (step, leaver) in old.iter().take(2).enumerate() {
        until(
            &new,
            |rollout| !matches!(rollout.phase, Phase::Moving { step: at } if at < step),
        )
        .await;
        leaver.stop().await.expect("stops");
    }
    until(&new, |rollout| rollout.phase == Phase::Complete).await;
    let (booked, panicked) = load.end().await;
    assert_eq!(panicked, 0);
    assert_booked(&client, &booked).await;
    for silo in [&old[2], &new] {
        silo.stop().await.expect("stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaking_version_is_refused_by_the_plan() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<breaking::Tally>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    let admin = Admin::new(client(&cluster, &[&a, &b]).await);
    let AdminError::Refused(why) = admin.start(request()).await.expect_err("breaking") else {
        panic!("it is refused, not failed");
    };
    assert_eq!(why.len(), 1, "{why:?}");
    assert!(
        why[0].contains("\"tally\" 1.3.0 does not take tally.add, which 1.0.0 takes"),
        "{why:?}"
    );
    assert_eq!(a.rollout().await.expect("read"), None, "nothing has begun");
    for silo in [&a, &b] {
        silo.stop().await.expect("stops");
    }
}

/// A command reaches the rollout that its sender saw, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_obeyed_once_however_often_it_comes() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Tally>(&cluster, "a").await,
        start::<second::Tally>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    let admin = Admin::new(client(&cluster, &[&a, &b]).await);
    let patient = Request {
        criteria: Criteria {
            watch_for: Duration::from_secs(60),
            ..soon()
        },
        ..Request::default()
    };
    admin.start(patient).await.expect("possible");
    let seen = until(&a, |rollout| matches!(rollout.phase, Phase::Watching { .. })).await;
    let promoted = admin.steer(&seen, Command::Promote).await.expect("fits");
    assert_eq!(promoted.weight.to_string(), "50 %");
    let again = admin.steer(&seen, Command::Promote).await.expect_err("it was promoted");
    assert!(
        again.to_string().contains("the rollout has changed meanwhile"),
        "{again}"
    );
    let busy = admin.start(request()).await.expect_err("one at a time").to_string();
    assert!(busy.contains("rollout 1 is"), "{busy}");
    for silo in [&a, &b] {
        silo.stop().await.expect("stops");
    }
}
