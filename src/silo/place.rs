//! One actor at this silo: its seat and what the silo keeps beside it; and that in little memory while nothing goes on.

use super::{parcels::Parcel, standing::Standing};
use crate::{
    clock::Moment,
    ident::{Epoch, SiloId},
    mailbox::Letter,
    migration::Seat,
    runtime::Activation,
};
use std::{mem, sync::Arc};

/// One actor at this silo.
pub(super) struct Place {
    pub(super) seat: Seat<Letter>,
    pub(super) activation: Option<Arc<Activation>>,
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
}

impl Place {
    pub(super) fn new(me: &SiloId) -> Self {
        Self {
            seat: Seat::new(me.clone()),
            activation: None,
            package: None,
            arriving: None,
            standing: Standing::default(),
        }
    }
}

/// A place as it is kept. Nearly all are at rest, and take 24 bytes instead of some 600 then.
pub(super) enum Kept {
    AtRest {
        epoch: Epoch,
        activation: Arc<Activation>,
    },
    Whole(Box<Place>),
    /// Being changed, with the shard locked.
    Taken,
}

impl Kept {
    pub(super) fn of(place: Place) -> Self {
        match place {
            Place {
                seat,
                activation: Some(activation),
                package: None,
                arriving: None,
                standing,
            } => match seat.at_rest() {
                Some(epoch) => Self::AtRest { epoch, activation },
                None => Self::Whole(Box::new(Place {
                    seat,
                    activation: Some(activation),
                    package: None,
                    arriving: None,
                    standing,
                })),
            },
            place => Self::Whole(Box::new(place)),
        }
    }

    /// Takes the place out, to be changed and kept again.
    pub(super) fn take(&mut self, me: &SiloId) -> Place {
        match mem::replace(self, Self::Taken) {
            Self::AtRest { epoch, activation } => at_rest(me, epoch, activation),
            Self::Whole(place) => *place,
            Self::Taken => unreachable!("invariant: a place is taken and kept under one lock"),
        }
    }

    /// Shows the place.
    pub(super) fn look<T>(&self, me: &SiloId, read: impl FnOnce(&Place) -> T) -> T {
        match self {
            Self::AtRest { epoch, activation } => read(&at_rest(me, *epoch, activation.clone())),
            Self::Whole(place) => read(place),
            Self::Taken => unreachable!("invariant: a place is taken and kept under one lock"),
        }
    }
}

fn at_rest(me: &SiloId, epoch: Epoch, activation: Arc<Activation>) -> Place {
    let seat = Seat::resting(me.clone(), epoch);
    Place {
        standing: Standing::of(&seat, true),
        seat,
        activation: Some(activation),
        package: None,
        arriving: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_at_rest_takes_24_bytes() {
        assert_eq!(size_of::<Kept>(), 24);
    }
}
