//! A one-shot timer fires at most once, but for what the store forgot, and not before its time; where nothing fails exactly once,
//! wherever its actor moves. (Guarantee 4)

use crate::story::Run;
use std::time::Duration;

/// So much of a timer's time may a clock that is fast take away: a twentieth, and what a move rounds.
const ROUNDING: Duration = Duration::from_millis(2);

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for ((actor, id), timer) in &run.history.timers {
        let fired = timer.fired.iter();
        let counts: Vec<_> = fired
            .filter(|(at, silo)| !run.is_forgotten_at(actor, silo, *at))
            .collect();
        if let [(first, one), (again, other), ..] = counts[..] {
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
