//! wip
mod caller;
mod check;
mod config;
mod scenarios;
mod silo;
mod store;
mod world;

use config::Config;
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Duration;

/// Explores all that can happen; the shortest way to a broken law, if there is one.
pub(crate) fn explore(name: &str, config: Config) -> Option<String> {
    let checker = config
        .checker()
        .timeout(Duration::from_secs(900))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs();
    #[allow(clippy::disallowed_methods, reason = "how long the checker took")]
    let start = std::time::Instant::now();
    let checker = checker.join();
    println!(
        "{name}: {} states, {} steps, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f32()
    );
    assert!(start.elapsed().as_secs() < 899, "{name}: not exhausted");
    checker.discoveries().into_iter().next().map(|(law, path)| {
        let acts: Vec<_> = path.into_actions().iter().map(|act| format!("\n    {act:?}")).collect();
        format!("{name} breaks `{law}`:{}", acts.concat())
    })
}
