//! In one rollout an actor moves at most once, and back at most once. (Guarantee 19)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // Where silos fail actors come up elsewhere, which is no move.
    let Some(rolled_back) = run.rolled_back.filter(|_| run.is_planned()) else {
        return Ok(());
    };
    let mut ways: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for turn in &run.history.turns {
        let way = ways.entry(&turn.actor).or_default();
        if way.last().is_none_or(|(silo, _)| *silo != turn.silo) {
            way.push((&turn.silo, turn.version));
        }
    }
    for (actor, way) in ways {
        let versions: Vec<_> = way.iter().map(|(_, version)| *version).collect();
        let is_right = match &versions[..] {
            ["1.0.0"] => rolled_back,
            ["1.0.0", "1.1.0"] => true,
            ["1.0.0", "1.1.0", "1.0.0"] => rolled_back,
            // It came up on the new version, or nobody asked it while it was on the old one.
            ["1.1.0"] => !rolled_back,
            ["1.1.0", "1.0.0"] => rolled_back,
            _ => false,
        };
        if !is_right {
            let how = if rolled_back {
                "that was taken back"
            } else {
                "that went through"
            };
            return Err(format!("in a rollout {how} {actor} went this way: {way:?}"));
        }
    }
    Ok(())
}
