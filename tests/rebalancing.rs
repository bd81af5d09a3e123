//! Silos that share their actors anew when one joins.

#![allow(clippy::disallowed_methods, reason = "tests run load beside moves")]

mod common;

use common::*;
use quark::silo::{BalanceOptions, SiloHandle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn quick() -> BalanceOptions {
    BalanceOptions {
        interval: Duration::from_millis(100),
        max_moves: 100,
        cooldown: Duration::from_secs(60),
        ..BalanceOptions::default()
    }
}

async fn start_balanced(cluster: &str, name: &str) -> SiloHandle {
    silo(cluster, name).rebalance(quick()).start().await.expect("starts")
}

fn actors(silo: &SiloHandle) -> usize {
    silo.status().activations.get("ledger").copied().unwrap_or(0)
}

/// R62: the third silo gets its share, nobody notices, and then nothing moves any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_joins_gets_its_share_under_load_and_then_all_stay() {
    let cluster = cluster_name();
    let (a, b) = (start_balanced(&cluster, "a").await, start_balanced(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let count = 600;
    for key in 0..count {
        let ledger = a.actor::<Ledger>(&key.to_string());
        ledger.ask(Read).await.expect("active");
    }
    let enough = Arc::new(AtomicBool::new(false));
    let load = [a.clone(), b.clone()].map(|silo| {
        let enough = enough.clone();
        tokio::spawn(async move {
            let name = silo.id().name().to_owned();
            let mut rounds = 0;
            while !enough.load(Ordering::Relaxed) {
                for key in 0..20 {
                    let book = Book {
                        sender: name.clone(),
                        n: rounds,
                    };
                    silo.actor::<Ledger>(&key.to_string())
                        .ask(book)
                        .await
                        .expect("no ask fails");
                }
                rounds += 1;
            }
            (name, rounds)
        })
    });
    let c = start_balanced(&cluster, "c").await;
    know_each_other(&[&a, &b, &c]).await;
    let clock = quark::clock::Clock::system();
    let end = clock.now() + Duration::from_secs(60);
    let share = count / 3;
    while actors(&c) < share * 3 / 4 {
        assert!(clock.now() < end, "{} of {share}", actors(&c));
        clock.sleep(Duration::from_millis(20)).await;
    }
    // As many intervals as it takes for each to say that it has settled, and some.
    let settled = [&a, &b, &c].map(|silo| silo.migration_counts());
    enough.store(true, Ordering::Relaxed);
    for sender in load {
        let (name, rounds) = sender.await.expect("no ask failed");
        for key in 0..20 {
            let entries = c.actor::<Ledger>(&key.to_string()).ask(Read).await.expect("answered");
            assert_in_order(&entries, &name, rounds);
        }
    }
    assert_eq!(settled[2].completed, 0, "the newcomer gave nothing back");
    for silo in [&a, &b, &c] {
        let has = actors(silo);
        assert!(has <= share * 14 / 10, "{} has {has} of {share}", silo.id());
        for status in silo.migrations() {
            assert!(status.error.is_none(), "{status:?}");
        }
    }
    for silo in [c, b, a] {
        silo.stop().await.expect("stops in order");
    }
}
