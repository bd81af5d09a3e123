//! Laws of subscriptions to streams.

use super::values::{actor, owned, silo};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        BackPressure, Entry, Owner, Store, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten,
        Unknown,
    },
};
use std::sync::Arc;

fn id(stream: &ActorId, subscriber: &ActorId, event: &str) -> SubscriptionId {
    SubscriptionId {
        stream: stream.clone(),
        subscriber: subscriber.clone(),
        event: event.into(),
    }
}

fn spec(pressure: BackPressure) -> SubscriptionSpec {
    SubscriptionSpec {
        pressure,
        unknown: Unknown::default(),
    }
}

fn by(silo: &SiloId, epoch: u64, id: &SubscriptionId, new: Option<BackPressure>) -> SubscriptionWrite {
    SubscriptionWrite {
        id: id.clone(),
        owner: Owner {
            silo: silo.clone(),
            epoch: Epoch(epoch),
        },
        new: new.map(spec),
    }
}

async fn write(store: &dyn Store, writes: Vec<SubscriptionWrite>) -> Vec<SubscriptionWritten> {
    let answer = store.write_subscriptions(writes).await;
    answer.expect("write_subscriptions answers")
}

async fn of(store: &dyn Store, stream: &ActorId) -> Vec<(SubscriptionId, SubscriptionSpec)> {
    store.subscriptions(stream).await.expect("subscriptions answers")
}

async fn streams_of(store: &dyn Store, silo: &SiloId, names: &[&str]) -> Vec<ActorId> {
    let streams: Vec<ActorId> = names.iter().map(|name| actor("stream", name)).collect();
    store.register(silo, streams.clone()).await.expect("register answers");
    streams
}

fn written(replaced: bool) -> SubscriptionWritten {
    SubscriptionWritten::Written { replaced }
}

/// Ordered by subscriber and event; a later one takes the place of an earlier.
pub async fn subscriptions_come_back_until_they_are_ended(store: Arc<dyn Store>) {
    let a = silo("a");
    let streams = streams_of(&*store, &a, &["news", "news:1"]).await;
    let (x, y) = (actor("user", "x"), actor("user", "y"));
    assert_eq!(of(&*store, &streams[0]).await, []);
    let (first, second, third) = (
        id(&streams[0], &y, "said"),
        id(&streams[0], &x, "said"),
        id(&streams[0], &x, "left"),
    );
    let other = id(&streams[1], &x, "said");
    let writes = vec![
        by(&a, 1, &first, Some(BackPressure::Wait)),
        by(&a, 1, &second, Some(BackPressure::DropOldest(7))),
        by(&a, 1, &third, Some(BackPressure::DropNewest)),
        by(&a, 1, &first, Some(BackPressure::Throttle(9))),
        by(&a, 1, &other, Some(BackPressure::Wait)),
    ];
    let outcomes = write(&*store, writes).await;
    assert_eq!(outcomes, [false, false, false, true, false].map(written));
    let all = [
        (third.clone(), spec(BackPressure::DropNewest)),
        (second.clone(), spec(BackPressure::DropOldest(7))),
        (first.clone(), spec(BackPressure::Throttle(9))),
    ];
    assert_eq!(of(&*store, &streams[0]).await, all);
    let ends = vec![by(&a, 1, &second, None), by(&a, 1, &second, None)];
    assert_eq!(write(&*store, ends).await, [written(true), written(false)]);
    assert_eq!(of(&*store, &streams[0]).await, [all[0].clone(), all[2].clone()]);
    assert_eq!(of(&*store, &streams[1]).await, [(other, spec(BackPressure::Wait))]);
}

/// In the same step as its directory entry is looked at.
pub async fn who_does_not_own_a_stream_subscribes_nobody_to_it(store: Arc<dyn Store>) {
    let (a, b) = (silo("a"), silo("b"));
    let streams = streams_of(&*store, &a, &["news"]).await;
    let said = id(&streams[0], &actor("user", "x"), "said");
    let free = id(&actor("stream", "free"), &actor("user", "x"), "said");
    let writes = vec![
        by(&b, 1, &said, Some(BackPressure::Wait)),
        by(&a, 2, &said, Some(BackPressure::Wait)),
        by(&a, 0, &free, Some(BackPressure::Wait)),
    ];
    let refused = SubscriptionWritten::NotOwner(owned(&a, 1));
    let nobodys = SubscriptionWritten::NotOwner(Entry::default());
    assert_eq!(
        write(&*store, writes).await,
        [refused.clone(), refused.clone(), nobodys]
    );
    assert_eq!(of(&*store, &streams[0]).await, []);
    write(&*store, vec![by(&a, 1, &said, Some(BackPressure::Wait))]).await;
    assert_eq!(write(&*store, vec![by(&b, 1, &said, None)]).await, [refused]);
    assert_eq!(of(&*store, &streams[0]).await.len(), 1);
}
