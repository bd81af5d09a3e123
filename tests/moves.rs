//! The calls by which a program moves actors: one, many, cancelled, watched; and what cannot be moved, or only in parts.

#![allow(clippy::disallowed_methods, reason = "tests run asks beside moves")]

mod common;

use common::*;
use quark::{
    ident::{ActorId, SiloId},
    prelude::*,
    silo::{MoveCounts, MoveFailure, MoveRequest, MoveState, SiloHandle, SiloOptions},
};
use std::time::Duration;

fn id(kind: &str, key: &str) -> ActorId {
    ActorId::new(kind, key).expect("valid")
}

/// A silo that finds out soon that a turn is slow.
async fn start_with(cluster: &str, name: &str, change: impl FnOnce(&mut SiloOptions)) -> SiloHandle {
    let mut options = SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        workers: 2,
        handle_signals: false,
        ..SiloOptions::default()
    };
    change(&mut options);
    let silo = quark::silo::Silo::builder().options(options);
    silo.start().await.expect("the silo starts")
}

/// Two silos, and an actor of a kind that is active on the first.
async fn two_silos(kind: &str, key: &str) -> (SiloHandle, SiloHandle) {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    match kind {
        "ledger" => drop(a.actor::<Ledger>(key).ask(Read).await.expect("active")),
        "camera" => drop(a.actor::<Camera>(key).ask(Shoot).await.expect("active")),
        _ => drop(a.actor::<Heavy>(key).ask(Grow(0)).await.expect("active")),
    }
    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    (a, b)
}

async fn stop(silos: [SiloHandle; 2]) {
    for silo in silos {
        let report = silo.stop().await.expect("stops in order");
        assert_eq!(report.forced, []);
    }
}

/// What cannot leave its silo.
#[derive(Default, Serialize, Deserialize)]
struct Camera {
    shots: u32,
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "camera.shoot", reply = (u32, String))]
struct Shoot;

#[actor(kind = "camera", messages(Shoot), immovable)]
impl Actor for Camera {}

impl Handler<Shoot> for Camera {
    async fn handle(&mut self, _: Shoot, ctx: &mut Context<Self>) -> (u32, String) {
        self.shots += 1;
        (self.shots, format!("{:?}", ctx.epoch()))
    }
}

/// Its hook takes its time.
#[derive(Default, Serialize, Deserialize)]
struct Dawdler {
    activations: u32,
}

#[actor(kind = "dawdler", messages(Shoot), volatile)]
impl Actor for Dawdler {
    async fn on_activate(&mut self, _: &mut Context<Self>) -> Result<(), ActivationError> {
        self.activations += 1;
        Ok(())
    }

    async fn on_deactivate(&mut self, ctx: &mut Context<Self>, reason: DeactivateReason) {
        if reason == DeactivateReason::Migrating {
            let clock = ctx.clock().clone();
            clock.sleep(Duration::from_millis(1000)).await;
        }
    }
}

impl Handler<Shoot> for Dawdler {
    async fn handle(&mut self, _: Shoot, ctx: &mut Context<Self>) -> (u32, String) {
        (self.activations, format!("{:?}", ctx.epoch()))
    }
}

/// The freeze timeout is for the hook too.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_hook_is_slow_is_called_off_and_the_actor_is_activated_anew() {
    let cluster = cluster_name();
    let impatient = |options: &mut SiloOptions| {
        options.freeze_timeout = Duration::from_millis(100);
        options.migration_attempts = 1;
    };
    let a = start_with(&cluster, "a", impatient).await;
    let dawdler = a.actor::<Dawdler>("x");
    dawdler.ask(Shoot).await.expect("active");
    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    let clock = quark::clock::Clock::system();
    let begun = clock.now();
    assert_eq!(
        a.migrate(&id("dawdler", "x"), None).await,
        Err(MoveFailure::TurnTooLong)
    );
    let took = clock.now().since(begun);
    assert!(took < Duration::from_millis(900), "{took:?}: the hook has not ended");
    let answer = dawdler.ask(Shoot).await.expect("answered");
    assert_eq!(answer, (2, format!("{:?}", quark::ident::Epoch(1))));
    stop([a, b]).await;
}

/// Holds a text of a length.
#[derive(Default, Serialize, Deserialize)]
struct Heavy {
    text: String,
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "heavy.grow", reply = usize)]
struct Grow(usize);

#[actor(kind = "heavy", messages(Grow), volatile)]
impl Actor for Heavy {}

impl Handler<Grow> for Heavy {
    async fn handle(&mut self, grow: Grow, _: &mut Context<Self>) -> usize {
        self.text.push_str(&"x".repeat(grow.0));
        self.text.len()
    }
}

/// R49
#[tokio::test]
async fn moves_that_cannot_be_are_refused_each_by_its_reason_and_without_effect() {
    let (a, b) = two_silos("ledger", "x").await;
    let x = id("ledger", "x");
    let nobody = id("ledger", "nobody");
    assert_eq!(a.migrate(&nobody, None).await, Err(MoveFailure::UnknownActor));
    assert_eq!(b.migrate(&x, None).await, Err(MoveFailure::NotHere));
    assert_eq!(a.migrate(&x, Some(a.id())).await, Err(MoveFailure::SameSilo));
    let stranger = SiloId::new("stranger", 1);
    assert_eq!(a.migrate(&x, Some(&stranger)).await, Err(MoveFailure::UnknownTarget));
    b.cordon().await.expect("cordoned");
    while a.view().active().count() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(a.migrate(&x, Some(b.id())).await, Err(MoveFailure::TargetNotActive));
    assert_eq!(a.migrate(&x, None).await, Err(MoveFailure::NoTarget));
    b.uncordon().await.expect("un-cordoned");

    let entries = a.actor::<Ledger>("x").ask(Read).await.expect("answered");
    assert_eq!((entries.activations, entries.epoch), (1, 1), "nothing happened to it");
    assert_eq!(a.migration_counts(), MoveCounts::default());
    assert_eq!((a.migration(&x), a.migration(&nobody)), (None, None));
    stop([a, b]).await;
}

/// The ledger of a later major version.
#[derive(Default, Serialize, Deserialize)]
struct NewLedger;

#[actor(kind = "ledger", messages(Shoot), version = "9.0.0", unlisted)]
impl Actor for NewLedger {}

impl Handler<Shoot> for NewLedger {
    async fn handle(&mut self, _: Shoot, _: &mut Context<Self>) -> (u32, String) {
        (0, String::new())
    }
}

/// R49: the target's kinds and versions.
#[tokio::test]
async fn a_move_to_a_silo_that_may_not_take_the_actor_is_refused_before_it_begins() {
    let cluster = cluster_name();
    let a = start(&cluster, "a").await;
    a.actor::<Ledger>("x").ask(Read).await.expect("active");
    let without = silo(&cluster, "without")
        .only(["camera"])
        .start()
        .await
        .expect("starts");
    let newer = silo(&cluster, "newer").without_linked().register::<NewLedger>();
    let newer = newer.start().await.expect("starts");
    know_each_other(&[&a, &without, &newer]).await;
    let x = id("ledger", "x");
    assert_eq!(
        a.migrate(&x, Some(without.id())).await,
        Err(MoveFailure::TargetDoesNotHost)
    );
    match a.migrate(&x, Some(newer.id())).await {
        Err(MoveFailure::TargetVersion { target_version, .. }) => assert_eq!(target_version.to_string(), "9.0.0"),
        moved => panic!("{moved:?}"),
    }
    assert_eq!(a.migrate(&x, None).await, Err(MoveFailure::NoTarget));
    assert_eq!(a.migration(&x), None);
    for silo in [without, newer, a] {
        silo.stop().await.expect("stops in order");
    }
}

/// R54
#[tokio::test]
async fn many_moves_answer_one_result_each() {
    let (a, b) = two_silos("ledger", "x").await;
    for key in 0..300 {
        a.actor::<Ledger>(&key.to_string()).ask(Read).await.expect("active");
    }
    let on_a = a.status().activations["ledger"];
    let keys = (0..300).map(|key| key.to_string()).chain(["nobody".to_owned()]);
    let to = Some(b.id().clone());
    let requests: Vec<_> = keys
        .map(|key| MoveRequest {
            actor: id("ledger", &key),
            to: to.clone(),
        })
        .collect();
    let results = a.migrate_many(requests.clone()).await;
    let asked = requests.iter().map(|request| &request.actor);
    assert!(results.iter().map(|(actor, _)| actor).eq(asked), "in the order asked");
    let moved = results.iter().filter(|(_, result)| result.is_ok()).count();
    assert!(moved + 1 >= on_a, "{moved} of {on_a}");
    for (actor, result) in &results {
        match result {
            Ok(moved) => assert_eq!(moved.to, *b.id()),
            Err(why) if actor.key() == "nobody" => assert_eq!(*why, MoveFailure::UnknownActor),
            Err(why) => assert_eq!(*why, MoveFailure::NotHere, "{actor} was placed on the other silo"),
        }
    }
    let counts = a.migration_counts();
    assert_eq!(
        (counts.completed, counts.in_progress, counts.not_started),
        (moved as u64, 0, 0)
    );
    stop([a, b]).await;
}

/// R29, R30, R32: asked from a plain thread, without any executor but a poll.
#[tokio::test]
async fn a_move_can_be_begun_and_looked_at_from_any_executor() {
    let (a, b) = two_silos("ledger", "x").await;
    let (silo, to) = (a.clone(), b.id().clone());
    let status = std::thread::spawn(move || {
        let request = MoveRequest {
            actor: id("ledger", "x"),
            to: Some(to),
        };
        let mut counts = silo.watch_migrations();
        futures_util::future::FutureExt::now_or_never(silo.begin_migration(&request))
            .expect("an actor that is here needs no waiting")
            .expect("it can move");
        // A bare executor: parks the thread until it is woken.
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
        let mut cx = std::task::Context::from_waker(&waker);
        let mut done = std::pin::pin!(counts.wait_for(|counts| counts.completed == 1));
        while done.as_mut().poll(&mut cx).is_pending() {
            std::thread::park();
        }
        silo.migration(&request.actor).expect("kept")
    });
    let status = status.join().expect("no panic");
    assert_eq!(
        (status.state, status.error.clone(), status.attempts),
        (MoveState::Completed, None, 1)
    );
    assert_eq!((&status.source, status.target.as_ref()), (a.id(), Some(b.id())));
    assert!(status.bytes > 0 && status.ended_at_us >= Some(status.wanted_at_us));
    assert_eq!(a.migrations(), [status]);
    stop([a, b]).await;
}

/// R35, R52
#[tokio::test(flavor = "multi_thread")]
async fn a_move_whose_turn_is_slow_is_cancelled_and_the_actor_goes_on() {
    let (a, b) = two_silos("ledger", "x").await;
    let ledger = a.actor::<Ledger>("x");
    let slow = tokio::spawn(ledger.ask(SleepFor(1500)).owned());
    let x = id("ledger", "x");
    let mover = a.clone();
    let moving = tokio::spawn(async move { mover.migrate(&id("ledger", "x"), None).await });
    let mut counts = a.watch_migrations();
    counts.wait_for(|counts| counts.in_progress == 1).await.expect("told");
    assert_eq!(a.migrate(&x, None).await, Err(MoveFailure::AlreadyMoving));
    let behind = tokio::spawn(ledger.ask(Read).owned());
    assert_eq!(a.cancel_migration(&x).await, Some(Err(MoveFailure::Cancelled)));
    assert_eq!(moving.await.expect("ran"), Err(MoveFailure::Cancelled));
    assert_eq!(a.migration(&x).expect("kept").state, MoveState::Cancelled);
    assert!(!slow.is_finished(), "it was cancelled before the turn had ended");
    slow.await.expect("ran").expect("answered");
    let entries = behind.await.expect("ran").expect("answered");
    assert_eq!((entries.activations, entries.epoch), (1, 1));
    assert_eq!(a.cancel_migration(&x).await, None);
    stop([a, b]).await;
}

/// The rate holds moves back beside messages to others, but no actor is left behind for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_leaves_beside_messages_moves_all_in_time_whatever_the_rate() {
    let cluster = cluster_name();
    let in_five = Duration::from_secs(5);
    let a = start_with(&cluster, "a", |options| {
        options.busy_migration_rate = 1;
        options.freeze_timeout = in_five;
        options.migration_timeout = in_five;
        options.shutdown_timeout = in_five;
    })
    .await;
    let keys: Vec<String> = (0..200).map(|key| key.to_string()).collect();
    for key in &keys {
        a.actor::<Ledger>(key).ask(Read).await.expect("active");
    }
    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    let asked: Vec<_> = keys.iter().map(|key| b.actor::<Ledger>(key)).collect();
    let asking = tokio::spawn(async move {
        loop {
            for ledger in &asked {
                ledger.ask(Read).await.expect("no ask fails");
            }
        }
    });
    let report = a.stop().await.expect("stops in order");
    assert_eq!(
        (report.moved.len(), report.deactivated, report.forced),
        (200, 0, vec![])
    );
    assert!(!asking.is_finished(), "no ask failed");
    asking.abort();
    b.stop().await.expect("stops in order");
}

/// A turn that outlasts the freeze timeout: called off, tried again, given up; the actor goes on and others move meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn slow_actors_are_called_off_and_hold_nobody_up() {
    let cluster = cluster_name();
    let impatient = |options: &mut SiloOptions| {
        options.freeze_timeout = Duration::from_millis(100);
        options.migration_attempts = 2;
        options.max_concurrent_migrations = 2;
        options.migration_batch = 4;
    };
    let a = start_with(&cluster, "a", impatient).await;
    let keys: Vec<String> = (0..60).map(|key| key.to_string()).collect();
    for key in &keys {
        a.actor::<Ledger>(key).ask(Read).await.expect("active");
    }
    let b = start(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    let slow: Vec<_> = (0..12)
        .map(|key| tokio::spawn(a.actor::<Ledger>(&key.to_string()).ask(SleepFor(2000)).owned()))
        .collect();
    while a.status().activations["ledger"] < 60 {
        tokio::task::yield_now().await;
    }
    let requests = keys.iter().map(|key| MoveRequest {
        actor: id("ledger", key),
        to: None,
    });
    let results = a.migrate_many(requests).await;
    for (n, (actor, result)) in results.iter().enumerate() {
        if n < 12 {
            assert_eq!(*result, Err(MoveFailure::TurnTooLong), "{actor}");
            assert_eq!(a.migration(actor).expect("kept").attempts, 2);
        } else {
            assert!(result.is_ok(), "{actor}: {result:?}");
        }
    }
    assert!(
        slow.iter().all(|ask| !ask.is_finished()),
        "all others moved while the slow turns ran"
    );
    for ask in slow {
        ask.await.expect("ran").expect("answered, no turn was cut short");
    }
    stop([a, b]).await;
}

/// Declared not movable: it stays, and ends with its silo, saved.
#[tokio::test]
async fn an_immovable_actor_is_deactivated_instead_and_comes_up_from_its_saved_state() {
    let (a, b) = two_silos("camera", "x").await;
    a.actor::<Camera>("x").ask(Shoot).await.expect("answered");
    let moved = a.migrate(&id("camera", "x"), Some(b.id())).await;
    assert_eq!(moved, Err(MoveFailure::Immovable));
    let report = a.stop().await.expect("stops in order");
    assert_eq!((report.moved.len(), report.deactivated), (0, 1));
    let (shots, epoch) = b.actor::<Camera>("x").ask(Shoot).await.expect("answered");
    assert_eq!(shots, 3, "its state was saved");
    assert_ne!(epoch, "Epoch(1)");
    b.stop().await.expect("stops");
}

/// R51: a volatile actor's memory moves, whatever its size, and what waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn large_actors_move_in_parts_while_others_go_on() {
    for bytes in [1024 * 1024, 64 * 1024 * 1024] {
        let (a, b) = two_silos("heavy", "x").await;
        let heavy = a.actor::<Heavy>("x");
        assert_eq!(heavy.ask(Grow(bytes)).await.expect("answered"), bytes);
        a.actor::<Ledger>("beside").ask(Read).await.expect("active");
        let mover = a.clone();
        let moving = tokio::spawn(async move { mover.migrate(&id("heavy", "x"), None).await });
        let waits = tokio::spawn(b.actor::<Heavy>("x").ask(Grow(1)).owned());
        let mut asked = 0;
        while !moving.is_finished() {
            let book = Book {
                sender: "s".into(),
                n: asked,
            };
            b.actor::<Ledger>("beside").ask(book).await.expect("answered meanwhile");
            asked += 1;
        }
        let moved = moving.await.expect("ran").expect("it moves");
        assert!(moved.bytes >= bytes && moved.to == *b.id(), "{moved:?}");
        assert_eq!(waits.await.expect("ran").expect("answered"), bytes + 1);
        assert_eq!(heavy.ask(Grow(1)).await.expect("answered"), bytes + 2);
        assert_eq!(b.status().activations["heavy"], 1);
        stop([a, b]).await;
    }
}

/// Not when the migration timeout (30 s) has passed: it is known at once that the package cannot be sent.
#[tokio::test]
async fn an_actor_that_is_too_large_to_move_goes_on_where_it_was() {
    let (a, b) = two_silos("heavy", "x").await;
    let bytes = quark::wire::Limits::default().max_package_bytes;
    let heavy = a.actor::<Heavy>("x");
    assert_eq!(heavy.ask(Grow(bytes)).await.expect("answered"), bytes);
    let clock = quark::clock::Clock::system();
    let begun = clock.now();
    let moved = a.migrate(&id("heavy", "x"), Some(b.id())).await;
    assert!(matches!(moved, Err(MoveFailure::TooLarge(_))), "{moved:?}");
    assert!(clock.now().since(begun) < Duration::from_secs(25));
    assert_eq!(heavy.ask(Grow(1)).await.expect("answered"), bytes + 1);
    stop([a, b]).await;
}
