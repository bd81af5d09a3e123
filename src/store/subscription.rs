//! Subscriptions of actors to streams, as they are stored.

use super::{Entry, Owner, Unknown};
use crate::ident::ActorId;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use std::fmt;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
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
    Wait,
}

impl<'de> Deserialize<'de> for BackPressure {
    /// A mode that only a newer program knows, with whatever belongs to it, is read as [`BackPressure::Wait`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Modes)
    }
}

struct Modes;

impl<'de> Visitor<'de> for Modes {
    type Value = BackPressure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a back-pressure mode: its name, or a map of its name and number")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<BackPressure, E> {
        Ok(match name {
            "drop-newest" => BackPressure::DropNewest,
            _ => BackPressure::Wait,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BackPressure, A::Error> {
        let mode = match map.next_key::<String>()?.as_deref() {
            Some("drop-oldest") => BackPressure::DropOldest(map.next_value()?),
            Some("throttle") => BackPressure::Throttle(map.next_value()?),
            Some(_) => map.next_value::<IgnoredAny>().map(|_| BackPressure::Wait)?,
            None => BackPressure::Wait,
        };
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(mode)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{decode, encode};

    fn spec(pressure: BackPressure) -> SubscriptionSpec {
        SubscriptionSpec {
            pressure,
            unknown: Unknown::default(),
        }
    }

    /// What clusters that run have stored.
    #[test]
    fn the_bytes_are_the_published_ones() {
        for (pressure, bytes) in [
            (BackPressure::Wait, &b"\x81\xa8pressure\xa4wait"[..]),
            (BackPressure::DropNewest, b"\x81\xa8pressure\xabdrop-newest"),
            (BackPressure::DropOldest(5), b"\x81\xa8pressure\x81\xabdrop-oldest\x05"),
            (
                BackPressure::Throttle(300),
                b"\x81\xa8pressure\x81\xa8throttle\xcd\x01\x2c",
            ),
        ] {
            assert_eq!(encode(&spec(pressure)).expect("encodes"), bytes, "{pressure:?}");
            assert_eq!(decode::<SubscriptionSpec>(bytes), Ok(spec(pressure)));
        }
        assert_eq!(decode(b"\x80"), Ok(spec(BackPressure::Wait)));
    }

    #[test]
    fn a_mode_of_a_newer_program_waits_and_what_else_it_wrote_stays() {
        for newer in [
            &b"\x82\xa8pressure\xa5spill\xa3why\xa5tests"[..],
            b"\x82\xa8pressure\x81\xa5spill\x92\x01\x02\xa3why\xa5tests",
        ] {
            let read: SubscriptionSpec = decode(newer).expect("is read");
            assert_eq!(read.pressure, BackPressure::Wait);
            let again = encode(&read).expect("encodes");
            assert_eq!(again, b"\x82\xa8pressure\xa4wait\xa3why\xa5tests");
        }
    }
}
