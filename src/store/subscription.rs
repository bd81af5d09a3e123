//! Subscriptions of actors to streams, as they are stored.

use super::{Entry, Owner, Unknown};
use crate::ident::ActorId;
use serde::{Deserialize, Serialize};

/// Names a subscription: who gets which events of which stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    /// The actor that is the stream.
    pub stream: ActorId,
    /// Who subscribed.
    pub subscriber: ActorId,
    /// The wire name of the events.
    pub event: String,
}

/// What is done when a subscriber has no room for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BackPressure {
    /// The event is dropped.
    DropNewest,
    /// So many events are kept for it; of more, the oldest are dropped.
    DropOldest(u32),
    /// It gets so many events a second at the most; the stream waits in between, and when it has no room.
    Throttle(u32),
    /// The stream waits, and so does who publishes; nothing is dropped unless there is no room for as long as an ask may take.
    #[default]
    #[serde(other)]
    Wait,
}

/// What belongs to a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionSpec {
    /// What is done when the subscriber has no room.
    #[serde(default)]
    pub pressure: BackPressure,
    /// What a newer program has put into it.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A subscription that is to be made or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionWrite {
    /// Which.
    pub id: SubscriptionId,
    /// Who the writer believes to own the stream: itself, at its epoch.
    pub owner: Owner,
    /// What belongs to it; `None` ends it.
    pub new: Option<SubscriptionSpec>,
}

/// How a write of a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionWritten {
    /// It took effect.
    Written {
        /// Whether there was one.
        replaced: bool,
    },
    /// The writer does not own the stream (any more); nothing was written.
    NotOwner(Entry),
}
