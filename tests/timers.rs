//! Timers on silos: an actor with an interval and a one-shot is moved to and fro.

mod common;

use common::{cluster_name, know_each_other, start};
use quark::{clock::Clock, ident::ActorId, prelude::*, silo::SiloHandle};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(50);

/// Counts the ticks of its timers.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Metronome {
    ticks: u64,
    shots: u64,
}

/// Sets an interval, and a one-shot.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "metronome.begin")]
struct Begin {
    shot_after: Duration,
}

#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[message(name = "metronome.tick")]
struct Tick;

#[derive(Debug, Clone, Message, Serialize, Deserialize)]
#[message(name = "metronome.shot")]
struct Shot;

/// Answers how many ticks and shots there were.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "metronome.read", reply = (u64, u64))]
struct Count;

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "metronome.end", reply = bool)]
struct End;

#[actor(kind = "metronome", messages(Begin, Tick, Shot, Count, End))]
impl Actor for Metronome {}

impl Handler<Begin> for Metronome {
    async fn handle(&mut self, begin: Begin, ctx: &mut Context<Self>) {
        ctx.set_interval("tick", EVERY, Tick);
        ctx.set_timer("shot", begin.shot_after, Shot);
    }
}

impl Handler<Tick> for Metronome {
    async fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.ticks += 1;
    }
}

impl Handler<Shot> for Metronome {
    async fn handle(&mut self, _: Shot, _: &mut Context<Self>) {
        self.shots += 1;
    }
}

impl Handler<Count> for Metronome {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> (u64, u64) {
        (self.ticks, self.shots)
    }
}

impl Handler<End> for Metronome {
    async fn handle(&mut self, _: End, ctx: &mut Context<Self>) -> bool {
        ctx.cancel_timer("tick")
    }
}

async fn home(silos: [&SiloHandle; 2]) -> (&SiloHandle, &SiloHandle) {
    let has = |silo: &SiloHandle| {
        silo.status()
            .activations
            .get("metronome")
            .is_some_and(|count| *count > 0)
    };
    if has(silos[0]) {
        (silos[0], silos[1])
    } else {
        (silos[1], silos[0])
    }
}

/// R123. The silos' clock is one here, and its sleeps end within 2 ms after their moment. A move holds ticks up by what it
/// takes, so that there are never more than the time allows, and fewer by at most what the moves took and the one that is due.
#[tokio::test(flavor = "multi_thread")]
async fn no_tick_is_doubled_or_lost_while_an_actor_moves_to_and_fro() {
    let cluster = cluster_name();
    let (a, b) = (start(&cluster, "a").await, start(&cluster, "b").await);
    know_each_other(&[&a, &b]).await;
    let (clock, id) = (Clock::system(), ActorId::new("metronome", "m").expect("valid"));
    let metronome = a.actor::<Metronome>("m");
    let before = clock.now();
    let shot_after = Duration::from_millis(700);
    metronome.ask(Begin { shot_after }).await.expect("answered");
    let begun = clock.now();

    let mut moving = Duration::ZERO;
    let mut was = 0;
    for _ in 0..10 {
        let (source, target) = home([&a, &b]).await;
        let from = clock.now();
        source.migrate(&id, Some(target.id())).await.expect("moves");
        // Until it runs there.
        metronome.ask(Count).await.expect("answered");
        moving += clock.now().since(from);
        // At least one tick at each place.
        loop {
            let (ticks, shots) = metronome.ask(Count).await.expect("answered");
            assert!(shots <= 1);
            if ticks > was {
                was = ticks;
                break;
            }
            assert!(
                clock.now().since(from) < Duration::from_secs(10),
                "the interval has stopped"
            );
            clock.sleep(Duration::from_millis(1)).await;
        }
    }
    let mut shots = 0;
    while shots == 0 {
        assert!(clock.now().since(begun) < Duration::from_secs(20), "the shot was lost");
        clock.sleep(Duration::from_millis(1)).await;
        shots = metronome.ask(Count).await.expect("answered").1;
    }
    assert!(clock.now().since(before) >= shot_after, "not too early");

    let asked = clock.now();
    let (ticks, shots) = metronome.ask(Count).await.expect("answered");
    let most = clock.now().since(before).as_millis() / EVERY.as_millis();
    let least = (asked.since(begun).saturating_sub(moving)).as_millis() / EVERY.as_millis();
    assert_eq!(shots, 1);
    assert!(
        (least.saturating_sub(1)..=most).contains(&u128::from(ticks)),
        "{ticks} ticks, not {least} - 1 to {most}; moves took {moving:?}"
    );
    assert!(metronome.ask(End).await.expect("answered"));
    for silo in [a, b] {
        assert_eq!(silo.dead_letters().len(), 0);
        silo.stop().await.expect("stops in order");
    }
}
