//! What becomes of an actor whose entry a registration found owned.

use crate::{ident::SiloId, migration::Phase, store::Entry};

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody runs it: this silo takes it, at the next epoch.
    Mine,
    /// Another silo has it: its callers are told.
    Theirs,
    /// Nothing: the seat has come to something else while the registration waited.
    Leave,
}

impl Found {
    /// By the entry that was found and the phase that the seat is in by now. `is_gone`: whether a silo is known to be dead.
    ///
    /// An entry that names this silo is of a registration whose answer was lost, if the seat still registers. Else it may be that
    /// of a package which committed here meanwhile: to raise its epoch would take the actor from under its own tenure.
    pub(super) fn of(entry: &Entry, me: &SiloId, phase: Option<&Phase>, is_gone: impl Fn(&SiloId) -> bool) -> Self {
        match &entry.owner {
            Some(owner) if owner != me && !is_gone(owner) => Self::Theirs,
            _ if phase == Some(&Phase::Registering) => Self::Mine,
            _ => Self::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Epoch;

    fn silo(name: &str) -> SiloId {
        SiloId::new(name, 1)
    }

    fn found(owner: Option<&str>, phase: Option<Phase>) -> Found {
        let entry = Entry {
            owner: owner.map(silo),
            epoch: Epoch(7),
        };
        Found::of(&entry, &silo("me"), phase.as_ref(), |silo| silo.name() == "dead")
    }

    #[test]
    fn what_nobody_runs_is_taken_by_a_seat_that_registers() {
        for owner in [None, Some("me"), Some("dead")] {
            assert_eq!(found(owner, Some(Phase::Registering)), Found::Mine, "{owner:?}");
        }
    }

    /// The interleaving: a registration waits in the queue to the store; a package of the actor comes and commits here; the
    /// registration finds an entry that names this silo.
    #[test]
    fn a_late_registration_leaves_the_tenure_alone_that_came_by_a_move() {
        let committed = Phase::Committed {
            from: silo("other"),
            starting: false,
        };
        for phase in [Some(committed), Some(Phase::Active), None] {
            for owner in [None, Some("me"), Some("dead")] {
                assert_eq!(found(owner, phase.clone()), Found::Leave, "{owner:?} {phase:?}");
            }
        }
    }

    #[test]
    fn a_living_owner_is_told_to_callers_whatever_the_seat_has_come_to() {
        for phase in [Some(Phase::Registering), Some(Phase::Active), None] {
            assert_eq!(found(Some("other"), phase), Found::Theirs);
        }
    }

    #[test]
    fn an_earlier_run_of_this_very_silo_is_another_silo() {
        let entry = Entry::owned(SiloId::new("me", 1), Epoch(1));
        let by = |is_gone: bool| Found::of(&entry, &SiloId::new("me", 2), Some(&Phase::Registering), |_| is_gone);
        assert_eq!((by(false), by(true)), (Found::Theirs, Found::Mine));
    }
}
