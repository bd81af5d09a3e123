//! How fast the simulator is: simulated seconds of a cluster of five silos and a thousand actors, per second of one core.

use crate::{
    account::{Read, v1::Account},
    quiet,
};
use quark::{
    client::Client,
    clock::Clock,
    silo::{Silo, SiloOptions},
    testkit::{Fleet, Sim, World},
};
use std::time::Duration;

const ACTORS: u64 = 1_000;

/// How many requests there are in a simulated second.
const REQUESTS: u64 = 10;

async fn read(client: &Client, n: u64) {
    let account = client.actor::<Account>(&format!("account-{}", n % ACTORS));
    let sender = "client".to_owned();
    account.ask(Read { sender, n }).await.expect("it is there");
}

async fn load(world: World) -> (Client, Fleet) {
    let fleet = Fleet::start(&world, (0..5).map(|n| format!("silo-{n}")), "v1");
    assert!(fleet.whole(Duration::from_secs(60)).await);
    let process = world.client("client");
    let client = process.connect(Client::builder()).await.expect("silos answer");
    for n in 0..ACTORS {
        read(&client, n).await;
    }
    (client, fleet)
}

#[test]
#[ignore = "a figure: make sim"]
fn simulated_seconds_per_second() {
    quiet();
    let mut sim = Sim::new(1);
    sim.world().keep_trace(false);
    sim.program("v1", || {
        let options = SiloOptions {
            workers: 1,
            idle_timeout: Duration::ZERO,
            ..SiloOptions::default()
        };
        Silo::builder().options(options).without_linked().register::<Account>()
    });
    let (client, fleet) = sim.run(Duration::from_secs(300), load).expect("in time");
    let simulated = Duration::from_secs(1_000);
    let (begun, events, clock) = (sim.world().now(), sim.world().events(), Clock::system());
    let start = clock.now();
    let loaded = client.clone();
    let told = sim.run(simulated * 2, async move |world| {
        for n in 0..simulated.as_secs() * REQUESTS {
            world
                .sleep(Duration::from_secs(1) / u32::try_from(REQUESTS).expect("small"))
                .await;
            read(&loaded, n * 7).await;
        }
    });
    told.expect("in time");
    let (passed, took) = (sim.world().now() - begun, clock.now().since(start));
    let actors: usize = fleet
        .silos()
        .iter()
        .filter_map(|silo| sim.world().leftovers(silo))
        .map(|left| left.actors)
        .sum();
    assert_eq!(actors as u64, ACTORS, "all are active");
    println!(
        "\n{} simulated s of 5 silos and {ACTORS} actors, {REQUESTS} requests a second, {} events, in {:.2} s: {:.0} per second",
        passed.as_secs(),
        sim.world().events() - events,
        took.as_secs_f64(),
        passed.as_secs_f64() / took.as_secs_f64()
    );
    drop(client);
}
