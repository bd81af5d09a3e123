//! Reminders: of each bucket a hash of numbers and records, and sorted sets by due time and by name. A bucket is a partition, so a
//! reminder and its actor's entry are in one slot.

use super::{
    batch::{Item, by_partition},
    failure::Failure,
    keys,
    reminder_scripts::{CHANGE_BUCKET, OF_ACTOR, READ, STEP, WRITE},
    reply::{Of, Reader, Reply, Told},
    server::Server,
};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Entry, Reminder, ReminderId, ReminderSpec, ReminderWrite, ReminderWritten,
        TickOutcome, TickStep, Window, record,
    },
};
use bytes::Bytes;
use deadpool_redis::redis::pipe;

/// A bucket is a partition.
const _: () = assert!(Bucket::COUNT as u64 == keys::PARTITIONS);

/// What stands between an actor and a name of its: nothing that either may contain.
const SEPARATOR: char = '\0';

/// The greatest number that a score keeps all bits of.
const MAX_SCORE: u64 = 1 << 53;

/// What is kept of the reminders of a bucket: records, due times, names.
const PARTS: [&str; 3] = ["", ":due", ":names"];

/// What is done with ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Check,
    Advance,
}

fn score(number: u64) -> String {
    number.min(MAX_SCORE).to_string()
}

fn bucket_of(partition: u64) -> Bucket {
    let bucket = Bucket::all().nth(usize::try_from(partition).unwrap_or(usize::MAX));
    bucket.expect("invariant: a bucket for each partition")
}

/// A reminder within its bucket.
fn name(id: &ReminderId) -> String {
    let mut name = keys::name(&id.actor);
    name.push(SEPARATOR);
    name.push_str(&id.name);
    name
}

fn id(name: &[u8]) -> Option<ReminderId> {
    let name = std::str::from_utf8(name).ok()?;
    let (actor, name) = name.split_once(SEPARATOR)?;
    Some(ReminderId {
        actor: keys::actor(actor.as_bytes())?,
        name: name.into(),
    })
}

fn parts(entry: &Entry) -> [String; 3] {
    let owner = entry.owner.as_ref();
    [
        owner.map_or(String::new(), |silo| silo.name().to_owned()),
        owner.map_or(String::new(), |silo| silo.incarnation().to_string()),
        entry.epoch.0.to_string(),
    ]
}

/// All buckets' rows.
pub(super) async fn buckets(server: &Server) -> Result<Vec<BucketRow>, Failure> {
    let mut reads = pipe();
    for bucket in Bucket::all() {
        let fields = &["owner", "incarnation", "epoch", "changes"];
        reads.cmd("HMGET").arg(server.keys().bucket(bucket)).arg(fields);
    }
    let replies: Vec<Reply> = server.pipeline(&reads).await?;
    Bucket::all()
        .zip(replies)
        .map(|(bucket, reply)| row(bucket, reply))
        .collect()
}

fn row(bucket: Bucket, mut reply: Reply) -> Result<BucketRow, Failure> {
    let changes = reply.pop().flatten();
    let mut reader = Reader::new(format!("the bucket {bucket} of reminders"), reply);
    let entry = reader.entry()?;
    let changes = changes.map(|changes| Reader::new("its changes", vec![Some(changes)]).number());
    Ok(BucketRow {
        entry,
        changes: changes.transpose()?.unwrap_or_default(),
    })
}

/// Changes the entry of a bucket that is as expected.
pub(super) async fn change_bucket(
    server: &Server,
    bucket: Bucket,
    expected: &Entry,
    new: &Entry,
) -> Result<Result<(), Entry>, Failure> {
    let mut call = CHANGE_BUCKET.key(server.keys().bucket(bucket));
    let legal = new.epoch > expected.epoch;
    call.arg(if legal { "legal" } else { "illegal" });
    for part in [expected, new].into_iter().flat_map(parts) {
        call.arg(part);
    }
    let mut reply = Reader::new(format!("the bucket {bucket} of reminders"), server.script(&call).await?);
    match reply.text()?.as_str() {
        "changed" => Ok(Ok(())),
        "conflict" => reply.entry().map(Err),
        other => Err(reply.unexpected(other)),
    }
}

/// Sets and removes reminders.
pub(super) async fn write(server: &Server, writes: Vec<ReminderWrite>) -> Result<Vec<ReminderWritten>, Failure> {
    let items = writes.into_iter().map(|write| Item {
        partition: write.id.bucket().number().into(),
        bytes: write.new.as_ref().map_or(0, |(_, spec)| spec.body.len()),
        item: write,
    });
    by_partition(items, |partition, writes: Vec<ReminderWrite>, bytes| async move {
        let (keys, bucket) = (server.keys(), bucket_of(partition));
        let mut call = WRITE.key(keys.bucket(bucket));
        for what in PARTS {
            call.key(keys.reminders(bucket, what));
        }
        for write in &writes {
            call.key(keys.actor(&write.id.actor));
            match &write.owner {
                None => call.arg("").arg("any").arg(""),
                Some(owner) => (call.arg(owner.silo.name()))
                    .arg(owner.silo.incarnation())
                    .arg(owner.epoch.0),
            };
            call.arg(name(&write.id));
            match &write.new {
                None => call.arg("").arg(""),
                Some((due, spec)) => {
                    let unwritable = |why| Failure::corrupt(format!("the reminder {}", write.id), why);
                    call.arg(score(*due)).arg(record::encode(spec).map_err(unwritable)?)
                }
            };
        }
        let replies: Vec<Told> = server.script_with(&call, bytes).await?;
        writes
            .iter()
            .zip(replies)
            .map(|(write, reply)| written(write, reply))
            .collect()
    })
    .await
}

fn written(write: &ReminderWrite, Told(reply): Told) -> Result<ReminderWritten, Failure> {
    let mut reply = Reader::new(Of("the reminder", &write.id), reply);
    match reply.text()?.as_str() {
        "written" => Ok(ReminderWritten::Written {
            number: reply.number()?,
            replaced: reply.number()? == 1,
        }),
        "not_owner" => reply.entry().map(ReminderWritten::NotOwner),
        other => Err(reply.unexpected(other)),
    }
}

/// The reminders of an actor, by name.
pub(super) async fn of(server: &Server, actor: &ActorId) -> Result<Vec<Reminder>, Failure> {
    let bucket = Bucket::of(actor);
    let mut call = OF_ACTOR.call();
    for what in PARTS {
        call.key(server.keys().reminders(bucket, what));
    }
    let actor = keys::name(actor);
    call.arg(format!("[{actor}{SEPARATOR}")).arg(format!("({actor}\u{1}"));
    reminders(server.script(&call).await?)
}

/// Reminders of a bucket, by due time.
pub(super) async fn read(server: &Server, bucket: Bucket, window: Window) -> Result<BucketRead, Failure> {
    let mut call = READ.key(server.keys().bucket(bucket));
    for what in &PARTS[..2] {
        call.key(server.keys().reminders(bucket, what));
    }
    call.arg(score(window.from_micros))
        .arg(score(window.until_micros))
        .arg(window.set_after.to_string())
        // Of all of them, those that were set since are looked for.
        .arg(if window.set_after > 0 {
            "-1".into()
        } else {
            window.limit.to_string()
        });
    let mut answer: Reply = server.script(&call).await?;
    let found = answer.split_off(answer.len().min(4));
    let mut reminders = reminders(found)?;
    reminders.sort_unstable_by_key(|reminder| (reminder.due_micros, reminder.number));
    if window.set_after > 0 {
        reminders.truncate(window.limit);
    }
    let row = row(bucket, answer)?;
    Ok(BucketRead { row, reminders })
}

fn reminders(found: Reply) -> Result<Vec<Reminder>, Failure> {
    let reminder = |parts: &[Option<Bytes>]| {
        let named = parts.first().cloned().flatten().unwrap_or_default();
        let what = format!("the reminder {:?}", String::from_utf8_lossy(&named));
        let id = id(&named).ok_or_else(|| Failure::corrupt(&what, "that is no reminder's name"))?;
        let mut rest = Reader::new(what, parts[1..].to_vec());
        let due_micros = rest.number()?;
        let bytes = rest.optional().ok_or_else(|| rest.corrupt("its record is missing"))?;
        let (number, record) = numbered(&bytes).ok_or_else(|| rest.corrupt("its record has no number"))?;
        let spec: ReminderSpec = record::decode(record).map_err(|why| rest.corrupt(why))?;
        Ok(Reminder {
            id,
            number,
            due_micros,
            spec,
        })
    };
    found.chunks(3).map(reminder).collect()
}

/// A record, and the number ahead of it.
fn numbered(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b':')?;
    let number = std::str::from_utf8(&bytes[..at]).ok()?.parse().ok()?;
    Some((number, &bytes[at + 1..]))
}

/// Checks or advances ticks.
pub(super) async fn step(
    server: &Server,
    owner: &SiloId,
    steps: Vec<TickStep>,
    what: Step,
) -> Result<Vec<TickOutcome>, Failure> {
    let items = steps.into_iter().map(|step| Item {
        partition: step.tick.id.bucket().number().into(),
        bytes: 0,
        item: step,
    });
    by_partition(items, |partition, steps: Vec<TickStep>, _| async move {
        let (keys, bucket) = (server.keys(), bucket_of(partition));
        let mut call = STEP.key(keys.bucket(bucket));
        for what in PARTS {
            call.key(keys.reminders(bucket, what));
        }
        call.arg(owner.name())
            .arg(owner.incarnation().to_string())
            .arg(if what == Step::Check { "check" } else { "advance" });
        for TickStep {
            tick,
            epoch,
            next_micros,
        } in &steps
        {
            let Epoch(epoch) = epoch;
            call.arg(epoch.to_string())
                .arg(name(&tick.id))
                .arg(format!("{}:", tick.number))
                .arg(score(tick.due_micros))
                .arg(next_micros.map_or(String::new(), score));
        }
        let replies: Vec<String> = server.script(&call).await?;
        let outcome = |reply: String| match reply.as_str() {
            "due" => Ok(TickOutcome::Due),
            "changed" => Ok(TickOutcome::Changed),
            "not_owner" => Ok(TickOutcome::NotOwner),
            moved => match moved.parse() {
                Ok(due_micros) => Ok(TickOutcome::Moved(due_micros)),
                Err(_) => Err(Failure::corrupt("the answer of a script", format!("{moved:?}"))),
            },
        };
        replies.into_iter().map(outcome).collect()
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reminder_is_called_what_it_is_read_by() {
        for (kind, key, named) in [("cart", "alice", "pay"), ("a:b", ":", "a\u{a0}b"), ("käufer", "é", ":")] {
            let named = ReminderId {
                actor: ActorId::new(kind, key).expect("valid"),
                name: named.into(),
            };
            assert_eq!(id(name(&named).as_bytes()), Some(named));
        }
        assert_eq!(id(b"4:cart:alice"), None);
    }
}
