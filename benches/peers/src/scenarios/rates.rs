//! How many messages, asks, hops and activations a second.

use super::{Contender, Effort, Kind, Part, rounds};
use crate::{
    peer::{self, Far, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED, handled},
    peers::{Actix, Channel, Kameo, Limit, Quark, Ractor, Xtra},
};
use report::{Goal, Row, Unit};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Runs so many messages and answers the time they took.
type Run = fn(u64) -> Duration;

/// How long one sample is to last.
const SAMPLE: Duration = Duration::from_millis(80);
const QUICK_SAMPLE: Duration = Duration::from_millis(15);

/// Every peer's run of a generic function.
macro_rules! all {
    ($run:ident) => {
        vec![
            (Quark::NAME, true, $run::<Quark> as Run),
            (Actix::NAME, true, $run::<Actix>),
            (Kameo::NAME, true, $run::<Kameo>),
            (Ractor::NAME, true, $run::<Ractor>),
            (Xtra::NAME, true, $run::<Xtra>),
            (Channel::NAME, false, $run::<Channel>),
        ]
    };
}

fn measure(
    scenario: &'static str,
    title: &str,
    (at_least, aim): (f64, f64),
    effort: Effort,
    runs: Vec<(&'static str, bool, Run)>,
) -> Vec<Row> {
    let sample = if effort.quick { QUICK_SAMPLE } else { SAMPLE };
    let contender = |(peer, is_product, run): (&'static str, bool, Run)| {
        let mut messages = 0;
        let measure = move || {
            if messages == 0 {
                messages = fitting(run, sample);
            }
            vec![messages as f64 / run(messages).as_secs_f64()]
        };
        Contender {
            peer,
            is_product,
            measure: Box::new(measure),
        }
    };
    let goal = Goal::TimesBest { at_least, aim };
    let part = Part::new("", title, Unit::RatePerSecond, goal);
    rounds(
        scenario,
        vec![part],
        effort.rounds,
        runs.into_iter().map(contender).collect(),
    )
}

/// As many messages as fit into a sample; runs them up to there, which warms up.
fn fitting(run: Run, sample: Duration) -> u64 {
    let mut messages = 2_560;
    loop {
        let took = run(messages);
        let fit = messages as f64 * sample.as_secs_f64() / took.as_secs_f64().max(1e-9);
        // A multiple of the asks that are outstanding at once.
        let fit = (fit as u64 / 256).clamp(1, 1 << 17) * 256;
        if fit < messages * 4 {
            return fit;
        }
        messages = (messages * 16).min(fit);
    }
}

/// Runs messages of a scenario.
pub(super) fn run<P: Peer>(kind: Kind, messages: u64) {
    match kind {
        Kind::Many => tell_politely::<P>(messages),
        Kind::Asks => ask_256::<P>(messages),
        Kind::Queued => ask_behind_tell::<P>(messages),
        other => unreachable!("{other:?} is run by its counts"),
    };
}

/// Gives way where nothing else holds the producer back.
async fn breathe<P: Peer>(sent: u64) {
    if !P::BOUNDED && sent % MAILBOX as u64 == MAILBOX as u64 - 1 {
        tokio::task::yield_now().await;
    }
}

fn tell_one<P: Peer>(messages: u64) -> Duration {
    let run = move |world: P::World| async move {
        let counter = P::counter(&world, "one").await;
        let before = P::ask(&counter).await;
        let start = Instant::now();
        for value in 0..messages {
            P::tell(&counter, value).await;
            breathe::<P>(value).await;
        }
        handled::<P>(&counter, before + messages).await;
        start.elapsed()
    };
    P::alone(P::PRODUCER, peer::job(run))
}

pub(super) fn tell(effort: Effort) -> Vec<Row> {
    let mut runs = all!(tell_one);
    runs.push(("do_send", false, Actix::do_send));
    runs.push((Limit::NAME, false, Limit::tell));
    measure("tell", "tell, one thread, 1 actor", (2.0, 3.5), effort, runs)
}

/// `PRODUCERS` threads on one core tell an actor on the other.
fn tell_across<P: Peer, const PRODUCERS: u64>(messages: u64) -> Duration {
    let setup = peer::job(|world: P::World| async move {
        let counter = P::counter(&world, "across").await;
        let before = P::ask(&counter).await;
        (counter, before)
    });
    let each = messages / PRODUCERS;
    let telling = Arc::new(AtomicU64::new(PRODUCERS));
    let producer = |_| {
        let telling = telling.clone();
        peer::far_job(move |_: P::World, (counter, before): (P::Counter, u64)| async move {
            let start = Instant::now();
            for value in 0..each {
                P::tell(&counter, value).await;
                breathe::<P>(value).await;
            }
            // The last to have told sees that all was handled, and nobody asks beside it.
            if telling.fetch_sub(1, Ordering::AcqRel) == 1 {
                handled::<P>(&counter, before + each * PRODUCERS).await;
            }
            (start, Instant::now())
        })
    };
    let results = P::apart(Far::Outside, setup, (0..PRODUCERS).map(producer).collect());
    let start = results.iter().map(|result| result.0).min().expect("a producer");
    let end = results.iter().map(|result| result.1).max().expect("a producer");
    end - start
}

fn tell_from_one<P: Peer>(messages: u64) -> Duration {
    tell_across::<P, 1>(messages)
}

fn tell_from_two<P: Peer>(messages: u64) -> Duration {
    tell_across::<P, 2>(messages)
}

pub(super) fn tell_pinned(effort: Effort) -> Vec<Row> {
    let title = "tell, two pinned threads, 1 actor";
    measure("tell-pinned", title, (4.0, 7.0), effort, all!(tell_from_one))
}

pub(super) fn tell_two_producers(effort: Effort) -> Vec<Row> {
    let title = "tell, two producer threads, 1 actor";
    measure("tell-two-producers", title, (4.0, 7.0), effort, all!(tell_from_two))
}

/// 1,000 actors in turn. `GREEDY`: the producer gives way only when it must, else every 1,000.
fn tell_many<P: Peer, const GREEDY: bool>(messages: u64) -> Duration {
    const ACTORS: u64 = 1000;
    let run = move |world: P::World| async move {
        let mut counters = Vec::new();
        for number in 0..ACTORS {
            let counter = P::counter(&world, &format!("many-{number}")).await;
            let share = messages / ACTORS + u64::from(number < messages % ACTORS);
            let count = P::ask(&counter).await + share;
            counters.push((counter, count));
        }
        let start = Instant::now();
        let mut next = counters.iter().cycle();
        for value in 0..messages {
            let (counter, _) = next.next().expect("a cycle");
            P::tell(counter, value).await;
            if !GREEDY && value % ACTORS == ACTORS - 1 {
                tokio::task::yield_now().await;
            }
        }
        for (counter, count) in &counters {
            handled::<P>(counter, *count).await;
        }
        start.elapsed()
    };
    P::alone(P::PRODUCER, peer::job(run))
}

fn tell_politely<P: Peer>(messages: u64) -> Duration {
    tell_many::<P, false>(messages)
}

fn tell_greedily<P: Peer>(messages: u64) -> Duration {
    tell_many::<P, true>(messages)
}

pub(super) fn tell_thousand(effort: Effort) -> Vec<Row> {
    let mut runs = all!(tell_politely);
    runs.push((Limit::NAME, false, Limit::tell_thousand));
    let title = "tell, one thread, 1,000 actors, gives way";
    measure("tell-1000", title, (2.5, 4.0), effort, runs)
}

/// As many messages as all mailboxes hold: fewer would not show what a producer does that never gives way.
pub(super) fn tell_thousand_greedily(effort: Effort) -> Vec<Row> {
    let mut runs = all!(tell_greedily);
    runs.push((Limit::NAME, false, Limit::tell_thousand_greedily));
    let messages: u64 = if effort.quick { 100_000 } else { 1_000_000 };
    let contender = |(peer, is_product, run): (&'static str, bool, Run)| Contender {
        peer,
        is_product,
        measure: Box::new(move || vec![messages as f64 / run(messages).as_secs_f64()]),
    };
    let title = "  the same, never gives way";
    let part = Part::new("", title, Unit::RatePerSecond, Goal::None);
    let contenders = runs.into_iter().map(contender).collect();
    rounds("tell-1000-greedy", vec![part], effort.rounds, contenders)
}

/// One ask after the other. `TELLS`: each behind a tell, so that its target is never idle.
fn asks<P: Peer, const TELLS: bool>(place: Place, messages: u64) -> Duration {
    let run = move |world: P::World| async move {
        let counter = P::counter(&world, "one").await;
        let before = P::ask(&counter).await;
        let step = if TELLS { 2 } else { 1 };
        let start = Instant::now();
        for round in 1..=messages {
            if TELLS {
                P::tell(&counter, round).await;
            }
            assert_eq!(
                P::ask(&counter).await,
                before + round * step,
                "every message was handled"
            );
        }
        start.elapsed()
    };
    P::alone(place, peer::job(run))
}

fn ask_from_main<P: Peer>(messages: u64) -> Duration {
    asks::<P, false>(Place::Main, messages)
}

fn ask_from_turn<P: Peer>(messages: u64) -> Duration {
    asks::<P, false>(Place::Turn, messages)
}

fn ask_behind_tell<P: Peer>(messages: u64) -> Duration {
    asks::<P, true>(Place::Turn, messages)
}

pub(super) fn ask(effort: Effort) -> Vec<Row> {
    let mut runs = all!(ask_from_main);
    runs.push((Limit::NAME, false, Limit::ask));
    let title = "ask, one arbiter, idle target";
    measure("ask", title, (10.0, 25.0), effort, runs)
}

pub(super) fn ask_actor_to_actor(effort: Effort) -> Vec<Row> {
    let mut runs = all!(ask_from_turn);
    runs.push((Limit::NAME, false, Limit::ask));
    let title = "ask, one arbiter, actor to actor";
    measure("ask-actor-to-actor", title, (2.5, 3.5), effort, runs)
}

pub(super) fn ask_queued(effort: Effort) -> Vec<Row> {
    let title = "  the same, each queued behind a tell";
    measure("ask-queued", title, (2.5, 3.5), effort, all!(ask_behind_tell))
}

const OUTSTANDING: u64 = 256;

/// Tasks that ask the counter one after the other, until all asks are answered; answers when they are.
async fn ask_in_tasks<P: Peer>(counter: &P::Counter, messages: u64) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<u64>();
    for _ in 0..OUTSTANDING {
        let (counter, tell) = (counter.clone(), tell.clone());
        P::spawn(async move {
            let mut last = 0;
            for _ in 0..messages / OUTSTANDING {
                let count = P::ask(&counter).await;
                assert!(count > last, "the count grows");
                last = count;
            }
            let _gone = tell.send(last);
        });
    }
    drop(tell);
    for _ in 0..OUTSTANDING {
        told.recv().await.expect("every task ends");
    }
}

fn ask_256<P: Peer>(messages: u64) -> Duration {
    let run = move |world: P::World| async move {
        let counter = P::counter(&world, "one").await;
        let before = P::ask(&counter).await;
        let start = Instant::now();
        ask_in_tasks::<P>(&counter, messages).await;
        let took = start.elapsed();
        assert_eq!(
            P::ask(&counter).await,
            before + messages + 1,
            "every message was handled"
        );
        took
    };
    P::alone(Place::Main, peer::job(run))
}

pub(super) fn ask_many(effort: Effort) -> Vec<Row> {
    let mut runs = all!(ask_256);
    runs.push((Limit::NAME, false, Limit::ask_many));
    measure("ask-256", "256 asks outstanding, one thread", (2.0, 3.5), effort, runs)
}

fn ask_256_apart<P: Peer>(messages: u64) -> Duration {
    let setup = peer::job(|world: P::World| async move { P::counter(&world, "far").await });
    let run = move |_: P::World, counter: P::Counter| async move {
        let before = P::ask(&counter).await;
        let start = Instant::now();
        ask_in_tasks::<P>(&counter, messages).await;
        let took = start.elapsed();
        assert_eq!(
            P::ask(&counter).await,
            before + messages + 1,
            "every message was handled"
        );
        took
    };
    P::apart(Far::Arbiter, setup, vec![peer::far_job(run)])[0]
}

pub(super) fn ask_many_apart(effort: Effort) -> Vec<Row> {
    let title = "256 asks outstanding, two pinned arbiters";
    measure("ask-256-arbiters", title, (1.5, 2.5), effort, all!(ask_256_apart))
}

fn ping_pong<P: Peer>(hops: u64) -> Duration {
    let run = move |world: P::World| async move {
        let ping = P::counter(&world, "ping").await;
        let pong = P::counter(&world, "pong").await;
        P::meet(&ping, &pong).await;
        let before = P::ask(&ping).await + P::ask(&pong).await;
        let start = Instant::now();
        P::serve(&ping, hops - 1).await;
        RALLY_OVER.notified().await;
        let took = start.elapsed();
        let after = P::ask(&ping).await + P::ask(&pong).await;
        assert_eq!(after, before + hops + 2, "every message was handled");
        took
    };
    P::alone(Place::Main, peer::job(run))
}

pub(super) fn rally(effort: Effort) -> Vec<Row> {
    let mut runs = all!(ping_pong);
    runs.push((Limit::NAME, false, Limit::rally));
    measure("ping-pong", "ping-pong, one thread, hops", (2.0, 3.5), effort, runs)
}

/// New actors with a first message each, until all messages are handled.
fn activations<P: Peer>(actors: u64) -> Duration {
    let run = move |world: P::World| async move {
        TOUCHED.expect(actors);
        STARTED.expect(actors);
        let mut kept = Vec::with_capacity(if P::VIRTUAL { 0 } else { actors as usize });
        let start = Instant::now();
        for key in 0..actors {
            let idle = P::idle(&world, key).await;
            P::touch(&idle).await;
            if !P::VIRTUAL {
                kept.push(idle);
            }
            if key % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
        TOUCHED.reached().await;
        start.elapsed()
    };
    P::afresh(Place::Main, peer::job(run))
}

pub(super) fn activation(effort: Effort) -> Vec<Row> {
    let actors: u64 = if effort.quick { 2_000 } else { 20_000 };
    let contender = |(peer, _, run): (&'static str, bool, Run)| Contender {
        peer,
        // What the others do is the start alone; actix's is what quark is held against.
        is_product: peer == Quark::NAME || peer == Actix::NAME,
        measure: Box::new(move || vec![actors as f64 / run(actors).as_secs_f64()]),
    };
    let goal = Goal::TimesBest {
        at_least: 1.0,
        aim: 2.5,
    };
    let title = "activation and first message";
    let part = Part::new("", title, Unit::RatePerSecond, goal);
    let contenders = all!(activations).into_iter().map(contender).collect();
    rounds("activation", vec![part], effort.rounds, contenders)
}
