//! The laws of a worker whose right to run ends.

use super::fixture::{Book, Wait, ask, bench, tell, value};
use crate::clock::Moment;
use futures_util::FutureExt;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(4);

/// Guarantee 14: nobody has to tell the worker that its time is over. A process that stood still goes on with whichever thread the
/// system lets run first.
#[tokio::test]
async fn no_turn_begins_or_goes_on_after_the_lease_though_nobody_says_that_it_is_over() {
    bench(async |bench| {
        let (waits, other) = (bench.actor("waits"), bench.actor("other"));
        let until = bench.clock.now() + LEASE;
        bench.worker.run_until(until);
        value(ask(&waits, Book(1)).await);
        tell(&waits, Wait(LEASE * 2));
        let mut behind = ask(&waits, Book(2));
        bench.settle().await;
        bench.pass(LEASE * 3).await;
        let mut late = ask(&other, Book(1));
        bench.settle().await;
        assert!((&mut behind).now_or_never().is_none(), "a turn went on");
        assert!((&mut late).now_or_never().is_none(), "a turn began");

        bench.worker.run_until(bench.clock.now() + LEASE);
        assert_eq!((value(behind.await), value(late.await)), (2, 1));
    })
    .await;
}

#[tokio::test]
async fn turns_run_on_while_the_lease_is_given_longer() {
    bench(async |bench| {
        let actor = bench.actor("a");
        for n in 0..10 {
            bench.worker.run_until(bench.clock.now() + LEASE);
            bench.pass(LEASE / 2).await;
            value(ask(&actor, Book(n)).await);
        }
        bench.worker.run_until(Moment::default());
        assert!(ask(&actor, Book(10)).now_or_never().is_none());
    })
    .await;
}
