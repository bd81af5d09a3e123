//! One silo: calls, state, panics, bounds.

mod common;

use common::*;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use quark::{
    actor::{CallError, TryError},
    wire::Ran,
};

/// R100
#[tokio::test]
async fn an_ask_is_answered_by_the_actor() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    for n in 0..10 {
        let book = Book { sender: "s".into(), n };
        assert_eq!(ledger.ask(book).await.expect("answered"), n + 1);
    }
    let entries = ledger.ask(Read).await.expect("answered");
    assert_in_order(&entries, "s", 10);
    assert_eq!((entries.activations, entries.epoch), (1, 1));
    silo.stop().await.expect("stops in order");
}

/// R101
#[tokio::test]
async fn tells_of_one_sender_run_in_order() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    for n in 0..5000 {
        ledger.tell(Book { sender: "s".into(), n }).await.expect("sent");
    }
    assert_in_order(&ledger.ask(Read).await.expect("answered"), "s", 5000);
    silo.stop().await.expect("stops in order");
}

/// R102
#[tokio::test]
async fn a_panic_is_answered_and_the_actor_goes_on_from_its_saved_state() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    ledger
        .ask(Book {
            sender: "s".into(),
            n: 0,
        })
        .await
        .expect("answered");
    assert_eq!(ledger.ask(Save).await.expect("answered"), None);
    ledger
        .ask(Book {
            sender: "s".into(),
            n: 1,
        })
        .await
        .expect("answered");
    let error = ledger.ask(Panic).await.expect_err("it panicked");
    assert!(matches!(error, CallError::Panicked(_)), "{error}");
    assert!(error.to_string().contains("as it was told"), "{error}");
    let entries = ledger.ask(Read).await.expect("the next call is served");
    assert_in_order(&entries, "s", 1);
    silo.stop().await.expect("stops in order");
}

/// R5, R105
#[tokio::test]
async fn state_is_saved_at_the_end_and_read_at_the_next_activation() {
    let cluster = cluster_name();
    // Keeps the named memory store while no silo runs.
    let _store = quark::store::open(&format!("memory:{cluster}"), &cluster).expect("opens");
    let first = start(&cluster, "one").await;
    first
        .actor::<Ledger>("a")
        .ask(Book {
            sender: "s".into(),
            n: 0,
        })
        .await
        .expect("answered");
    let report = first.stop().await.expect("stops in order");
    assert_eq!(
        (report.deactivated, report.forced.len(), report.unsaved.len()),
        (1, 0, 0)
    );
    let second = start(&cluster, "one").await;
    let entries = second.actor::<Ledger>("a").ask(Read).await.expect("answered");
    assert_in_order(&entries, "s", 1);
    assert_eq!(entries.activations, 2);
    assert!(entries.epoch > 1, "the epoch grows with each owner");
    second.stop().await.expect("stops in order");
}

/// R100
#[tokio::test]
async fn a_full_mailbox_gives_the_message_back_or_makes_wait() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    ledger.ask(Read).await.expect("active");
    ledger.tell(SleepFor(300)).await.expect("sent");
    let mut taken = 0;
    let back = loop {
        match ledger.try_tell(Book {
            sender: "s".into(),
            n: taken,
        }) {
            Ok(()) => taken += 1,
            Err(TryError::Full(back)) => break back,
            Err(error) => panic!("{error}"),
        }
        assert!(taken <= 1001, "the mailbox is bounded");
    };
    assert_eq!(back.n, taken);
    // The waiting form gets through as soon as there is room.
    ledger.tell(back).await.expect("sent");
    assert_in_order(&ledger.ask(Read).await.expect("answered"), "s", taken + 1);
    silo.stop().await.expect("stops in order");
}

/// Guarantee 5
#[tokio::test]
async fn a_message_past_its_deadline_is_not_started() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    ledger.ask(Read).await.expect("active");
    ledger.tell(SleepFor(200)).await.expect("sent");
    let late = ledger
        .ask(Book {
            sender: "s".into(),
            n: 0,
        })
        .within(std::time::Duration::from_millis(20));
    let error = late.await.expect_err("too late");
    assert!(matches!(error, CallError::TimedOut(_)), "{error}");
    let entries = ledger.ask(Read).await.expect("answered");
    assert_in_order(&entries, "s", 0);
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_fails_the_call_and_says_why() {
    let silo = start(&cluster_name(), "one").await;
    let error = silo.actor::<Ledger>("").ask(Read).await.expect_err("no such key");
    assert_eq!(error.ran(), Ran::No);
    assert!(error.to_string().contains("empty"), "{error}");
    silo.stop().await.expect("stops in order");
}

/// R11
#[tokio::test]
async fn stop_is_idempotent_and_references_fail_afterwards() {
    let silo = start(&cluster_name(), "one").await;
    let ledger = silo.actor::<Ledger>("a");
    ledger.ask(Read).await.expect("active");
    let (a, b) = futures_util::future::join(silo.stop(), silo.stop()).await;
    assert_eq!(a, b);
    let error = ledger.ask(Read).await.expect_err("stopped");
    assert!(matches!(error, CallError::ShuttingDown(_)), "{error}");
    assert_eq!(error.ran(), Ran::No);
}

/// Callable from a plain `main`.
#[test]
fn a_silo_starts_without_any_runtime() {
    let silo = futures_util::future::FutureExt::now_or_never(std::future::ready(())).map(|()| cluster_name());
    let cluster = silo.expect("ready");
    block_on(async {
        let silo = start(&cluster, "plain").await;
        silo.actor::<Ledger>("a").ask(Read).await.expect("answered");
        silo.stop().await.expect("stops in order");
    });
}

/// The smallest executor: a thread that waits.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn path(keys: &[&str]) -> Pass {
    Pass {
        path: keys.iter().map(|key| (*key).to_owned()).collect(),
    }
}

/// R107, guarantee 12
#[tokio::test]
async fn a_call_cycle_is_answered_at_once_and_shown() {
    let silo = silo(&cluster_name(), "one").workers(1).start().await.expect("starts");
    let a = silo.actor::<Relay>("a");
    assert_eq!(a.ask(path(&["b", "c"])).await.expect("answered"), Ok("c".into()));
    let error = a
        .ask(path(&["b", "c", "a"]))
        .await
        .expect("answered")
        .expect_err("a cycle");
    assert!(error.contains("relay/a -> relay/b -> relay/c -> relay/a"), "{error}");
    silo.stop().await.expect("stops in order");
}

/// R105, guarantee 10
#[tokio::test]
async fn a_failed_activation_fails_its_callers_with_the_cause_and_leaves_nothing() {
    let silo = start(&cluster_name(), "one").await;
    for _ in 0..2 {
        let error = silo
            .actor::<Relay>("broken")
            .ask(path(&[]))
            .await
            .expect_err("it is broken");
        assert!(matches!(error, CallError::ActivationFailed(_)), "{error}");
        assert_eq!(error.ran(), Ran::No);
        assert!(error.to_string().contains("it is broken"), "{error}");
    }
    silo.actor::<Relay>("whole")
        .ask(path(&[]))
        .await
        .expect("the others are served")
        .expect("alone");
    let report = silo.stop().await.expect("stops in order");
    assert_eq!(report.forced, []);
}

/// Guarantee 11: others on the arbiter do not notice.
#[tokio::test]
async fn a_panic_is_contained() {
    let silo = silo(&cluster_name(), "one").workers(1).start().await.expect("starts");
    let (bad, good) = (silo.actor::<Ledger>("bad"), silo.actor::<Ledger>("good"));
    // Not more: each pause is twice the last.
    for n in 0..7 {
        let (panicked, served) =
            futures_util::future::join(bad.ask(Panic), good.ask(Book { sender: "s".into(), n })).await;
        assert!(matches!(panicked, Err(CallError::Panicked(_))), "{panicked:?}");
        assert_eq!(served.expect("served"), n + 1);
    }
    silo.stop().await.expect("stops in order");
}

/// Guarantee 13: a flooded actor gives way to the others of its arbiter.
#[tokio::test]
async fn a_flooded_actor_does_not_starve_its_neighbours() {
    let silo = silo(&cluster_name(), "one").workers(1).start().await.expect("starts");
    let (flooded, other) = (silo.actor::<Ledger>("flooded"), silo.actor::<Ledger>("other"));
    flooded.ask(Read).await.expect("active");
    other.ask(Read).await.expect("active");
    // While the worker is kept busy, one actor gets many messages, and then the other gets one.
    flooded.tell(Block("flood".into())).await.expect("sent");
    until("the worker is busy", || DOORS.arrived("flood")).await;
    for n in 0..900 {
        flooded.try_tell(Book { sender: "s".into(), n }).expect("there is room");
    }
    // Answers come out in the order in which they were given.
    let mut answers = FuturesUnordered::new();
    answers.push(flooded.try_ask(Read).expect("there is room"));
    answers.push(other.try_ask(Read).expect("there is room"));
    assert!(answers.next().now_or_never().is_none(), "the worker is busy");
    DOORS.open("flood");
    let first = answers.next().await.expect("two answers").expect("answered");
    assert_in_order(&first, "s", 0);
    let second = answers.next().await.expect("two answers").expect("answered");
    assert_in_order(&second, "s", 900);
    silo.stop().await.expect("stops in order");
}

/// R25: the mailbox hooks feed the activity of the actor.
#[tokio::test]
async fn status_shows_what_is_active_and_what_waits() {
    let silo = silo(&cluster_name(), "one").workers(1).start().await.expect("starts");
    let ledger = silo.actor::<Ledger>("a");
    ledger.ask(Read).await.expect("active");
    ledger.tell(WaitFor("status".into())).await.expect("sent");
    until("its turn has begun", || DOORS.arrived("status")).await;
    for n in 0..5 {
        ledger.tell(Book { sender: "s".into(), n }).await.expect("sent");
    }
    assert_eq!(silo.status().activations["ledger"], 1);
    until("five wait", || silo.status().waiting == 5).await;
    DOORS.open("status");
    silo.stop().await.expect("stops in order");
}

/// Callable from `#[actix::main]`.
#[test]
fn a_silo_starts_within_an_actix_system() {
    let cluster = cluster_name();
    actix_rt::System::new().block_on(async {
        let silo = start(&cluster, "actix").await;
        silo.actor::<Ledger>("a").ask(Read).await.expect("answered");
        silo.stop().await.expect("stops in order");
    });
}

/// R11: what cannot start leaves nothing behind and names the cure.
#[tokio::test]
async fn a_silo_that_cannot_start_says_why() {
    let cluster = cluster_name();
    let first = start(&cluster, "one").await;
    let taken = silo(&cluster, "two")
        .listen(first.address())
        .start()
        .await
        .expect_err("in use");
    assert!(taken.to_string().contains("in use"), "{taken}");
    let folder = silo(&cluster, "two")
        .store("embedded:/nonexistent/quark.db")
        .start()
        .await
        .expect_err("no folder");
    assert!(folder.to_string().contains("/nonexistent"), "{folder}");
    let open = silo(&cluster, "two")
        .listen("0.0.0.0:0")
        .start()
        .await
        .expect_err("plain text");
    assert!(open.to_string().contains("insecure"), "{open}");
    let secret = silo(&cluster, "two")
        .secret("short")
        .start()
        .await
        .expect_err("too short");
    assert!(secret.to_string().contains("16"), "{secret}");
    let unknown = silo(&cluster, "two")
        .only(["nothing"])
        .start()
        .await
        .expect_err("no such kind");
    assert!(unknown.to_string().contains("nothing"), "{unknown}");
    assert_eq!(first.view().living().count(), 1, "nothing of them is left in the table");
    first.stop().await.expect("stops in order");
}
