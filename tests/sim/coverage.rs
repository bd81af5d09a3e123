//! Which steps of moves, membership and leaving were hit by which faults, and which never were.

use crate::story::Run;
use quark::testkit::{Fault, STEPS};
use std::collections::BTreeMap;

/// Of so many seeds every pair that there can be is hit.
const ENOUGH: u64 = 3_000;

/// Steps that are taken only where something else has gone wrong before, so that no number of seeds promises them.
const RARE: &[&str] = &[];

/// How often each step was taken, and hit by each fault.
#[derive(Default)]
pub(crate) struct Coverage {
    runs: u64,
    steps: BTreeMap<&'static str, u64>,
    hits: BTreeMap<(&'static str, &'static str), u64>,
}

impl Coverage {
    pub(crate) fn add(&mut self, run: &Run) {
        self.runs += 1;
        for (step, count) in &run.steps {
            *self.steps.entry(step).or_default() += count;
        }
        for (hit, count) in &run.hits {
            *self.hits.entry(*hit).or_default() += count;
        }
    }

    /// Prints which step was hit by which fault how often, and which never was.
    ///
    /// # Panics
    /// If a step is taken that [`STEPS`] does not name, or the seeds are enough and a pair was never hit.
    pub(crate) fn check(&self) {
        let unnamed: Vec<_> = self.steps.keys().filter(|step| !STEPS.contains(step)).collect();
        assert!(
            unnamed.is_empty(),
            "steps that testkit::STEPS does not name: {unnamed:?}"
        );
        if self.runs <= 1 {
            return;
        }
        let faults = Fault::AT_STEPS.map(Fault::name);
        println!("| step | taken | {} |", faults.join(" | "));
        println!("|---|--:|{}", "--:|".repeat(faults.len()));
        let mut spared = Vec::new();
        for step in STEPS {
            let hits = faults.map(|fault| self.hits.get(&(step, fault)).copied().unwrap_or(0));
            let taken = self.steps.get(step).copied().unwrap_or(0);
            println!(
                "| {step} | {taken} | {} |",
                hits.map(|hits| hits.to_string()).join(" | ")
            );
            let never = faults.iter().zip(hits).filter(|(_, hits)| *hits == 0);
            spared.extend(never.map(|(fault, _)| (step, *fault)));
        }
        println!(
            "{} of {} pairs never happened: {spared:?}",
            spared.len(),
            STEPS.len() * faults.len()
        );
        spared.retain(|(step, _)| !RARE.contains(step));
        assert!(
            self.runs < ENOUGH || spared.is_empty(),
            "{} seeds have never seen {spared:?}",
            self.runs
        );
    }
}
