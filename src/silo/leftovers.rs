//! Directory entries that name this silo, of actors that it does not have: it registered them, and never heard so.
//!
//! While the silo serves, the next message for such an actor takes it over. One that leaves sets them free: who looks for them finds
//! a silo that takes nothing new until then.

use super::Node;
use crate::{
    ident::ActorId,
    store::{Entry, EntryChange, StoreError},
};
use std::sync::Arc;

/// The most entries that are read and written together.
const BATCH: usize = 512;

impl Node {
    /// Sets free what nobody has here. What is left is taken over by whoever finds that the silo is gone.
    pub(super) async fn free_leftovers(self: Arc<Self>) {
        if let Err(error) = self.free_what_is_not_here().await {
            tracing::warn!(%error, "directory entries of actors that are not here stay until somebody takes them over");
        }
    }

    async fn free_what_is_not_here(&self) -> Result<(), StoreError> {
        let mut left = self.store.owned_by(&self.me).await?;
        left.retain(|actor| !self.is_tenant(actor));
        for actors in left.chunks(BATCH) {
            let entries = self.store.entries(actors.to_vec()).await?;
            let mine = actors.iter().zip(entries);
            let changes: Vec<EntryChange> = mine
                .filter(|(actor, entry)| entry.owner.as_ref() == Some(&self.me) && !self.is_tenant(actor))
                .map(|(actor, entry)| EntryChange {
                    actor: actor.clone(),
                    new: Entry::free(entry.epoch.next()),
                    expected: entry,
                })
                .collect();
            if !changes.is_empty() {
                tracing::info!(silo = %self.me, entries = changes.len(), "directory entries of actors that are not here are set free");
                self.store.change_entries(changes).await?;
            }
        }
        Ok(())
    }

    fn is_tenant(&self, actor: &ActorId) -> bool {
        self.seats.peek(actor, |place| place.seat.phase().is_some()) == Some(true)
    }
}
