//! A one-shot timer fires at most once, not before its time; and where nothing fails exactly once, wherever its actor moves. (Guarantee 4)

use crate::story::Run;
use std::time::Duration;

/// So much of a timer's time may a clock that is fast take away: a twentieth, and what a move rounds.
const ROUNDING: Duration = Duration::from_millis(2);

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for ((actor, id), timer) in &run.history.timers {
        if let [(first, one), (again, other), ..] = &timer.fired[..] {
            return Err(format!(
                "timer {id} of {actor} fired on {one} at {first:?} and on {other} at {again:?}"
            ));
        }
        let early = |at: Duration| {
            let set = timer.set.unwrap_or_default();
            at + ROUNDING + timer.due.saturating_sub(set) / 10 < timer.due
        };
        match timer.fired.first() {
            Some((at, silo)) if early(*at) => {
                return Err(format!(
                    "timer {id} of {actor} fired on {silo} at {at:?}, due at {:?}",
                    timer.due
                ));
            }
            None if run.is_planned() && run.stuck.is_none() => {
                return Err(format!("timer {id} of {actor}, due at {:?}, never fired", timer.due));
            }
            _ => {}
        }
    }
    Ok(())
}
