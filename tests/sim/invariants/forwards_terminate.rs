//! Once nothing is sent any more nothing is passed on, on its way, or waited for. (Guarantees 1, 6)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (silo, held) in &run.at_rest {
        if held.passing_on > 0 || held.asks > 0 {
            return Err(format!("a minute after the last message {silo} still holds {held:?}"));
        }
    }
    Ok(())
}
