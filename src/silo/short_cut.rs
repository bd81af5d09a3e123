//! The short way from this silo's callers to its activations.

use crate::{
    actor::Letter,
    caller::{Direct, ShortWay},
    runtime::{Activation, PushError},
};
use std::{sync::Arc, task::Waker};

/// An activation as this silo's own callers push to it.
pub(super) struct ShortCut(pub(super) Arc<Activation>);

impl Direct for ShortCut {
    fn push(&self, letter: Letter) -> Result<(), ShortWay> {
        self.0.try_push(letter).map_err(|refused| match refused {
            PushError::Full(letter) => ShortWay::Full(letter),
            PushError::Closed(letter) => ShortWay::Closed(letter),
        })
    }

    fn has_room(&self, waker: &Waker) -> bool {
        self.0.poll_room(waker)
    }
}
