//! How actors subscribe.

use super::{
    Event, StreamRef,
    face::{open, stream_id},
    messages::{Subscribe, Unsubscribe},
    stream_actor::Stream,
};
use crate::{
    actor::{ActorRef, CallError, Context, Handler, Message},
    ident::{ActorId, InvalidName},
    store::BackPressure,
};
use serde::Serialize;

/// How an actor subscribes: what is done when it has no room for an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pressure: BackPressure,
}

impl Subscription {
    /// The stream waits, and so do its publishers ([`BackPressure::Wait`]).
    pub fn new() -> Self {
        Self::default()
    }

    /// What is done when the actor has no room.
    pub fn pressure(self, pressure: BackPressure) -> Self {
        Self { pressure }
    }
}

/// Why a subscription was not made or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// A namespace or key that cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The stream did not answer; whether the subscription was made or ended is not known if the error says so.
    #[error("the stream {stream}: {source}")]
    Call {
        /// Namespace and key.
        stream: String,
        /// Why.
        source: CallError,
    },
    /// The store failed; whether the subscription was made or ended may not be known. Doing it again does no harm.
    #[error("the subscriptions to {stream} could not be changed: {why}")]
    Store {
        /// Namespace and key.
        stream: String,
        /// What it said.
        why: String,
    },
}

impl<A: Serialize> Context<A> {
    /// The stream of this namespace and key. Publishing to it fails if the names cannot be used: 1 to 1023 bytes in all without
    /// control characters, and no slash in the namespace.
    pub fn stream<E>(&self, namespace: &str, key: &str) -> StreamRef<E> {
        open(namespace, key, self.clock(), |id| self.services().port(id))
    }

    /// Subscribes this actor to the events `E` of a stream: what the stream takes after this has returned comes to the actor, wherever
    /// it lives, and activates it if need be. The subscription is kept until it is ended; made again, it is changed. Answers whether
    /// it was there.
    ///
    /// # Errors
    /// [`SubscriptionError`].
    pub async fn subscribe<E: Message + Sync>(
        &mut self,
        namespace: &str,
        key: &str,
        subscription: Subscription,
    ) -> Result<bool, SubscriptionError>
    where
        A: Handler<Event<E>>,
    {
        let stream = stream_id(namespace, key)?;
        let subscribe = Subscribe {
            subscriber: self.id().clone(),
            event: Event::<E>::NAME.to_owned(),
            pressure: subscription.pressure,
        };
        let port = ActorRef::<Stream>::new(self.services().port(stream.clone()));
        let was = answered(&stream, port.ask(subscribe).await)?;
        self.subscribed(stream, Event::<E>::NAME);
        Ok(was)
    }

    /// Ends a subscription of this actor. Answers whether it was there. What is in the actor's mailbox already, or on its way there,
    /// still comes.
    ///
    /// # Errors
    /// [`SubscriptionError`].
    pub async fn unsubscribe<E: Message + Sync>(
        &mut self,
        namespace: &str,
        key: &str,
    ) -> Result<bool, SubscriptionError>
    where
        A: Handler<Event<E>>,
    {
        let stream = stream_id(namespace, key)?;
        let unsubscribe = Unsubscribe {
            subscriber: self.id().clone(),
            event: Event::<E>::NAME.to_owned(),
        };
        let port = ActorRef::<Stream>::new(self.services().port(stream.clone()));
        let was = answered(&stream, port.ask(unsubscribe).await)?;
        self.unsubscribed(&stream, Event::<E>::NAME);
        Ok(was)
    }
}

fn answered(stream: &ActorId, answer: Result<Result<bool, String>, CallError>) -> Result<bool, SubscriptionError> {
    let stream = || stream.key().to_owned();
    match answer {
        Ok(Ok(was)) => Ok(was),
        Ok(Err(why)) => Err(SubscriptionError::Store { stream: stream(), why }),
        Err(source) => Err(SubscriptionError::Call {
            stream: stream(),
            source,
        }),
    }
}
