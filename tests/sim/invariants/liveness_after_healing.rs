//! Once all is mended the cluster becomes whole, every request has come to an end, and every actor answers. (Guarantees 1, 14)

use crate::{history::Request, story::Run};
use std::time::Duration;

/// How long a request may take beyond its patience.
const LATE: Duration = Duration::from_secs(35);

pub(crate) fn check(run: &Run) -> Result<(), String> {
    if let Some(why) = &run.stuck {
        return Err(why.clone());
    }
    for request in run.history.requests.iter().filter(|request| !request.repeats) {
        let (actor, sender, n) = (&request.actor, &request.sender, request.n);
        match &request.told {
            // The clock of a caller within a silo may be wrong, or stand still.
            Some((at, _)) if *at > request.sent + LATE && !sender.contains('\'') => {
                return Err(format!(
                    "{n} of {sender} to {actor}, sent at {:?}, ended at {at:?}",
                    request.sent
                ));
            }
            // A caller within a silo may have gone with it.
            None if !has_gone(run, request) => return Err(format!("{n} of {sender} to {actor} never ended")),
            _ => {}
        }
    }
    Ok(())
}

/// Whether who asked was within a silo that has ended since.
fn has_gone(run: &Run, request: &Request) -> bool {
    let silo = request.sender.split_once('\'').map(|(silo, _)| silo);
    silo.is_some_and(|silo| run.has_ended(silo, request.sent, Duration::MAX))
}
