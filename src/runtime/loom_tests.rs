//! A worker as it is, with other threads that send, ask, wake and stop it, in every order, explored by loom (`make loom`).

use super::{
    fixture::{Bench, Book, ask, value},
    inbox::Inbox,
    worker::Worker,
};
use crate::{
    clock::Moment,
    mailbox::{Deliveries, Home, Replied, Watched, reply_pair},
    sync::explore,
};
use loom::{future::block_on, thread};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Runs a worker on the thread of the model, until `others` have stopped it.
fn beside_worker(others: impl FnOnce(Arc<Bench>) -> Vec<thread::JoinHandle<()>>) {
    let (bench, worker): (Bench, Worker) = Bench::new(Duration::ZERO);
    let others = others(Arc::new(bench));
    block_on(worker.run());
    for other in others {
        other.join().expect("it ends");
    }
}

/// Pitfalls 8 and 9: what is handed over while the worker parks, or drains what was handed over before, is not left lying.
#[test]
fn an_ask_of_another_thread_is_answered_and_the_worker_stops_when_it_is_told_to() {
    explore("ask, park, stop: a worker and a caller", 2, || {
        beside_worker(|bench| {
            vec![thread::spawn(move || {
                let actor = bench.actor("a");
                assert_eq!(value(block_on(ask(&actor, Book(7)))), 1);
                bench.worker.stop();
            })]
        });
    });
}

#[test]
fn what_two_threads_send_runs_whatever_the_worker_is_at() {
    explore("asks of two: a worker and two callers", 1, || {
        beside_worker(|bench| {
            let actor = bench.actor("a");
            let left = Arc::new(AtomicU32::new(2));
            let caller = |number| {
                let (actor, bench, left) = (actor.clone(), bench.clone(), left.clone());
                thread::spawn(move || {
                    assert!(value(block_on(ask(&actor, Book(number)))) >= 1);
                    // Not one of loom's: it is no part of what is explored.
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        bench.worker.stop();
                    }
                })
            };
            vec![caller(1), caller(2)]
        });
    });
}

/// A single is taken while the mailbox is seen to be at rest, and another thread's message comes into it.
#[test]
fn a_single_and_a_message_of_another_thread_both_run() {
    explore("a single beside an ask: a worker and a caller", 2, || {
        let (bench, worker): (Bench, Worker) = Bench::new(Duration::ZERO);
        let bench = Arc::new(bench);
        let there = bench.clone();
        let here = async move {
            let actor = there.actor("a");
            assert_eq!(value(ask(&actor, Book(1)).await), 1);
            let left = Arc::new(AtomicU32::new(2));
            let done = {
                let bench = there.clone();
                move || {
                    // Not one of loom's: it is no part of what is explored.
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        bench.worker.stop();
                    }
                }
            };
            let other = thread::spawn({
                let (actor, done) = (actor.clone(), done.clone());
                move || {
                    assert!(value(block_on(ask(&actor, Book(2)))) >= 2);
                    done();
                }
            });
            assert!(value(ask(&actor, Book(3)).await) >= 2);
            done();
            other
        };
        let ((), other) = block_on(futures_util::future::join(worker.run(), here));
        other.join().expect("it ends");
    });
}

/// The interleaving: the worker sees that it is not told to stop; another thread tells it to, and finds nobody parked to wake;
/// the worker parks, for ever.
#[test]
fn a_worker_that_parks_while_it_is_told_to_stop_or_to_go_on_does_so() {
    explore("pause, go on, stop: a worker and who tells it", 2, || {
        beside_worker(|bench| {
            vec![thread::spawn(move || {
                bench.worker.pause(true);
                let actor = bench.actor("a");
                let answer = ask(&actor, Book(7));
                bench.worker.pause(false);
                assert_eq!(value(block_on(answer)), 1);
                bench.worker.stop();
            })]
        });
    });
}

/// A worker to whoever is on a thread of no worker: answers go by its inbox, as those of other workers do.
struct There(Arc<dyn Home>);

impl Home for There {
    fn deliver(self: Arc<Self>, put: &mut dyn FnMut(&mut Deliveries, Arc<dyn Home>)) {
        let mut one = Deliveries::default();
        put(&mut one, self.clone());
        self.deliver_all(&mut one);
    }

    fn deliver_all(&self, deliveries: &mut Deliveries) {
        self.0.deliver_all(deliveries);
    }

    fn sleeps(&self) -> bool {
        self.0.sleeps()
    }

    fn watch(&self, _: Moment, _: Moment, _: &dyn Fn() -> Watched) -> bool {
        false
    }
}

#[test]
fn an_answer_that_goes_to_a_worker_that_ends_is_heard() {
    explore("an answer goes home while the worker there ends", 2, || {
        beside_worker(|bench| {
            let home = Arc::new(There(bench.worker.0.clone()));
            let (sender, wait) = reply_pair::<u32>();
            let waiting = thread::spawn(move || {
                let answer = block_on(wait);
                assert!(matches!(answer, Some(Ok(Replied::Typed(7)))), "{answer:?}");
            });
            let ending = thread::spawn(move || {
                sender.answer_at(home, Ok(Replied::Typed(7)));
                bench.worker.stop();
            });
            vec![waiting, ending]
        });
    });
}

#[test]
fn nothing_that_is_handed_over_is_left_in_an_inbox_whose_worker_parks() {
    explore("an inbox, two that hand over and one that takes", 3, || {
        let inbox = Arc::new(Inbox::<Vec<u32>>::default());
        let hand = |number| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.put(|handed| handed.push(number)))
        };
        let others = [hand(1), hand(2)];
        let mut taken = Vec::new();
        block_on(std::future::poll_fn(|cx| {
            loop {
                if inbox.has_some() {
                    let mut handed = Vec::new();
                    inbox.take(&mut handed);
                    taken.append(&mut handed);
                }
                if taken.len() == 2 {
                    return std::task::Poll::Ready(());
                }
                if inbox.park(cx.waker(), |has_some| !has_some) {
                    return std::task::Poll::Pending;
                }
            }
        }));
        assert!(!inbox.has_some());
        for other in others {
            other.join().expect("it ends");
        }
    });
}
