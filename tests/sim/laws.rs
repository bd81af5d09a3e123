//! Seeds, and what must hold of each.

use crate::{
    invariants, quiet,
    story::{Run, Story},
};
use quark::testkit::Fault;
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

/// How many seeds the ordinary run takes of each story; `QUARK_SIM_SEEDS` says another number.
const SEEDS: u64 = 1;

/// So many of the last events are printed of a run that fails.
const SHOWN: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What is wrong with a run, and how to run it again; `None`: nothing.
fn complaint(run: &Run, test: &str) -> Option<String> {
    let broken = invariants::broken(run);
    if broken.is_empty() {
        return None;
    }
    let mut text = String::new();
    for event in &run.trace[run.trace.len().saturating_sub(SHOWN)..] {
        writeln!(text, "{event}").expect("a string");
    }
    writeln!(text, "\nseed {} breaks, under {:?}:", run.seed, run.plan).expect("a string");
    for (name, why) in broken {
        writeln!(text, "  {name}: {why}").expect("a string");
    }
    let seed = run.seed;
    write!(
        text,
        "again: QUARK_SIM_SEED={seed} cargo test --all-features --test sim -- --exact {test} --nocapture"
    )
    .expect("a string");
    Some(text)
}

/// What the seeds of a test came to.
#[derive(Default)]
struct Sum {
    runs: u64,
    requests: usize,
    turns: usize,
    events: u64,
    simulated: Duration,
    steps: BTreeMap<&'static str, u64>,
    hits: BTreeMap<(&'static str, &'static str), u64>,
}

impl Sum {
    /// Prints which step was hit by which fault how often, and which never was.
    fn coverage(&self) {
        let faults: Vec<&str> = Fault::AT_STEPS.iter().map(|fault| fault.name()).collect();
        println!("| step | taken | {} |", faults.join(" | "));
        println!("|---|--:|{}", "--:|".repeat(faults.len()));
        let mut spared = Vec::new();
        for (step, taken) in &self.steps {
            let hits = |fault: &&str| self.hits.get(&(*step, *fault)).copied().unwrap_or(0);
            let row: Vec<String> = faults.iter().map(|fault| hits(fault).to_string()).collect();
            println!("| {step} | {taken} | {} |", row.join(" | "));
            spared.extend(
                faults
                    .iter()
                    .filter(|fault| hits(fault) == 0)
                    .map(|fault| format!("{fault} at {step}")),
            );
        }
        if !spared.is_empty() {
            println!(
                "{} of {} never happened: more seeds",
                spared.len(),
                self.steps.len() * faults.len()
            );
        }
    }

    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.requests += run.history.requests.len();
        self.turns += run.history.turns.len();
        self.events += run.events;
        self.simulated += run.simulated;
        for (step, count) in &run.steps {
            *self.steps.entry(step).or_default() += count;
        }
        for (hit, count) in &run.hits {
            *self.hits.entry(*hit).or_default() += count;
        }
    }
}

fn seeds(story: &Story, test: &str, from: u64) -> Sum {
    quiet();
    let mut sum = Sum::default();
    let one = number("QUARK_SIM_SEED");
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => from..from + number("QUARK_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let run = story.run(seed);
        if one.is_some() {
            run.trace.iter().for_each(|event| println!("{event}"));
        }
        if let Some(complaint) = complaint(&run, test) {
            panic!("{complaint}");
        }
        sum.add(&run);
    }
    println!(
        "{test}: {} seeds, {} s simulated, {} requests, {} turns, {} events",
        sum.runs,
        sum.simulated.as_secs(),
        sum.requests,
        sum.turns,
        sum.events
    );
    sum
}

#[test]
fn planned_change_loses_nothing() {
    let sum = seeds(&Story::without_faults(), "laws::planned_change_loses_nothing", 0);
    assert!(sum.turns > 0);
}

#[test]
fn actors_go_to_newer_versions_alone_where_the_policy_says_so() {
    let story = Story {
        only_newer: true,
        ..Story::without_faults()
    };
    seeds(
        &story,
        "laws::actors_go_to_newer_versions_alone_where_the_policy_says_so",
        20_000,
    );
}

#[test]
fn every_law_holds_whatever_fails() {
    let sum = seeds(&Story::default(), "laws::every_law_holds_whatever_fails", 10_000);
    sum.coverage();
}
