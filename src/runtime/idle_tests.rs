//! The laws of idle activations.

use super::{
    Event,
    fixture::{Bench, Book, Wait, ask, bench_with, tell, value},
    local::HERE,
};
use std::{sync::Arc, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(80);

/// Moves the clock in small steps: as often as looks may be wanted.
async fn pass(bench: &Bench, time: Duration) {
    for _ in 0..time.as_secs() {
        bench.pass(Duration::from_secs(1)).await;
    }
}

fn ended(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::Ended(Ok(()))))
        .count()
}

/// How many places the worker of this thread keeps for activations, and how many it has.
fn places() -> (usize, usize) {
    HERE.with(|here| {
        let here = here.borrow();
        let slots = here.as_ref().expect("a worker").places.borrow();
        (slots.capacity(), slots.len())
    })
}

/// R106
#[tokio::test]
async fn an_activation_that_ran_nothing_for_the_timeout_ends_and_none_before() {
    bench_with(TIMEOUT, async |bench| {
        let idle = bench.actor("idle");
        value(ask(&idle, Book(1)).await);
        pass(bench, TIMEOUT).await;
        assert_eq!(bench.events().len(), 0, "not before the timeout");
        pass(bench, TIMEOUT / 4).await;
        let events = bench.events();
        assert!(matches!(events[..], [Event::Idle, Event::Ended(Ok(()))]), "{events:?}");
        assert_eq!((places().1, bench.worker.load()), (0, 0));
        pass(bench, TIMEOUT / 4).await;
        assert_eq!(bench.hands.next_alarm(), None, "without activations nobody looks");
    })
    .await;
}

/// R106
#[tokio::test]
async fn an_activation_that_runs_something_now_and_then_stays() {
    bench_with(TIMEOUT, async |bench| {
        let used = bench.actor("used");
        for n in 1..=10 {
            assert_eq!(value(ask(&used, Book(0)).await), n);
            pass(bench, TIMEOUT * 3 / 4).await;
        }
        assert_eq!(bench.events().len(), 0);
    })
    .await;
}

/// R106
#[tokio::test]
async fn a_turn_under_way_and_what_waits_behind_it_keep_an_activation() {
    bench_with(TIMEOUT, async |bench| {
        let busy = bench.actor("busy");
        tell(&busy, Wait(TIMEOUT * 3));
        let waits = ask(&busy, Book(1));
        bench.settle().await;
        pass(bench, TIMEOUT * 3 - Duration::from_secs(1)).await;
        assert_eq!(bench.events().len(), 0);
        pass(bench, Duration::from_secs(1)).await;
        assert_eq!(value(waits.await), 1);
        // It counts from the end of the long turn, not from its begin.
        pass(bench, TIMEOUT - Duration::from_secs(1)).await;
        assert_eq!(bench.events().len(), 0);
        pass(bench, TIMEOUT / 4).await;
        assert_eq!(ended(&bench.events()), 1);
    })
    .await;
}

#[tokio::test]
async fn many_idle_activations_are_looked_at_in_parts_and_their_memory_is_given_back() {
    bench_with(TIMEOUT, async |bench| {
        let mut kept = Vec::new();
        let mut gone = Vec::new();
        for n in 0..10_000 {
            let activation = bench.actor(&n.to_string());
            if n % 1000 == 999 {
                kept.push(activation);
            } else {
                gone.push(Arc::downgrade(activation.mailbox()));
            }
        }
        while places().1 < 10_000 {
            bench.settle().await;
        }
        let mut most = 0;
        for _ in 0..TIMEOUT.as_secs() * 20 {
            for activation in &kept {
                value(ask(activation, Book(1)).await);
            }
            for _ in 0..2 {
                bench.pass(Duration::from_millis(50)).await;
                most = most.max(ended(&bench.events()));
            }
        }
        assert!((1..=1024).contains(&most), "{most} ended at once");
        assert_eq!((places().1, bench.worker.load()), (10, 10));
        assert!(places().0 <= 1024, "{} places are kept", places().0);
        assert!(
            gone.iter().all(|mailbox| mailbox.strong_count() == 0),
            "nobody refers to them"
        );
        // Those that stay are found where they are now.
        for activation in &kept {
            assert_eq!(value(ask(activation, Book(1)).await) as u64, TIMEOUT.as_secs() * 20 + 1);
        }
    })
    .await;
}
