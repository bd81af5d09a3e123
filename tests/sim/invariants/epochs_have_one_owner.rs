//! An epoch is one silo's, and is never used again. (Guarantee 8)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // An epoch that was given in a time that the store forgot is given again.
    if !run.lost_writes.is_empty() {
        return Ok(());
    }
    let mut owners: BTreeMap<_, &str> = BTreeMap::new();
    for turn in &run.history.turns {
        let owner = owners.entry((turn.actor.as_str(), turn.epoch)).or_insert(&turn.silo);
        if *owner != turn.silo {
            let (actor, epoch) = (&turn.actor, turn.epoch);
            return Err(format!(
                "{actor} ran by epoch {epoch} on {owner} and, at {:?}, on {}",
                turn.began, turn.silo
            ));
        }
    }
    Ok(())
}
