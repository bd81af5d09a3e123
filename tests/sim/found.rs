//! What the simulator has found in Quark, each as the situation that shows it.

use crate::{
    account::{Append, v1::Account},
    quiet,
};
use quark::{
    client::Client,
    silo::{Silo, SiloBuilder},
    testkit::{Fleet, Sim},
};
use std::time::Duration;

/// Seed 10001 of `every_law_holds_whatever_fails`. Every silo that the client knows goes, before one that comes after them can tell
/// it of itself: the client dialled the old ones for ever, though others listened where it had begun.
#[test]
fn a_client_whose_silos_have_all_gone_finds_those_that_came_after_them() {
    quiet();
    let mut sim = Sim::new(10_001);
    sim.program("v1", || {
        SiloBuilder::workers(Silo::builder(), 1)
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
        assert_eq!(append(1).await.expect("it is there"), 1);
        world.crash("silo-0");
        world.crash("silo-1");
        assert!(fleet.whole(Duration::from_secs(60)).await);
        append(2).await
    });
    assert_eq!(said.expect("in time").expect("it finds them"), 2);
}
