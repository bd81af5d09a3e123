//! Saving behind: an actor is saved a while after it has changed, many changes in one save.

use super::{Context, Hosted, Message, current::with_timers, outbox::SAVE};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Has the actor saved, between two turns.
#[derive(Clone, Serialize, Deserialize)]
struct SaveNow;

impl Message for SaveNow {
    type Reply = ();
    const NAME: &'static str = SAVE;
}

/// How long after a save that failed it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl<A: Serialize + Hosted> Context<A> {
    /// Has the actor saved within `window`, between two turns, if it has changed by then: turns meanwhile share that save, and do not
    /// wait for it. A crash loses what was changed within the window. One that was begun already is not put off; it moves with the
    /// actor, and a save that fails is tried again each second.
    pub fn save_within(&mut self, window: Duration) {
        self.set_save(window);
    }
}

impl<A> Context<A> {
    pub(super) fn set_save(&self, after: Duration) {
        let due = self.services().clock().now() + after;
        with_timers(|timers| {
            if !timers.as_ref().is_some_and(|timers| timers.contains(SAVE)) {
                timers.get_or_insert_default().set(SAVE, due, None, SaveNow);
            }
        });
    }

    /// Whether the actor is to be saved before its next turn; not asked twice.
    pub(super) fn takes_save(&mut self) -> bool {
        let side = self.rest.as_mut().and_then(|rest| rest.side.as_mut());
        side.is_some_and(|side| std::mem::take(&mut side.save_now))
    }

    /// It could not be saved.
    pub(super) fn save_again(&self) {
        self.set_save(AGAIN);
    }
}
