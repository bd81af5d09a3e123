//! An epoch is one silo's, and is never used again. (Guarantee 8)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
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
