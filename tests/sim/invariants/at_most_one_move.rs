//! In one rollout an actor moves at most once, and back at most once. (Guarantee 19)

use crate::story::Run;
use std::{collections::BTreeMap, time::Duration};

/// By then everybody has read the weights that a rollout began with. Until then an actor may come up as if there were none.
const KNOWN: Duration = Duration::from_secs(1);

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // Where silos fail actors come up elsewhere, which is no move.
    let Some(rollout) = run.rollout.filter(|_| run.is_planned()) else {
        return Ok(());
    };
    let mut ways: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for turn in &run.history.turns {
        let way = ways.entry(&turn.actor).or_default();
        if way.last().is_none_or(|(silo, _)| *silo != turn.silo) {
            way.push((&turn.silo, turn.version));
        }
        // It was on the new version before it was told to: the weights may take it to the old one before they bring it back.
        if turn.began < rollout.begun + KNOWN && way.len() == 1 && turn.version == "1.1.0" {
            way.clear();
        }
    }
    let is_back = rollout.is_back;
    for (actor, way) in ways {
        let versions: Vec<_> = way.iter().map(|(_, version)| *version).collect();
        let is_right = match &versions[..] {
            // Nobody asked it after it was first told where to be.
            [] => true,
            ["1.0.0"] => is_back,
            ["1.0.0", "1.1.0"] => true,
            ["1.0.0", "1.1.0", "1.0.0"] => is_back,
            // There and back, and nobody asked it while it was there.
            ["1.0.0", "1.0.0"] => is_back,
            // It came up on the new version, or nobody asked it while it was on the old one.
            ["1.1.0"] => !is_back,
            ["1.1.0", "1.0.0"] => is_back,
            _ => false,
        };
        if !is_right {
            let how = if is_back {
                "that was taken back"
            } else {
                "that went through"
            };
            return Err(format!("in a rollout {how} {actor} went this way: {way:?}"));
        }
    }
    Ok(())
}
