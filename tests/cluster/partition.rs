//! A network that parts: both sides, and what is left when it heals.

use crate::{
    cluster::{keys, settings, until, whereabouts},
    load::{self, Account, Load},
    network::{Make, Network, choose},
    notes::{Notes, Where},
    program::{INSIDE, Outcome},
};
use quark::{client::Client, clock::Clock, store::SiloStatus};
use std::time::Duration;

const SILOS: [&str; 3] = ["p-one", "p-two", "p-three"];
const FAILURE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// A key of an actor that the silo has, and one of another's.
async fn one_here_one_there(client: &Client, keys: &[String], silo: &str) -> (String, String) {
    let (mut here, mut there) = (None, None);
    for key in keys {
        if whereabouts(client, key).await == silo {
            here.get_or_insert(key.clone());
        } else {
            there.get_or_insert(key.clone());
        }
    }
    (here.expect("it has one"), there.expect("another has one"))
}

fn asked(key: &str, outcomes: Vec<(u64, Outcome)>) -> Account {
    let mut account = Account {
        key: key.into(),
        client: INSIDE,
        sent: outcomes.len() as u64,
        ..Account::default()
    };
    for (n, outcome) in outcomes {
        account.note(n, outcome);
    }
    account
}

/// R113: silos that reach the store and not each other: nobody is dead, each serves who reaches it, and nobody has two owners. When
/// the network heals, they talk again.
async fn part_from_each_other(make: Make) {
    let (mut network, mut cluster) = Network::cluster(make, settings("", FAILURE_TIMEOUT), &SILOS, None).await;
    let client = cluster.client().await;
    let keys = keys(24);
    let (here, there) = one_here_one_there(&client, &keys, "p-one").await;
    let load = Load::start(&client, &keys);
    load.answers(keys.len() as u64 * 2).await;
    let one = cluster.silo("p-one");
    one.look(&there).await.expect("it reaches the others");

    network.part("p-one");
    let clock = Clock::system();
    let end = clock.now() + FAILURE_TIMEOUT * 2;
    while clock.now() < end {
        load.answers(10).await;
    }
    let (mut at_home, mut abroad) = (Vec::new(), Vec::new());
    at_home.push((1, one.ask(&here, 1).await));
    abroad.push((1, one.ask(&there, 1).await));
    assert_eq!(at_home[0].1, Outcome::Done, "it serves its own");
    assert_ne!(abroad[0].1, Outcome::Done, "it does not reach the others");
    let active = client
        .silos()
        .iter()
        .filter(|silo| silo.status == SiloStatus::Active)
        .count();
    assert_eq!(active, SILOS.len(), "all of them reach the store");

    network.heal();
    // What was on its way may run, once; what is asked now is answered.
    let mut n = 1;
    while abroad.last().is_none_or(|(_, outcome)| *outcome != Outcome::Done) {
        n += 1;
        abroad.push((n, one.ask(&there, n).await));
        assert!(n < 20, "{abroad:?}");
    }
    for key in &keys {
        let owner = client.actor::<Notes>(key).ask(Where).await.expect("answered");
        for silo in &mut cluster.silos {
            assert_eq!(silo.look(key).await.as_ref(), Ok(&owner), "{key} has one owner");
        }
    }
    let mut accounts = load.finish().await;
    let sum = load::check(&client, &accounts).await;
    assert_eq!(sum.done, sum.sent, "who reaches all notices nothing: {sum:?}");
    accounts.extend([asked(&here, at_home), asked(&there, abroad)]);
    println!(
        "parted from each other ({make:?}): {:?}",
        load::check(&client, &accounts).await
    );
    client.close().await;
}

/// R84, R87, guarantee 14: a silo that reaches nobody and no store stops serving, and the others take over; when it is back it finds
/// itself dead, and nobody has two owners.
async fn part_from_everything(make: Make) {
    let server = Network::redis();
    let given = settings(&server.url(), FAILURE_TIMEOUT);
    let (mut network, mut cluster) = Network::cluster(make, given, &SILOS, Some(&server)).await;
    let client = cluster.client().await;
    let keys = keys(24);
    let (here, _) = one_here_one_there(&client, &keys, "p-one").await;
    let load = Load::start(&client, &keys);
    load.answers(keys.len() as u64 * 2).await;
    let before = cluster.silo("p-one").ask(&here, 1).await;
    assert_eq!(before, Outcome::Done);

    network.isolate("p-one");
    assert_ne!(elsewhere(&client, &here).await, "p-one");
    load.answers(keys.len() as u64 * 2).await;
    // The other side, by its own standard output: it has given up before, and says nothing that is not so.
    let one = cluster.silo("p-one");
    let after = one.ask(&here, 2).await;
    assert_ne!(after, Outcome::Done, "it serves on though another has the actor");
    let of_client: Vec<_> = client.silos().iter().map(|silo| silo.silo.name().to_owned()).collect();
    assert!(!of_client.contains(&"p-one".to_owned()), "{of_client:?}");

    network.heal();
    let ended = one.end().await.expect("it ends by itself").expect_err("not in order");
    assert!(ended.contains("fenced") && ended.contains("dead"), "{ended}");
    drop(cluster.take("p-one"));
    network.start(&mut cluster, "p-one", Some(&server)).await;
    until("the new one is known", || {
        client
            .silos()
            .iter()
            .filter(|silo| silo.status == SiloStatus::Active)
            .count()
            == SILOS.len()
    })
    .await;
    for key in &keys {
        let owner = client.actor::<Notes>(key).ask(Where).await.expect("answered");
        for silo in &mut cluster.silos {
            assert_eq!(silo.look(key).await.as_ref(), Ok(&owner), "{key} has one owner");
        }
    }
    let mut accounts = load.finish().await;
    accounts.push(asked(&here, vec![(1, before), (2, after)]));
    println!(
        "parted from everything ({make:?}): {:?}",
        load::check(&client, &accounts).await
    );
    client.close().await;
}

/// R113: a silo that lives and that the client does not reach keeps nobody from the actors of the others: whoever is asked where an
/// actor is and does not answer is not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_reach_one_silo_finds_the_actors_of_the_others() {
    let (mut network, mut cluster) = Network::cluster(Make::Proxies, settings("", FAILURE_TIMEOUT), &SILOS, None).await;
    let client = cluster.client().await;
    until("all links are there", || client.silos().len() == SILOS.len()).await;
    client.actor::<Notes>("known").ask(Where).await.expect("answered");
    network.hide("p-one");
    let mut found = 0;
    for key in (0..16).map(|n| format!("new{n}")) {
        let (silo, epoch) = cluster.silo("p-two").look(&key).await.expect("answered");
        if silo != "p-one" {
            let asked = client
                .actor::<Notes>(&key)
                .ask(Where)
                .within(Duration::from_secs(10))
                .await;
            assert_eq!(asked.expect("answered"), (silo, epoch));
            found += 1;
        }
    }
    assert!(found > 4, "{found} actors are with the others");
    client.close().await;
}

/// Asks until another than `p-one` has the actor.
async fn elsewhere(client: &Client, key: &str) -> String {
    loop {
        let silo = whereabouts(client, key).await;
        if silo != "p-one" {
            return silo;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silos_parted_from_each_other_have_one_owner_each() {
    if let Some(make) = choose("partition::silos_parted_from_each_other_have_one_owner_each") {
        part_from_each_other(make).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silos_parted_from_each_other_by_proxies_have_one_owner_each() {
    part_from_each_other(Make::Proxies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silo_parted_from_everything_gives_up_before_others_take_over() {
    if let Some(make) = choose("partition::a_silo_parted_from_everything_gives_up_before_others_take_over") {
        part_from_everything(make).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silo_parted_from_everything_by_proxies_gives_up_before_others_take_over() {
    part_from_everything(Make::Proxies).await;
}
