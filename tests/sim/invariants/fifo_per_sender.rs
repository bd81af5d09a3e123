//! What one sender sends to one actor runs in the order sent. (Guarantee 3)

use crate::story::Run;
use std::collections::BTreeMap;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let mut last = BTreeMap::new();
    for turn in run.history.turns.iter().filter(|turn| !run.is_forgotten(turn)) {
        let of = (turn.actor.as_str(), turn.sender.as_str());
        if let Some(before) = last.insert(of, turn.n)
            && before > turn.n
        {
            let (actor, sender) = of;
            return Err(format!(
                "{} of {sender} ran on {actor} at {:?}, after {before}",
                turn.n, turn.began
            ));
        }
    }
    Ok(())
}
