//! Answers to messages that did not run.

use super::Outside;
use crate::{
    actor::Remote,
    ident::ActorId,
    mailbox::{Letter, ReplyTo},
    wire::{Failure, Outcome},
};

/// Ends a letter with a failure: its caller hears it, or it is a dead letter.
pub(crate) fn fail(outside: &dyn Outside, actor: &ActorId, letter: Letter, failure: Failure) {
    match letter.reply {
        ReplyTo::Nobody | ReplyTo::Timer(_) => outside.dead_letter(actor, letter, &failure),
        ReplyTo::Here(slot) => {
            slot.answer(Err(failure));
        }
        ReplyTo::Process { process, request } => outside.reply(process, request, Outcome::Failure(failure)),
    }
}

/// Sends what a turn left to be sent.
pub(super) fn send(outside: &dyn Outside, remote: Option<Box<Remote>>) {
    if let Some(remote) = remote {
        outside.reply(remote.process, remote.request, remote.outcome);
    }
}
