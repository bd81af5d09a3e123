//! A silo that has left in order owns nothing any more, but what it says it had to stop. (Guarantee 16)

use crate::story::Run;
use quark::testkit::Fault;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for departure in &run.departures {
        let (report, owned) = (&departure.report, departure.owned);
        let in_order = report.flushed && report.forced.is_empty() && report.unsaved.is_empty();
        if run.is_planned() && !in_order {
            return Err(format!(
                "nothing failed, but {} left like this: {report:?}",
                report.silo
            ));
        }
        // A registration that the store does late, after it was given up, is one by a silo that is gone: whoever asks next takes it over.
        let is_late = run.plan.every.contains_key(&Fault::StoreLate);
        // A store that has failed over knows the entries of before.
        let is_forgotten = !run.lost_writes.is_empty();
        if in_order && owned > 0 && !is_late && !is_forgotten {
            return Err(format!("{} has left in order and owns {owned} actors", report.silo));
        }
    }
    Ok(())
}
