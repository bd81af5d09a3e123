//! At most one activation of an actor has an effect at a time: what is saved was done by owners one after the other. (Guarantee 8)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (actor, list) in &run.lists {
        if let Some(two) = list.windows(2).find(|two| two[0].epoch > two[1].epoch) {
            return Err(format!(
                "{actor} was changed by epoch {} behind {}",
                two[1].epoch, two[0].epoch
            ));
        }
    }
    Ok(())
}
