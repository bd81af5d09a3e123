//! Each tick of a reminder comes at least once, at its time or later, under the same due time if it comes again; and where nothing
//! fails once. (Guarantee 4)

use crate::{
    story::Run,
    watcher::{PERIOD, WATCHERS},
};
use quark::testkit::Fault;
use std::{collections::BTreeSet, time::Duration};

/// So long after all is mended a tick may still be tried again.
const TRIED_AGAIN: Duration = Duration::from_secs(40);

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // Times are of the silos' wall clocks; a store that forgets may forget that a reminder is set, or that a tick ran.
    if run.stuck.is_some() || run.plan.every.contains_key(&Fault::WallJump) || !run.lost_writes.is_empty() {
        return Ok(());
    }
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let (begun, stopped) = run.history.watched;
    for watcher in WATCHERS {
        let ticks = run.history.ticks.get(watcher).map_or(&[][..], Vec::as_slice);
        let mut came = BTreeSet::new();
        for (due, at) in ticks {
            if at < due {
                return Err(format!("a tick of {watcher} that is due at {due} us came at {at} us"));
            }
            if !came.insert(*due) && run.is_planned() {
                return Err(format!(
                    "nothing failed, but the tick of {watcher} due at {due} us came twice"
                ));
            }
        }
        let first = came.first().copied().unwrap_or(u64::MAX);
        if first > begun + micros(PERIOD) {
            return Err(format!(
                "the first tick of {watcher}, set before {begun} us, is that of {first} us"
            ));
        }
        let mut due = first;
        while due + micros(TRIED_AGAIN) < stopped {
            if !came.remove(&due) {
                return Err(format!("the tick of {watcher} that was due at {due} us never came"));
            }
            due += micros(PERIOD);
        }
        let is_off = |due: &&u64| !(**due - first).is_multiple_of(micros(PERIOD));
        if let Some(off) = came.iter().find(is_off) {
            return Err(format!(
                "a tick of {watcher} was due at {off} us, and the first at {first} us"
            ));
        }
    }
    Ok(())
}
