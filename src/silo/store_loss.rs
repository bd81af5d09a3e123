//! What a silo does when the store has lost writes (a failover, a restored snapshot): it writes the directory entries that name
//! it again.

use super::{Gate, Node};
use crate::{
    ident::{ActorId, Epoch},
    migration::Phase,
    store::{Entry, EntryChange, EntryOutcome},
};
use std::{sync::Arc, time::Duration};

/// The most entries that are read and written together.
const BATCH: usize = 512;

/// How long a store that did not answer is left alone.
const RETRY: Duration = Duration::from_millis(50);

impl Node {
    /// Writes the entries of the actors that the directory gave to this silo again where the store knows an older epoch.
    ///
    /// An epoch is never used twice, so whoever stands there with a lower one owned the actor before. Moves are decided by the
    /// entry, so those of actors that move, or have just come, are written again, too.
    pub(super) fn assert_entries(self: &Arc<Self>) {
        let node = Arc::downgrade(self);
        let mut mine = self.seats.select(|actor, place| {
            let (phase, epoch) = place.seat.phase()?;
            phase.is_named().then(|| (actor.clone(), epoch))
        });
        self.spawn(async move {
            while !mine.is_empty() {
                let Some(node) = node.upgrade() else { return };
                let batch = mine.split_off(mine.len().saturating_sub(BATCH));
                match node.assert_batch(&batch).await {
                    Ok(again) => mine.extend(again),
                    Err(error) if node.gate() != Gate::Shut => {
                        tracing::warn!(%error, "directory entries that the store has lost cannot be written again now");
                        mine.extend(batch);
                        node.clock.sleep(RETRY).await;
                    }
                    Err(_) => return,
                }
            }
        });
    }

    /// Answers those whose entry was changed by somebody else meanwhile.
    async fn assert_batch(
        &self,
        batch: &[(ActorId, Epoch)],
    ) -> Result<Vec<(ActorId, Epoch)>, crate::store::StoreError> {
        let entries = self
            .store
            .entries(batch.iter().map(|(actor, _)| actor.clone()).collect())
            .await?;
        let lost = batch.iter().zip(entries).filter(|((actor, epoch), entry)| {
            let named = |(phase, now): (&Phase, Epoch)| phase.is_named() && now == *epoch;
            entry.epoch < *epoch && self.seats.peek(actor, |place| place.seat.phase().is_some_and(named)) == Some(true)
        });
        let changes: Vec<EntryChange> = lost
            .map(|((actor, epoch), expected)| EntryChange {
                actor: actor.clone(),
                expected,
                new: Entry::owned(self.me.clone(), *epoch),
            })
            .collect();
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = self.store.change_entries(changes.clone()).await?;
        tracing::warn!(silo = %self.me, entries = changes.len(), "directory entries that the store had lost were written again");
        let conflicts = changes.into_iter().zip(outcomes);
        Ok(conflicts
            .filter(|(_, outcome)| *outcome != EntryOutcome::Changed)
            .map(|(change, _)| (change.actor, change.new.epoch))
            .collect())
    }
}
