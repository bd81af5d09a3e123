//! An event: one value for all subscribers of a process.

use super::stream_actor::Stream;
use crate::{
    actor::{Kind, Message, PublishedBy, Suffix, wrapped_name},
    ident::{ActorId, Epoch},
    mailbox::{Mailbox, Refused, Told},
    wire::{self, EncodeError},
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use std::{
    cell::OnceCell,
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

/// An event of a stream, as subscribers get it. All subscribers of a process share one value; cheap to clone.
///
/// An actor lists `Event<E>` among its messages for each `E` that it subscribes to:
///
/// ```
/// use quark::{prelude::*, stream::{Event, Subscription}};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "room.said")]
/// struct Said {
///     who: String,
///     text: String,
/// }
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(name = "guest.enter")]
/// struct Enter {
///     room: String,
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Guest {
///     heard: usize,
/// }
///
/// #[actor(kind = "guest", messages(Enter, Event<Said>))]
/// impl Actor for Guest {}
///
/// impl Handler<Enter> for Guest {
///     async fn handle(&mut self, enter: Enter, ctx: &mut Context<Self>) {
///         ctx.subscribe::<Said>("room", &enter.room, Subscription::new()).await.expect("the store answers");
///         let hello = Said { who: ctx.key().into(), text: "hello".into() };
///         ctx.stream("room", &enter.room).publish(hello).await.expect("published");
///     }
/// }
///
/// impl Handler<Event<Said>> for Guest {
///     async fn handle(&mut self, said: Event<Said>, _: &mut Context<Self>) {
///         println!("{}: {}", said.who, said.text);
///         self.heard += 1;
///     }
/// }
/// ```
pub struct Event<E>(Arc<Inner<E>>);

/// What the clones share.
pub(super) struct Inner<E> {
    /// The stream: namespace, a slash, key.
    stream: Arc<str>,
    /// The epoch of the stream that gives it, of one that came by the wire.
    epoch: Option<Epoch>,
    pub(super) item: E,
    encoded: OnceLock<Bytes>,
}

impl<E> Inner<E> {
    pub(super) fn new(stream: Arc<str>, item: E) -> Self {
        Self {
            stream,
            epoch: None,
            item,
            encoded: OnceLock::new(),
        }
    }
}

impl<E> Event<E> {
    /// The namespace of its stream.
    pub fn namespace(&self) -> &str {
        self.0.stream.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The key of its stream.
    pub fn key(&self) -> &str {
        self.0.stream.split_once('/').map_or("", |(_, key)| key)
    }
}

impl<E> Clone for Event<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Deref for Event<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0.item
    }
}

impl<E: fmt::Debug> fmt::Debug for Event<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} {:?})", self.0.stream, self.0.item)
    }
}

/// An event as it travels.
#[derive(Serialize)]
struct Written<'a, E> {
    stream: &'a str,
    item: &'a E,
}

#[derive(Deserialize)]
struct ReadBack<E> {
    stream: String,
    item: E,
    #[serde(default)]
    epoch: Option<Epoch>,
}

impl<E: Serialize> Serialize for Event<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stream, item) = (&*self.0.stream, &self.0.item);
        Written { stream, item }.serialize(serializer)
    }
}

impl<'de, E: Deserialize<'de>> Deserialize<'de> for Event<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadBack { stream, item, epoch } = ReadBack::deserialize(deserializer)?;
        let inner = Inner {
            epoch,
            ..Inner::new(stream.into(), item)
        };
        Ok(Self(Arc::new(inner)))
    }
}

/// The end of the wire names of events.
pub(super) struct EventSuffix;

impl Suffix for EventSuffix {
    const TEXT: &'static str = ".event";
}

#[diagnostic::do_not_recommend]
impl<E: Message + Sync> Message for Event<E> {
    type Reply = ();
    const NAME: &'static str = wrapped_name::<E, EventSuffix>();

    fn published_by(&self) -> Option<PublishedBy<'_>> {
        let epoch = self.0.epoch?;
        Some(PublishedBy {
            kind: Stream::KIND,
            key: &self.0.stream,
            epoch,
        })
    }
}

/// An event of this process, whatever it is of.
pub(super) trait AnyEvent: Send + Sync {
    /// The wire name.
    fn name(&self) -> &'static str;

    /// The event as it travels; made once.
    fn encoded(&self) -> Result<Bytes, EncodeError>;

    /// Puts it into a mailbox.
    fn push(self: Arc<Self>, mailbox: &Arc<Mailbox>) -> Result<(), NoRoom>;
}

/// Why an event is not in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    Full,
    Closed,
}

impl<E: Message + Sync> AnyEvent for Inner<E> {
    fn name(&self) -> &'static str {
        Event::<E>::NAME
    }

    fn encoded(&self) -> Result<Bytes, EncodeError> {
        if let Some(bytes) = self.encoded.get() {
            return Ok(bytes.clone());
        }
        let (stream, item) = (&*self.stream, &self.item);
        let bytes = wire::encode(&Written { stream, item })?;
        Ok(self.encoded.get_or_init(|| bytes).clone())
    }

    fn push(self: Arc<Self>, mailbox: &Arc<Mailbox>) -> Result<(), NoRoom> {
        match mailbox.push(Told(Event(self))) {
            Ok(()) => Ok(()),
            Err(Refused::Full(_)) => Err(NoRoom::Full),
            Err(Refused::Closed(_)) => Err(NoRoom::Closed),
        }
    }
}

/// An event on its way through its stream.
#[derive(Clone)]
pub(super) enum Shared {
    /// A value of this process.
    Typed(Arc<dyn AnyEvent>),
    /// As it came by the wire.
    Encoded { name: Arc<str>, bytes: Bytes },
}

impl Shared {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Typed(event) => event.name(),
            Self::Encoded { name, .. } => name,
        }
    }

    pub(super) fn encoded(&self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Typed(event) => event.encoded(),
            Self::Encoded { bytes, .. } => Ok(bytes.clone()),
        }
    }
}

/// An event as an activation of its stream gives it.
pub(super) struct Stamped<'a> {
    pub(super) event: &'a Shared,
    /// The stream.
    pub(super) stream: &'a ActorId,
    /// The epoch of the activation.
    pub(super) epoch: Epoch,
    encoded: OnceCell<Bytes>,
}

impl<'a> Stamped<'a> {
    pub(super) fn new(event: &'a Shared, stream: &'a ActorId, epoch: Epoch) -> Self {
        Self {
            event,
            stream,
            epoch,
            encoded: OnceCell::new(),
        }
    }

    /// The event as it travels to subscribers, with the epoch; made once.
    pub(super) fn encoded(&self) -> Result<Bytes, EncodeError> {
        if let Some(bytes) = self.encoded.get() {
            return Ok(bytes.clone());
        }
        let plain = self.event.encoded()?;
        let bytes = wire::with_field(&plain, "epoch", &self.epoch)?.unwrap_or(plain);
        Ok(self.encoded.get_or_init(|| bytes).clone())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Serialize, Deserialize)]
struct SharedWritten {
    event: String,
    body: Bytes,
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = SharedWritten {
            event: self.name().to_owned(),
            body: self.encoded().map_err(S::Error::custom)?,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SharedWritten { event, body } = SharedWritten::deserialize(deserializer)?;
        if event.is_empty() {
            return Err(D::Error::custom("an event has a name"));
        }
        Ok(Self::Encoded {
            name: event.into(),
            bytes: body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Said(String);

    impl Message for Said {
        type Reply = ();
        const NAME: &'static str = "room.said";
    }

    #[test]
    fn an_event_travels_with_its_stream() {
        let event = Event(Arc::new(Inner::new("room/a/b".into(), Said("hello".into()))));
        assert_eq!((event.namespace(), event.key()), ("room", "a/b"));
        let read: Event<Said> = decode(&encode(&event).expect("encodes")).expect("is read");
        assert_eq!(
            (read.namespace(), read.key(), &*read),
            ("room", "a/b", &Said("hello".into()))
        );
    }

    #[test]
    fn what_a_stream_passes_on_of_the_wire_is_what_was_published() {
        let inner = Arc::new(Inner::new("room/a".into(), Said("hello".into())));
        let typed = Shared::Typed(inner.clone());
        let read: Shared = decode(&encode(&typed).expect("encodes")).expect("is read");
        assert_eq!(read.name(), "room.said.event");
        assert_eq!(
            read.encoded().expect("encoded"),
            encode(&Event(inner)).expect("encodes")
        );
    }

    #[test]
    fn an_event_that_is_given_over_the_wire_tells_by_which_activation() {
        let shared = Shared::Typed(Arc::new(Inner::new("room/a".into(), Said("hello".into()))));
        let stream = ActorId::new("quark.stream", "room/a").expect("can be used");
        let bytes = Stamped::new(&shared, &stream, Epoch(7)).encoded().expect("encodes");
        let read: Event<Said> = decode(&bytes).expect("is read");
        let by = PublishedBy {
            kind: "quark.stream",
            key: "room/a",
            epoch: Epoch(7),
        };
        assert_eq!((read.published_by(), &*read), (Some(by), &Said("hello".into())));
    }
}
