//! The laws of repeated panics.

use super::{
    Control, Event,
    fixture::{Book, Panic, ask, bench, value},
};
use crate::{clock::Moment, wire::FailureCode};
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Panics, and hears of it at once.
async fn panic(activation: &super::Activation) {
    let answer = ask(activation, Panic).await;
    assert!(matches!(answer, Some(Err(failure)) if failure.code == FailureCode::Panicked as u16));
}

/// Guarantee 11
#[tokio::test]
async fn an_actor_that_panics_again_is_rebuilt_after_a_growing_pause_and_its_messages_wait() {
    bench(async |bench| {
        let (broken, neighbour) = (bench.actor("broken"), bench.actor("neighbour"));
        panic(&broken).await;
        assert_eq!(value(ask(&broken, Book(1)).await), 1, "at once, the first time");
        for pause in [10, 20, 40, 80] {
            panic(&broken).await;
            let waiting = [ask(&broken, Book(1)), ask(&broken, Book(2))];
            bench.settle().await;
            assert_eq!(bench.hands.next_alarm(), Some(bench.clock.now() + millis(pause)));
            bench.pass(millis(pause - 1)).await;
            assert_eq!(broken.mailbox().len(), 2, "they wait");
            value(ask(&neighbour, Book(0)).await);
            bench.pass(millis(1)).await;
            for (n, answer) in waiting.into_iter().enumerate() {
                assert_eq!(value(answer.await), n + 1, "in order, by the actor as it was saved");
            }
        }
        assert_eq!(bench.hands.next_alarm(), None);
    })
    .await;
}

#[tokio::test]
async fn a_turn_that_ends_well_after_a_minute_without_panic_clears_the_record() {
    bench(async |bench| {
        let broken = bench.actor("broken");
        panic(&broken).await;
        bench.pass(millis(59_999)).await;
        value(ask(&broken, Book(1)).await);
        panic(&broken).await;
        bench.settle().await;
        assert_eq!(bench.hands.next_alarm(), Some(bench.clock.now() + millis(10)));
        bench.pass(Duration::from_secs(61)).await;
        value(ask(&broken, Book(1)).await);
        panic(&broken).await;
        bench.settle().await;
        assert_eq!(bench.hands.next_alarm(), None, "rebuilt at once");
        assert_eq!(value(ask(&broken, Book(1)).await), 1);
    })
    .await;
}

#[tokio::test]
async fn a_pause_holds_up_neither_a_move_nor_an_end() {
    bench(async |bench| {
        for (key, control) in [
            ("moves", Control::Freeze),
            ("ends", Control::End(crate::actor::DeactivateReason::ShuttingDown)),
        ] {
            let broken = bench.actor(key);
            panic(&broken).await;
            panic(&broken).await;
            bench.settle().await;
            assert_ne!(bench.hands.next_alarm(), None, "it waits");
            broken.control(control);
            bench.settle().await;
            let events = bench.events();
            assert!(
                matches!(events[..], [Event::Packed(_) | Event::Ended(Ok(()))]),
                "{events:?}"
            );
        }
        assert_eq!(bench.clock.now(), Moment(0));
    })
    .await;
}
