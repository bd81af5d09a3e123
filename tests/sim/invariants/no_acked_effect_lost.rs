//! What was acknowledged is there at the end, unless the store itself forgot it. (Guarantees 4, 8)

use crate::{
    history::{Kind, Told},
    story::Run,
};

pub(crate) fn check(run: &Run) -> Result<(), String> {
    if run.stuck.is_some() {
        return Ok(());
    }
    for request in &run.history.requests {
        let (actor, sender, n) = (&request.actor, &request.sender, request.n);
        if let (Kind::Append, Some((at, Told::Done(_)))) = (request.kind, &request.told) {
            let is_it =
                |list: &Vec<crate::account::Note>| list.iter().any(|note| (&note.sender, note.n) == (sender, n));
            if run.lists.get(actor).is_some_and(is_it) || run.may_be_lost(request.sent, *at) {
                continue;
            }
            let mut turns = run.history.turns.iter();
            let is_its = |turn: &&crate::history::Turn| (&turn.actor, &turn.sender, turn.n) == (actor, sender, n);
            if !turns.any(|turn| is_its(&turn) && run.is_by_a_forgotten_epoch(turn)) {
                return Err(format!(
                    "{n} of {sender} to {actor} was acknowledged at {at:?}, and is lost"
                ));
            }
        }
    }
    Ok(())
}
