//! Turns of one actor never overlap. Where a silo may stand still or be cut off, another may go on with its actors while its turns
//! stand still: there what is saved tells. (Guarantees 8, 9)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    if !run.is_planned() {
        return Ok(());
    }
    let mut running = BTreeMap::new();
    for turn in &run.history.turns {
        let actor = turn.actor.as_str();
        if let Some((silo, until)) = running.insert(actor, (&turn.silo, turn.ended))
            && until.is_none_or(|until| until > turn.began)
        {
            return Err(format!(
                "{actor} runs on {} at {:?}, and still on {silo}",
                turn.silo, turn.began
            ));
        }
    }
    Ok(())
}
