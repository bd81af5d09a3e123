//! What an actor remembers of effects that happen once; saved with its state in the same step, and moved with it.

use super::outbox::Outbox;
use crate::ident::OnceId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// What a message is to do once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A request, which is remembered with its reply.
    Request(OnceId),
    /// What another actor has posted: the message of this number out of this outbox.
    Posted {
        /// Which outbox.
        outbox: OnceId,
        /// The number; one outbox's messages to one actor come in their order.
        number: u64,
    },
}

/// What an actor remembers of effects that happen once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// The requests that it has done, the latest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    done: VecDeque<Done>,
    /// The last message that it has taken out of each outbox.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    taken: BTreeMap<OnceId, Taken>,
    /// What it has posted itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outbox: Option<Outbox>,
}

/// A request that was done: its id, until when it is remembered (seconds since the Unix epoch), and its reply; no reply if it was
/// saved before there was one. Without names of fields: there may be many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done(OnceId, u64, Option<Bytes>);

/// The last message taken out of an outbox: its number, when it was taken, and when it may be forgotten, in seconds since the Unix
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken(u64, u64, Option<u64>);

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was done, and answered so.
    Replied(Bytes),
    /// It was done at least in part and saved; what it was answered is not known.
    Begun,
    /// It was taken, and nobody waits for an answer.
    Taken,
}

impl Effects {
    /// The most requests that are remembered. The oldest go first.
    pub const MAX_DONE: usize = 256;

    /// The most bytes of replies that are remembered. The oldest go first.
    pub const MAX_REPLY_BYTES: usize = 256 * 1024;

    /// How long a request is remembered, if not too many others come, in seconds.
    pub const SECONDS: u64 = 600;

    /// The most outboxes that are remembered: the one that was taken from longest ago goes first.
    pub const MAX_OUTBOXES: usize = 4096;

    /// How long an outbox is remembered that will not send again what was taken: longer than any copy may be on its way.
    const GRACE_SECONDS: u64 = 120;

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.taken.is_empty() && self.outbox.is_none()
    }

    /// What is known of an effect.
    pub(super) fn known(&self, effect: &Effect) -> Option<Known> {
        match effect {
            Effect::Request(id) => {
                let done = self.done.iter().rfind(|done| done.0 == *id)?;
                Some(done.2.clone().map_or(Known::Begun, Known::Replied))
            }
            Effect::Posted { outbox, number } => {
                let taken = self.taken.get(outbox)?;
                (*number <= taken.0).then_some(Known::Taken)
            }
        }
    }

    /// An effect is being done, and what it has done so far is about to be saved.
    pub(super) fn begun(&mut self, effect: &Effect, now: u64) {
        match effect {
            Effect::Request(id) => self.done.push_back(Done(*id, now + Self::SECONDS, None)),
            Effect::Posted { outbox, number } => self.take(*outbox, *number, now),
        }
        self.tidy(now);
    }

    /// An effect was done.
    pub(super) fn done(&mut self, effect: &Effect, now: u64, reply: Bytes) {
        match effect {
            Effect::Request(id) => {
                self.done.retain(|done| done.0 != *id);
                self.done.push_back(Done(*id, now + Self::SECONDS, Some(reply)));
            }
            Effect::Posted { outbox, number } => self.take(*outbox, *number, now),
        }
        self.tidy(now);
    }

    fn take(&mut self, outbox: OnceId, number: u64, now: u64) {
        self.taken.insert(outbox, Taken(number, now, None));
    }

    /// An outbox will not send again what was taken out of it.
    pub(super) fn forget(&mut self, outbox: OnceId, number: u64, now: u64) {
        if let Some(taken) = self.taken.get_mut(&outbox)
            && taken.0 <= number
        {
            taken.2 = Some(now + Self::GRACE_SECONDS);
        }
    }

    /// Forgets what is past, and the oldest of what is too much; never the latest.
    fn tidy(&mut self, now: u64) {
        let bytes = |done: &Done| done.2.as_ref().map_or(0, Bytes::len);
        let mut all: usize = self.done.iter().map(bytes).sum();
        while let Some(oldest) = self.done.front() {
            let is_too_much = self.done.len() > Self::MAX_DONE || all > Self::MAX_REPLY_BYTES;
            if self.done.len() == 1 || !is_too_much && oldest.1 > now {
                break;
            }
            all -= bytes(oldest);
            self.done.pop_front();
        }
        self.taken
            .retain(|_, taken| taken.2.is_none_or(|forget_at| forget_at > now));
        while self.taken.len() > Self::MAX_OUTBOXES {
            let oldest = self.taken.iter().min_by_key(|(_, taken)| taken.1);
            let Some(oldest) = oldest.map(|(outbox, _)| *outbox) else {
                return;
            };
            self.taken.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    fn request(number: usize) -> Effect {
        Effect::Request(OnceId::of(&number.to_string()))
    }

    fn posted(outbox: &str, number: u64) -> Effect {
        let outbox = OnceId::of(outbox);
        Effect::Posted { outbox, number }
    }

    fn reply(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    /// Guarantee 7
    #[test]
    fn a_request_is_remembered_with_its_reply_and_only_that() {
        let mut effects = Effects::default();
        effects.begun(&request(1), 0);
        assert_eq!(effects.known(&request(1)), Some(Known::Begun));
        effects.done(&request(1), 0, reply("a"));
        effects.done(&request(2), 0, reply("b"));
        assert_eq!(effects.known(&request(1)), Some(Known::Replied(reply("a"))));
        assert_eq!(effects.known(&request(3)), None);
        let again: Effects = decode(&encode(&effects).expect("encodes")).expect("is read");
        assert_eq!(again, effects, "as it is saved");
    }

    #[test]
    fn the_window_is_bounded_in_number_bytes_and_time() {
        let mut effects = Effects::default();
        for number in 0..Effects::MAX_DONE + 5 {
            effects.done(&request(number), 0, reply("r"));
        }
        assert_eq!(
            (effects.known(&request(4)), effects.done.len()),
            (None, Effects::MAX_DONE)
        );
        assert!(effects.known(&request(5)).is_some());
        let large = Bytes::from(vec![0; Effects::MAX_REPLY_BYTES + 1]);
        effects.done(&request(1000), 1, large);
        assert_eq!(effects.done.len(), 1, "the latest, however large");
        effects.done(&request(1001), Effects::SECONDS + 1, reply("r"));
        assert!(effects.known(&request(1000)).is_none() && effects.known(&request(1001)).is_some());
    }

    #[test]
    fn what_is_posted_is_taken_once_and_in_order() {
        let mut effects = Effects::default();
        effects.done(&posted("a", 3), 0, reply(""));
        assert_eq!(effects.known(&posted("a", 2)), Some(Known::Taken), "before it");
        assert_eq!(effects.known(&posted("a", 3)), Some(Known::Taken));
        assert_eq!(effects.known(&posted("a", 4)), None);
        assert_eq!(effects.known(&posted("b", 1)), None, "another's");
    }

    #[test]
    fn an_outbox_is_forgotten_when_no_copy_can_be_on_its_way_any_more() {
        let mut effects = Effects::default();
        effects.done(&posted("a", 3), 0, reply(""));
        effects.forget(OnceId::of("a"), 2, 0);
        effects.forget(OnceId::of("a"), 3, 10);
        effects.done(&posted("b", 1), 10 + Effects::GRACE_SECONDS - 1, reply(""));
        assert!(effects.known(&posted("a", 3)).is_some());
        effects.done(&posted("b", 2), 10 + Effects::GRACE_SECONDS, reply(""));
        assert!(effects.known(&posted("a", 3)).is_none());
        effects.done(&posted("a", 4), 200, reply(""));
        effects.forget(OnceId::of("a"), 3, 200);
        effects.done(&posted("b", 3), 10_000, reply(""));
        assert!(effects.known(&posted("a", 4)).is_some(), "a later one was taken");
    }

    #[test]
    fn outboxes_are_bounded() {
        let mut effects = Effects::default();
        for number in 0..=Effects::MAX_OUTBOXES as u64 {
            effects.done(&posted(&number.to_string(), 1), number, reply(""));
        }
        assert_eq!(effects.taken.len(), Effects::MAX_OUTBOXES);
        assert_eq!(effects.known(&posted("0", 1)), None, "the oldest");
    }
}
