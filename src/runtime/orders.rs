//! What an activation is told, done between turns.

use super::{
    Control, Event, FreezeError, Outside,
    answer::fail,
    local::Local,
    slot::{Doing, Slot, State, Work, drop_fenced},
};
use crate::{
    actor::Timers,
    mailbox::Records,
    wire::{Failure, FailureCode, Ran},
};

impl Slot {
    /// Stops a freeze whose turn has not ended, or whose hook has not. An actor whose hook ends later runs on.
    pub(super) fn cancel_freeze(&mut self, outside: &dyn Outside) {
        let in_hook = matches!(self.state, State::Busy(Work::Step(Doing::HookBeforeFreeze, _)));
        let hook_is_cut = in_hook && !std::mem::replace(&mut self.thaws, true);
        if std::mem::take(&mut self.freezing) || hook_is_cut {
            outside.report(&self.activation, Event::FreezeFailed(FreezeError::TimedOut));
        }
    }

    /// Does what it was told. `queued` was taken out of the mailbox with it.
    pub(super) fn obey(&mut self, local: &Local, control: Control, queued: Records) {
        if self.is_pausing() && matches!(control, Control::Freeze | Control::End(_)) {
            // A move or an end is not held up by a pause.
            self.load(local);
        }
        let outside = &*local.outside;
        match (control, std::mem::replace(&mut self.state, State::Empty)) {
            (Control::Activate(memory), State::Empty) => self.activate(local, memory),
            (Control::Prepare(mut memory), State::Empty) => {
                let timers = Timers::arrived(std::mem::take(&mut memory.timers), local.clock.now());
                match self.hydrate(memory) {
                    Ok(actor) => {
                        self.timers = timers;
                        self.state = State::Prepared(actor);
                        outside.report(&self.activation, Event::Prepared);
                    }
                    Err(why) => {
                        self.state = State::Gone;
                        outside.report(&self.activation, Event::PrepareFailed(why));
                    }
                }
            }
            (Control::Start { .. }, State::Prepared(actor)) => {
                self.moved_here = true;
                self.run_activate(Doing::Activating, actor);
            }
            (Control::Resume { .. }, State::Stopped { actor, hook_ran }) => {
                if hook_ran {
                    self.run_activate(Doing::Reactivating, actor);
                } else {
                    self.state = State::Idle(actor);
                }
            }
            (Control::Resume { .. }, state) => self.state = state,
            (Control::Freeze, state @ (State::Idle(_) | State::Busy(_))) => {
                self.freezing = true;
                self.state = state;
            }
            (Control::Freeze, state) => {
                self.state = state;
                outside.report(&self.activation, Event::FreezeFailed(FreezeError::NotRunning));
            }
            (Control::CancelFreeze, state) => {
                self.state = state;
                self.cancel_freeze(outside);
            }
            (Control::End(reason), state) => {
                self.ending = Some(reason);
                self.state = state;
            }
            (Control::Drop, state) => {
                drop_fenced(state);
                self.taken = Records::new();
                self.state = State::Gone;
            }
            (Control::Abandon, state) => {
                drop_fenced(state);
                let text = format!(
                    "{} was stopped with its silo, or was moving and its new silo was lost; the message may have run",
                    self.actor_id()
                );
                let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
                for records in [std::mem::take(&mut self.taken), queued] {
                    for letter in records.into_letters() {
                        fail(outside, self.activation.actor(), letter, failure.clone());
                    }
                }
                self.state = State::Gone;
            }
            (control, state) => {
                tracing::debug!(actor = %self.actor_id(), ?control, "an activation was told what it cannot do now");
                self.state = state;
            }
        }
    }
}
