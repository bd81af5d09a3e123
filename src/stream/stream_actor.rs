//! The actor that a stream is.

use super::{
    delivery::Subscriber,
    messages::{Publish, ReadStatus, SendKept, StreamStatus, Subscribe, Unsubscribe},
};
use crate::{
    actor::{
        Accepts, ActivationError, Actor, Audience, Context, DeactivateReason, Handler, Hosted, Kind, MessageEntry,
    },
    ident::ActorId,
    store::{BackPressure, SubscriptionId, SubscriptionSpec, SubscriptionWritten, Unknown},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long a stream that ends waits for what it sent elsewhere.
const FLUSH: Duration = Duration::from_secs(20);

/// The actor that a stream is. Made by publishing and subscribing; not to be used by itself.
#[derive(Default, Serialize, Deserialize)]
pub struct Stream {
    /// Whether the subscriptions are in memory.
    loaded: bool,
    pub(super) published: u64,
    /// By the wire name of the events they get, each by actor.
    pub(super) explicit: BTreeMap<String, Vec<Subscriber>>,
    /// Those whose kinds are declared for the namespace.
    pub(super) implicit: Vec<Subscriber>,
    /// What the above was made of.
    #[serde(skip)]
    audience: Option<Arc<Audience>>,
}

#[diagnostic::do_not_recommend]
impl Kind for Stream {
    const KIND: &'static str = "quark.stream";
}

#[diagnostic::do_not_recommend]
impl Accepts<Publish> for Stream {}
#[diagnostic::do_not_recommend]
impl Accepts<Subscribe> for Stream {}
#[diagnostic::do_not_recommend]
impl Accepts<Unsubscribe> for Stream {}
#[diagnostic::do_not_recommend]
impl Accepts<SendKept> for Stream {}
#[diagnostic::do_not_recommend]
impl Accepts<ReadStatus> for Stream {}

#[diagnostic::do_not_recommend]
impl Hosted for Stream {
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    // Its subscriptions have rows of their own.
    const VOLATILE: bool = true;
    const MOVABLE: bool = true;

    fn messages() -> Vec<MessageEntry> {
        vec![
            MessageEntry::of::<Self, Publish>(),
            MessageEntry::of::<Self, Subscribe>(),
            MessageEntry::of::<Self, Unsubscribe>(),
            MessageEntry::of::<Self, SendKept>(),
            MessageEntry::of::<Self, ReadStatus>(),
        ]
    }
}

#[diagnostic::do_not_recommend]
impl Actor for Stream {
    async fn on_activate(&mut self, ctx: &mut Context<Self>) -> Result<(), ActivationError> {
        if !self.loaded {
            let services = ctx.services().clone();
            let found = services.subscriptions(ctx.id().clone()).await;
            for (id, spec) in found.map_err(|error| ActivationError::new(error.to_string()))? {
                self.insert(id.event, id.subscriber, spec.pressure);
            }
            self.loaded = true;
        }
        Ok(())
    }

    async fn on_deactivate(&mut self, ctx: &mut Context<Self>, _: DeactivateReason) {
        let clock = ctx.clock().clone();
        let answered = async {
            for subscriber in self.explicit.values_mut().flatten().chain(&mut self.implicit) {
                subscriber.answered().await;
            }
        };
        if clock.timeout(FLUSH, answered).await.is_none() {
            tracing::warn!(stream = %ctx.id(), "a stream ends while subscribers have not run all that was sent to them");
        }
    }
}

impl Stream {
    /// Adds a subscriber, or changes what is done when it has no room. Answers whether it was there.
    fn insert(&mut self, event: String, actor: ActorId, pressure: BackPressure) -> bool {
        let group = self.explicit.entry(event).or_default();
        match group.binary_search_by(|subscriber| subscriber.actor.cmp(&actor)) {
            Ok(place) => {
                group[place].pressure = pressure;
                true
            }
            Err(place) => {
                group.insert(place, Subscriber::new(actor, pressure));
                false
            }
        }
    }

    /// Follows the kinds that the cluster's silos declare for the namespace.
    pub(super) fn follow(&mut self, ctx: &Context<Self>) {
        let audience = ctx.services().audience();
        if self
            .audience
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, &audience))
        {
            return;
        }
        let (namespace, key) = ctx.key().split_once('/').unwrap_or_default();
        let kinds = audience.get(namespace).map(Vec::as_slice).unwrap_or_default();
        let actors: Vec<ActorId> = kinds.iter().filter_map(|kind| ActorId::new(kind, key).ok()).collect();
        self.implicit.retain(|subscriber| actors.contains(&subscriber.actor));
        for actor in actors {
            if !self.implicit.iter().any(|subscriber| subscriber.actor == actor) {
                self.implicit.push(Subscriber::new(actor, BackPressure::default()));
            }
        }
        self.audience = Some(audience);
    }

    /// Writes a subscription, as long as this silo owns the stream.
    async fn write(ctx: &mut Context<Self>, id: SubscriptionId, new: Option<SubscriptionSpec>) -> Result<bool, String> {
        let (services, epoch) = (ctx.services().clone(), ctx.epoch());
        match services.write_subscription(id, epoch, new).await {
            Ok(SubscriptionWritten::Written { replaced }) => Ok(replaced),
            Ok(SubscriptionWritten::NotOwner(entry)) => {
                ctx.discard();
                Err(format!("the stream is owned by {entry:?} by now; try again"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

#[diagnostic::do_not_recommend]
impl Handler<Subscribe> for Stream {
    async fn handle(&mut self, subscribe: Subscribe, ctx: &mut Context<Self>) -> Result<bool, String> {
        let Subscribe {
            subscriber,
            event,
            pressure,
        } = subscribe;
        let id = SubscriptionId {
            stream: ctx.id().clone(),
            subscriber: subscriber.clone(),
            event: event.clone(),
        };
        let spec = SubscriptionSpec {
            pressure,
            unknown: Unknown::default(),
        };
        Self::write(ctx, id, Some(spec)).await?;
        Ok(self.insert(event, subscriber, pressure))
    }
}

#[diagnostic::do_not_recommend]
impl Handler<Unsubscribe> for Stream {
    async fn handle(&mut self, unsubscribe: Unsubscribe, ctx: &mut Context<Self>) -> Result<bool, String> {
        let Unsubscribe { subscriber, event } = unsubscribe;
        let id = SubscriptionId {
            stream: ctx.id().clone(),
            subscriber: subscriber.clone(),
            event: event.clone(),
        };
        Self::write(ctx, id, None).await?;
        let Some(group) = self.explicit.get_mut(&event) else {
            return Ok(false);
        };
        let place = group.binary_search_by(|other| other.actor.cmp(&subscriber));
        if let Ok(place) = place {
            group.remove(place);
        }
        if group.is_empty() {
            self.explicit.remove(&event);
        }
        Ok(place.is_ok())
    }
}

#[diagnostic::do_not_recommend]
impl Handler<ReadStatus> for Stream {
    async fn handle(&mut self, _: ReadStatus, ctx: &mut Context<Self>) -> StreamStatus {
        self.follow(ctx);
        let explicit = (self.explicit.iter())
            .flat_map(|(event, group)| group.iter().map(move |subscriber| subscriber.status(Some(event))));
        let implicit = self.implicit.iter().map(|subscriber| subscriber.status(None));
        StreamStatus {
            published: self.published,
            subscribers: explicit.chain(implicit).collect(),
        }
    }
}
