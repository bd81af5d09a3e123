//! The laws of singles. The test is on the worker's thread: what it sends to an idle actor is one.

use super::{
    Activation, Control, Event,
    fixture::{Bench, Book, Panic, Read, Wait, ask, bench, bench_with, once, tell, value},
    local::HERE,
};
use crate::{
    mailbox::{Refused, Told},
    wire::FailureCode,
};
use std::{thread, time::Duration};

/// Whether a single waits for an actor.
fn has_single(activation: &Activation) -> bool {
    let mailbox = activation.mailbox();
    mailbox.is_at_rest() && mailbox.len() == 1
}

/// An actor that does nothing.
async fn idle(bench: &Bench, key: &str, capacity: usize) -> Activation {
    let actor = bench.actor_with(key, capacity);
    bench.run(&actor);
    bench.settle().await;
    assert!(actor.mailbox().is_at_rest() && actor.mailbox().is_empty());
    actor
}

#[tokio::test]
async fn a_single_runs_before_what_is_sent_after_it_from_this_thread_or_another() {
    bench(async |bench| {
        let actor = idle(bench, "a", 1000).await;
        tell(&actor, Book(1));
        assert!(has_single(&actor));
        tell(&actor, Book(2));
        assert!(!has_single(&actor), "the second goes into the mailbox");
        let other = actor.clone();
        thread::spawn(move || tell(&other, Book(3))).join().expect("it ends");
        assert_eq!(actor.mailbox().len(), 3);
        assert_eq!(value(ask(&actor, Read).await), [1, 2, 3]);
        assert!(actor.mailbox().is_at_rest() && actor.mailbox().is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_bound_counts_a_single() {
    bench(async |bench| {
        for capacity in [1, 2, 3] {
            let actor = idle(bench, &capacity.to_string(), capacity).await;
            for _ in 0..capacity {
                tell(&actor, Book(0));
            }
            let one_more = actor.mailbox().push(Told(Book(0)));
            assert!(matches!(one_more, Err(Refused::Full(_))), "of {capacity}");
            assert!(!actor.mailbox().has_room());
            bench.settle().await;
            assert_eq!(value(ask(&actor, Read).await).len(), capacity);
        }
    })
    .await;
}

#[tokio::test]
async fn a_freeze_packs_a_single_before_what_came_after_it() {
    bench(async |bench| {
        let actor = idle(bench, "a", 1000).await;
        tell(&actor, Book(1));
        tell(&actor, Book(2));
        let other = idle(bench, "b", 1000).await;
        bench.events();
        let actor = match value(ask(&actor, Read).await)[..] {
            [1, 2] => actor,
            ref ran => panic!("{ran:?}"),
        };
        tell(&other, Book(3));
        tell(&actor, Book(4));
        assert!(has_single(&actor));
        tell(&actor, Book(5));
        actor.control(Control::Freeze);
        bench.settle().await;
        let events = bench.events();
        let [Event::Packed(packed)] = &events[..] else {
            panic!("{events:?}")
        };
        let waiting: Vec<_> = packed
            .waiting
            .iter()
            .map(|call| crate::wire::decode::<Book>(&call.body))
            .collect();
        let waiting: Vec<_> = waiting.into_iter().map(|book| book.expect("readable").0).collect();
        assert_eq!(waiting, [4, 5]);
        assert_eq!(value(ask(&other, Read).await), [3], "that of another runs");
    })
    .await;
}

#[tokio::test]
async fn a_single_of_an_abandoned_activation_ends_unknown() {
    bench(async |bench| {
        let actor = idle(bench, "a", 1000).await;
        let answer = ask(&actor, Book(1));
        assert!(has_single(&actor));
        actor.control(Control::Abandon);
        let failure = answer.await.expect("an answer").expect_err("it is lost");
        assert_eq!(failure.code, FailureCode::Unknown as u16);
    })
    .await;
}

#[tokio::test]
async fn a_single_may_wait_panic_or_set_a_timer_as_any_message() {
    bench(async |bench| {
        let actor = idle(bench, "a", 1000).await;
        let waits = ask(&actor, Wait(Duration::from_secs(1)));
        assert!(has_single(&actor));
        bench.settle().await;
        tell(&actor, Book(1));
        bench.pass(Duration::from_secs(1)).await;
        value(waits.await);
        assert_eq!(value(ask(&actor, Read).await), [1]);

        let panics = ask(&actor, Panic);
        assert!(has_single(&actor));
        let failure = panics.await.expect("an answer").expect_err("it panicked");
        assert_eq!(failure.code, FailureCode::Panicked as u16);
        assert_eq!(value(ask(&actor, Read).await).len(), 0, "it is rebuilt");

        bench.settle().await;
        value(ask(&actor, once("t", Duration::from_secs(1), 7)).await);
        bench.pass(Duration::from_secs(1)).await;
        assert_eq!(value(ask(&actor, Read).await), [7]);
    })
    .await;
}

#[tokio::test]
async fn a_single_of_a_worker_that_ends_is_answered_that_it_did_not_run() {
    let mut answer = None;
    bench(async |bench| {
        let actor = idle(bench, "a", 1000).await;
        answer = Some(ask(&actor, Book(1)));
        assert!(has_single(&actor));
    })
    .await;
    let answer = answer.expect("it was sent");
    let failure = answer.await.expect("an answer").expect_err("it did not run");
    assert_eq!(failure.code, FailureCode::ShuttingDown as u16);
}

/// Its place moves while its single waits: places that are free are given back.
#[tokio::test]
async fn a_single_finds_its_actor_at_another_place() {
    const TIMEOUT: Duration = Duration::from_secs(80);
    let places = || HERE.with(|here| here.borrow().as_ref().expect("a worker").places.borrow().capacity());
    bench_with(TIMEOUT, async |bench| {
        let idle: Vec<_> = (0..2000).map(|number| bench.actor(&number.to_string())).collect();
        let last = bench.actor("last");
        bench.settle().await;
        let before = places();
        let mut told = 0;
        // The others end, as they are idle.
        while places() == before {
            told += 1;
            assert!(told < 1000, "nothing is given back");
            tell(&last, Book(told));
            assert!(has_single(&last));
            bench.pass(Duration::from_secs(1)).await;
        }
        assert_eq!(value(ask(&last, Read).await), (1..=told).collect::<Vec<_>>());
        drop(idle);
    })
    .await;
}
