//! A silo never follows a view that is older than one that it knew, but once for each time that the store lost writes. (Guarantee 14)

use crate::story::Run;

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (silo, views) in &run.history.views {
        let back = views.windows(2).filter(|two| two[1].1 < two[0].1);
        for (nth, two) in back.enumerate() {
            let [(_, known), (at, view)] = two else { continue };
            let failovers = run.lost_writes.iter().filter(|(_, until)| until <= at);
            if failovers.count() <= nth {
                return Err(format!("{silo} knew view {known}, and at {at:?} follows view {view}"));
            }
        }
    }
    Ok(())
}
