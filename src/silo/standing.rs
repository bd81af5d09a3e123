//! How a seat stands, as far as the silo's periodic work asks: counted, and indexed where it is not at rest.

use crate::{
    ident::ActorId,
    mailbox::Letter,
    migration::{Phase, Seat},
};
use std::{collections::HashSet, ops::Add};

/// How a seat stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The silo has an activation.
    activation: bool,
    /// The tenure runs the actor, or holds messages until it is known who does: a leaving silo has to wait for it.
    tenant: bool,
    active: bool,
    arriving: bool,
    settled: bool,
    passing_on: bool,
    busy: bool,
}

impl Standing {
    /// Of an actor that runs, if that is all.
    pub(super) const AT_REST: Self = Self {
        activation: true,
        tenant: true,
        active: true,
        arriving: false,
        settled: true,
        passing_on: false,
        busy: false,
    };

    pub(super) fn of(seat: &Seat<Letter>, activation: bool) -> Self {
        let phase = seat.phase().map(|(phase, _)| phase);
        Self {
            activation,
            tenant: phase.is_some(),
            active: phase.is_some_and(|phase| *phase == Phase::Active),
            arriving: matches!(phase, Some(Phase::Prepared { .. } | Phase::Committed { .. })),
            settled: seat.is_settled(),
            passing_on: seat.is_passing_on(),
            busy: seat.is_busy(),
        }
    }
}

/// How many seats stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// With an activation.
    pub(super) activations: usize,
    /// Whose tenure runs the actor, or holds messages until it is known who does.
    pub(super) tenants: usize,
    /// On their way here.
    pub(super) arriving: usize,
    /// That can be deactivated now.
    pub(super) settled: usize,
    /// That forwards may come to or go out from.
    pub(super) passing_on: usize,
}

impl Tally {
    fn counts(&mut self) -> [&mut usize; 5] {
        [
            &mut self.activations,
            &mut self.tenants,
            &mut self.arriving,
            &mut self.settled,
            &mut self.passing_on,
        ]
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(mut self, mut other: Self) -> Self {
        for (sum, more) in self.counts().into_iter().zip(other.counts()) {
            *sum += *more;
        }
        self
    }
}

fn counted(standing: Standing) -> [bool; 5] {
    let Standing {
        activation,
        tenant,
        arriving,
        settled,
        passing_on,
        ..
    } = standing;
    [activation, tenant, arriving, settled, passing_on]
}

/// The index of some seats.
#[derive(Default)]
pub(super) struct Index {
    tally: Tally,
    busy: HashSet<ActorId, crate::chance::Hashing>,
    news: Vec<ActorId>,
}

impl Index {
    /// A seat stands otherwise now. `watched`: it is noted if it became active or settled.
    pub(super) fn changed(&mut self, actor: &ActorId, old: Standing, new: Standing, watched: bool) {
        let changes = counted(old).into_iter().zip(counted(new));
        for (count, change) in self.tally.counts().into_iter().zip(changes) {
            match change {
                (false, true) => *count += 1,
                (true, false) => *count -= 1,
                _ => {}
            }
        }
        if new.busy && !old.busy {
            self.busy.insert(actor.clone());
        } else if old.busy && !new.busy {
            self.busy.remove(actor);
            if self.busy.is_empty() {
                self.busy.shrink_to_fit();
            }
        }
        if watched && ((new.active && !old.active) || (new.settled && !old.settled)) {
            self.news.push(actor.clone());
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// The actors whose seats keep something of another silo or of a link.
    pub(super) fn busy(&self) -> impl Iterator<Item = &ActorId> {
        self.busy.iter()
    }

    pub(super) fn take_news(&mut self) -> Vec<ActorId> {
        std::mem::take(&mut self.news)
    }
}
