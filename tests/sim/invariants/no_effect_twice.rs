//! Nothing has its effect twice. (Guarantees 1, 4)

use crate::story::Run;
use std::collections::BTreeSet;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (actor, list) in &run.lists {
        let mut seen = BTreeSet::new();
        for note in list {
            if !seen.insert((&note.sender, note.n)) {
                return Err(format!("{} of {} is twice in {actor}", note.n, note.sender));
            }
        }
    }
    // A message is taken by one turn; what is lost with its silo is not taken by another's. But for what the store forgot.
    let mut ran = BTreeSet::new();
    for turn in run.history.turns.iter().filter(|turn| !run.is_forgotten(turn)) {
        if !ran.insert((&turn.actor, &turn.sender, turn.n)) {
            return Err(format!(
                "{} of {} ran twice on {}, again at {:?}",
                turn.n, turn.sender, turn.actor, turn.began
            ));
        }
    }
    Ok(())
}
