//! What an ended tenure leaves behind: messages on their way to the actor's next silo.

use super::{Arrival, Predecessor, Source};
use crate::ident::{Epoch, LinkId, SiloId};
use std::collections::{BTreeSet, VecDeque};

/// A forwarding entry. Keeps what is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Forwarding<I> {
    pub(super) stream: Epoch,
    pub(super) to: SiloId,
    /// In order of arrival; fences carry the number 0 and are answered when they are first.
    pub(super) unacknowledged: VecDeque<(u64, Arrival<I>, Source)>,
    pub(super) next: u64,
    /// Callers who were told.
    pub(super) told: BTreeSet<LinkId>,
    pub(super) predecessor: Option<Predecessor>,
    /// The target gave a message back: nothing more is forwarded.
    pub(super) broken: bool,
}

impl<I> Forwarding<I> {
    pub(super) fn new(to: SiloId, stream: Epoch, predecessor: Option<Predecessor>) -> Self {
        Self {
            stream,
            to,
            unacknowledged: VecDeque::new(),
            next: 1,
            told: BTreeSet::new(),
            predecessor,
            broken: false,
        }
    }

    /// The message under a number.
    pub fn message_mut(&mut self, n: u64) -> Option<&mut I> {
        self.unacknowledged
            .iter_mut()
            .find_map(|(number, arrival, _)| match arrival {
                Arrival::Message(message) if *number == n => Some(message),
                _ => None,
            })
    }

    /// Whether nothing waits and nothing more can come.
    pub(super) fn is_quiet(&self) -> bool {
        self.unacknowledged.is_empty() && self.predecessor.is_none()
    }

    /// To whom.
    pub fn to(&self) -> &SiloId {
        &self.to
    }

    /// How many messages are not acknowledged.
    pub fn len(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Whether all messages are acknowledged.
    pub fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }
}
