//! Which seeds of a story are run, for how long and on how many threads, what they came to, and how one that fails is run again.
//!
//! `QUARK_SIM_SEED` is one seed, which is printed event by event; `QUARK_SIM_SEEDS` how many of each story; `QUARK_SIM_SECS` how many
//! seconds all stories together may take, of which each has its share: then no other seed is begun.

use crate::{
    coverage::Coverage,
    invariants, quiet,
    story::{Run, Story},
};
use quark::clock::{Clock, Moment};
use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How many seeds the ordinary run takes of each story.
const SEEDS: u64 = 1;

/// So many of the last events are printed of a run that fails.
const SHOWN: usize = 400;

/// So many seeds may fail before no other is begun.
const MAX_FAILED: usize = 5;

/// The seeds of a test.
pub(crate) struct Seeds {
    /// The test, as `cargo test` knows it.
    pub(crate) test: &'static str,
    /// The first seed.
    pub(crate) from: u64,
    /// Which part of the time of all tests it may take, in hundredths.
    pub(crate) share: u32,
}

/// What the seeds of a test came to.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) runs: u64,
    pub(crate) turns: usize,
    pub(crate) coverage: Coverage,
    requests: usize,
    events: u64,
    simulated: Duration,
    /// By seed, why.
    failed: Vec<(u64, String)>,
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

impl Seeds {
    /// Runs them.
    ///
    /// # Panics
    /// If one breaks an invariant: with what happened, why, and the command that runs it again.
    pub(crate) fn run(&self, story: &Story) -> Sum {
        quiet();
        let clock = Clock::system();
        let begun = clock.now();
        if let Some(seed) = number("QUARK_SIM_SEED") {
            let mut sum = Sum::default();
            self.run_one(story, seed, &Mutex::new(&mut sum), true);
            return self.conclude(sum, Duration::ZERO);
        }
        let secs = number("QUARK_SIM_SECS");
        let until = secs.map(|secs| begun + Duration::from_secs(secs) * self.share / 100);
        let count = number("QUARK_SIM_SEEDS").unwrap_or(if secs.is_some() { u64::MAX } else { SEEDS });
        let mut sum = Sum::default();
        self.run_many(story, count, until, &mut sum);
        self.conclude(sum, clock.now().since(begun))
    }

    /// Each seed is a world of its own, so every core runs some.
    fn run_many(&self, story: &Story, count: u64, until: Option<Moment>, sum: &mut Sum) {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let (next, sum) = (AtomicU64::new(0), Mutex::new(sum));
        let run = || {
            let clock = Clock::system();
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let is_over = until.is_some_and(|until| clock.now() >= until);
                let failed = sum.lock().expect("nobody panics with it").failed.len();
                // The first is run in any case: a bound on time is none on what is tested.
                if nth >= count || (is_over && nth > 0) || failed >= MAX_FAILED {
                    return;
                }
                self.run_one(story, self.from + nth, &sum, false);
            }
        };
        if count == 1 {
            return run();
        }
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(run);
            }
        });
    }

    fn run_one(&self, story: &Story, seed: u64, sum: &Mutex<&mut Sum>, print: bool) {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let run = story.run(seed);
            if print {
                run.trace.iter().for_each(|event| println!("{event}"));
            }
            let complaint = self.complaint(&run);
            (run, complaint)
        }));
        let mut sum = sum.lock().expect("nobody panics with it");
        match ran {
            Ok((run, complaint)) => {
                sum.add(&run);
                sum.failed.extend(complaint.map(|complaint| (seed, complaint)));
            }
            Err(panic) => {
                let why = format!("seed {seed} panics: {}\n{}", text_of(&*panic), self.again(seed));
                sum.failed.push((seed, why));
            }
        }
    }

    fn again(&self, seed: u64) -> String {
        let test = self.test;
        format!(
            "again: QUARK_SIM_SEED={seed} cargo test --profile sim --all-features --test sim -- --exact {test} --nocapture"
        )
    }

    /// What is wrong with a run, and how to run it again; `None`: nothing.
    fn complaint(&self, run: &Run) -> Option<String> {
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
        text.push_str(&self.again(run.seed));
        Some(text)
    }

    fn conclude(&self, mut sum: Sum, took: Duration) -> Sum {
        println!(
            "{}: {} seeds in {:.0} s, {} s simulated, {} requests, {} turns, {} events",
            self.test,
            sum.runs,
            took.as_secs_f64(),
            sum.simulated.as_secs(),
            sum.requests,
            sum.turns,
            sum.events
        );
        sum.failed.sort_unstable();
        if let Some((_, why)) = sum.failed.first() {
            let others: Vec<u64> = sum.failed.iter().skip(1).map(|(seed, _)| *seed).collect();
            panic!("{why}\nothers that fail: {others:?}");
        }
        sum
    }
}

impl Sum {
    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.requests += run.history.requests.len();
        self.turns += run.history.turns.len();
        self.events += run.events;
        self.simulated += run.simulated;
        self.coverage.add(run);
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown reason")
}
