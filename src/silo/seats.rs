//! The seats of a silo: what it knows of each actor, and the doing of what the seats want.

use super::Node;
use crate::{
    activity::Heat,
    clock::Moment,
    ident::{ActorId, Epoch, LinkId, SiloId},
    mailbox::{Letter, Refused},
    migration::{Command, Phase, Seat},
    runtime::{Activation, Control},
    wire::{Failure, FailureCode, Frame, Package, Ran},
};
use parking_lot::Mutex;
use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

const SHARDS: usize = 64;

/// One actor at this silo.
pub(super) struct Place {
    pub(super) seat: Seat<Letter>,
    pub(super) activation: Option<Arc<Activation>>,
    /// Of a frozen actor: what the target gets, again if need be.
    pub(super) package: Option<Package>,
    /// Of an actor on its way here.
    pub(super) arriving: Option<Arriving>,
    pub(super) heat: Heat,
}

/// An actor on its way here.
#[derive(Clone, Debug)]
pub(super) struct Arriving {
    pub(super) from: SiloId,
    pub(super) epoch: Epoch,
    /// By the source's wall clock.
    pub(super) frozen_at_micros: u64,
    pub(super) since: Moment,
}

type Shard = HashMap<ActorId, Place, foldhash::fast::RandomState>;

/// The seats of a silo.
pub(super) struct Seats {
    shards: Box<[Mutex<Shard>]>,
    hasher: foldhash::fast::FixedState,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::FixedState::default(),
        }
    }
}

impl Seats {
    fn shard(&self, actor: &ActorId) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(actor);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    /// The actors of all seats that `wanted` picks.
    pub(super) fn select<T>(&self, mut wanted: impl FnMut(&ActorId, &mut Place) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        for shard in &self.shards {
            found.extend((shard.lock().iter_mut()).filter_map(|(actor, place)| wanted(actor, place)));
        }
        found
    }

    /// Reads a seat, if there is one.
    pub(super) fn peek<T>(&self, actor: &ActorId, read: impl FnOnce(&Place) -> T) -> Option<T> {
        self.shard(actor).lock().get(actor).map(read)
    }

    /// How many actors have an activation here.
    pub(super) fn activations(&self) -> usize {
        (self.shards.iter())
            .map(|shard| shard.lock().values().filter(|place| place.activation.is_some()).count())
            .sum()
    }
}

impl Node {
    /// Lets `event` change an actor's seat and does what the seat then wants, in order, before anybody else comes to it.
    pub(super) fn at<T>(self: &Arc<Self>, actor: &ActorId, event: impl FnOnce(&mut Place) -> T) -> T {
        let mut shard = self.seats.shard(actor).lock();
        let place = shard.entry(actor.clone()).or_insert_with(|| Place {
            seat: Seat::new(self.me.clone()),
            activation: None,
            package: None,
            arriving: None,
            heat: Heat::Cold,
        });
        let result = event(place);
        for command in place.seat.take_commands() {
            self.carry_out(actor, place, command);
        }
        if place.seat.is_blank() {
            shard.remove(actor);
        }
        result
    }

    /// Lets `event` change every seat that `concerns` picks.
    pub(super) fn at_all(
        self: &Arc<Self>,
        concerns: impl Fn(&Seat<Letter>) -> bool,
        event: impl Fn(&mut Seat<Letter>),
    ) {
        let actors = self
            .seats
            .select(|actor, place| concerns(&place.seat).then(|| actor.clone()));
        for actor in actors {
            self.at(&actor, |place| event(&mut place.seat));
        }
    }

    fn carry_out(self: &Arc<Self>, actor: &ActorId, place: &mut Place, command: Command<Letter>) {
        match command {
            Command::Bounce {
                link,
                message,
                hint,
                why,
            } => self.bounce(link, actor, message, hint, why),
            Command::Fenced { link, k, hint, lost } => {
                let actor = actor.clone();
                self.answer(link, Frame::Fenced { actor, k, hint, lost });
            }
            Command::NotHere { link, k } => {
                let actor = actor.clone();
                self.answer(link, Frame::NotHere { actor, k });
            }
            Command::Moved { link, hint } => {
                let actor = actor.clone();
                self.answer(link, Frame::Moved { actor, hint });
            }
            Command::Unknown { message } => {
                let text = format!(
                    "{} to {actor} was lost with the silo it was on; it may have run",
                    message.body.name()
                );
                let failure = Failure::new(FailureCode::Unknown, Ran::Unknown, text);
                self.fail(actor, message, failure);
            }
            Command::Register => self.directory.register(actor.clone()),
            Command::ReadEntry => self.read_entry(actor.clone()),
            Command::ChangeEntry { purpose, expected, new } => self.change_entry(actor.clone(), purpose, expected, new),
            Command::Rest { message } => match &place.activation {
                Some(activation) => activation.push(message),
                None => {
                    // It was stopped by force.
                    let text = format!("{actor} was stopped with its silo; the message did not run");
                    self.fail(actor, message, Failure::new(FailureCode::ShuttingDown, Ran::No, text));
                }
            },
            Command::Freeze => control(place, Control::Freeze),
            Command::Resume { epoch } => {
                place.package = None;
                control(place, Control::Resume { epoch });
                self.moves.ended(actor, Err(super::MoveFailure::CalledOff));
            }
            Command::Start { epoch } => control(place, Control::Start { epoch }),
            Command::Drop => {
                control(place, Control::Drop);
                place.activation = None;
                place.arriving = None;
                if let Some(package) = place.package.take() {
                    self.moves.ended(actor, Ok(package.memory.len()));
                }
            }
            Command::Abandon => {
                control(place, Control::Abandon);
                place.activation = None;
                place.package = None;
                self.moves.ended(actor, Err(super::MoveFailure::TargetLost));
            }
            Command::Deactivate => control(place, Control::End(self.deactivate_reason())),
            Command::SendPackage { to, .. } => {
                if let Some(package) = &place.package {
                    self.board().links().send(&to, Frame::Package(package.clone()));
                }
            }
            Command::SendForward { to, stream, n } => {
                let Some(message) = place
                    .seat
                    .forwarding_mut()
                    .and_then(|forwarding| forwarding.message_mut(n))
                else {
                    return;
                };
                match self.board().to_call(actor, message) {
                    Ok(call) => self.board().links().send(&to, Frame::Forward { stream, n, call }),
                    Err(error) => {
                        tracing::error!(%actor, %error, "a message cannot be forwarded: it cannot be serialized")
                    }
                }
            }
            Command::SendGo { to, epoch } => {
                let actor = actor.clone();
                self.board().links().send(&to, Frame::Go { actor, epoch });
            }
            Command::SendClosed { to, stream } => {
                let actor = actor.clone();
                self.board().links().send(&to, Frame::Closed { actor, stream });
            }
            Command::SendRefused { to, epoch, why } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Refused { actor, epoch, why });
            }
            Command::SendCommitted { to, epoch } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Committed { actor, epoch });
            }
            Command::SendRested { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Rested { actor, stream, n });
            }
            Command::SendReturned { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Returned { actor, stream, n });
            }
            Command::SendLost { to, stream, n } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::Lost { actor, stream, n });
            }
            Command::SendAskClosed { to, stream } => {
                let actor = actor.clone();
                self.accepted.send_to_silo(&to, Frame::AskClosed { actor, stream });
            }
        }
    }

    /// A message for an actor over one of the links that lead here, its own callers' among them.
    pub(super) fn arrive(self: &Arc<Self>, link: LinkId, actor: &ActorId, letter: Letter) {
        let may_register = self.may_register(actor);
        self.at(actor, |place| {
            let (letter, room) = match &place.activation {
                Some(activation) if place.seat.is_open_to(link) => match activation.try_push(letter) {
                    Ok(()) => return,
                    Err(Refused::Full(letter)) => (letter, false),
                    Err(Refused::Closed(letter)) => (letter, true),
                },
                _ => (letter, true),
            };
            place.seat.arrive(link, letter, room, may_register);
        });
    }
}

fn control(place: &Place, control: Control) {
    if let Some(activation) = &place.activation {
        activation.control(control);
    }
}

/// Whether the tenure runs the actor or will, so that a leaving silo has to wait for it.
pub(super) fn is_tenant(seat: &Seat<Letter>) -> bool {
    seat.phase().is_some_and(|(phase, _)| *phase != Phase::Registering)
}
