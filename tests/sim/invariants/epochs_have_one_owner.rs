//! An epoch is one silo's, and is never used again. (Guarantee 8)

use crate::story::Run;
use quark::{ident::SiloId, testkit::OwnerChange};
use std::{collections::BTreeMap, time::Duration};

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let mut owners: BTreeMap<_, (&str, Duration)> = BTreeMap::new();
    for turn in &run.history.turns {
        let now = (turn.silo.as_str(), turn.began);
        let (owner, since) = *owners.entry((turn.actor.as_str(), turn.epoch)).or_insert(now);
        if owner == turn.silo {
            continue;
        }
        let (actor, epoch) = (&turn.actor, turn.epoch);
        // An epoch that was given in a time that the store forgot is given again.
        if was_forgotten(run, actor, epoch, owner) {
            owners.insert((actor.as_str(), epoch), now);
            continue;
        }
        return Err(format!(
            "{actor} ran by epoch {epoch} on {owner} at {since:?} and, at {:?}, on {}",
            turn.began, turn.silo
        ));
    }
    Ok(())
}

/// Whether the store forgot that it gave this epoch to this silo.
fn was_forgotten(run: &Run, actor: &str, epoch: u64, silo: &str) -> bool {
    let is_it = |change: &&OwnerChange| {
        let owner = change.after.owner.as_ref().map(SiloId::name);
        change.actor.key() == actor && change.after.epoch.0 == epoch && owner == Some(silo)
    };
    let mut given = run.owners.iter().filter(is_it);
    given.any(|change| run.is_lost(change.at))
}
