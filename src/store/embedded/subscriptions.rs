//! The SQL of subscriptions to streams.

use super::{entries::Reader as EntryReader, failure::Failure, file::File};
use crate::{
    ident::ActorId,
    store::{SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten, record},
};
use rusqlite::params;

/// The subscriptions to a stream, by subscriber and event.
pub(super) fn of(file: &File, stream: &ActorId) -> Result<Vec<(SubscriptionId, SubscriptionSpec)>, Failure> {
    let mut select = file.prepare(
        "SELECT subscriber_kind, subscriber_key, event, spec FROM subscriptions
         WHERE cluster = ?1 AND kind = ?2 AND key = ?3 ORDER BY subscriber_kind, subscriber_key, event",
    )?;
    let mut rows = select.query(params![file.cluster(), stream.kind(), stream.key()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, key, event): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = format!("the subscription of {kind}/{key} to {stream}");
        let subscriber = ActorId::new(kind, key).map_err(|why| Failure::corrupt(&what, why))?;
        let spec = record::decode(&row.get::<_, Vec<u8>>(3)?).map_err(|why| Failure::corrupt(&what, why))?;
        let id = SubscriptionId {
            stream: stream.clone(),
            subscriber,
            event,
        };
        found.push((id, spec));
    }
    Ok(found)
}

/// Makes and ends subscriptions.
pub(super) fn write(file: &File, writes: &[SubscriptionWrite]) -> Result<Vec<SubscriptionWritten>, Failure> {
    const KEY: &str =
        "cluster = ?1 AND kind = ?2 AND key = ?3 AND subscriber_kind = ?4 AND subscriber_key = ?5 AND event = ?6";
    let mut entries = EntryReader::new(file)?;
    let mut exists = file.prepare(&format!("SELECT 1 FROM subscriptions WHERE {KEY}"))?;
    let mut delete = file.prepare(&format!("DELETE FROM subscriptions WHERE {KEY}"))?;
    let mut upsert = file.prepare(
        "INSERT INTO subscriptions (cluster, kind, key, subscriber_kind, subscriber_key, event, spec)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET spec = excluded.spec",
    )?;
    let mut write = |write: &SubscriptionWrite| {
        let SubscriptionId {
            stream,
            subscriber,
            event,
        } = &write.id;
        let entry = entries.read(stream)?;
        if !entry.is_owned_by(&write.owner) {
            return Ok(SubscriptionWritten::NotOwner(entry));
        }
        let (cluster, kind, key) = (file.cluster(), stream.kind(), stream.key());
        let id = params![cluster, kind, key, subscriber.kind(), subscriber.key(), event];
        let replaced = exists.exists(id)?;
        match &write.new {
            None => _ = delete.execute(id)?,
            Some(spec) => {
                let what = || format!("the subscription of {subscriber} to {stream}");
                let spec = record::encode(spec).map_err(|why| Failure::corrupt(what(), why))?;
                upsert.execute(params![
                    cluster,
                    kind,
                    key,
                    subscriber.kind(),
                    subscriber.key(),
                    event,
                    spec
                ])?;
            }
        }
        Ok(SubscriptionWritten::Written { replaced })
    };
    writes.iter().map(&mut write).collect()
}
