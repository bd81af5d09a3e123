//! Asks that run where they are made, and what turns do to their own mailboxes.

use super::*;

#[tokio::test]
async fn an_idle_actor_of_the_arbiter_runs_within_the_first_poll_and_one_that_waits_answers_later() {
    let silo = one_arbiter(1000).await;
    for place in [Place::Turn, Place::Task] {
        let key = format!("{place:?}");
        let one = active(&silo, &key).await;
        let job = async move {
            {
                let mut ask = pin!(one.ask(Book(1)));
                let first = poll(&mut ask).await;
                assert!(
                    matches!(first, Poll::Ready(Ok(ref booked)) if *booked == [0, 1]),
                    "{first:?}"
                );
            }
            let mut waits = pin!(one.ask(Wait(key.clone(), 2)));
            assert!(poll(&mut waits).await.is_pending(), "its turn waits");
            // Behind it, in order; the turn has the actor.
            let mut behind = pin!(one.ask(Book(3)));
            assert!(poll(&mut behind).await.is_pending());
            open(&key);
            assert_eq!(waits.await.expect("answered"), [0, 1, 2]);
            assert_eq!(behind.await.expect("answered"), [0, 1, 2, 3]);
        };
        on_arbiter(&silo, place, job).await;
    }
    silo.stop().await.expect("stops in order");
}

/// Guarantee 3
#[tokio::test]
async fn an_earlier_tell_is_not_overtaken_by_an_ask_that_could_run_at_once() {
    let silo = one_arbiter(1000).await;
    for place in [Place::Turn, Place::Task] {
        let one = active(&silo, &format!("{place:?}")).await;
        let job = async move {
            for n in 0..100 {
                one.tell(Book(2 * n + 1)).await.expect("sent");
                let booked = one.ask(Book(2 * n + 2)).await.expect("answered");
                assert_eq!(booked.last_chunk(), Some(&[2 * n + 1, 2 * n + 2]));
            }
        };
        on_arbiter(&silo, place, job).await;
    }
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn what_is_queued_before_an_ask_runs_with_it_within_the_first_poll() {
    let silo = one_arbiter(1000).await;
    for place in [Place::Turn, Place::Task] {
        let key = format!("queued-{place:?}");
        let one = active(&silo, &key).await;
        let job = async move {
            for n in [1, 2] {
                one.tell(Book(n)).await.expect("sent");
            }
            let first = poll(&mut pin!(one.ask(Book(3)))).await;
            let booked = vec![0, 1, 2, 3];
            assert!(
                matches!(&first, Poll::Ready(Ok(found)) if *found == booked),
                "{first:?}"
            );
            // One whose turn waits keeps those behind it waiting.
            one.tell(Wait(key.clone(), 4)).await.expect("sent");
            let mut behind = pin!(one.ask(Book(5)));
            assert!(poll(&mut behind).await.is_pending());
            open(&key);
            assert_eq!(behind.await.expect("answered"), [0, 1, 2, 3, 4, 5]);
            one.ask(Save).await.expect("saved");
            // Whose panic is not the asker's.
            one.tell(Panic(None)).await.expect("sent");
            assert_eq!(one.ask(Book(6)).await.expect("answered"), [0, 1, 2, 3, 4, 5, 6]);
        };
        on_arbiter(&silo, place, job).await;
    }
    silo.stop().await.expect("stops in order");
}

/// Guarantee 11
#[tokio::test]
async fn a_panic_in_a_turn_that_runs_where_it_is_asked_for_belongs_to_the_one_that_was_asked() {
    let silo = one_arbiter(1000).await;
    let asked = active(&silo, "asked").await;
    asked.ask(Book(7)).await.expect("answered");
    asked.ask(Save).await.expect("saved");
    let panics = asked.clone();
    let job = async move {
        for gate in [None, Some("panic".to_owned())] {
            let later = gate.clone();
            let mut ask = pin!(panics.ask(Panic(gate)));
            let error = match (poll(&mut ask).await, later) {
                (Poll::Ready(ended), None) => ended,
                (Poll::Pending, Some(name)) => {
                    open(&name);
                    ask.await
                }
                other => panic!("{other:?}"),
            };
            let error = error.expect_err("it panicked");
            assert!(matches!(error, CallError::Panicked(_)), "{error}");
            // Rebuilt from what it had saved.
            assert_eq!(panics.ask(Book(8)).await.expect("answered"), [0, 7, 8]);
        }
    };
    // The asker's own turn goes on to its end.
    on_arbiter(&silo, Place::Turn, job).await;
    assert_eq!(asked.ask(Book(9)).await.expect("answered"), [0, 7, 8, 9]);
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn turns_that_ask_each_other_deeper_than_they_run_within_each_other_are_answered() {
    let silo = one_arbiter(1000).await;
    for _ in 0..3 {
        let depth = silo.actor::<One>("deep").ask(Deep(100)).await.expect("answered");
        assert_eq!(depth, 100);
    }
    silo.stop().await.expect("stops in order");
}

/// Guarantee 13: what falls back to the queue lets the others of the arbiter, its tasks and its timers in.
#[tokio::test]
async fn a_loop_of_asks_that_run_at_once_gives_way() {
    let silo = one_arbiter(1000).await;
    let places = [Place::Turn, Place::Task];
    for (place, tells) in places.into_iter().flat_map(|place| [(place, false), (place, true)]) {
        let asked = active(&silo, &format!("asked-{place:?}-{tells}")).await;
        let other = active(&silo, &format!("other-{place:?}-{tells}")).await;
        let job = async move {
            let timer = Arc::new(AtomicBool::new(false));
            let rung = timer.clone();
            actix_rt::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                rung.store(true, Ordering::Release);
            });
            let mut booked = pin!(other.ask(Wait("loop".into(), 1)));
            open("loop");
            let (mut asks, mut other_ran) = (0u64, false);
            while !(other_ran && timer.load(Ordering::Acquire)) {
                if tells {
                    asked.tell(Save).await.expect("sent");
                }
                asked.ask(Save).await.expect("answered");
                other_ran |= other_ran || poll(&mut booked).await.is_ready();
                asks += 1;
                assert!(asks < 5_000_000, "neither the other actor nor the timer had a turn");
            }
        };
        on_arbiter(&silo, place, job).await;
    }
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn an_actor_that_tells_itself_while_its_mailbox_is_full_is_told_so_and_never_waits() {
    const ROOM: u64 = 8;
    let silo = one_arbiter(8).await;
    for awaited in [false, true] {
        let one = silo.actor::<One>(&format!("{awaited}"));
        let (sent, error) = one.ask(Fill { awaited }).await.expect("answered");
        assert_eq!(sent, ROOM, "{error}");
        assert!(error.contains("full"), "{error}");
        assert_eq!(one.ask(Book(99)).await.expect("answered").len() as u64, ROOM + 1);
    }
    silo.stop().await.expect("stops in order");
}

#[tokio::test]
async fn an_ask_that_is_given_up_does_not_cancel_its_turn() {
    let silo = one_arbiter(1000).await;
    for place in [Place::Turn, Place::Task] {
        let key = format!("given up in a {place:?}");
        let one = active(&silo, &key).await;
        let gives_up = one.clone();
        let job = async move {
            let mut here = Box::pin(gives_up.ask(Wait(key.clone(), 1)));
            let mut queued = Box::pin(gives_up.ask(Book(2)));
            assert!(poll(&mut here).await.is_pending() && poll(&mut queued).await.is_pending());
            drop((here, queued));
            open(&key);
        };
        on_arbiter(&silo, place, job).await;
        assert_eq!(one.ask(Book(3)).await.expect("answered"), [0, 1, 2, 3]);
    }
    silo.stop().await.expect("stops in order");
}

/// A message is out of its buffer before its handler runs.
#[tokio::test]
async fn a_message_whose_handler_makes_the_buffer_grow_is_not_overwritten() {
    let silo = one_arbiter(1000).await;
    let one = silo.actor::<One>("grows");
    for round in 0..10 {
        let ballast = [round + 1; 16];
        let multiply = || Multiply {
            times: 200,
            ballast,
            text: "not overwritten".into(),
        };
        // Where it is sent, and from the queue.
        let (here, queued) = (one.clone(), multiply());
        let job = {
            let first = multiply();
            async move {
                let mut asked = pin!(here.ask(first));
                let _ = poll(&mut asked).await;
                (
                    asked.await.expect("answered"),
                    here.ask(queued).await.expect("answered"),
                )
            }
        };
        let sums = on_arbiter(&silo, Place::Task, job).await;
        assert_eq!(sums, (16 * (round + 1), 16 * (round + 1)));
    }
    assert_eq!(one.ask(Book(0)).await.expect("answered").len(), 10 * 2 * 200 + 1);
    silo.stop().await.expect("stops in order");
}
