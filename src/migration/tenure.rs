//! A silo's tenure of an actor: from its right to run it (or the wish for it) to the end of that.

use crate::ident::{Epoch, LinkId, SiloId};
use std::collections::BTreeSet;

/// What comes towards an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival<I> {
    /// A message.
    Message(I),
    /// A caller's fence.
    Fence {
        /// The caller's link.
        link: LinkId,
        /// The fence's number.
        k: u64,
    },
}

/// How it reached this silo.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From its caller.
    Link(LinkId),
    /// On another silo's forwarding stream.
    Stream {
        /// The forwarder.
        from: SiloId,
        /// Its stream.
        stream: Epoch,
        /// The number on it.
        n: u64,
    },
}

/// The silo before in a chain of moves, as long as forwards may come from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Predecessor {
    /// Which silo.
    pub from: SiloId,
    /// Its stream: the first epoch of the tenure here that it ended in.
    pub stream: Epoch,
    /// The last number taken from it.
    pub last: u64,
    /// Numbers that were taken and given back: told again whenever they come again.
    pub(super) returned: BTreeSet<u64>,
    /// Numbers that were taken and lost.
    pub(super) lost: BTreeSet<u64>,
}

impl Predecessor {
    pub(super) fn new(from: SiloId, stream: Epoch) -> Self {
        Self {
            from,
            stream,
            last: 0,
            returned: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }
}

/// Where a tenure stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The directory was asked for the entry; messages are held.
    Registering,
    /// The actor runs here.
    Active,
    /// The running turn is to end; messages are held.
    Freezing {
        /// The target.
        to: SiloId,
    },
    /// The package is on its way to the target; messages are held.
    Frozen {
        /// The target.
        to: SiloId,
        /// Whether the source is finding out by itself how the move ended.
        resolving: bool,
    },
    /// A package has come; messages are held, or forwarded by an older forwarding entry.
    Prepared {
        /// The source.
        from: SiloId,
        /// Whether the directory was asked; from then on only the directory can end it.
        asked: bool,
    },
    /// The directory names this silo; the source may still take back.
    Committed {
        /// The source.
        from: SiloId,
        /// Whether this silo is raising the epoch to start without the source.
        starting: bool,
    },
    /// The queue runs to its end, then the entry is set free; messages are held.
    Ending {
        /// Whether the entry is being set free.
        freeing: bool,
    },
}

impl Phase {
    /// Whether the directory named this silo at the tenure's epoch, and the tenure goes on.
    pub fn is_named(&self) -> bool {
        match self {
            Self::Active | Self::Freezing { .. } | Self::Frozen { .. } | Self::Committed { .. } => true,
            Self::Ending { freeing } => !freeing,
            Self::Registering | Self::Prepared { .. } => false,
        }
    }
}

/// What follows when an actor that freezes is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OncePacked {
    /// The package is sent.
    Send,
    /// The actor goes on: the target has died, or the move is cancelled.
    Resume,
    /// The actor is taken back from the target, which has committed an old package at the epoch that it goes on at here.
    TakeBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tenure<I> {
    pub(super) phase: Phase,
    /// Of the entry as this silo knows it; of a prepared tenure, the source's.
    pub(super) epoch: Epoch,
    pub(super) held: Vec<(Arrival<I>, Source)>,
    pub(super) predecessor: Option<Predecessor>,
    /// While freezing.
    pub(super) once_packed: OncePacked,
    /// The activation is to end as soon as the seat is settled.
    pub(super) ends: bool,
}

impl<I> Tenure<I> {
    pub(super) fn new(phase: Phase, epoch: Epoch) -> Self {
        Self {
            phase,
            epoch,
            held: Vec::new(),
            predecessor: None,
            once_packed: OncePacked::Send,
            ends: false,
        }
    }

    /// The move is over before its package has left.
    pub(super) fn call_off(&mut self) {
        if self.once_packed == OncePacked::Send {
            self.once_packed = OncePacked::Resume;
        }
    }
}
