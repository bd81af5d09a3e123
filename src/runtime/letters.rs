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
    let (letter, kind) = (front.into_letter(), begin.kind);
    if let ReplyTo::Timer(number) = letter.reply {
        let now = local.clock.now();
        if !with_timers(|timers| timers.as_mut().is_some_and(|timers| timers.begins(number, now))) {
            return Some(begin.actor);
        }
    }
    if letter.body.name().starts_with(OWN_MESSAGES) {
        let mut actor = begin.actor;
        if let Ok(body) = letter.body.encode() {
            actor.told_by_silo(letter.body.name(), &body);
        }
        *rare = Rare::Ended {
            actor,
            wants: true,
            remote: None,
        };
        return None;
    }
    let Some(entry) = kind.message(letter.body.name()) else {
        let (kind, version, name) = (kind.kind(), kind.version(), letter.body.name());
        let text = format!("{kind} {version} does not know the message {name:?}");
        let failure = Failure::new(FailureCode::UnknownMessage, wire::Ran::No, text);
        *rare = Rare::Refused {
            actor: begin.actor,
            refused: Box::new((letter, failure)),
        };
        return None;
    };
    local.shared.shown.turn(entry.number());
    let mut one = Records::new();
    one.push(letter);
    let source = Source::Queue(one.front().expect("invariant: it was put there"));
    entry.run(Begin { source, ..begin }, cx, rare)
}
