//! The flights application brought to new versions by rollouts: real processes on a Redis, flights replayed all the time, and the
//! silo that carries the rollout on killed in the middle of each.
//!
//! | version | program | what becomes of it |
//! |---|---|---|
//! | 1.1.0 | `flights-v2` | 10 %, 50 %, 100 % |
//! | 1.2.0 | `flights-bad`, whose airports panic on some flights | found and taken back, with nothing failed but those flights |
//! | 1.2.0 | `flights-breaking`, with another message under a known name | not let in; let in all the same, the plan refuses it |

#[path = "../common/redis.rs"]
mod redis;

#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../../examples/rolling_upgrade/flights.rs"]
mod flights;
mod load;
mod processes;

use load::Load;
use processes::Cluster;
use quark::{
    admin::AdminError,
    clock::Clock,
    ident::Weight,
    rollout::{Command, Criteria, Phase, Request, Rollout},
};
use std::time::Duration;

/// Criteria that a test can wait for, on a machine that does other things.
fn request() -> Request {
    Request {
        criteria: Criteria {
            min_turns: 50,
            watch_for: Duration::from_secs(1),
            // An actor that panics again and again is rebuilt after pauses of 10 s at last: what shows the fault comes slowly.
            watch_limit: Duration::from_secs(420),
            settle_limit: Duration::from_secs(90),
            slower_percent: 1_000_000,
            ..Criteria::default()
        },
        ..Request::default()
    }
}

/// Looks at the rollout until it is so.
async fn until(cluster: &Cluster, is_so: impl Fn(&Rollout) -> bool) -> Rollout {
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(540);
    loop {
        // A silo that was killed a moment ago may have been asked.
        if let Ok(Some(rollout)) = cluster.admin().rollout().await {
            if is_so(&rollout) {
                return rollout;
            }
            let log: Vec<_> = rollout.log.iter().map(|entry| &entry.what).collect();
            assert!(!rollout.is_over() && clock.now() < end, "{:?}: {log:#?}", rollout.phase);
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
}

fn is_at(rollout: &Rollout, step: usize) -> bool {
    match rollout.phase {
        Phase::Moving { step: at } | Phase::Watching { step: at } => at >= step,
        Phase::Complete => true,
        _ => false,
    }
}

/// R97, R134, R137
#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_over_step_by_step_though_its_controller_is_killed() {
    let mut cluster = Cluster::start("flights-v1", &["a", "b", "c"]).await;
    let load = Load::begin(cluster.client().clone());
    for name in ["d", "e"] {
        cluster.add("flights-v2", name, &[]).await.expect("it is let in");
    }
    cluster.know_each_other().await;
    let begun = cluster.admin().start(request()).await.expect("possible");
    assert_eq!(begun.weight, Weight::new(1_000).expect("valid"));
    until(&cluster, |rollout| is_at(rollout, 1)).await;
    cluster.kill("a");
    let complete = until(&cluster, |rollout| rollout.phase == Phase::Complete).await;
    let weights: Vec<_> = complete
        .receipts
        .iter()
        .map(|receipt| receipt.weight.to_string())
        .collect();
    assert_eq!(weights, ["10 %", "50 %", "100 %"]);
    let sent = load.end().await;
    sent.assert_failed_by_kills_alone();
    let versions = sent.audit(cluster.client()).await;
    assert_eq!(versions, ["1.1.0".to_owned()].into(), "all are on the new version");
    (cluster.admin().steer(&complete, Command::Finalize))
        .await
        .expect("it fits");
}

/// R96, R137
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_panics_on_some_flights_is_taken_back_though_the_controller_is_killed() {
    let mut cluster = Cluster::start("flights-v1", &["a", "b", "c"]).await;
    let load = Load::begin(cluster.client().clone());
    cluster.add("flights-bad", "d", &[]).await.expect("it is let in");
    cluster.know_each_other().await;
    let half = Weight::new(5_000).expect("valid");
    let request = Request {
        steps: vec![half, Weight::ALL],
        ..request()
    };
    cluster.admin().start(request).await.expect("possible");
    cluster.kill("a");
    let over = until(&cluster, |rollout| matches!(rollout.phase, Phase::RolledBack { .. })).await;
    let Phase::RolledBack { why } = &over.phase else {
        unreachable!("it was waited for");
    };
    assert!(why.contains("airport: panics"), "{why}");
    let sent = load.end().await;
    assert!(sent.panicked() > 0, "the bad version was seen");
    sent.assert_failed_by_panics_on("B6");
    let versions = sent.audit(cluster.client()).await;
    assert_eq!(versions, ["1.0.0".to_owned()].into(), "all are back");
}

/// R138
#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_a_breaking_message_is_not_let_in_and_its_rollout_is_refused() {
    let mut cluster = Cluster::start("flights-v1", &["a", "b"]).await;
    let load = Load::begin(cluster.client().clone());
    let why = cluster
        .add("flights-breaking", "c", &[])
        .await
        .expect_err("it is not let in");
    assert!(why.contains("message airport.depart: Depart.gate"), "{why}");
    let let_in = cluster.add("flights-breaking", "c", &["--allow-conflicts"]).await;
    let_in.expect("it was told to");
    cluster.know_each_other().await;
    cluster.kill("a");
    let clock = Clock::system();
    let end = clock.now() + Duration::from_secs(60);
    let refused = loop {
        assert!(
            clock.now() < end,
            "a plan is refused once the silo that was killed is dead"
        );
        match cluster.admin().start(request()).await {
            Err(AdminError::Refused(why)) if !why[0].contains("did not answer") => break why.join("\n"),
            // A plan needs all silos: the one that was killed is not dead yet.
            Err(_) => clock.sleep(Duration::from_millis(100)).await,
            Ok(rollout) => panic!("it began: {rollout:#?}"),
        }
    };
    assert!(
        refused.contains("\"airport\" 1.0.0 and 1.2.0 cannot read each other"),
        "{refused}"
    );
    assert!(refused.contains("message airport.depart: Depart.gate"), "{refused}");
    assert_eq!(
        cluster.admin().rollout().await.expect("answered"),
        None,
        "nothing has begun"
    );
    drop(load);
}
