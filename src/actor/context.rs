//! What an actor can do and know while it runs.

use super::{
    ActorRef, Asker, Grant, Handler, Job, Kind, LoadError, Message, Port, Posted, ReminderAnswer, ReminderAsk,
    ReminderError, SaveError, Saving, current::with_timers, save::Rest, scope, timers::SHORTEST, unusable_port,
};
use crate::{
    clock::{Clock, Moment},
    ident::{ActorId, Epoch, OnceId, TraceContext},
    mailbox::Mailbox,
    store::{ETag, StoreError, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWritten},
};
use futures_util::future::BoxFuture;
use serde::Serialize;
use std::{collections::BTreeMap, marker::PhantomData, sync::Arc, time::Duration};

/// What the silo does for an actor.
pub trait Services: Send + Sync + 'static {
    /// Saves a state, checked against ownership and e-tag in one step. Answers its number; `None` if it was taken away.
    fn save(&self, actor: ActorId, saving: Saving) -> BoxFuture<'static, Result<Option<ETag>, SaveError>>;

    /// An actor's saved state, if the silo owns the actor by the epoch and the state has the number that `grant` says.
    fn load_own(&self, actor: ActorId, grant: Grant) -> BoxFuture<'static, Result<Option<StoredState>, LoadError>>;

    /// A named state of an actor, as it is saved.
    fn load(&self, actor: ActorId, name: String) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>>;

    /// Sends what an actor has posted and saved, in order per receiver, until it is taken; tells the actor so by
    /// [`SETTLED`](super::SETTLED). Tells the receivers in `forget` by [`FORGET`](super::FORGET) that nothing up to that number is
    /// sent again.
    fn send_posts(&self, from: Arc<Mailbox>, outbox: OnceId, posts: Vec<Posted>, forget: Vec<(ActorId, u64)>);

    /// Whether actors of the kind are written in the older form that they have: silos of an older version may have to read them.
    fn writes_older(&self, kind: &str) -> bool {
        let _none_is_older = kind;
        false
    }

    /// The way to an actor.
    fn port(&self, actor: ActorId) -> Arc<dyn Port>;

    /// The silo's clock.
    fn clock(&self) -> &Clock;

    /// Has blocking work done on a thread that runs no actors; ready with whether it will be when that is certain.
    fn blocking(&self, job: Job) -> BoxFuture<'static, bool>;

    /// Sets, removes or reads reminders of an actor.
    fn remind(&self, asker: Asker, ask: ReminderAsk) -> BoxFuture<'static, Result<ReminderAnswer, ReminderError>>;

    /// Whose kinds get the events of which streams without subscribing; the same `Arc` until that changes.
    fn audience(&self) -> Arc<Audience>;

    /// The subscriptions to a stream.
    fn subscriptions(
        &self,
        stream: ActorId,
    ) -> BoxFuture<'static, Result<Vec<(SubscriptionId, SubscriptionSpec)>, StoreError>>;

    /// Makes a subscription or ends it, checked against the ownership of the stream by `epoch` in one step.
    fn write_subscription(
        &self,
        id: SubscriptionId,
        epoch: Epoch,
        new: Option<SubscriptionSpec>,
    ) -> BoxFuture<'static, Result<SubscriptionWritten, StoreError>>;
}

/// The kinds that are declared for a namespace of streams: the actor of such a kind gets the events of the stream whose key is its own.
pub type Audience = BTreeMap<String, Vec<String>>;

/// What an actor can do and know while it runs.
pub struct Context<A> {
    mailbox: Arc<Mailbox>,
    /// Nothing for most actors that were never saved.
    pub(super) rest: Option<Box<Rest>>,
    actor: PhantomData<fn(&A)>,
}

impl<A> Drop for Context<A> {
    /// What is saved does not tell what the actor is subscribed to, nor that it is another's, so that would be lost with a panic.
    fn drop(&mut self) {
        if let Some(rest) = &mut self.rest
            && (rest.discard || !rest.hearing.is_empty())
            && std::thread::panicking()
        {
            if rest.discard {
                scope::lose(self.mailbox.actor());
            }
            if !rest.hearing.is_empty() {
                scope::outlive(self.mailbox.actor(), rest.hearing.packed());
            }
        }
    }
}

impl<A> Context<A> {
    /// The context of an actor of which nothing is saved.
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            mailbox,
            rest: None,
            actor: PhantomData,
        }
    }

    /// The context of the same actor, if nothing were known of it.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.mailbox.clone())
    }

    pub(super) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// What is saved has this number, and its bytes this hash, if that is known.
    pub(super) fn saved(&mut self, etag: Option<ETag>, hash: Option<u64>) {
        let rest = self.rest();
        (rest.etag, rest.saved_hash) = (etag, hash);
    }

    pub(super) fn saved_hash(&self) -> Option<u64> {
        self.rest.as_ref()?.saved_hash
    }

    pub(super) fn is_stale(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.discard)
    }

    /// This activation has lost its right to be.
    pub(crate) fn discard(&mut self) {
        self.rest().discard = true;
    }

    pub(super) fn wants_to_end(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.deactivate)
    }

    /// Whether something is to be done after a turn besides answering it.
    #[inline]
    pub(super) fn wants(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.wants())
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(super) fn is_overtaken(&self) -> bool {
        self.mailbox.is_overtaken()
    }

    /// What the silo does for the actor.
    pub(crate) fn services(&self) -> &Arc<dyn Services> {
        let offered = self.mailbox.host().offers();
        offered
            .downcast_ref()
            .expect("invariant: who runs actors offers them services")
    }
}

impl<A: Serialize> Context<A> {
    /// The id of this actor.
    pub fn id(&self) -> &ActorId {
        self.mailbox.actor()
    }

    /// The key of this actor.
    pub fn key(&self) -> &str {
        self.id().key()
    }

    /// The epoch by which this silo owns the actor.
    pub fn epoch(&self) -> Epoch {
        self.mailbox.epoch()
    }

    /// The trace that the message which runs now belongs to, if it came with one. What the actor asks and tells meanwhile
    /// belongs to it too.
    pub fn trace(&self) -> Option<TraceContext> {
        scope::trace()
    }

    /// The number of the saved state; `None` if none is saved.
    pub fn etag(&self) -> Option<ETag> {
        self.rest.as_ref()?.etag
    }

    /// A reference to another actor. Calls through it fail if the key cannot be used ([`ActorId::new`]).
    pub fn actor<K: Kind>(&self, key: &str) -> ActorRef<K> {
        ActorRef::new(match ActorId::new(K::KIND, key) {
            Ok(actor) => self.services().port(actor),
            Err(error) => unusable_port(error, self.clock().clone()),
        })
    }

    /// Ends this activation after the turn: the state is saved, the next message activates it again.
    pub fn deactivate(&mut self) {
        self.rest().deactivate = true;
    }

    /// The moment after which nobody waits for this turn.
    pub fn deadline(&self) -> Option<Moment> {
        super::scope::deadline()
    }

    /// The silo's clock.
    pub fn clock(&self) -> &Clock {
        self.services().clock()
    }

    /// Sends `message` to this actor itself when `after` has passed, once. A timer of the same name is replaced.
    ///
    /// The message waits its turn in the mailbox with the others, and for room if that is full; what the handler answers is
    /// dropped. Timers keep the actor active, move with it (with the time that is left of them), and outlive a panic. They
    /// end with the activation: when it is deactivated, or its silo ends or is lost.
    pub fn set_timer<M: Message + Clone>(&mut self, name: &str, after: Duration, message: M)
    where
        A: Handler<M>,
    {
        let due = self.clock().now() + after;
        with_timers(|timers| timers.get_or_insert_default().set(name, due, None, message));
    }

    /// Sends `message` to this actor itself each time that `every` (at least a millisecond) has passed. As
    /// [`Context::set_timer`] otherwise.
    ///
    /// Ticks do not drift: each is due `every` after the last was. Of one interval no more than one tick waits; what is missed
    /// meanwhile is left out.
    pub fn set_interval<M: Message + Clone>(&mut self, name: &str, every: Duration, message: M)
    where
        A: Handler<M>,
    {
        let every = every.max(SHORTEST);
        let due = self.clock().now() + every;
        with_timers(|timers| timers.get_or_insert_default().set(name, due, Some(every), message));
    }

    /// Ends a timer; its message does not run any more, though it may wait already. Answers whether it was set.
    pub fn cancel_timer(&mut self, name: &str) -> bool {
        with_timers(|timers| timers.as_mut().is_some_and(|timers| timers.cancel(name)))
    }

    /// Whether a timer is set: in `on_activate`, whether it has come along with a move.
    pub fn has_timer(&self, name: &str) -> bool {
        with_timers(|timers| timers.as_ref().is_some_and(|timers| timers.contains(name)))
    }
}
