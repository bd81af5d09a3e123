//! Every request is answered as it went: what was said not to have run did not, and nothing is there that nobody sent. (Guarantee 1)

use crate::{
    history::{Kind, Request, Told},
    story::Run,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn check(run: &Run) -> Result<(), String> {
    let ran: BTreeSet<_> = (run.history.turns.iter())
        .map(|turn| (turn.actor.as_str(), turn.sender.as_str(), turn.n))
        .collect();
    let (mut sent, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for request in &run.history.requests {
        let key = (request.actor.as_str(), request.sender.as_str(), request.n);
        sent.insert(key);
        let outcome = match &request.told {
            Some((_, Told::Done(_))) => "done",
            Some((at, Told::NotRun(why))) => {
                if ran.contains(&key) {
                    return Err(format!("{key:?} ran; at {at:?} it was said not to have: {why}"));
                }
                "not run"
            }
            Some((_, Told::Unknown(_))) => "unknown",
            None => "open",
        };
        if outcome == "done" && !ran.contains(&key) {
            return Err(format!("{key:?} was answered, and never ran"));
        }
        *counts.entry((outcome, request.kind == Kind::Append)).or_insert(0_usize) += 1;
    }
    if let Some(unsent) = ran.difference(&sent).next() {
        return Err(format!("{unsent:?} ran, and nobody sent it"));
    }
    if counts.values().sum::<usize>() != run.history.requests.len() {
        return Err(format!(
            "of {} requests are accounted for: {counts:?}",
            run.history.requests.len()
        ));
    }
    // Where nothing fails every client is answered. A caller within a silo that leaves is told that nothing more is sent, or goes with it.
    let is_failed = |request: &&Request| match &request.told {
        Some((_, Told::Done(_))) => false,
        Some((_, Told::NotRun(_))) | None => !request.sender.contains('\''),
        Some((_, Told::Unknown(_))) => true,
    };
    let unknown = run.history.requests.iter().find(is_failed);

    match unknown.filter(|_| run.is_planned()) {
        Some(request) => Err(format!("nothing failed, but {request:?} did")),
        None => Ok(()),
    }
}
