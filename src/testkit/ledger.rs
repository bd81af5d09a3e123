//! What the store of a simulation did, in order: what tests hold its history against.

use super::store::Shared;
use crate::{
    ident::ActorId,
    store::{Entry, MembershipTable, MemoryStore, Owner, Store as _, StoreError},
};
use std::{sync::Arc, time::Duration};

/// A directory entry that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerChange {
    /// When the store did it.
    pub at: Duration,
    /// Whose entry.
    pub actor: ActorId,
    /// The process that asked for it.
    pub by: Arc<str>,
    /// The entry until then.
    pub before: Entry,
    /// The entry from then on.
    pub after: Entry,
    /// Whether the process had given up waiting for it before it was done.
    pub is_late: bool,
}

impl OwnerChange {
    /// Whether the actor is a silo's of this name from then on.
    pub fn gives_to(&self, silo: &str) -> bool {
        self.after.owner.as_ref().is_some_and(|owner| owner.name() == silo)
    }
}

/// A state that was saved, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// When the store did it.
    pub at: Duration,
    /// Whose state.
    pub actor: ActorId,
    /// Who saved it, by the epoch that it believed to own the actor by.
    pub by: Owner,
    /// The actor's entry at that moment.
    pub entry: Entry,
}

/// What a store did.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) owners: Vec<OwnerChange>,
    pub(super) saves: Vec<Saved>,
    /// The membership tables that there were, each from when on.
    pub(super) tables: Vec<(Duration, MembershipTable)>,
    /// From when until when what was done is forgotten.
    pub(super) lost: Vec<(Duration, Duration)>,
}

/// A change of entries that was asked for.
pub(super) struct Changing {
    pub(super) store: Arc<Shared>,
    pub(super) by: Arc<str>,
    /// When whoever asked for it gives it up.
    pub(super) given_up: Duration,
}

impl Changing {
    /// It was done: notes which entries are not as they were.
    pub(super) async fn note(
        self,
        tables: &MemoryStore,
        actors: Vec<ActorId>,
        before: Vec<Entry>,
    ) -> Result<(), StoreError> {
        let at = self.store.now();
        let after = tables.entries(actors.clone()).await?;
        let changes = actors.into_iter().zip(before).zip(after);
        let changes = changes.filter(|((_, before), after)| before != after);
        let changes = changes.map(|((actor, before), after)| OwnerChange {
            at,
            actor,
            by: self.by.clone(),
            before,
            after,
            is_late: at > self.given_up,
        });
        let changes: Vec<OwnerChange> = changes.collect();
        changes.iter().for_each(|change| self.store.trace_owner(change));
        self.store.ledger(|ledger| ledger.owners.extend(changes));
        Ok(())
    }
}
