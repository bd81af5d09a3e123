//! The two ends of a tenure: registration, and deactivation or loss.

use super::{Command, Phase, Seat, tenure::Tenure};
use crate::{
    ident::{Epoch, Hint},
    wire::BounceReason,
};

impl<I> Seat<I> {
    /// The directory names this silo at `epoch`; the activation is there, its mailbox open.
    ///
    /// Answers `false` if the tenure is another by now: then the activation is not wanted.
    pub fn registered(&mut self, epoch: Epoch) -> bool {
        match &mut self.tenure {
            Some(tenure) if tenure.phase == Phase::Registering => {
                tenure.phase = Phase::Active;
                tenure.epoch = epoch;
                self.settle();
                true
            }
            _ => false,
        }
    }

    /// Another silo owns the actor, or the directory did not answer: what is held goes back.
    pub fn register_failed(&mut self, hint: Option<Hint>, why: BounceReason) {
        if !(self.tenure.as_ref()).is_some_and(|tenure| tenure.phase == Phase::Registering) {
            return;
        }
        let held = self.tenure.take().map(|tenure| tenure.held).unwrap_or_default();
        for (arrival, source) in held {
            self.give_back_with(arrival, source, why, hint.clone());
        }
        self.settle();
    }

    /// Ends the activation. Answers whether it can be ended now ([`Seat::is_settled`]).
    pub fn deactivate(&mut self) -> bool {
        let settled = self.is_settled();
        if let (true, Some(tenure)) = (settled, &mut self.tenure) {
            tenure.ends = false;
            tenure.phase = Phase::Ending { freeing: false };
            self.commands.push(Command::Deactivate);
        }
        settled
    }

    /// Ends the activation as soon as that can be ([`Seat::is_settled`]), unless the actor moves away before: then this activation
    /// is over anyway.
    pub fn deactivate_when_settled(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && matches!(
                tenure.phase,
                Phase::Active | Phase::Freezing { .. } | Phase::Frozen { .. }
            )
        {
            tenure.ends = true;
            self.settle();
        }
    }

    pub(super) fn end_if_wanted(&mut self) -> bool {
        self.tenure.as_ref().is_some_and(|tenure| tenure.ends) && self.deactivate()
    }

    /// The activation has ended, its state is saved.
    pub fn deactivated(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && tenure.phase == (Phase::Ending { freeing: false })
        {
            tenure.phase = Phase::Ending { freeing: true };
            self.change_entry(super::Purpose::Free);
        }
    }

    /// The activation could not begin, or went without being asked; nobody runs the actor here.
    pub fn activation_failed(&mut self) {
        if let Some(tenure) = &mut self.tenure
            && matches!(
                tenure.phase,
                Phase::Active | Phase::Freezing { .. } | Phase::Ending { freeing: false }
            )
        {
            tenure.phase = Phase::Ending { freeing: true };
            self.change_entry(super::Purpose::Free);
        }
    }

    /// The entry is free (or another's): what was held meanwhile finds its way anew.
    pub(super) fn freed(&mut self, hint: Option<Hint>) {
        let Some(tenure) = self.tenure.take() else { return };
        self.ended.extend(tenure.predecessor);
        for (arrival, source) in tenure.held {
            self.give_back_with(arrival, source, BounceReason::NotOwner, hint.clone());
        }
        self.settle();
    }

    /// The activation turned out not to own the actor any more and was dropped by the runtime.
    pub fn ownership_lost(&mut self, hint: Option<Hint>) {
        let runs = |tenure: &Tenure<I>| {
            matches!(
                tenure.phase,
                Phase::Active | Phase::Freezing { .. } | Phase::Ending { .. }
            )
        };
        if self.tenure.as_ref().is_some_and(runs) {
            self.freed(hint);
        }
    }
}
