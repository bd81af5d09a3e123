//! All silos are started anew, one after the other, again and again, and nobody notices.

use crate::{
    cluster::{Cluster, keys, settings},
    load::{self, Load},
    redis::RedisServer,
};
use rustix::process::Signal;
use std::time::Duration;

const ROUNDS: usize = 10;

/// Guarantee 4, R97: five silos, ten times over. Each time: failed 0, lost 0, twice 0, reordered 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_silos_are_restarted_ten_times_over_and_nobody_notices() {
    const NAMES: [&str; 5] = ["r-one", "r-two", "r-three", "r-four", "r-five"];
    let server = RedisServer::start_with(&["--save", "", "--appendonly", "yes"]);
    // The default budgets: this is about planned change, beside whatever else the machine does.
    let settings = settings(&server.url(), Duration::from_secs(5));
    let mut cluster = Cluster::start(settings, &NAMES).await;
    let client = cluster.client().await;
    let keys = keys(30);
    for round in 1..=ROUNDS {
        let load = Load::start(&client, &keys);
        load.answers(keys.len() as u64 * 2).await;
        let mut moved = 0;
        for name in NAMES {
            let mut leaving = cluster.take(name);
            leaving.signal(Signal::TERM);
            let report = leaving.end().await.expect("it ends").expect("it leaves in order");
            assert!(report.forced.is_empty() && report.unsaved.is_empty(), "{report:?}");
            moved += report.moved.len();
            drop(leaving);
            cluster.add(name).await;
            load.answers(keys.len() as u64).await;
        }
        let sum = load::check(&client, &load.finish().await).await;
        println!("round {round}: {moved} moves, {sum:?}");
        assert_eq!(sum.done, sum.sent, "round {round}: {sum:?}");
    }
    client.close().await;
}
