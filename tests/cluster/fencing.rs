//! A silo that dies, stands still or loses the store: who serves, and what the others are told.

use crate::{
    cluster::{Cluster, budgets, keys, settings, until, whereabouts},
    load::{self, Account, Load},
    notes::{Append, Notes, Where},
    process::Process,
    program::{Order, Outcome, Said},
    redis::RedisServer,
};
use futures_util::future::join_all;
use quark::{client::Client, clock::Clock, membership::MembershipConfig};
use rustix::process::Signal;
use std::time::Duration;
use tokio::{sync::watch, task::JoinSet};

/// The client that asks when the owner stands still.
const LATE: u32 = 777_777;

const SILOS: [&str; 3] = ["s-one", "s-two", "s-three"];

/// Sends one message to each of the actors, and the keys of those that the silo has.
async fn spread(client: &Client, keys: &[String], silo: &str) -> Vec<String> {
    let mut there = Vec::new();
    for key in keys {
        if whereabouts(client, key).await == silo {
            there.push(key.clone());
        }
    }
    assert!(!there.is_empty(), "{silo} has none of {} actors", keys.len());
    there
}

/// R48, R84: from the crash to the first answer of each actor's new owner, with the default budgets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_silo_is_succeeded_within_twice_the_failure_timeout() {
    let failure_timeout = MembershipConfig::default().failure_timeout;
    let mut cluster = Cluster::embedded(&SILOS, failure_timeout).await;
    cluster.settings.membership = MembershipConfig::default();
    let client = cluster.client().await;
    let orphans = spread(&client, &keys(60), "s-two").await;
    let load = Load::start(&client, &orphans[..orphans.len().min(5)]);
    load.answers(20).await;
    let clock = Clock::system();
    let crash = clock.now();
    cluster.take("s-two").kill();
    let first_answers = orphans.iter().map(|key| {
        let (client, clock) = (client.clone(), clock.clone());
        async move {
            while whereabouts(&client, key).await == "s-two" {}
            clock.now().since(crash)
        }
    });
    let mut took = join_all(first_answers).await;
    took.sort();
    println!(
        "first answer of the new owner after a SIGKILL, of {} actors: first {:?}, median {:?}, last {:?}",
        took.len(),
        took[0],
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() - 1] < failure_timeout * 2, "{took:?}");
    load.answers(20).await;
    load::check(&client, &load.finish().await).await;
    client.close().await;
}

/// Guarantees 8 and 14, R87: another has the actors while the process stands still; when it goes on nothing that it does counts,
/// and it says so.
async fn stop_past_the_lease(mut cluster: Cluster) {
    let client = cluster.client().await;
    let all = keys(30);
    let orphans = spread(&client, &all, "s-two").await;
    // So that it does not stand still with the store's lock in its hand: nothing is saved there at that moment.
    let load = Load::start(&client, &orphans);
    load.answers(orphans.len() as u64 * 4).await;
    let mut accounts = load.finish().await;

    cluster.silo("s-two").signal(Signal::STOP);
    // What is on its way to the old owner, from outside and from within.
    let mut late = JoinSet::new();
    for key in &orphans {
        let (key, notes) = (key.clone(), client.actor::<Notes>(key));
        late.spawn(async move {
            let outcome = Outcome::of(notes.ask(Append { client: LATE, n: 1 }).await);
            (key, outcome)
        });
    }
    for (n, key) in (1..).zip(&orphans) {
        let key = key.clone();
        cluster.silo("s-two").tell(&Order::Ask { key, n });
    }
    for key in &orphans {
        assert_ne!(whereabouts(&client, key).await, "s-two");
    }
    let load = Load::start(&client, &orphans);
    load.answers(orphans.len() as u64 * 4).await;
    while let Some(asked) = late.join_next().await {
        let (key, outcome) = asked.expect("asked");
        let mut account = Account {
            key,
            client: LATE,
            sent: 1,
            ..Account::default()
        };
        account.note(1, outcome);
        accounts.push(account);
    }

    cluster.silo("s-two").signal(Signal::CONT);
    let mut inside: Vec<Account> = Vec::new();
    let old = cluster.silo("s-two");
    let ended = old
        .hear(|said| match said {
            Said::Asked { n, outcome } => {
                assert_ne!(outcome, Outcome::Done, "a silo that is dead to the others has saved");
                let mut account = Account {
                    key: orphans[usize::try_from(n - 1).expect("small")].clone(),
                    client: crate::program::INSIDE,
                    sent: n,
                    ..Account::default()
                };
                (1..n).for_each(|n| account.note(n, Outcome::NotRun("never sent".into())));
                account.note(n, outcome);
                inside.push(account);
                None
            }
            Said::Ended(report) => Some(format!("it left in order: {report:?}")),
            Said::Failed(why) => Some(why),
            _ => None,
        })
        .await
        .expect("it ends by itself");
    assert!(ended.contains("fenced") && ended.contains("dead"), "{ended}");
    load.answers(orphans.len() as u64 * 4).await;
    accounts.extend(load.finish().await);
    accounts.extend(inside);
    let sum = load::check(&client, &accounts).await;
    println!("a silo stopped past its lease: {sum:?}");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silo_stopped_past_its_lease_has_no_effect_when_it_goes_on() {
    stop_past_the_lease(Cluster::embedded(&SILOS, Duration::from_millis(2_500)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silo_stopped_past_its_lease_has_no_effect_when_it_goes_on_redis() {
    let server = RedisServer::start();
    let settings = settings(&server.url(), Duration::from_millis(2_500));
    stop_past_the_lease(Cluster::start(settings, &SILOS).await).await;
}

/// Asks without saving, from outside and from silo to silo, until told to stop. Answers how many were answered, and the failures.
struct Looks {
    tasks: JoinSet<(u64, Vec<String>)>,
    stop: watch::Sender<bool>,
}

impl Looks {
    fn start(client: &Client, keys: &[String]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for key in keys {
            let (notes, stopped) = (client.actor::<Notes>(key), stopped.clone());
            tasks.spawn(async move {
                let (mut answered, mut failed) = (0, Vec::new());
                while !*stopped.borrow() {
                    match notes.ask(Where).await {
                        Ok(_) => answered += 1,
                        Err(error) => failed.push(error.to_string()),
                    }
                }
                (answered, failed)
            });
        }
        Self { tasks, stop }
    }

    async fn finish(mut self) -> u64 {
        self.stop.send_replace(true);
        let mut all = 0;
        while let Some(looked) = self.tasks.join_next().await {
            let (answered, failed) = looked.expect("it does not panic");
            assert_eq!(failed, Vec::<String>::new());
            all += answered;
        }
        all
    }
}

/// R86, guarantee 14: Redis is away for longer than every budget, and no request fails that needs no new owner: neither one of a
/// client nor one from silo to silo. Nobody is declared dead, and nobody's right changes.
///
/// With `QUARK_TEST_OUTAGE_SECS` the outage is so long and the budgets are the defaults (`make outage`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_longer_than_every_budget_fails_no_request() {
    let long = std::env::var("QUARK_TEST_OUTAGE_SECS")
        .ok()
        .and_then(|text| text.parse().ok());
    let (membership, outage) = match long {
        Some(secs) => (MembershipConfig::default(), Duration::from_secs(secs)),
        None => {
            let membership = budgets(Duration::from_millis(2_000));
            let outage = membership.mute_timeout * 3 / 2;
            (membership, outage)
        }
    };
    let server = RedisServer::start();
    let mut settings = settings(&server.url(), membership.failure_timeout);
    settings.membership = membership;
    let mut cluster = Cluster::start(settings, &SILOS).await;
    let client = cluster.client().await;
    let all = keys(30);
    let mut before = Vec::new();
    for key in &all {
        before.push(client.actor::<Notes>(key).ask(Where).await.expect("answered"));
    }
    // Each silo knows the way to each actor.
    let look_from_within = async |cluster: &mut Cluster| {
        for silo in &mut cluster.silos {
            for key in &all {
                silo.tell(&Order::Look { key: key.clone() });
            }
            for _ in &all {
                let looked = silo.hear(|said| match said {
                    Said::Looked(answer) => Some(answer),
                    _ => None,
                });
                looked.await.expect("it answers").expect("from silo to silo");
            }
        }
    };
    look_from_within(&mut cluster).await;
    let looks = Looks::start(&client, &all);
    let clock = Clock::system();
    let end = clock.now() + outage;
    server.pause();
    let mut rounds = 0;
    while clock.now() < end {
        look_from_within(&mut cluster).await;
        rounds += 1;
    }
    server.resume();
    look_from_within(&mut cluster).await;
    let answered = looks.finish().await;
    println!(
        "Redis away for {outage:?}: {answered} asks of a client and {} from silo to silo, none failed",
        rounds * all.len() * SILOS.len()
    );
    for (key, before) in all.iter().zip(before) {
        let now = client.actor::<Notes>(key).ask(Where).await.expect("answered");
        assert_eq!(now, before, "{key}: no right has changed");
    }
    // What needs the store works again.
    let load = Load::start(&client, &all[..5]);
    load.answers(50).await;
    let sum = load::check(&client, &load.finish().await).await;
    assert_eq!(sum.done, sum.sent, "{sum:?}");
    client.close().await;
}

/// Guarantee 17, for the budgets that membership stands on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silo_whose_budgets_do_not_nest_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("embedded:{}", folder.path().join("quark.db").display());
    let mut settings = settings(&store, Duration::from_secs(5));
    settings.name = "s-bad".into();
    settings.membership.lease = Duration::from_secs(6);
    let said = Process::start(&settings, folder.path(), &[]).refused().await;
    assert!(
        said.contains("lease (6s)") && said.contains("failure_timeout (5s)"),
        "{said}"
    );
    until("no file is made", || !folder.path().join("quark.db").exists()).await;
}
