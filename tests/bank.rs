//! The bank of the examples: while silos are killed, no money is lost or made, and every account has what its clients were told.

#[path = "../examples/bank/account.rs"]
mod account;
#[path = "../examples/bank/bank.rs"]
mod bank;
#[path = "common/redis.rs"]
mod redis;
#[path = "../examples/bank/silo_process.rs"]
mod silo_process;

use bank::Plan;
use std::env;

/// Not a law, but the other processes: does nothing where no settings are given.
#[test]
#[ignore = "the program of the other tests' silos"]
fn the_silo_program() {
    if let Ok(settings) = env::var(silo_process::SETTINGS) {
        silo_process::serve(&settings).expect("it serves");
    }
}

async fn run(store: String) {
    let plan = Plan {
        silos: 3,
        accounts: 10,
        clients: 4,
        kills: 4,
        transfers_between: 60,
        seed: 7,
        store,
        arguments: &["the_silo_program", "--exact", "--ignored", "--nocapture"],
    };
    let report = plan.run().await.expect("the books are right");
    println!("{report:?}");
    assert_eq!((report.kills, report.sum), (4, 10_000));
    assert!(report.transfers > 400, "{report:?}");
}

/// Guarantees 7 and 8
#[tokio::test(flavor = "multi_thread")]
async fn the_sum_of_all_accounts_never_changes_while_silos_are_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    run(format!("embedded:{}", folder.path().join("bank.db").display())).await;
}

/// Guarantees 7 and 8
#[tokio::test(flavor = "multi_thread")]
async fn the_sum_never_changes_over_redis_either() {
    let server = redis::RedisServer::start();
    run(server.url()).await;
}
