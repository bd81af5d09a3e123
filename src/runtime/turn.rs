//! The two ends of a turn: a letter opened, and its answer.

use super::{Activation, Outside};
use crate::{
    actor::{Body, Letter, MessageEntry, ReplyTo, ReplyValue, TypedMessage},
    clock::Moment,
    ident::ActorId,
    wire::{Failure, FailureCode, Outcome, Ran},
};
use bytes::Bytes;
use std::any::Any;

/// Makes a letter's message ready to run: in time, no cycle, known, readable. What is not is answered, unrun.
pub(super) fn open(
    activation: &Activation,
    outside: &dyn Outside,
    letter: Letter,
    now: Moment,
) -> Option<(Letter, Box<dyn Any + Send>)> {
    let actor = activation.actor();
    let refuse = |letter: Letter, code, text: String| {
        fail(outside, actor, letter, Failure::new(code, Ran::No, text));
        None
    };
    let name = letter.body.name().to_owned();
    if letter.deadline.is_some_and(|deadline| deadline < now) {
        let text = format!("{name} to {actor} waited past its deadline; it did not run");
        return refuse(letter, FailureCode::TimedOut, text);
    }
    let kind = activation.kind();
    let Some(entry) = kind.message(&name) else {
        let text = format!("{} {} does not know the message {name:?}", kind.kind(), kind.version());
        return refuse(letter, FailureCode::UnknownMessage, text);
    };
    let Letter {
        body,
        reply,
        deadline,
        chain,
    } = letter;
    let (message, body) = match body {
        Body::Typed(message) => match take_typed(entry, message) {
            Ok(message) => (Ok(message), Bytes::new()),
            // The same name by another type of this program: it goes by its bytes.
            Err(message) => match message.encode() {
                Ok(bytes) => (entry.decode(&bytes), bytes),
                Err(error) => {
                    let letter = Letter {
                        body: Body::Typed(message),
                        reply,
                        deadline,
                        chain,
                    };
                    return refuse(
                        letter,
                        FailureCode::Unreadable,
                        format!("{name} cannot be serialized: {error}"),
                    );
                }
            },
        },
        Body::Encoded { bytes, .. } => (entry.decode(&bytes), bytes),
    };
    let letter = Letter {
        body: Body::Encoded {
            name: name.as_str().into(),
            bytes: body,
        },
        reply,
        deadline,
        chain,
    };
    match message {
        Ok(message) => Some((letter, message)),
        Err(error) => {
            let text = format!("{name} cannot be read by {} {}: {error}", kind.kind(), kind.version());
            refuse(letter, FailureCode::Unreadable, text)
        }
    }
}

fn take_typed(
    entry: &MessageEntry,
    message: Box<dyn TypedMessage>,
) -> Result<Box<dyn Any + Send>, Box<dyn TypedMessage>> {
    let is_own = entry.is(&*message as &dyn Any);
    if is_own { Ok(message.into_any()) } else { Err(message) }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    (panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

pub(super) fn answer(outside: &dyn Outside, reply: ReplyTo, value: Result<ReplyValue, Failure>) {
    match reply {
        ReplyTo::Nobody => {}
        ReplyTo::Here(slot) => {
            slot.answer(value);
        }
        ReplyTo::Process { process, request } => {
            let outcome = match value {
                Ok(ReplyValue::Encoded(bytes)) => Outcome::Reply(bytes),
                Ok(ReplyValue::Typed(_)) => unreachable!("invariant: a reply to a process is encoded"),
                Err(failure) => Outcome::Failure(failure),
            };
            outside.reply(process, request, outcome);
        }
    }
}

/// Ends a letter with a failure: its caller hears it, or it is a dead letter.
pub(crate) fn fail(outside: &dyn Outside, actor: &ActorId, letter: Letter, failure: Failure) {
    if matches!(letter.reply, ReplyTo::Nobody) {
        outside.dead_letter(actor, letter, &failure);
    } else {
        answer(outside, letter.reply, Err(failure));
    }
}
