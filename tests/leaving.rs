//! How a silo leaves, or does not: cordoned and un-cordoned, watched, asked twice, with turns that hang, or while it starts.

#![allow(clippy::disallowed_methods, reason = "tests run asks beside a silo's end")]

mod common;

use common::*;
use quark::{
    ident::ActorId,
    membership::MembershipConfig,
    prelude::*,
    silo::{CordonError, Ended, Silo, SiloHandle, SiloOptions},
    store::SiloStatus,
    wire::{Health, Ran},
};
use std::time::Duration;

fn options(cluster: &str, name: &str) -> SiloOptions {
    SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        workers: 2,
        handle_signals: false,
        ..SiloOptions::default()
    }
}

fn within(options: &mut SiloOptions, timeout: Duration) {
    options.shutdown_timeout = timeout;
    options.migration_timeout = timeout;
    options.freeze_timeout = timeout;
}

async fn started(options: SiloOptions) -> SiloHandle {
    Silo::builder().options(options).start().await.expect("the silo starts")
}

/// Waits until `seen` sees `silo` with this status.
async fn sees(seen: &SiloHandle, silo: &SiloHandle, status: Option<SiloStatus>) {
    let clock = quark::clock::Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while seen.view().status(silo.id()) != status {
        assert!(
            clock.now() < end,
            "{:?} instead of {status:?}",
            seen.view().status(silo.id())
        );
        clock.sleep(Duration::from_millis(5)).await;
    }
}

fn ready_and_live(silo: &SiloHandle) -> (bool, bool) {
    (silo.health().is_ready(), silo.health().is_live())
}

/// R2
#[tokio::test]
async fn a_cordoned_silo_takes_no_actors_and_takes_them_again() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    a.actor::<Ledger>("before").ask(Read).await.expect("answered");
    let before = a.status().activations.get("ledger").copied().unwrap_or(0);
    a.cordon().await.expect("cordoned");
    a.cordon().await.expect("once more does no harm");
    assert_eq!(a.health(), Health::Degraded);
    sees(&b, &a, Some(SiloStatus::ShuttingDown)).await;
    for key in 0..40 {
        // From both: neither places anything on the cordoned one.
        for silo in [&a, &b] {
            silo.actor::<Ledger>(&key.to_string())
                .ask(Read)
                .await
                .expect("answered");
        }
    }
    assert_eq!(a.status().activations.get("ledger").copied().unwrap_or(0), before);
    a.uncordon().await.expect("un-cordoned");
    assert_eq!(a.health(), Health::Ready);
    sees(&b, &a, Some(SiloStatus::Active)).await;
    for key in 40..80 {
        b.actor::<Ledger>(&key.to_string()).ask(Read).await.expect("answered");
    }
    assert!(a.status().activations["ledger"] > before, "it takes its share again");
    for silo in [a, b] {
        silo.stop().await.expect("stops in order");
        assert_eq!(silo.cordon().await, Err(CordonError::Leaving));
        assert_eq!(silo.uncordon().await, Err(CordonError::Ended));
        assert_eq!(ready_and_live(&silo), (false, false));
    }
}

/// R12, R13, R132: un-cordoned before the barrier, the silo goes on as if nothing had been, and can be stopped again.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_watched_and_called_off_before_the_barrier() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let mut key = 0;
    while a.status().activations.get("ledger").copied().unwrap_or(0) == 0 {
        key += 1;
        b.actor::<Ledger>(&key.to_string()).ask(Read).await.expect("answered");
    }
    let ledger = a.actor::<Ledger>(&key.to_string());
    let turns = a.status().turns;
    let slow = tokio::spawn(ledger.ask(SleepFor(1500)).owned());
    while a.status().turns == turns {
        tokio::task::yield_now().await;
    }
    assert_eq!(ready_and_live(&a), (true, true));
    let mut drain = a.watch_drain();
    let stopping = {
        let a = a.clone();
        tokio::spawn(async move { a.stop().await })
    };
    let progress = drain.wait_for(|drain| drain.as_ref().is_some_and(|drain| drain.phase == "migrate"));
    let progress = progress.await.expect("told").clone().expect("it drains");
    assert_eq!(
        ready_and_live(&a),
        (false, true),
        "not ready from the start of the drain on"
    );
    assert!(
        progress.actors_left >= 1 && progress.in_flight == 1 && progress.remaining_ms > 10_000,
        "{progress:?}"
    );
    assert_eq!(a.status().drain.map(|drain| drain.phase), Some("migrate".to_owned()));
    a.uncordon().await.expect("called off");
    assert_eq!(stopping.await.expect("ran"), Err(Ended::CalledOff));
    assert_eq!((a.health(), a.status().drain), (Health::Ready, None));
    sees(&b, &a, Some(SiloStatus::Active)).await;
    slow.await.expect("ran").expect("answered");
    ledger.ask(Read).await.expect("answered");
    let report = a.stop().await.expect("stops in order");
    assert_eq!((report.forced, report.flushed), (Vec::new(), true));
    b.stop().await.expect("stops");
}

/// R11
#[tokio::test(flavor = "multi_thread")]
async fn stops_at_once_and_later_answer_the_same() {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    a.actor::<Ledger>("x").ask(Read).await.expect("answered");
    let stops = (0..8).map(|_| {
        let a = a.clone();
        tokio::spawn(async move { a.stop().await.expect("stops in order") })
    });
    let mut reports = Vec::new();
    for stop in stops.collect::<Vec<_>>() {
        reports.push(stop.await.expect("ran"));
    }
    reports.push(a.stop().await.expect("it has stopped"));
    assert!(reports.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(reports[0].deactivated, 1);
}

/// R9: a long drain is not taken for a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_sends_heartbeats_until_it_has_left() {
    let cluster = cluster_name();
    let quick = MembershipConfig {
        heartbeat_interval: Duration::from_millis(50),
        read_interval: Duration::from_millis(100),
        failure_timeout: Duration::from_millis(400),
        lease: Duration::from_millis(300),
        probe_timeout: Duration::from_millis(100),
        store_timeout: Duration::from_millis(200),
        mute_timeout: Duration::from_millis(800),
        dead_retention: Duration::from_secs(600),
    };
    let with = |name: &str| SiloOptions {
        membership: quick.clone(),
        ..options(&cluster, name)
    };
    let a = started(with("a")).await;
    a.actor::<Ledger>("x").ask(Read).await.expect("answered");
    let b = started(with("b")).await;
    know_each_other(&[&a, &b]).await;
    // Three times what a silo may be silent for.
    let turns = a.status().turns;
    let slow = tokio::spawn(a.actor::<Ledger>("x").ask(SleepFor(2500)).owned());
    while a.status().turns == turns {
        tokio::task::yield_now().await;
    }
    let stopping = {
        let a = a.clone();
        tokio::spawn(async move { a.stop().await })
    };
    let mut seen = Vec::new();
    while !stopping.is_finished() {
        let status = b.view().status(a.id());
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        tokio::task::yield_now().await;
    }
    let report = stopping.await.expect("ran").expect("stops in order");
    assert!(report.took_ms > 1500, "{report:?}");
    slow.await.expect("ran").expect("answered");
    assert!(!seen.contains(&Some(SiloStatus::Dead)), "{seen:?}");
    assert!(seen.contains(&Some(SiloStatus::ShuttingDown)), "{seen:?}");
    sees(&b, &a, None).await;
    b.stop().await.expect("stops");
}

/// Seed 10347 of the simulator's `every_law_holds_whatever_fails`: a registration took effect, and its answer was lost. The entry named a
/// silo that did not have the actor, and that set nothing free when it left: while it drained, nobody could have the actor.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_leaves_sets_free_what_it_is_named_for_and_does_not_have() {
    let cluster = cluster_name();
    let store = quark::store::open(&format!("memory:{cluster}"), &cluster).expect("opens");
    let a = start(&cluster, "a").await;
    // A turn keeps the drain from ending.
    let busy = a.actor::<Ledger>("busy");
    busy.tell(WaitFor("drain".into())).await.expect("sent");
    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    let unheard = ActorId::new("ledger", "unheard").expect("a name");
    store.register(a.id(), vec![unheard]).await.expect("registered");
    let stops = tokio::spawn({
        let a = a.clone();
        async move { a.stop().await }
    });
    sees(&b, &a, Some(SiloStatus::ShuttingDown)).await;
    let unheard = b.actor::<Ledger>("unheard");
    let answer = unheard.ask(Read).within(Duration::from_secs(10)).await;
    answer.expect("answered while the other drains");
    assert!(!stops.is_finished());
    DOORS.open("drain");
    stops.await.expect("ran").expect("stops");
    let left = store.owned_by(a.id()).await.expect("read");
    assert_eq!(left, []);
    b.stop().await.expect("stops");
}

/// R10: turns that never end, and hooks that never end.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_time_and_lists_what_it_forced() {
    let cluster = cluster_name();
    let mut impatient = options(&cluster, "a");
    within(&mut impatient, Duration::from_secs(2));
    let a = started(impatient).await;
    a.actor::<Ledger>("fine").ask(Read).await.expect("answered");
    a.actor::<Ledger>("turn").tell(SleepFor(3_600_000)).await.expect("sent");
    a.actor::<Clinger>("hook").ask(Cling).await.expect("answered");
    let b = started(options(&cluster, "b")).await;
    know_each_other(&[&a, &b]).await;
    // It waits behind the turn, and is answered before the silo goes.
    let waits = tokio::spawn({
        let b = b.clone();
        async move {
            let turn = b.actor::<Ledger>("turn");
            turn.ask(Read).within(Duration::from_secs(3_600)).await
        }
    });
    let clock = quark::clock::Clock::system();
    let begun = clock.now();
    let report = a.stop().await.expect("stops");
    let took = clock.now().since(begun);
    assert!(took < Duration::from_secs(2 + 8), "{took:?}");
    let error = waits.await.expect("ran").expect_err("it did not run");
    assert_eq!(error.ran(), Ran::No, "{error}");
    let mut forced: Vec<_> = report.forced.iter().map(ToString::to_string).collect();
    forced.sort();
    assert_eq!(forced, ["clinger/hook", "ledger/turn"]);
    assert_eq!(report.moved.len() + report.deactivated, 1, "{report:?}");
    b.actor::<Ledger>("fine").ask(Read).await.expect("answered");
    b.stop().await.expect("stops");
}

/// R10: a thread that does not come back. Its process ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_time_beside_a_thread_that_is_blocked() {
    let cluster = cluster_name();
    let mut impatient = options(&cluster, "a");
    within(&mut impatient, Duration::from_secs(1));
    let a = started(impatient).await;
    a.actor::<Ledger>("stone")
        .tell(Block("stone".into()))
        .await
        .expect("sent");
    while a.status().activations.is_empty() {
        tokio::task::yield_now().await;
    }
    let clock = quark::clock::Clock::system();
    let begun = clock.now();
    let report = a.stop().await.expect("stops");
    let took = clock.now().since(begun);
    assert!(took < Duration::from_secs(1 + 8), "{took:?}");
    assert_eq!(report.forced.len(), 1, "{report:?}");
    DOORS.open("stone");
}

/// R15: nobody waits for the start any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_given_up_leaves_no_member_behind() {
    let cluster = cluster_name();
    let b = start(&cluster, "b").await;
    let starting = tokio::spawn(silo(&cluster, "a").start());
    tokio::task::yield_now().await;
    starting.abort();
    if let Ok(started) = starting.await {
        // It was quicker.
        started.expect("started").stop().await.expect("stops");
    }
    let clock = quark::clock::Clock::system();
    let end = clock.now() + Duration::from_secs(20);
    while b.view().rows().count() > 1 {
        assert!(clock.now() < end, "{:?}", b.view());
        clock.sleep(Duration::from_millis(5)).await;
    }
    b.stop().await.expect("stops");
}

/// Its hook never ends.
#[derive(Default, Serialize, Deserialize)]
struct Clinger;

#[derive(Message, Serialize, Deserialize)]
#[message(name = "clinger.cling")]
struct Cling;

#[actor(kind = "clinger", messages(Cling))]
impl Actor for Clinger {
    async fn on_deactivate(&mut self, _: &mut Context<Self>, _: DeactivateReason) {
        std::future::pending::<()>().await;
    }
}

impl Handler<Cling> for Clinger {
    async fn handle(&mut self, _: Cling, _: &mut Context<Self>) {}
}
