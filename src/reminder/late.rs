//! What becomes of a tick that is late.

use crate::store::{Missed, Reminder};

/// By how much a tick of [`Missed::Skip`] may be late, in microseconds, if its period is not shorter.
const GRACE_MICROS: u64 = 60_000_000;

/// What is to be done with a tick that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is delivered.
    Deliver,
    /// It is left out.
    LeaveOut,
}

/// What is to be done `now` with the next tick of a reminder.
pub(super) fn judge(reminder: &Reminder, now: u64) -> Verdict {
    let late = now.saturating_sub(reminder.due_micros);
    let grace = (reminder.spec.every_micros).map_or(GRACE_MICROS, |every| every.min(GRACE_MICROS));
    match reminder.spec.missed {
        Missed::Skip if late > grace => Verdict::LeaveOut,
        _ => Verdict::Deliver,
    }
}

/// When the tick after the next is due, by the reminder's own grid whatever the delay; `None` if there is none.
pub(super) fn after(reminder: &Reminder, now: u64) -> Option<u64> {
    let every = reminder.spec.every_micros?.max(1);
    let missed = match reminder.spec.missed {
        Missed::CatchUp => 0,
        _ => now.saturating_sub(reminder.due_micros) / every,
    };
    Some((reminder.due_micros).saturating_add(every.saturating_mul(missed + 1)))
}
