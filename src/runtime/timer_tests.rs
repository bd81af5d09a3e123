//! The laws of timers.

use super::{
    Activation, Control, Event, Memory, Packed,
    fixture::{Bench, Book, Cancel, Panic, Read, Wait, ask, bench, bench_with, every, once, tell, value},
};
use crate::{
    ident::Epoch,
    mailbox::{Refused, Told},
};
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn ran(activation: &Activation) -> Vec<u64> {
    value(ask(activation, Read).await)
}

fn packed(bench: &Bench) -> Packed {
    match bench.events().pop() {
        Some(Event::Packed(packed)) => *packed,
        other => panic!("{other:?}"),
    }
}

/// Lets an actor that was packed come up as another activation.
async fn arrive(bench: &Bench, key: &str, packed: Packed) -> Activation {
    let activation = bench.actor_with(key, 1000);
    activation.control(Control::Prepare(Memory {
        epoch: Epoch(2),
        body: Some(packed.actor.memory),
        etag: packed.actor.etag,
        unsaved: packed.actor.unsaved,
        timers: packed.timers,
        streams: packed.actor.streams,
    }));
    activation.control(Control::Start { epoch: Epoch(2) });
    bench.settle().await;
    activation
}

/// R123
#[tokio::test]
async fn a_timer_ticks_once_and_an_interval_without_drift() {
    bench(async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, once("once", millis(25), 1)).await);
        value(ask(&actor, every("every", millis(10), 2)).await);
        bench.pass(millis(9)).await;
        assert!(ran(&actor).await.is_empty());
        for _ in 0..32 {
            bench.pass(millis(1)).await;
        }
        // At 10, 20, 25, 30 and 40.
        assert_eq!(ran(&actor).await, [2, 2, 1, 2, 2]);
        // The clock stands still for long: what was missed is left out, the grid stays.
        bench.pass(millis(64)).await;
        assert_eq!(ran(&actor).await.len(), 6);
        bench.pass(millis(4)).await;
        assert_eq!(ran(&actor).await.len(), 6);
        bench.pass(millis(1)).await;
        assert_eq!(ran(&actor).await.len(), 7, "at 110");
    })
    .await;
}

/// R123, guarantee 9
#[tokio::test]
async fn a_tick_waits_its_turn_and_ticks_of_an_interval_never_pile_up() {
    bench(async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, every("every", millis(10), 7)).await);
        tell(&actor, Wait(millis(100)));
        tell(&actor, Book(1));
        bench.settle().await;
        for _ in 0..99 {
            bench.pass(millis(1)).await;
        }
        assert_eq!(actor.mailbox().len(), 2, "one tick waits behind what came before it");
        bench.pass(millis(1)).await;
        assert_eq!(ran(&actor).await, [1, 7]);
        bench.pass(millis(10)).await;
        assert_eq!(ran(&actor).await, [1, 7, 7]);
    })
    .await;
}

/// Ticks come in beyond the bound, one at a time: senders that take all room as soon as there is some keep none out.
#[tokio::test]
async fn a_flood_of_senders_that_do_not_wait_keeps_no_tick_out_of_a_full_mailbox() {
    bench(async |bench| {
        let actor = bench.actor_with("a", 2);
        bench.run(&actor);
        value(ask(&actor, once("t", millis(5), 7)).await);
        value(ask(&actor, once("u", millis(5), 8)).await);
        let fill = || while actor.mailbox().push(Told(Book(0))).is_ok() {};
        let mut passed = 0;
        // Whenever the actor comes to rest, its mailbox is full again before time goes on.
        while passed < 8 {
            tell(&actor, Wait(millis(20)));
            bench.settle().await;
            fill();
            assert_eq!(actor.mailbox().len(), 2);
            bench.pass(millis(10)).await;
            fill();
            assert!(
                actor.mailbox().len() <= 3 && matches!(actor.mailbox().push(Told(Book(3))), Err(Refused::Full(_))),
                "one beyond the bound at most, and only for a tick"
            );
            bench.pass(millis(10)).await;
            passed += 1;
        }
        let ticks: Vec<_> = ran(&actor).await.into_iter().filter(|number| *number > 0).collect();
        assert_eq!((ticks, bench.dead()), (vec![7, 8], 0));
    })
    .await;
}

#[tokio::test]
async fn a_name_is_of_one_timer_and_an_ended_one_does_not_tick_though_its_tick_waits() {
    bench(async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, once("t", millis(10), 1)).await);
        value(ask(&actor, once("t", millis(20), 2)).await);
        bench.pass(millis(15)).await;
        assert!(ran(&actor).await.is_empty(), "replaced");
        bench.pass(millis(5)).await;
        assert_eq!(ran(&actor).await, [2]);
        assert!(!value(ask(&actor, Cancel("t".into())).await), "it has ticked");

        value(ask(&actor, every("i", millis(10), 3)).await);
        tell(&actor, Wait(millis(15)));
        let cancelled = ask(&actor, Cancel("i".into()));
        bench.settle().await;
        bench.pass(millis(15)).await;
        assert!(value(cancelled.await));
        bench.pass(millis(100)).await;
        assert_eq!((ran(&actor).await, bench.dead()), (vec![2], 0));
    })
    .await;
}

#[tokio::test]
async fn a_timer_keeps_its_actor_active_and_outlives_a_panic() {
    let timeout = Duration::from_secs(8);
    bench_with(timeout, async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, once("t", timeout * 3, 7)).await);
        assert!(ask(&actor, Panic).await.is_some_and(|answer| answer.is_err()));
        for _ in 0..timeout.as_secs() * 3 {
            assert_eq!(bench.events().len(), 0);
            bench.pass(Duration::from_secs(1)).await;
        }
        assert_eq!(ran(&actor).await, [7]);
        for _ in 0..timeout.as_secs() * 3 {
            bench.pass(Duration::from_secs(1)).await;
        }
        assert!(matches!(bench.events()[..], [Event::Idle, Event::Ended(Ok(()))]));
    })
    .await;
}

/// R123
#[tokio::test]
async fn timers_move_with_what_is_left_of_them_and_tick_once_across_the_move() {
    bench(async |bench| {
        let source = bench.actor("source");
        value(ask(&source, every("every", millis(50), 1)).await);
        value(ask(&source, once("once", millis(70), 2)).await);
        value(ask(&source, once("late", millis(5), 3)).await);
        tell(&source, Wait(millis(10)));
        bench.settle().await;
        // The tick of "late" waits when the actor freezes.
        bench.pass(millis(5)).await;
        source.control(Control::Freeze);
        bench.pass(millis(5)).await;
        let packed = packed(bench);
        assert_eq!(packed.waiting.len(), 0, "ticks travel with their timers");
        // Frozen, for long.
        bench.pass(millis(500)).await;
        let target = arrive(bench, "target", packed).await;
        assert_eq!(ran(&target).await, [3]);
        source.control(Control::Drop);
        for _ in 0..100 {
            bench.pass(millis(1)).await;
        }
        // 40 and 90 after the arrival, and 60.
        assert_eq!(ran(&target).await, [3, 1, 2, 1]);
        assert_eq!(bench.dead(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_frozen_actor_does_not_tick_and_one_whose_move_is_called_off_goes_on() {
    bench(async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, every("every", millis(50), 1)).await);
        value(ask(&actor, once("once", millis(30), 2)).await);
        bench.settle().await;
        actor.control(Control::Freeze);
        bench.settle().await;
        assert_eq!(packed(bench).timers.len(), 2);
        bench.pass(millis(60)).await;
        assert_eq!(
            (actor.mailbox().len(), actor.mailbox().is_empty()),
            (0, true),
            "nothing ticks"
        );
        actor.control(Control::Resume { epoch: Epoch(2) });
        bench.settle().await;
        assert_eq!(ran(&actor).await, [2, 1], "what was due meanwhile, once");
        bench.pass(millis(39)).await;
        assert_eq!(ran(&actor).await.len(), 2);
        bench.pass(millis(1)).await;
        assert_eq!(ran(&actor).await, [2, 1, 1], "at 100");
    })
    .await;
}

#[tokio::test]
async fn timers_end_with_their_activation() {
    bench(async |bench| {
        let actor = bench.actor("a");
        value(ask(&actor, every("every", millis(50), 1)).await);
        actor.control(Control::End(crate::actor::DeactivateReason::Idle));
        bench.settle().await;
        assert!(matches!(bench.events()[..], [Event::Ended(Ok(()))]));
        bench.pass(millis(200)).await;
        assert_eq!((actor.mailbox().len(), bench.dead()), (0, 0));
        assert_eq!(bench.hands.next_alarm(), None, "nobody is woken for it");
    })
    .await;
}

/// None costs a task, and one that is set again and again leaves nothing behind.
#[tokio::test]
async fn a_hundred_thousand_timers_tick_each_once() {
    const ACTORS: u64 = 1000;
    const EACH: u64 = 100;
    bench(async |bench| {
        let actors: Vec<_> = (0..ACTORS).map(|n| bench.actor(&n.to_string())).collect();
        bench.settle().await;
        let before = bench.hands.sleepers();
        for actor in &actors {
            for n in 0..EACH {
                tell(actor, once(&n.to_string(), millis(1000 + n), n));
            }
        }
        bench.settle().await;
        for _ in 0..50 {
            for actor in &actors {
                // Earlier each time, and ended again.
                tell(actor, once("again", millis(900), 0));
                tell(actor, Cancel("again".into()));
            }
            bench.settle().await;
        }
        // A task for each would sleep.
        let sleepers = bench.hands.sleepers() - before;
        assert!(sleepers <= 1, "{sleepers} wait for {ACTORS} x {EACH} timers");
        bench.pass(millis(999)).await;
        for n in 0..EACH {
            bench.pass(millis(1)).await;
            assert_eq!(ran(&actors[7]).await.len() as u64, n + 1);
        }
        for actor in &actors {
            assert_eq!(ran(actor).await, (0..EACH).collect::<Vec<_>>());
        }
        bench.settle().await;
        assert_eq!(bench.hands.next_alarm(), None);
    })
    .await;
}
