//! The same seed does the same, event by event: within a process, and in another one.

use crate::{quiet, story::Story};
use std::{process::Command, time::Duration};

fn story() -> Story {
    Story {
        time: Duration::from_secs(10),
        ..Story::default()
    }
}

#[test]
fn the_same_seed_does_the_same_event_by_event() {
    quiet();
    for seed in 0..1 {
        let (one, other) = (story().run(seed), story().run(seed));
        for (at, (one, other)) in one.trace.iter().zip(&other.trace).enumerate() {
            assert_eq!(one, other, "event {at} of seed {seed}");
        }
        assert_eq!(
            (one.events, one.trace_hash),
            (other.events, other.trace_hash),
            "seed {seed}"
        );
        assert!(one.events > 1_000, "something happened");
    }
    assert_ne!(story().run(0).trace_hash, story().run(1).trace_hash);
}

/// Prints the hash of a seed's run, for the test below.
#[test]
#[ignore = "the other process of the_same_seed_does_the_same_in_another_process"]
fn hash_of_seed_five() {
    quiet();
    println!("\nhash {:x}", story().run(5).trace_hash);
}

#[test]
#[ignore = "minutes: make sim"]
fn the_same_seed_does_the_same_in_another_process() {
    quiet();
    let here = format!("hash {:x}", story().run(5).trace_hash);
    let test = std::env::current_exe().expect("this program");
    let there = Command::new(test)
        .args(["--ignored", "--exact", "determinism::hash_of_seed_five", "--nocapture"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&there.stdout);
    assert!(said.lines().any(|line| line == here), "{here} here, there: {said}");
}
