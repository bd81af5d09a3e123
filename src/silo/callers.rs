//! This silo's callers, near and far: what seats answer them, and the way from this silo's own callers to its seats.

use super::Node;
use crate::{
    caller::{Delivered, Uplink},
    ident::{ActorId, Hint, LinkId, ProcessId, RequestId, SiloId},
    mailbox::{Letter, Mailbox, Refused},
    wire::{BounceReason, Failure, Frame, Outcome},
};
use std::sync::{Arc, Weak};

/// An answer of this silo's seats to its own callers.
pub(super) enum LocalAnswer {
    Frame(Frame),
    Bounced {
        actor: ActorId,
        letter: Letter,
        hint: Option<Hint>,
        why: BounceReason,
    },
}

impl Node {
    pub(super) fn bounce(
        &self,
        link: LinkId,
        actor: &ActorId,
        mut letter: Letter,
        hint: Option<Hint>,
        why: BounceReason,
    ) {
        if link == LinkId::LOCAL {
            self.answer_here(LocalAnswer::Bounced {
                actor: actor.clone(),
                letter,
                hint: self.admitted(actor, hint),
                why,
            });
            return;
        }
        match self.board().to_call(actor, &mut letter) {
            Ok(call) => self.accepted.send(link, Frame::Bounce { call, hint, why }),
            Err(error) => tracing::error!(%actor, %error, "a message cannot be given back: it cannot be serialized"),
        }
    }

    pub(super) fn answer(&self, link: LinkId, frame: Frame) {
        if link == LinkId::LOCAL {
            self.answer_here(LocalAnswer::Frame(frame));
        } else {
            self.accepted.send(link, frame);
        }
    }

    fn answer_here(&self, answer: LocalAnswer) {
        if self.local.send(answer).is_err() {
            tracing::debug!("an answer to this silo's own callers came after its end");
        }
    }

    /// Carries an answer of this silo's seats to its own callers.
    pub(super) fn answered_here(&self, answer: LocalAnswer) {
        let (board, me) = (self.board(), &self.me);
        match answer {
            LocalAnswer::Bounced {
                actor,
                letter,
                hint,
                why,
            } => board.letter_bounced(me, &actor, letter, hint, why),
            LocalAnswer::Frame(Frame::Fenced { actor, k, hint, lost }) => board.fenced(me, &actor, k, hint, lost),
            LocalAnswer::Frame(Frame::NotHere { actor, k }) => board.not_here(me, &actor, k),
            LocalAnswer::Frame(Frame::Moved { actor, hint }) => board.moved(&actor, hint),
            LocalAnswer::Frame(frame) => unreachable!("invariant: seats do not answer callers by {frame:?}"),
        }
    }

    /// Sends the answer to an ask of any process.
    pub(super) fn send_reply(&self, process: &ProcessId, request: RequestId, outcome: Outcome) {
        if *process == self.process {
            return self.board().replied(request, outcome);
        }
        let Some(frame) = self.accepted.send_to(process, Frame::Reply { request, outcome }) else {
            return;
        };
        match process {
            ProcessId::Silo(silo) => self.board().links().send(silo, frame),
            ProcessId::Client(client) => self.accepted.park(*client, frame, self.clock.now()),
        }
    }
}

/// What the switchboard needs of the node; weak, as the node holds the switchboard.
pub(super) struct NodeUplink(pub(super) Weak<Node>);

impl Uplink for NodeUplink {
    fn deliver_here(&self, actor: &ActorId, letter: Letter, fresh: bool, mailbox: Option<&Arc<Mailbox>>) -> Delivered {
        let Some(node) = self.0.upgrade() else {
            drop(letter);
            return Delivered::Done;
        };
        let letter = match node.rest_or_begin(actor, letter, || mailbox.cloned(), Arc::clone) {
            Ok(direct) => return Delivered::Direct(direct),
            Err(letter) => letter,
        };
        let may_register = node.may_register(actor);
        node.at(actor, |place| {
            let letter = match &place.activation {
                Some(activation) if place.seat.is_open_to(LinkId::LOCAL) => {
                    let direct = activation.mailbox().clone();
                    match activation.try_push(letter) {
                        Ok(()) => return Delivered::Direct(direct),
                        Err(Refused::Full(letter)) if fresh => return Delivered::Full(letter, direct),
                        Err(Refused::Full(letter)) => {
                            // It waited for its way longer than there was room; its sender is gone.
                            activation.push(letter);
                            return Delivered::Direct(direct);
                        }
                        Err(Refused::Closed(letter)) => letter,
                    }
                }
                _ => letter,
            };
            place.seat.arrive(LinkId::LOCAL, letter, true, may_register);
            Delivered::Done
        })
    }

    fn fence_here(&self, actor: &ActorId, k: u64) {
        if let Some(node) = self.0.upgrade() {
            node.at(actor, |place| place.seat.fence(LinkId::LOCAL, k));
        }
    }

    fn enter_here(&self, actor: &ActorId, k: u64) {
        if let Some(node) = self.0.upgrade() {
            let may_register = node.may_register(actor);
            node.at(actor, |place| place.seat.enter(LinkId::LOCAL, k, may_register));
        }
    }

    fn is_gone(&self, silo: &SiloId) -> bool {
        self.0.upgrade().is_some_and(|node| node.is_gone(silo))
    }

    fn placed(&self, actor: &ActorId) -> Option<Hint> {
        self.0.upgrade()?.placed(actor)
    }

    fn open_here(&self, actor: &ActorId, mailbox: Option<&Arc<Mailbox>>) -> Option<(Hint, Arc<Mailbox>)> {
        let node = self.0.upgrade()?;
        let hint = node.placed(actor).filter(|hint| hint.silo == node.me)?;
        let begin = || node.begin(actor, || mailbox.cloned());
        let mailbox = node.seats.at_rest_or(actor, begin)?;
        Some((hint, mailbox))
    }

    fn locate(&self, actor: &ActorId, attempt: u32, first: bool) -> Option<Hint> {
        let node = self.0.upgrade()?;
        node.locate(actor, attempt, first)
    }

    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure) {
        if let Some(node) = self.0.upgrade() {
            node.undelivered(actor, &letter, why);
        }
    }
}
