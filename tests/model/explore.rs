//! The checker at work: explores a scenario to its end, or finds the shortest way to break a law.

use crate::{
    acts::Act,
    check::{HAPPENS, LAWS},
    config::Config,
    world::World,
};
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::time::Duration;

/// A scenario that takes longer has grown too wide.
const LIMIT: Duration = Duration::from_secs(300);

/// Explores all that can happen, and says how much that was.
///
/// Depth first: the worlds still to be visited are few, whereas a whole breadth of them would not fit into memory.
pub(crate) fn exhaust(name: &str, config: &Config) {
    #[allow(clippy::disallowed_methods, reason = "how long the checker took")]
    let start = std::time::Instant::now();
    let checker = config
        .clone()
        .checker()
        .timeout(LIMIT)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    let took = start.elapsed();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!("| {name} | {states} | {steps} | {depth} | {:.1} |", took.as_secs_f32());
    if let Some((law, path)) = LAWS.iter().find_map(|law| Some((law, checker.discovery(law)?))) {
        panic!("{name} breaks `{law}`:{}", trace(path));
    }
    assert!(took < LIMIT, "{name}: not exhausted in {LIMIT:?}");
    assert!(
        checker.discovery(HAPPENS).is_some(),
        "{name}: not all that it is about can happen"
    );
}

/// The shortest way to break a law, if there is one.
pub(crate) fn shortest(config: &Config, law: &'static str) -> Option<String> {
    let checker = config
        .clone()
        .checker()
        .timeout(LIMIT)
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join();
    checker.discovery(law).map(trace)
}

fn trace(path: Path<World, Act>) -> String {
    let acts: Vec<_> = path.into_actions().iter().map(|act| format!("\n    {act:?}")).collect();
    acts.concat()
}
