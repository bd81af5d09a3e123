//! Subscriptions to streams: of each stream a hash, in the slot of the stream's entry.

use super::{
    batch::{Item, by_partition},
    failure::Failure,
    keys::{self, partition},
    reminder_scripts::SUBSCRIBE,
    reply::{Of, Reader, Told},
    server::Server,
};
use crate::{
    ident::ActorId,
    store::{SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten, record},
};
use bytes::Bytes;
use deadpool_redis::redis::cmd;
use std::collections::BTreeMap;

/// What stands between a subscriber and the event's name: nothing that either may contain.
const SEPARATOR: char = '\0';

fn name(id: &SubscriptionId) -> String {
    format!("{}{SEPARATOR}{}", keys::name(&id.subscriber), id.event)
}

/// The subscriptions to a stream, by subscriber and event.
pub(super) async fn of(server: &Server, stream: &ActorId) -> Result<Vec<(SubscriptionId, SubscriptionSpec)>, Failure> {
    let mut all = cmd("HGETALL");
    all.arg(server.keys().subscriptions(stream));
    let fields: BTreeMap<Vec<u8>, Bytes> = server.query(&all).await?;
    let understand = |(name, record): (Vec<u8>, Bytes)| {
        let what = format!("the subscription {:?} to {stream}", String::from_utf8_lossy(&name));
        let parts = std::str::from_utf8(&name)
            .ok()
            .and_then(|name| name.split_once(SEPARATOR));
        let (subscriber, event) = parts.ok_or_else(|| Failure::corrupt(&what, "that is no name of one"))?;
        let subscriber = keys::actor(subscriber.as_bytes());
        let id = SubscriptionId {
            stream: stream.clone(),
            subscriber: subscriber.ok_or_else(|| Failure::corrupt(&what, "that is no actor's name"))?,
            event: event.to_owned(),
        };
        let spec = record::decode(&record).map_err(|why| Failure::corrupt(&what, why))?;
        Ok((id, spec))
    };
    let mut found: Vec<_> = fields.into_iter().map(understand).collect::<Result<_, Failure>>()?;
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Makes and ends subscriptions.
pub(super) async fn write(
    server: &Server,
    writes: Vec<SubscriptionWrite>,
) -> Result<Vec<SubscriptionWritten>, Failure> {
    let items = writes.into_iter().map(|write| Item {
        partition: partition(&write.id.stream),
        bytes: 0,
        item: write,
    });
    by_partition(items, |_, writes: Vec<SubscriptionWrite>, _| async move {
        let mut call = SUBSCRIBE.call();
        for write in &writes {
            let unwritable = |why| Failure::corrupt(format!("a subscription to {}", write.id.stream), why);
            let record = write.new.as_ref().map(record::encode).transpose().map_err(unwritable)?;
            call.key(server.keys().actor(&write.id.stream))
                .key(server.keys().subscriptions(&write.id.stream))
                .arg(write.owner.silo.name())
                .arg(write.owner.silo.incarnation().to_string())
                .arg(write.owner.epoch.to_string())
                .arg(name(&write.id))
                .arg(record.unwrap_or_default());
        }
        let replies: Vec<Told> = server.script(&call).await?;
        writes
            .iter()
            .zip(replies)
            .map(|(write, reply)| written(write, reply))
            .collect()
    })
    .await
}

fn written(write: &SubscriptionWrite, Told(reply): Told) -> Result<SubscriptionWritten, Failure> {
    let mut reply = Reader::new(Of("a subscription to", &write.id.stream), reply);
    match reply.text()?.as_str() {
        "written" => Ok(SubscriptionWritten::Written {
            replaced: reply.number()? == 1,
        }),
        "not_owner" => reply.entry().map(SubscriptionWritten::NotOwner),
        other => Err(reply.unexpected(other)),
    }
}
