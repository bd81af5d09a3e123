//! Stories, and what must hold of every seed of each.

use crate::{
    seeds::Seeds,
    story::{Story, Upgrade},
};
use quark::testkit::Fault;

#[test]
fn planned_change_loses_nothing() {
    let seeds = Seeds {
        test: "laws::planned_change_loses_nothing",
        from: 0,
        share: 15,
    };
    let sum = seeds.run(&Story::without_faults());
    assert!(sum.turns > 0 || sum.runs == 0);
}

#[test]
fn actors_go_to_newer_versions_alone_where_the_policy_says_so() {
    let seeds = Seeds {
        test: "laws::actors_go_to_newer_versions_alone_where_the_policy_says_so",
        from: 20_000,
        share: 5,
    };
    seeds.run(&Story {
        only_newer: true,
        ..Story::without_faults()
    });
}

#[test]
fn a_rollout_moves_each_actor_once_and_back_once() {
    let seeds = Seeds {
        test: "laws::a_rollout_moves_each_actor_once_and_back_once",
        from: 30_000,
        share: 10,
    };
    seeds.run(&Story {
        upgrade: Upgrade::Rollout,
        moves: false,
        accounts: 12,
        ..Story::without_faults()
    });
}

#[test]
fn every_law_holds_whatever_fails() {
    let seeds = Seeds {
        test: "laws::every_law_holds_whatever_fails",
        from: 10_000,
        share: 60,
    };
    seeds.run(&Story::default()).coverage.check();
}

#[test]
fn a_store_that_loses_its_last_writes_loses_nothing_else() {
    let seeds = Seeds {
        test: "laws::a_store_that_loses_its_last_writes_loses_nothing_else",
        from: 40_000,
        share: 10,
    };
    let mut faults = Fault::ALL.to_vec();
    faults.push(Fault::StoreFailover);
    seeds.run(&Story {
        faults,
        always: vec![Fault::StoreFailover],
        ..Story::default()
    });
}
