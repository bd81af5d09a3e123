//! Every request is answered as it went: what was said not to have run did not, and nothing is there that nobody sent. (Guarantee 1)

use crate::{
    history::{Kind, Request, Told},
    load::PATIENCE,
    story::Run,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a silo takes to leave at most.
const DRAIN: Duration = Duration::from_secs(30);

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
    match run.history.requests.iter().find(|request| is_failed(run, request)) {
        Some(request) if run.is_planned() => Err(format!("nothing failed, but {request:?} did")),
        _ => Ok(()),
    }
}

/// Whether a request went as none may where nothing fails.
fn is_failed(run: &Run, request: &Request) -> bool {
    let asker = request.sender.split_once('\'').map(|(silo, _)| silo);
    // A caller within a silo that leaves is told that nothing more is sent, or goes with it.
    let has_left =
        |within: Duration| asker.is_some_and(|silo| run.has_ended(silo, request.sent, request.sent + within));
    match &request.told {
        Some((_, Told::Done(_))) => false,
        Some((_, Told::NotRun(_))) => !has_left(PATIENCE + DRAIN),
        Some((_, Told::Unknown(_))) => true,
        None => !has_left(PATIENCE),
    }
}
