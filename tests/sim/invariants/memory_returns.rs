//! Actors that nobody uses any more give back what they took. (Guarantee 6)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (silo, held) in &run.when_idle {
        if held.actors > 0 {
            return Err(format!("long after the idle timeout {silo} still holds {held:?}"));
        }
    }
    Ok(())
}
