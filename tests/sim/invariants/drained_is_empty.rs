//! A silo that has left in order owns nothing any more, but what it says it had to stop. (Guarantee 16)

use crate::story::Run;
use quark::{
    ident::{ActorId, SiloId},
    testkit::Fault,
};

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for departure in &run.departures {
        let (report, owned) = (&departure.report, &departure.owned);
        let in_order = report.flushed && report.forced.is_empty() && report.unsaved.is_empty();
        if run.is_planned() && !in_order {
            return Err(format!(
                "nothing failed, but {} left like this: {report:?}",
                report.silo
            ));
        }
        // A registration of which the silo heard nothing may have been done, and the store may take longer to say so than a silo that
        // leaves waits: whoever asks next takes that over, too.
        let is_silent = [Fault::StoreLate, Fault::StoreSilent]
            .iter()
            .any(|fault| run.plan.every.contains_key(fault));
        if is_silent {
            continue;
        }
        let may_own = |actor: &ActorId| is_late(run, actor, &report.silo) || is_forgotten(run, actor, &report.silo);
        if let Some(actor) = owned.iter().find(|actor| in_order && !may_own(actor)) {
            return Err(format!("{} has left in order and owns {actor}", report.silo));
        }
    }
    Ok(())
}

/// Whether the store did for the silo what the silo had given up: whoever asks next takes that over, from a silo that is gone.
fn is_late(run: &Run, actor: &ActorId, silo: &SiloId) -> bool {
    let mut changes = run.owners.iter();
    let last = changes.rfind(|change| change.actor == *actor && change.after.owner.as_ref() == Some(silo));
    last.is_some_and(|change| change.is_late)
}

/// Whether the silo gave the actor up, and the store forgot it.
fn is_forgotten(run: &Run, actor: &ActorId, silo: &SiloId) -> bool {
    let gave_up =
        |change: &&quark::testkit::OwnerChange| change.actor == *actor && change.before.owner.as_ref() == Some(silo);
    let mut changes = run.owners.iter().filter(gave_up);
    changes.any(|change| run.is_lost(change.at))
}
