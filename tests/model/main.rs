//! The engines of migration and of ways, explored: silos that run real seats, callers that run real ways, a directory whose
//! answers are late or lost. Takes minutes: `cargo test --profile model --test model`.

mod caller;
mod check;
mod config;
mod scenarios;
mod silo;
mod store;
mod world;

use check::LAWS;
use config::Config;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1200);

/// Explores all that can happen, and says how much that was.
fn exhaust(name: &str, config: &Config) {
    #[allow(clippy::disallowed_methods, reason = "how long the checker took")]
    let start = std::time::Instant::now();
    let checker = config
        .clone()
        .checker()
        .timeout(LIMIT)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!(
        "{name}: {states} states, {steps} steps, depth {depth}, {:.1} s",
        start.elapsed().as_secs_f32()
    );
    if !checker.discoveries().is_empty() {
        let trace = LAWS.iter().find_map(|law| shortest(config, law));
        panic!("{name} breaks {}", trace.expect("it was found before"));
    }
    assert!(start.elapsed() < LIMIT, "{name}: not exhausted in {LIMIT:?}");
}

/// The shortest way to break a law, if there is one.
fn shortest(config: &Config, law: &'static str) -> Option<String> {
    let law_is_broken = HasDiscoveries::AnyOf([law].into());
    let checker = config
        .clone()
        .checker()
        .timeout(LIMIT)
        .finish_when(law_is_broken)
        .spawn_bfs()
        .join();
    let path = checker.discovery(law)?;
    let acts: Vec<_> = path.into_actions().iter().map(|act| format!("\n    {act:?}")).collect();
    Some(format!("`{law}`:{}", acts.concat()))
}
