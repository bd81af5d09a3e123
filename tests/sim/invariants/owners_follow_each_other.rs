//! Every change of an entry is at a later epoch than what it replaces, and an epoch that was given is never given again, unless the
//! store itself forgot it. (Guarantee 8)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let mut given = BTreeMap::new();
    for change in &run.owners {
        let (actor, before, after) = (&change.actor, &change.before, &change.after);
        if after.epoch <= before.epoch {
            return Err(format!(
                "at {:?} {} made {after:?} of {before:?}, the entry of {actor}",
                change.at, change.by
            ));
        }
        let last = given.insert((actor, after.epoch), change);
        if let Some(last) = last.filter(|last| !run.is_lost(last.at)) {
            return Err(format!(
                "{actor} came to {after:?} at {:?}, and had been at {:?} at {:?}",
                change.at, last.after, last.at
            ));
        }
    }
    Ok(())
}
