//! One actor at this silo: its seat and what the silo keeps beside it; and that in little memory while nothing goes on.

use super::{parcels::Parcel, standing::Standing};
use crate::{
    clock::Moment,
    ident::{ActorId, Epoch, OfActor, SiloId},
    mailbox::{Letter, Mailbox},
    migration::Seat,
    runtime::Activation,
};
use std::sync::Arc;

/// One actor at this silo.
pub(super) struct Place {
    pub(super) actor: ActorId,
    pub(super) seat: Seat<Letter>,
    pub(super) activation: Option<Activation>,
    /// Of a frozen actor: what the target gets, again if need be.
    pub(super) package: Option<Parcel>,
    /// Of an actor on its way here.
    pub(super) arriving: Option<Arriving>,
    /// As the index has it.
    pub(super) standing: Standing,
}

/// An actor on its way here.
#[derive(Clone, Debug)]
pub(super) struct Arriving {
    pub(super) from: SiloId,
    pub(super) epoch: Epoch,
    /// By the source's wall clock.
    pub(super) frozen_at_micros: u64,
    pub(super) since: Moment,
    /// Of its packed memory.
    pub(super) bytes: usize,
}

impl Place {
    pub(super) fn new(me: &SiloId, actor: ActorId) -> Self {
        Self {
            actor,
            seat: Seat::new(me.clone()),
            activation: None,
            package: None,
            arriving: None,
            standing: Standing::default(),
        }
    }
}

/// How a place is kept when nothing changes it.
pub(super) enum Kept {
    /// Nothing is known of the actor any more.
    Not,
    /// The actor runs and that is all, as of nearly all actors: its mailbox tells everything.
    AtRest(Arc<Mailbox>),
    /// As it is.
    Whole,
}

impl Place {
    /// The place of an actor that runs, of which that is all.
    pub(super) fn at_rest(me: &SiloId, mailbox: Arc<Mailbox>) -> Self {
        Self {
            actor: mailbox.actor().clone(),
            seat: Seat::resting(me.clone(), mailbox.epoch()),
            activation: Some(Activation::last_of(mailbox)),
            package: None,
            arriving: None,
            standing: Standing::AT_REST,
        }
    }

    /// How it can be kept: [`Place::at_rest`] would be equal, or nothing is known.
    pub(super) fn kept(&self) -> Kept {
        match self {
            Self {
                seat,
                activation: Some(activation),
                package: None,
                arriving: None,
                ..
            } if seat.at_rest() == Some(activation.mailbox().epoch()) && activation.is_last() => {
                Kept::AtRest(activation.mailbox().clone())
            }
            Self { seat, .. } if seat.is_blank() => Kept::Not,
            _ => Kept::Whole,
        }
    }
}

impl OfActor for Place {
    fn actor(&self) -> &ActorId {
        &self.actor
    }
}
