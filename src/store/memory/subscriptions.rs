//! The subscriptions of a memory store.

use crate::{
    ident::ActorId,
    store::{Entry, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten},
};
use std::collections::BTreeMap;

/// All subscriptions, by stream.
#[derive(Clone, Default)]
pub(super) struct Subscriptions(BTreeMap<ActorId, BTreeMap<SubscriptionId, SubscriptionSpec>>);

impl Subscriptions {
    pub(super) fn of(&self, stream: &ActorId) -> Vec<(SubscriptionId, SubscriptionSpec)> {
        let own = self.0.get(stream).into_iter().flatten();
        own.map(|(id, spec)| (id.clone(), spec.clone())).collect()
    }

    /// `entry`: that of the stream.
    pub(super) fn write(&mut self, write: SubscriptionWrite, entry: Entry) -> SubscriptionWritten {
        if !entry.is_owned_by(&write.owner) {
            return SubscriptionWritten::NotOwner(entry);
        }
        let stream = write.id.stream.clone();
        let own = self.0.entry(stream.clone()).or_default();
        let replaced = match write.new {
            Some(spec) => own.insert(write.id, spec).is_some(),
            None => own.remove(&write.id).is_some(),
        };
        if own.is_empty() {
            self.0.remove(&stream);
        }
        SubscriptionWritten::Written { replaced }
    }
}
