//! Frames as they come in: over links that others dialled, and over those that this silo dialled.

use super::{Gate, Node, accepted::AcceptedLink, migration_service::OfferAnswered};
use crate::{
    caller::{Arrived, LinkEvents, Unsent, arrival, from_call},
    ident::{ActorId, ProcessId, RequestId, SiloId},
    mailbox::{Body, Chain, Letter, ReplyTo},
    wire::{Call, Failure, FailureCode, Frame, MoveFailure, Outcome, PlainCall, Ran},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// How often leaving silos are acknowledged to, as long as there are any.
const ACKNOWLEDGE: Duration = Duration::from_millis(10);

impl Node {
    /// A frame from a process that has dialled this silo.
    pub(super) fn from_caller(self: &Arc<Self>, link: &AcceptedLink, frame: Frame) {
        match frame {
            Frame::Call(call) => self.called(link, call),
            #[cfg(feature = "testkit")]
            Frame::Fence { actor, k } if crate::faults::is_broken("answer a fence at once") => {
                let (hint, lost) = (None, false);
                self.accepted.send(link.link, Frame::Fenced { actor, k, hint, lost });
            }
            Frame::Fence { actor, k } => self.at(&actor, |place| place.seat.fence(link.link, k)),
            // All that came before has been given to the seat, and what it gave back is on its way.
            Frame::Mark { actor, k } => self.accepted.send(link.link, Frame::Handled { actor, k }),
            Frame::Enter { actor, k } => {
                let may_register = self.may_register(&actor);
                self.at(&actor, |place| place.seat.enter(link.link, k, may_register));
            }
            Frame::Lookup { request, actor } => {
                let (node, link) = (self.clone(), link.link);
                self.spawn(async move {
                    let found = node.look_up(&actor, false).await;
                    node.accepted.send(link, Frame::Located { request, found });
                });
            }
            Frame::Query { request, name, body } => self.queried(link, request, name, body),
            Frame::Ping { n } => self.accepted.send(link.link, Frame::Pong { n }),
            Frame::Reply { request, outcome } => self.board().replied(request, outcome),
            Frame::LeavingAck => self.accepted.acknowledge(link.link),
            frame => match &link.process {
                ProcessId::Silo(silo) => self.from_source(silo, link, frame),
                ProcessId::Client(client) => {
                    tracing::warn!(%client, ?frame, "a client sent what only silos may send; ignored")
                }
            },
        }
    }

    /// A frame of a migration whose source has dialled this silo.
    fn from_source(self: &Arc<Self>, from: &SiloId, link: &AcceptedLink, frame: Frame) {
        match frame {
            Frame::Offer { batch, items } => self.services.offered(link.link, batch, items),
            Frame::Package(package) => self.package_arrived(from, package),
            frame @ Frame::Part { .. } => self.part_arrived(from, frame),
            Frame::Go { actor, epoch } => self.at(&actor, |place| place.seat.go(from, epoch)),
            Frame::Forward { stream, n, call } => {
                let (actor, letter) = from_call(call, self.clock.now());
                self.at(&actor, |place| place.seat.forwarded(from, stream, n, letter));
            }
            Frame::Closed { actor, stream } => self.at(&actor, |place| place.seat.closed(stream)),
            frame => tracing::debug!(%from, ?frame, "a frame that makes no sense here; ignored"),
        }
    }

    fn called(self: &Arc<Self>, link: &AcceptedLink, call: Call) {
        if call.request != RequestId::NONE && call.from != link.process {
            tracing::warn!(process = %link.process, from = %call.from, "a call names another process as its caller; ignored");
            return;
        }
        let now = arrival(call.time_left, &self.clock);
        let (actor, letter) = from_call(call, now);
        self.take_in(link, &actor, letter);
    }

    /// The same for nearly all calls.
    pub(super) fn plainly_called(self: &Arc<Self>, link: &AcceptedLink, call: PlainCall<'_>) {
        let reply = if call.request == RequestId::NONE {
            ReplyTo::Nobody
        } else if *call.from == link.process {
            ReplyTo::Process {
                process: link.process.clone(),
                request: call.request,
            }
        } else {
            return self.called(link, call.whole());
        };
        let deadline = (call.time_left).map(|left| arrival(call.time_left, &self.clock) + left);
        let letter = Letter {
            body: Body::Encoded {
                name: call.message.clone(),
                bytes: call.body,
            },
            reply,
            deadline,
            chain: Chain::NONE,
        };
        self.take_in(link, call.actor, letter);
    }

    fn take_in(self: &Arc<Self>, link: &AcceptedLink, actor: &ActorId, letter: Letter) {
        if self.gate() == Gate::Shut {
            let text = format!("{} has ended; the message did not run", self.me);
            return self.fail(actor, letter, Failure::new(FailureCode::ShuttingDown, Ran::No, text));
        }
        self.arrive(link.link, actor, letter);
    }

    /// A link that another process dialled has ended.
    pub(super) fn caller_lost(self: &Arc<Self>, link: crate::ident::LinkId) {
        self.accepted.remove(link);
        self.at_busy(|seat| seat.knows_link(link), |seat| seat.link_closed(link));
    }

    /// A frame over a link that this silo has dialled.
    fn from_callee(self: &Arc<Self>, from: &SiloId, frame: Frame) {
        let board = self.board();
        match frame {
            Frame::Reply { request, outcome } => board.replied(request, outcome),
            Frame::Bounce { call, hint, why } => {
                let hint = self.admitted(&call.actor, hint);
                board.bounced(from, call, hint, why);
            }
            Frame::Fenced { actor, k, hint, lost } => board.fenced(from, &actor, k, hint, lost),
            Frame::Handled { actor, k } => board.handled(from, &actor, k),
            Frame::NotHere { actor, k } => board.not_here(from, &actor, k),
            Frame::Moved { actor, hint } => board.moved(&actor, hint),
            Frame::Answer { request, outcome } => board.replied(request, outcome),
            Frame::OfferAnswer {
                batch,
                refusals,
                serves,
            } => self.services.offer_answered(OfferAnswered {
                from: from.clone(),
                batch,
                refusals,
                serves,
            }),
            Frame::Refused { actor, epoch, why } => {
                tracing::info!(%actor, %from, ?why, "a package was refused");
                self.moves.blame(&actor, MoveFailure::Refused(why));
                self.at(&actor, |place| place.seat.refused(from, epoch));
            }
            Frame::PartTaken { actor, epoch, upto } => self.part_taken(from, &actor, epoch, upto),
            Frame::Committed { actor, epoch } => self.at(&actor, |place| place.seat.committed(from, epoch)),
            Frame::Rested { actor, stream, n } => self.at(&actor, |place| place.seat.rested(stream, n)),
            Frame::Returned { actor, stream, n } => self.at(&actor, |place| place.seat.returned(stream, n)),
            Frame::Lost { actor, stream, n } => self.at(&actor, |place| place.seat.forward_lost(stream, n)),
            Frame::AskClosed { actor, stream } => {
                let from = from.clone();
                self.at(&actor, |place| place.seat.ask_closed(from, stream));
            }
            Frame::Leaving => self.peer_leaves(from),
            Frame::Flushed => {
                tracing::info!(silo = %from, "a silo has finished with this one and leaves");
                board.flushed(from);
            }
            Frame::View { .. } => {}
            frame => tracing::debug!(%from, ?frame, "a frame that makes no sense here; ignored"),
        }
    }

    /// A silo that this one has a link to leaves: nothing new is sent to it, and it hears so behind everything else.
    fn peer_leaves(self: &Arc<Self>, silo: &SiloId) {
        tracing::info!(%silo, "a silo leaves");
        self.board().leaving(silo);
        let first = {
            let mut leaving = self.leaving_peers.lock();
            leaving.insert(silo.clone()) && leaving.len() == 1
        };
        self.acknowledge_leaving();
        if first {
            let (node, clock) = (Arc::downgrade(self), self.clock.clone());
            self.spawn(async move {
                loop {
                    clock.sleep(ACKNOWLEDGE).await;
                    let Some(node) = node.upgrade() else { return };
                    node.acknowledge_leaving();
                    if node.leaving_peers.lock().is_empty() {
                        return;
                    }
                }
            });
        }
    }

    /// Acknowledges to leaving silos that nothing more comes, once that is so. To be called now and then.
    fn acknowledge_leaving(self: &Arc<Self>) {
        let leaving: Vec<_> = self.leaving_peers.lock().iter().cloned().collect();
        for silo in leaving {
            self.at_busy(
                |seat| seat.forwarding().is_some_and(|forwarding| *forwarding.to() == silo),
                |seat| {
                    seat.forget_forwarding();
                },
            );
            let still = self
                .seats
                .select_busy(|_, place| place.seat.is_moving_to(&silo).then_some(()));
            if still.is_empty() && self.leaving_peers.lock().remove(&silo) {
                self.board().links().send(&silo, Frame::LeavingAck);
            }
        }
    }
}

/// What a node hears of the links that it dials; weak, as they hold it.
pub(super) struct NodeLinks(pub(super) Weak<Node>);

impl LinkEvents for NodeLinks {
    fn frames(&self, silo: &SiloId, frames: &mut dyn Iterator<Item = Arrived>) {
        if let Some(node) = self.0.upgrade() {
            frames.for_each(|arrived| match arrived {
                Arrived::Reply(request, reply) => node.board().replied(request, Outcome::Reply(reply)),
                Arrived::Frame(frame) => node.from_callee(silo, *frame),
            });
        }
    }

    fn link_renewed(&self, silo: &SiloId) {
        if let Some(node) = self.0.upgrade() {
            tracing::debug!(%silo, "a link is there again");
            node.at_busy(|seat| seat.is_moving_to(silo), |seat| seat.link_renewed(silo));
            node.board().link_renewed(silo);
        }
    }

    fn link_lost(&self, silo: &SiloId) {
        if let Some(node) = self.0.upgrade() {
            tracing::debug!(%silo, "a link was lost");
            node.board().link_lost(silo);
        }
    }

    fn unsent(&self, silo: &SiloId, frame: Frame, why: Unsent) {
        let Some(node) = self.0.upgrade() else { return };
        match (frame, why) {
            (Frame::Package(package), Unsent::TooLarge(why)) => {
                tracing::warn!(actor = %package.actor, why, "an actor is too large to move");
                node.moves.blame(&package.actor, MoveFailure::TooLarge(why));
                node.at(&package.actor, |place| place.seat.refused(silo, package.epoch));
            }
            (frame, why) => node.board().unsent(silo, frame, why),
        }
    }
}
