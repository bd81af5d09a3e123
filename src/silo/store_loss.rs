//! What a silo does when the store has lost writes (a failover, a restored snapshot): it writes the directory entries that name
//! it again, and ends activations that the store has given to others meanwhile.

use super::{Gate, Node, sending::letter};
use crate::{
    actor::DISOWNED,
    ident::{ActorId, Epoch},
    migration::Phase,
    store::{Entry, EntryChange, EntryOutcome},
    wire,
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

    /// Ends the activation of an actor that is another silo's. One that saves would hear of it by its next save; others never would.
    fn disown(self: &Arc<Self>, actor: ActorId, epoch: Epoch) {
        let word = wire::encode(&epoch).expect("invariant: a number can be written");
        let node = Arc::downgrade(self);
        self.spawn(async move {
            while let Some(node) = node.upgrade() {
                let told = node.seats.peek(&actor, |place| {
                    // One that moves goes by its entry.
                    let is_active = place.seat.phase() == Some((&Phase::Active, epoch));
                    let activation = place.activation.as_ref().filter(|_| is_active);
                    activation
                        .is_none_or(|activation| activation.mailbox().push(letter(DISOWNED, word.clone())).is_ok())
                });
                if told.unwrap_or(true) {
                    return;
                }
                // Its mailbox is full.
                node.clock.sleep(RETRY).await;
            }
        });
    }

    /// Answers those whose entry was changed by somebody else meanwhile.
    async fn assert_batch(
        self: &Arc<Self>,
        batch: &[(ActorId, Epoch)],
    ) -> Result<Vec<(ActorId, Epoch)>, crate::store::StoreError> {
        let entries = self
            .store
            .entries(batch.iter().map(|(actor, _)| actor.clone()).collect())
            .await?;
        for ((actor, epoch), entry) in batch.iter().zip(&entries) {
            let other = entry
                .owner
                .as_ref()
                .filter(|owner| **owner != self.me && !self.is_gone(owner));
            if let Some(owner) = other.filter(|_| entry.epoch >= *epoch) {
                tracing::warn!(%actor, %owner, "a store that had lost writes gave an actor of this silo to another");
                self.disown(actor.clone(), *epoch);
            }
        }
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
