//! Messages that are found by their names, and those of a silo to its actors.

use super::local::Local;
use crate::{
    actor::{AnyActor, Begin, OWN_MESSAGES, Rare, Source, with_timers},
    mailbox::{Records, ReplyTo},
    wire::{self, Failure, FailureCode},
};
use std::task::Context;

/// Runs a message that is found by its name: it came by the wire, or by another type of that name.
#[cold]
pub(super) fn run_letter(
    local: &Local,
    begin: Begin<'_>,
    cx: &mut Context<'_>,
    rare: &mut Rare,
) -> Option<Box<dyn AnyActor>> {
    let Source::Queue(front) = begin.source else {
        unreachable!("invariant: a caller here knows its message's type");
    };
    let kind = begin.kind;
    let mut one = Records::new();
    let front = match front.letter() {
        Some(_) => front,
        // Of a type that the kind does not know by the name of another.
        None => {
            one.push(front.into_letter());
            one.front().expect("invariant: it was put there")
        }
    };
    let letter = front.letter().expect("invariant: it is one");
    if let ReplyTo::Timer(number) = letter.reply {
        let now = local.clock.now();
        if !with_timers(|timers| timers.as_mut().is_some_and(|timers| timers.begins(number, now))) {
            front.discard();
            return Some(begin.actor);
        }
    }
    let name = letter.body.name();
    if name.starts_with(OWN_MESSAGES) {
        let mut actor = begin.actor;
        if let Ok(body) = letter.body.encode() {
            actor.told_by_silo(name, &body);
        }
        front.discard();
        *rare = Rare::Ended {
            actor,
            wants: true,
            remote: None,
        };
        return None;
    }
    let Some(entry) = kind.message(name) else {
        let (kind, version) = (kind.kind(), kind.version());
        let text = format!("{kind} {version} does not know the message {name:?}");
        let failure = Failure::new(FailureCode::UnknownMessage, wire::Ran::No, text);
        *rare = Rare::Refused {
            actor: begin.actor,
            refused: Box::new((front.into_letter(), failure)),
        };
        return None;
    };
    local.shared.shown.turn(entry.number());
    let source = Source::Queue(front);
    entry.run(Begin { source, ..begin }, cx, rare)
}
