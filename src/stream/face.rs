//! A stream as publishers see it.

use super::{
    event::{Inner, Shared},
    messages::{Delivery, Publish, ReadStatus, StreamStatus},
    stream_actor::Stream,
};
use crate::{
    actor::{ActorRef, CallError, Kind, Message, Port, TryError, unusable_port},
    clock::Clock,
    ident::{ActorId, InvalidName},
};
use std::{fmt, marker::PhantomData, sync::Arc};

/// A stream of events, by namespace and key, as publishers see it. Cheap to clone.
///
/// Events of one publisher (an activation, or a client with its clones) come to each subscriber in the order in which they were
/// published.
pub struct StreamRef<E> {
    name: Arc<str>,
    stream: ActorRef<Stream>,
    event: PhantomData<fn(E)>,
}

/// The actor that is the stream of this namespace and key.
pub(super) fn stream_id(namespace: &str, key: &str) -> Result<ActorId, InvalidName> {
    InvalidName::check("stream namespace", namespace)?;
    InvalidName::check("stream key", key)?;
    if namespace.contains('/') {
        return Err(InvalidName {
            what: "stream namespace",
            name: namespace.chars().take(64).collect(),
            why: "it contains a slash",
        });
    }
    ActorId::new(Stream::KIND, format!("{namespace}/{key}"))
}

/// A stream that is reached by `port`. Calls through it fail if its names cannot be used: 1 to 1023 bytes in all without control
/// characters, and no slash in the namespace.
pub fn open<E>(namespace: &str, key: &str, clock: &Clock, port: impl FnOnce(ActorId) -> Arc<dyn Port>) -> StreamRef<E> {
    let port = match stream_id(namespace, key) {
        Ok(id) => port(id),
        Err(error) => unusable_port(error, clock.clone()),
    };
    StreamRef {
        name: port.actor().key().into(),
        stream: ActorRef::new(port),
        event: PhantomData,
    }
}

impl<E: Message + Sync> StreamRef<E> {
    fn publication(&self, event: E) -> (Arc<Inner<E>>, Publish) {
        let event = Arc::new(Inner::new(self.name.clone(), event));
        let publish = Publish(Shared::Typed(event.clone()));
        (event, publish)
    }

    /// Publishes an event; ready when it is in the stream's mailbox or on its way there, and waits for room.
    ///
    /// An event is given to each who is subscribed when the stream takes it, at most once, as messages are.
    ///
    /// # Errors
    /// As of [`ActorRef::tell`].
    pub async fn publish(&self, event: E) -> Result<(), CallError> {
        let publish = self.publication(event).1;
        self.stream.tell(publish).await
    }

    /// Publishes an event if there is room now.
    ///
    /// # Errors
    /// [`TryError::Full`] with the event.
    pub fn try_publish(&self, event: E) -> Result<(), TryError<E>> {
        let (event, publish) = self.publication(event);
        match self.stream.try_tell(publish) {
            Ok(()) => Ok(()),
            Err(TryError::Full(publish)) => {
                drop(publish);
                let event = Arc::into_inner(event).expect("invariant: nobody else has what was not taken");
                Err(TryError::Full(event.item))
            }
            Err(TryError::Failed(error)) => Err(TryError::Failed(error)),
        }
    }

    /// Publishes an event and waits until it was given to all subscribers; answers to how many.
    ///
    /// # Errors
    /// As of [`ActorRef::ask`].
    pub async fn deliver(&self, event: E) -> Result<Delivery, CallError> {
        let publish = self.publication(event).1;
        self.stream.ask(publish).await
    }
}

impl<E> StreamRef<E> {
    /// Its namespace and key, with a slash between.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the stream does.
    ///
    /// # Errors
    /// As of [`ActorRef::ask`].
    pub async fn status(&self) -> Result<StreamStatus, CallError> {
        self.stream.ask(ReadStatus).await
    }
}

impl<E> Clone for StreamRef<E> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            stream: self.stream.clone(),
            event: PhantomData,
        }
    }
}

impl<E> fmt::Debug for StreamRef<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamRef({})", self.name)
    }
}
