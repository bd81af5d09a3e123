//! How long an ask takes: far away, beside many idle actors, beside a flooded one.

use super::{Contender, Effort, Part, rounds};
use crate::{
    peer::{self, Far, Peer, Place, STARTED, TOUCHED, handled},
    peers::{Actix, Channel, Kameo, Quark, Ractor, Spinning, Xtra},
};
use report::{Goal, Row, Unit, quantile};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// The times of asks one after the other, in microseconds.
async fn times<P: Peer>(counter: &P::Counter, asks: u64) -> Vec<f64> {
    let before = P::ask(counter).await;
    let mut times = Vec::with_capacity(asks as usize);
    for number in 1..=asks {
        let start = Instant::now();
        let count = P::ask(counter).await;
        times.push(micros(start.elapsed()));
        assert_eq!(count, before + number, "every message was handled");
    }
    times
}

fn ask_far<P: Peer>(asks: u64) -> Vec<f64> {
    let setup = peer::job(|world: P::World| async move { P::counter(&world, "far").await });
    let run = move |_: P::World, counter: P::Counter| async move { times::<P>(&counter, asks).await };
    let mut times = P::apart(Far::Arbiter, setup, vec![peer::far_job(run)]).remove(0);
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    vec![quantile(&mut times, 0.5), mean]
}

pub(super) fn ask_apart(effort: Effort) -> Vec<Row> {
    let asks = if effort.quick { 300 } else { 1500 };
    let goal = Goal::AtMost {
        at_least: 5.0,
        aim: 2.0,
    };
    let parts = vec![
        Part::new("p50", "ask, two pinned arbiters, p50", Unit::Microseconds, goal),
        Part::new("mean", "  the same, mean", Unit::Microseconds, Goal::None),
    ];
    let contenders = vec![
        Contender::product(Quark::NAME, move || ask_far::<Quark>(asks)),
        Contender::product(Actix::NAME, move || ask_far::<Actix>(asks)),
        Contender::product(Kameo::NAME, move || ask_far::<Kameo>(asks)),
        Contender::product(Ractor::NAME, move || ask_far::<Ractor>(asks)),
        Contender::product(Xtra::NAME, move || ask_far::<Xtra>(asks)),
        Contender::beside(Channel::NAME, move || ask_far::<Channel>(asks)),
        Contender::beside(Spinning::<20>::NAME, move || ask_far::<Spinning<20>>(asks)),
    ];
    rounds("ask-arbiters", parts, effort.rounds, contenders)
}

/// Starts idle actors `from..to` with a message each.
async fn populate<P: Peer>(world: &P::World, kept: &mut Vec<P::Idle>, from: u64, to: u64) {
    TOUCHED.expect(to - from);
    STARTED.expect(to - from);
    for key in from..to {
        let idle = P::idle(world, key).await;
        P::touch(&idle).await;
        if !P::VIRTUAL {
            kept.push(idle);
        }
        if key % 256 == 255 {
            tokio::task::yield_now().await;
        }
    }
    TOUCHED.reached().await;
}

/// One ask in a round of all, beside 1,000 idle actors and then beside `many`.
fn ask_hot_one<P: Peer>(rounds: usize, asks: u64, many: u64) -> Vec<[f64; 3]> {
    let run = move |world: P::World| async move {
        let counter = P::counter(&world, "hot").await;
        let mut kept = Vec::new();
        let mut p99s = [Vec::new(), Vec::new()];
        let mut there = 0;
        for (crowd, p99s) in [1000, many].into_iter().zip(&mut p99s) {
            populate::<P>(&world, &mut kept, there, crowd).await;
            there = crowd;
            tokio::time::sleep(P::SETTLES_IN).await;
            times::<P>(&counter, asks).await;
            for _ in 0..rounds {
                p99s.push(quantile(&mut times::<P>(&counter, asks).await, 0.99));
            }
        }
        let [few, many] = p99s;
        few.into_iter()
            .zip(many)
            .map(|(few, many)| [many / few, few, many])
            .collect()
    };
    P::afresh(Place::Main, peer::job(run))
}

pub(super) fn ask_hot(effort: Effort) -> Vec<Row> {
    let asks = if effort.quick { 2_000 } else { 20_000 };
    let many = match effort {
        Effort { full: true, .. } => 1_000_000,
        Effort { quick: true, .. } => 20_000,
        _ => 200_000,
    };
    let goal = Goal::AtMost {
        at_least: 1.3,
        aim: 1.1,
    };
    let title = format!("p99 of a hot ask, {} k idle actors : 1 k", many / 1000);
    let parts = vec![
        Part::new("ratio", title, Unit::Times, goal),
        Part::new("p99_few", "  the same, p99 beside 1 k", Unit::Microseconds, Goal::None),
        Part::new(
            "p99_many",
            format!("  the same, p99 beside {} k", many / 1000),
            Unit::Microseconds,
            Goal::None,
        ),
    ];
    // All rounds of a peer are taken at once: its idle actors would not outlive another's.
    let contender = |peer, run: fn(usize, u64, u64) -> Vec<[f64; 3]>| {
        let mut taken: Vec<[f64; 3]> = Vec::new();
        Contender::product(peer, move || {
            if taken.is_empty() {
                taken = run(effort.rounds, asks, many);
            }
            taken.pop().map_or_else(Vec::new, Vec::from)
        })
    };
    let contenders = vec![
        contender(Quark::NAME, ask_hot_one::<Quark>),
        contender(Actix::NAME, ask_hot_one::<Actix>),
    ];
    rounds("ask-hot", parts, effort.rounds, contenders)
}

/// Asks to 1,000 actors in turn and a timer of 1 ms, beside an actor that always has messages of 1 us waiting. Answers the
/// times of the asks and of the timer.
fn beside_flood<P: Peer>(place: Place, time: Duration) -> (Vec<f64>, Vec<f64>) {
    let run = move |world: P::World| async move {
        let mut quiet = Vec::new();
        for number in 0..1000 {
            quiet.push(P::counter(&world, &format!("quiet-{number}")).await);
        }
        let flooded = P::counter(&world, "flooded").await;
        let before = P::ask(&flooded).await;
        let over = Arc::new(AtomicBool::new(false));
        let flood = {
            let (flooded, over) = (flooded.clone(), over.clone());
            thread::spawn(move || {
                let mut sent = 0;
                while !over.load(Ordering::Acquire) {
                    if P::try_flood(&flooded) {
                        sent += 1;
                    } else {
                        // A tenth of what waits.
                        thread::sleep(Duration::from_micros(100));
                    }
                }
                sent
            })
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (tell, told) = tokio::sync::oneshot::channel();
        let end = Instant::now() + time;
        P::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                tokio::time::sleep(Duration::from_millis(1)).await;
                times.push(micros(start.elapsed()));
            }
            let _gone = tell.send(times);
        });
        let mut asks = Vec::new();
        for counter in quiet.iter().cycle() {
            let start = Instant::now();
            if start >= end {
                break;
            }
            P::ask(counter).await;
            asks.push(micros(start.elapsed()));
        }
        let timers = told.await.expect("the timer ends");
        over.store(true, Ordering::Release);
        let sent: u64 = flood.join().expect("the flood ends");
        handled::<P>(&flooded, before + sent).await;
        (asks, timers)
    };
    P::alone(place, peer::job(run))
}

/// The quantile of what a call meets that comes at any moment: each time counts for as long as it lasts. Asks one after the
/// other are few where they are slow, so that their plain quantile would hide a standstill.
fn met(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let end = times.iter().sum::<f64>() * share;
    let mut passed = 0.0;
    let met = times.iter().find(|time| {
        passed += **time;
        passed >= end
    });
    met.copied().unwrap_or(f64::NAN)
}

fn flood_one<P: Peer>(time: Duration) -> Vec<f64> {
    let (mut asks, mut timers) = beside_flood::<P>(Place::Turn, time);
    let (mut from_task, _) = beside_flood::<P>(Place::Main, time / 2);
    vec![
        met(&mut asks, 0.99),
        met(&mut asks, 0.5),
        met(&mut timers, 0.99),
        met(&mut from_task, 0.99),
    ]
}

pub(super) fn flood(effort: Effort) -> Vec<Row> {
    let time = Duration::from_millis(if effort.quick { 60 } else { 150 });
    let ask = Goal::AtMost {
        at_least: 500.0,
        aim: 110.0,
    };
    let timer = Goal::AtMost {
        at_least: 5000.0,
        aim: 3000.0,
    };
    let title = "queued ask beside a flooded actor, p99";
    let parts = vec![
        Part::new("p99", title, Unit::Microseconds, ask),
        Part::new("p50", "  the same, p50", Unit::Microseconds, Goal::None),
        Part::new("timer_p99", "  a timer of 1 ms then, p99", Unit::Microseconds, timer),
        Part::new(
            "from_task_p99",
            "  the same ask from no actor, p99",
            Unit::Microseconds,
            Goal::None,
        ),
    ];
    let contenders = vec![
        Contender::product(Quark::NAME, move || flood_one::<Quark>(time)),
        Contender::product(Actix::NAME, move || flood_one::<Actix>(time)),
        Contender::product(Kameo::NAME, move || flood_one::<Kameo>(time)),
        Contender::product(Ractor::NAME, move || flood_one::<Ractor>(time)),
        Contender::product(Xtra::NAME, move || flood_one::<Xtra>(time)),
        Contender::beside(Channel::NAME, move || flood_one::<Channel>(time)),
    ];
    rounds("flood", parts, effort.rounds, contenders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_met_by_who_comes_during_it() {
        // Asks of 1 us for a millisecond, then one that lasts as long as all of them.
        let mut times = vec![1.0; 1000];
        times.push(1000.0);
        assert_eq!([met(&mut times, 0.49), met(&mut times, 0.51)], [1.0, 1000.0]);
        assert_eq!(quantile(&mut times, 0.99), 1.0);
    }
}
