//! Actors that nobody uses any more give back what they took: their place in a silo, and their entry in the directory. (Guarantee 6)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (silo, held) in &run.when_idle {
        if held.actors > 0 {
            return Err(format!("long after the idle timeout {silo} still holds {held:?}"));
        }
    }
    match run.owned_when_idle.first_key_value() {
        Some((actor, owner)) => Err(format!(
            "long after the idle timeout {actor} is still {owner}'s by the directory"
        )),
        None => Ok(()),
    }
}
