//! Actors that change their silo while messages go on arriving.

#![allow(clippy::disallowed_methods, reason = "tests spawn senders of their own")]

mod common;

use common::*;
use futures_util::future::join_all;
use quark::{
    actor::CallError,
    client::Client,
    ident::ActorId,
    silo::{MoveFailure, SiloHandle},
    wire::Ran,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

fn ledger_id(key: &str) -> ActorId {
    ActorId::new("ledger", key).expect("valid")
}

async fn client_of(cluster: &str, silos: &[&SiloHandle]) -> Client {
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder().cluster(cluster).seeds(seeds).connect();
    client.await.expect("connects")
}

/// The silo that an actor is active on.
async fn home<'a>(silos: &[&'a SiloHandle], key: &str) -> &'a SiloHandle {
    let id = ledger_id(key);
    for silo in silos {
        // Asking to move to the silo itself tells whether the actor is there, and moves nothing.
        if silo.migrate(&id, Some(silo.id())).await != Err(MoveFailure::NotHere) {
            return silo;
        }
    }
    panic!("{key} is nowhere");
}

fn other<'a>(silos: &[&'a SiloHandle], than: &SiloHandle) -> &'a SiloHandle {
    silos.iter().find(|silo| silo.id() != than.id()).expect("there are two")
}

/// R29, R37, R53
#[tokio::test]
async fn an_actor_moves_with_its_unsaved_memory() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let ledger = a.actor::<Ledger>("x");
    for n in 0..3 {
        ledger.ask(Book { sender: "s".into(), n }).await.expect("answered");
    }
    let source = home(&[&a, &b], "x").await;
    let target = other(&[&a, &b], source);
    let moved = source.migrate(&ledger_id("x"), Some(target.id())).await.expect("moves");
    assert_eq!(moved.to, *target.id());
    assert_eq!(home(&[&a, &b], "x").await.id(), target.id());
    for silo in [&a, &b] {
        let entries = silo.actor::<Ledger>("x").ask(Read).await.expect("answered");
        assert_in_order(&entries, "s", 3);
        assert_eq!((entries.activations, entries.epoch), (2, 2));
    }
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

/// R41, R42, R101: senders on both silos and outside never notice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_reordered_while_an_actor_moves_to_and_fro() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let client = client_of(&cluster, &[&a, &b]).await;
    a.actor::<Ledger>("x").ask(Read).await.expect("active");
    let senders = [
        ("a", a.actor::<Ledger>("x")),
        ("b", b.actor::<Ledger>("x")),
        ("client", client.actor::<Ledger>("x")),
    ];
    let enough = std::sync::Arc::new(AtomicBool::new(false));
    let load = senders.map(|(name, ledger)| {
        let enough = enough.clone();
        tokio::spawn(async move {
            let mut sent = 0;
            while !enough.load(Ordering::Relaxed) {
                // Ten outstanding at a time, sent in order.
                let asks = (sent..sent + 10).map(|n| ledger.ask(Book { sender: name.into(), n }));
                for reply in join_all(asks).await {
                    reply.expect("no ask fails");
                }
                sent += 10;
            }
            (name, sent)
        })
    });
    for _ in 0..6 {
        let source = home(&[&a, &b], "x").await;
        let target = other(&[&a, &b], source);
        source.migrate(&ledger_id("x"), Some(target.id())).await.expect("moves");
    }
    enough.store(true, Ordering::Relaxed);
    for sender in load {
        let (name, sent) = sender.await.expect("no ask failed");
        let entries = a.actor::<Ledger>("x").ask(Read).await.expect("answered");
        assert_in_order(&entries, name, sent);
    }
    client.close().await;
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

/// R1 to R8, R56: guarantee 4.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_drains_under_load_and_nobody_notices() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let client = client_of(&cluster, &[&a, &b]).await;
    let (actors, rounds) = (200u64, 40u64);
    let drained = std::sync::Arc::new(tokio::sync::Notify::new());
    let load = (0..4).map(|sender| {
        let client = client.clone();
        let inside = b.clone();
        tokio::spawn(async move {
            let name = format!("sender-{sender}");
            for n in 0..rounds {
                let asks = (0..actors).map(|key| {
                    let key = format!("k{key}");
                    let ledger = if sender == 0 {
                        inside.actor::<Ledger>(&key)
                    } else {
                        client.actor::<Ledger>(&key)
                    };
                    let book = Book {
                        sender: name.clone(),
                        n,
                    };
                    ledger.ask(book).owned()
                });
                for reply in join_all(asks).await {
                    assert_eq!(reply.expect("no ask fails"), n + 1);
                }
            }
        })
    });
    let load: Vec<_> = load.collect();
    // Drain in the middle of the load.
    let entries = a.actor::<Ledger>("k0");
    while entries
        .ask(Read)
        .await
        .expect("answered")
        .ran
        .get("sender-1")
        .map_or(0, Vec::len)
        < 5
    {}
    let on_a = a.status().activations["ledger"];
    let report = a.stop().await.expect("stops in order");
    drained.notify_one();
    assert!(on_a > 20, "the drained silo had {on_a} actors");
    assert!(report.moved.len() >= on_a, "{} of {on_a} moved", report.moved.len());
    assert_eq!(report.forced, []);
    assert_eq!(report.unsaved, []);
    assert!(report.flushed);
    for sender in load {
        sender.await.expect("no ask failed");
    }
    for key in 0..actors {
        let entries = client
            .actor::<Ledger>(&format!("k{key}"))
            .ask(Read)
            .await
            .expect("answered");
        for sender in 0..4 {
            assert_in_order(&entries, &format!("sender-{sender}"), rounds);
        }
    }
    client.close().await;
    b.stop().await.expect("stops");
}

/// Waiting messages move with their actor, in order, and are answered from the new silo.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_messages_move_with_the_actor() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let client = client_of(&cluster, &[&a, &b]).await;
    a.actor::<Ledger>("x").ask(Read).await.expect("active");
    let source = home(&[&a, &b], "x").await;
    let target = other(&[&a, &b], source);
    // A slow turn; behind it messages wait.
    source.actor::<Ledger>("x").tell(SleepFor(150)).await.expect("sent");
    let outside = client.actor::<Ledger>("x");
    let inside = source.actor::<Ledger>("x");
    let book = |sender: &str, n| Book {
        sender: sender.into(),
        n,
    };
    let asks: Vec<_> = (0..50)
        .flat_map(|n| {
            [
                tokio::spawn(outside.ask(book("outside", n)).owned()),
                tokio::spawn(inside.ask(book("inside", n)).owned()),
            ]
        })
        .collect();
    source.migrate(&ledger_id("x"), Some(target.id())).await.expect("moves");
    for ask in asks {
        ask.await.expect("runs").expect("answered");
    }
    let entries = target.actor::<Ledger>("x").ask(Read).await.expect("answered");
    assert_eq!(entries.ran["inside"].len(), 50);
    assert_eq!(entries.ran["outside"].len(), 50);
    client.close().await;
    a.stop().await.expect("stops");
    b.stop().await.expect("stops");
}

/// R59
#[tokio::test]
async fn without_another_silo_a_drain_saves_what_it_has() {
    let cluster = cluster_name();
    let _store = quark::store::open(&format!("memory:{cluster}"), &cluster).expect("opens");
    let a = start(&cluster, "a").await;
    for key in 0..20 {
        let ledger = a.actor::<Ledger>(&key.to_string());
        ledger
            .ask(Book {
                sender: "s".into(),
                n: 0,
            })
            .await
            .expect("answered");
    }
    let report = a.stop().await.expect("stops in order");
    assert_eq!((report.moved.len(), report.deactivated), (0, 20));
    let b = start(&cluster, "b").await;
    for key in 0..20 {
        let entries = b.actor::<Ledger>(&key.to_string()).ask(Read).await.expect("answered");
        assert_in_order(&entries, "s", 1);
    }
    b.stop().await.expect("stops in order");
}

/// Guarantee 1: a client hears of a cluster that is not there.
#[tokio::test]
async fn a_client_says_what_happened_at_each_address() {
    let builder = Client::builder().seeds(["127.0.0.1:1", "127.0.0.1:2"]);
    let error = builder
        .connect_timeout(Duration::from_millis(300))
        .connect()
        .await
        .expect_err("nobody is there");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("127.0.0.1:2"), "{text}");
}

/// A reference does not keep its client.
#[tokio::test]
async fn references_end_with_the_last_clone_of_their_client() {
    let cluster = cluster_name();
    let silo = start(&cluster, "a").await;
    let client = client_of(&cluster, &[&silo]).await;
    let (ledger, clone) = (client.actor::<Ledger>("x"), client.clone());
    drop(client);
    ledger.ask(Read).await.expect("a clone keeps the client");
    drop(clone);
    let error = ledger.ask(Read).await.expect_err("the client has ended");
    assert!(matches!(error, CallError::ShuttingDown(_)), "{error}");
    assert_eq!(error.ran(), Ran::No);
    silo.stop().await.expect("stops in order");
}
