//! What an actor hears of streams: its subscriptions, as far as its activations know them, and by which activation of a stream it was
//! last given an event.
//!
//! Two activations of one stream can give events at once where the silo of one is taken for dead while it lives. The epoch that owns
//! a stream only grows, so who has heard a later activation takes nothing more of an earlier one: in its place the order of a
//! publisher would be lost.

use super::{Context, HEARD, scope};
use crate::{
    clock::Moment,
    ident::{ActorId, Epoch},
    wire::{Failure, FailureCode, PackedSubscription, Ran},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// For how long an earlier activation is not heard. What a silo had sent before it was found dead comes within this, or never; but
/// epochs begin anew where a store has lost them.
const DEAF: Duration = Duration::from_secs(60);

/// The activation of a stream, an event of which an actor is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedBy<'a> {
    /// The kind of the stream.
    pub kind: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The epoch by which its silo owns it.
    pub epoch: Epoch,
}

/// Says to an actor that what it is given next is of this activation of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The actor that is the stream.
    pub stream: ActorId,
    /// The epoch by which its silo owns it.
    pub epoch: Epoch,
}

/// What an actor hears, in the order of streams. Of a stream that is heard without a known subscription the event has no name; that
/// stays with the activation.
#[derive(Default)]
pub(super) struct Hearing(Vec<Known>);

struct Known {
    subscription: PackedSubscription,
    /// When the epoch was told.
    at: Moment,
}

impl Hearing {
    /// What has come along with the actor.
    pub(super) fn of(streams: Vec<PackedSubscription>, now: Moment) -> Self {
        let known = |subscription| Known { subscription, at: now };
        let mut all: Vec<Known> = streams.into_iter().map(known).collect();
        let name = |known: &Known| {
            let stream = &known.subscription.stream;
            (stream.kind().to_owned(), stream.key().to_owned())
        };
        all.sort_by_cached_key(name);
        Self(all)
    }

    pub(super) fn packed(&self) -> Vec<PackedSubscription> {
        self.subscriptions().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn subscriptions(&self) -> impl Iterator<Item = &PackedSubscription> {
        let all = self.0.iter().map(|known| &known.subscription);
        all.filter(|subscription| !subscription.event.is_empty())
    }

    /// What is known of one stream.
    fn of_stream(&mut self, by: PublishedBy<'_>) -> (usize, &mut [Known]) {
        let wanted = (by.kind, by.key);
        let name = |known: &Known| {
            let stream = &known.subscription.stream;
            (stream.kind(), stream.key()).cmp(&wanted)
        };
        let start = self.0.partition_point(|known| name(known).is_lt());
        let length = self.0[start..].partition_point(|known| name(known).is_eq());
        (start, &mut self.0[start..start + length])
    }

    fn add(&mut self, stream: ActorId, event: &str, now: Moment) {
        let by = PublishedBy {
            kind: stream.kind(),
            key: stream.key(),
            epoch: Epoch::ZERO,
        };
        let (start, known) = self.of_stream(by);
        if known.iter().any(|known| known.subscription.event == event) {
            return;
        }
        let epoch = known.first().map_or(Epoch::ZERO, |known| known.subscription.epoch);
        let at = known.first().map_or(now, |known| known.at);
        let event = event.to_owned();
        let subscription = PackedSubscription { stream, event, epoch };
        self.0.insert(start, Known { subscription, at });
    }

    fn remove(&mut self, stream: &ActorId, event: &str) {
        let is = |known: &Known| known.subscription.stream == *stream && known.subscription.event == event;
        self.0.retain(|known| !is(known));
    }

    /// An event of this activation has come. Answers whether it is to be taken, or by which later one events were given before.
    fn hear(&mut self, by: PublishedBy<'_>, now: Moment) -> Result<(), Epoch> {
        let (start, known) = self.of_stream(by);
        if let Some(first) = known.first()
            && first.subscription.epoch > by.epoch
            && now < first.at + DEAF
        {
            return Err(first.subscription.epoch);
        }
        if known.is_empty() {
            let Ok(stream) = ActorId::new(by.kind, by.key) else {
                return Ok(());
            };
            let (event, epoch) = (String::new(), by.epoch);
            let subscription = PackedSubscription { stream, event, epoch };
            self.0.insert(start, Known { subscription, at: now });
            return Ok(());
        }
        for known in known {
            (known.subscription.epoch, known.at) = (by.epoch, now);
        }
        Ok(())
    }
}

impl<A> Context<A> {
    /// What the actor is subscribed to and hears has come along.
    pub(super) fn set_streams(&mut self, streams: Vec<PackedSubscription>) {
        if !streams.is_empty() {
            let now = self.services().clock().recently();
            self.rest().hearing = Hearing::of(streams, now);
        }
        // The mailbox may know of an activation before this one.
        if self.mailbox().activity().streams as usize != self.subscriptions() {
            self.count_streams();
        }
    }

    /// What the actor is subscribed to and hears, as far as is known here.
    pub(super) fn streams(&self) -> Vec<PackedSubscription> {
        self.rest.as_ref().map_or_else(Vec::new, |rest| rest.hearing.packed())
    }

    fn subscriptions(&self) -> usize {
        (self.rest.as_ref()).map_or(0, |rest| rest.hearing.subscriptions().count())
    }

    fn count_streams(&self) {
        let now = self.services().clock().recently();
        self.mailbox().set_streams(now, self.subscriptions());
    }

    /// The actor is subscribed to a stream: its activity score counts that.
    pub(crate) fn subscribed(&mut self, stream: ActorId, event: &'static str) {
        let now = self.services().clock().recently();
        self.rest().hearing.add(stream, event, now);
        self.count_streams();
    }

    /// The actor is subscribed no more.
    pub(crate) fn unsubscribed(&mut self, stream: &ActorId, event: &str) {
        self.rest().hearing.remove(stream, event);
        self.count_streams();
    }

    /// An event of a stream has come. Answers what the stream is to hear if it is not to run: one of a later activation has.
    pub(super) fn hear(&mut self, by: PublishedBy<'_>) -> Option<Failure> {
        let now = self.services().clock().recently();
        let later = self.rest().hearing.hear(by, now).err()?;
        let PublishedBy { kind, key, epoch } = by;
        let text = format!(
            "an event of {kind}/{key} by epoch {epoch} came to {} behind one by epoch {later}; it did not run",
            scope::running_actor()
        );
        tracing::debug!("{text}");
        Some(Failure::new(FailureCode::Discarded, Ran::No, text))
    }

    /// What comes next is of this activation of a stream.
    pub(super) fn heard(&mut self, heard: &Heard) {
        let now = self.services().clock().recently();
        let by = PublishedBy {
            kind: heard.stream.kind(),
            key: heard.stream.key(),
            epoch: heard.epoch,
        };
        if let Err(later) = self.rest().hearing.hear(by, now) {
            tracing::debug!(stream = %heard.stream, epoch = %heard.epoch, %later, "{HEARD} of an activation that was succeeded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: &str) -> ActorId {
        ActorId::new("quark.stream", key).expect("can be used")
    }

    fn by(key: &str, epoch: u64) -> PublishedBy<'_> {
        PublishedBy {
            kind: "quark.stream",
            key,
            epoch: Epoch(epoch),
        }
    }

    const NOW: Moment = Moment(1_000_000);

    #[test]
    fn of_an_earlier_activation_nothing_is_heard_any_more() {
        let mut hearing = Hearing::default();
        hearing.add(stream("room/a"), "said", NOW);
        assert_eq!(hearing.hear(by("room/a", 4), NOW), Ok(()));
        assert_eq!(hearing.hear(by("room/a", 5), NOW), Ok(()));
        assert_eq!(hearing.hear(by("room/a", 4), NOW), Err(Epoch(5)));
        assert_eq!(hearing.hear(by("room/b", 1), NOW), Ok(()), "another stream");
        assert_eq!(hearing.hear(by("room/a", 5), NOW), Ok(()));
        let moved = Hearing::of(hearing.packed(), NOW).hear(by("room/a", 4), NOW);
        assert_eq!(moved, Err(Epoch(5)), "it goes along with the actor");
    }

    #[test]
    fn epochs_that_a_store_has_lost_do_not_make_an_actor_deaf_for_ever() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.hear(by("room/a", 5), NOW), Ok(()));
        assert_eq!(hearing.hear(by("room/a", 2), NOW + DEAF), Ok(()));
        assert_eq!(hearing.hear(by("room/a", 3), NOW + DEAF), Ok(()));
    }

    #[test]
    fn subscriptions_are_counted_once_each_and_know_what_was_heard() {
        let mut hearing = Hearing::default();
        assert_eq!(hearing.hear(by("room/b", 5), NOW), Ok(()));
        assert_eq!(hearing.subscriptions().count(), 0, "it may have ended its subscription");
        for key in ["room/c", "room/b", "room/a", "room/b"] {
            hearing.add(stream(key), "said", NOW);
        }
        hearing.add(stream("room/b"), "left", NOW);
        assert_eq!(hearing.subscriptions().count(), 4);
        hearing.remove(&stream("room/b"), "said");
        assert_eq!(hearing.subscriptions().count(), 3);
        assert_eq!(hearing.hear(by("room/b", 4), NOW), Err(Epoch(5)));
    }
}
