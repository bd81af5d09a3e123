//! A message never runs on a version outside the policy: where versions may only become newer no actor goes back. (Guarantee 18)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    if !run.only_newer {
        return Ok(());
    }
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for turn in &run.history.turns {
        let newest = newest.entry(&turn.actor).or_insert(turn.version);
        // Versions of one digit each.
        if turn.version < *newest {
            let (actor, silo, version) = (&turn.actor, &turn.silo, turn.version);
            return Err(format!(
                "{actor} ran in {version} on {silo} at {:?}, after {newest}",
                turn.began
            ));
        }
        *newest = turn.version;
    }
    Ok(())
}
