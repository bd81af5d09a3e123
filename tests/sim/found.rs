//! What the simulator has found in Quark, each as the situation that shows it.

use crate::{
    account::{Append, v1::Account},
    quiet,
};
use futures_util::future::{join, join_all};
use quark::{
    client::Client,
    prelude::*,
    silo::{Silo, SiloBuilder, SiloOptions},
    testkit::{Fleet, Sim, StoreOptions, World},
};
use std::time::Duration;

/// A simulation by this seed, whose silos host one kind.
fn sim_of<A: Actor>(seed: u64) -> Sim {
    quiet();
    let mut sim = Sim::new(seed);
    sim.program("v1", || {
        SiloBuilder::workers(Silo::builder(), 1)
            .without_linked()
            .register::<A>()
    });
    sim
}

/// Seed 10001 of `every_law_holds_whatever_fails`. Every silo that the client knows goes, before one that comes after them can tell
/// it of itself: the client dialled the old ones for ever, though others listened where it had begun.
#[test]
fn a_client_whose_silos_have_all_gone_finds_those_that_came_after_them() {
    let mut sim = sim_of::<Account>(10_001);
    let said = sim.run(Duration::from_secs(300), async |world| {
        let fleet = Fleet::start(&world, ["silo-0", "silo-1"], "v1");
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let process = world.client("client");
        let client = process.connect(Client::builder()).await.expect("silos answer");
        let append = async |n| {
            let account = client.actor::<Account>("a");
            let sender = "client".to_owned();
            account
                .ask(Append { sender, n, takes: 0 })
                .within(Duration::from_secs(60))
                .await
        };
        assert_eq!(append(1).await.expect("it is there"), 1);
        world.crash("silo-0");
        world.crash("silo-1");
        assert!(fleet.whole(Duration::from_secs(60)).await);
        append(2).await
    });
    assert_eq!(said.expect("in time").expect("it finds them"), 2);
}

/// Seed 40000 of `a_store_that_loses_its_last_writes_loses_nothing_else`. An actor that comes to its end is to be given up by a store
/// that has failed over, and knows nothing of its owner: the older epoch was taken for a late answer, and the actor was stuck.
#[test]
fn an_actor_whose_registration_the_store_forgot_while_it_ended_comes_up_again() {
    quiet();
    let mut sim = Sim::new(40_000);
    sim.program("v1", || {
        let options = SiloOptions {
            workers: 1,
            idle_timeout: Duration::from_secs(1),
            ..SiloOptions::default()
        };
        SiloBuilder::options(Silo::builder(), options)
            .without_linked()
            .register::<Account>()
    });
    let said = sim.run(Duration::from_secs(300), async |world| {
        let fleet = Fleet::start(&world, ["silo-0", "silo-1"], "v1");
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let process = world.client("client");
        let client = process.connect(Client::builder()).await.expect("silos answer");
        let append = async |n| {
            let account = client.actor::<Account>("a");
            let sender = "client".to_owned();
            account
                .ask(Append { sender, n, takes: 0 })
                .within(Duration::from_secs(60))
                .await
        };
        world.fall_behind();
        assert_eq!(append(1).await.expect("it is there"), 1);
        let mut store = StoreOptions::default();
        store.is_away = true;
        world.store(store);
        // It is idle, ends, and cannot be given up.
        world.sleep(Duration::from_secs(3)).await;
        world.fail_over();
        world.store(StoreOptions::default());
        append(2).await
    });
    let len = said.expect("in time").expect("it comes up again");
    assert_eq!(len, 1, "what the store forgot is lost");
}

/// Seed 145 of `planned_change_loses_nothing`. A silo leaves while the store's answer to a registration is late: it did not wait for
/// actors that it did not have yet, and what they held was answered by nobody.
#[test]
fn a_silo_that_leaves_while_it_registers_actors_answers_for_what_they_hold() {
    let mut sim = sim_of::<Account>(145);
    let said = sim.run(Duration::from_secs(300), async |world| {
        let fleet = Fleet::start(&world, ["silo-0", "silo-1"], "v1");
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let process = world.client("client");
        let client = process.connect(Client::builder()).await.expect("silos answer");
        let ask = async |n: u64| {
            let sender = "client".to_owned();
            let account = client.actor::<Account>(&format!("account-{n}"));
            account.ask(Append { sender, n, takes: 0 }).await
        };
        let mut store = StoreOptions::default();
        store.latency = Duration::from_millis(400);
        world.store(store);
        let leaves = async {
            // The actors were looked up, their registrations are on their way; what the drain writes is not held up as they are.
            world.sleep(Duration::from_millis(600)).await;
            world.store(StoreOptions::default());
            fleet.remove("silo-0");
        };
        let asks = join_all((0..10).map(ask));
        join(asks, leaves).await.0
    });
    for (n, len) in said.expect("in time").into_iter().enumerate() {
        assert_eq!(len.unwrap_or_else(|error| panic!("account-{n}: {error}")), 1);
    }
}

/// Seed 10005 of `every_law_holds_whatever_fails`. A silo starts by a wall clock that is ahead, ends, and starts again by one that is
/// right: it was taken for its own predecessor, and could not join until that time had come.
#[test]
fn a_silo_that_started_by_a_clock_that_was_ahead_starts_again_by_one_that_is_right() {
    let mut sim = sim_of::<Account>(10_005);
    let said = sim.run(Duration::from_secs(300), async |world| {
        let fleet = Fleet::start(&world, ["silo-0", "silo-1"], "v1");
        world.jump_wall("silo-0", 3_600_000_000);
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let ahead = world.silo("silo-0").map(|silo| silo.id().incarnation());
        for end in [World::crash, World::unplug] {
            end(&world, "silo-0");
            assert!(
                fleet.whole(Duration::from_secs(60)).await,
                "it comes back: {:?}",
                world.silos()
            );
            let now = world.silo("silo-0").map(|silo| silo.id().incarnation());
            assert!(ahead < now, "{now:?} comes after {ahead:?}");
        }
    });
    said.expect("in time");
}

/// Found by reading: a silo dies, and what waits for a link to it when that is known never left its caller. It ended `Unknown`, as if it
/// had been sent.
#[test]
fn what_waits_for_a_link_to_a_silo_that_is_found_dead_runs_elsewhere() {
    let mut sim = sim_of::<Account>(1);
    let said = sim.run(Duration::from_secs(300), async |world| {
        let fleet = Fleet::start(&world, ["silo-0", "silo-1"], "v1");
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let process = world.client("client");
        let client = process.connect(Client::builder()).await.expect("silos answer");
        world.crash("silo-1");
        // Links to it are closed, and it is not known to be dead: some of these belong there.
        world.sleep(Duration::from_millis(100)).await;
        let asks = (0..20).map(|n| {
            let account = client.actor::<Account>(&format!("account-{n}"));
            async move {
                let sender = "client".to_owned();
                let append = Append { sender, n, takes: 0 };
                account.ask(append).within(Duration::from_secs(60)).await
            }
        });
        join_all(asks).await
    });
    for (n, len) in said.expect("in time").into_iter().enumerate() {
        assert_eq!(len.unwrap_or_else(|error| panic!("account-{n}: {error}")), 1);
    }
}

/// Lives in memory only.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    counted: u64,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "tally.count", reply = u64)]
struct Count;

#[actor(kind = "tally", messages(Count), volatile)]
impl Actor for Tally {}

impl Handler<Count> for Tally {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.counted += 1;
        self.counted
    }
}

/// Found by reading: a silo has actors that are never saved, the store forgets that, and another silo takes them before the first has
/// noticed. They lived twice until they were idle: no save told them.
#[test]
fn actors_that_are_never_saved_live_once_after_the_store_forgot_where() {
    let mut sim = sim_of::<Tally>(3);
    const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let said = sim.run(Duration::from_secs(300), async |world| {
        let silos = ["silo-0", "silo-1"];
        let fleet = Fleet::start(&world, silos, "v1");
        assert!(fleet.whole(Duration::from_secs(30)).await);
        let silo = |n: usize| world.silo(silos[n]).expect("it runs");
        let count = async |n: usize, key: &str| silo(n).actor::<Tally>(key).ask(Count).await;
        // The store will say again that this one takes no actors.
        silo(0).cordon().await.expect("the store answers");
        world.fall_behind();
        silo(0).uncordon().await.expect("the store answers");
        world.sleep(Duration::from_secs(5)).await;
        for key in KEYS {
            count(0, key).await.expect("it is there");
        }
        // The other hears of it first.
        world.pause("silo-0");
        world.fail_over();
        world.sleep(Duration::from_millis(1_500)).await;
        let mut again = 0;
        for key in KEYS {
            let counted = count(1, key).await.expect("it comes up again");
            again += usize::from(counted == 1);
        }
        world.resume("silo-0");
        assert!(again > 0, "none came up again: this shows nothing");
        world.sleep(Duration::from_secs(20)).await;
        let mut counted = Vec::new();
        for key in KEYS {
            let both = [count(0, key).await, count(1, key).await];
            counted.push(both.map(|count| count.expect("answered")));
        }
        counted
    });
    for (key, [first, second]) in KEYS.iter().zip(said.expect("in time")) {
        assert_eq!(second, first + 1, "{key} is two");
    }
}
