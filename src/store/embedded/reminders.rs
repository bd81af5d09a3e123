//! The SQL of reminders and of who looks after them.
//!
//! Due times and numbers are compared by order, so they are stored as what they are, and none is beyond 63 bits.

use super::{entries::Reader as EntryReader, failure::Failure, file::File};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Entry, Reminder, ReminderId, ReminderSpec, ReminderWrite, ReminderWritten,
        TickOutcome, TickStep, Window, record,
    },
};
use rusqlite::{CachedStatement, OptionalExtension, Row, params};
use std::collections::{BTreeMap, btree_map};

/// A time or number as SQLite has it.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// Reads buckets' rows, one statement for all.
struct Buckets<'f> {
    cluster: i64,
    select: CachedStatement<'f>,
}

impl<'f> Buckets<'f> {
    fn new(file: &'f File) -> Result<Self, Failure> {
        Ok(Self {
            cluster: file.cluster(),
            select: file
                .prepare("SELECT owner, incarnation, epoch, changes FROM buckets WHERE cluster = ?1 AND bucket = ?2")?,
        })
    }

    fn read(&mut self, bucket: Bucket) -> Result<BucketRow, Failure> {
        let found = self.select.query_row(params![self.cluster, bucket.number()], |row| {
            Ok((
                row.get::<_, Option<String>>(0)?,
                row.get::<_, Option<i64>>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
            ))
        });
        let Some((owner, incarnation, epoch, changes)) = found.optional()? else {
            return Ok(BucketRow::default());
        };
        let owner = (owner.zip(incarnation))
            .map(|(name, incarnation)| SiloId::checked(name, incarnation.cast_unsigned()))
            .transpose();
        Ok(BucketRow {
            entry: Entry {
                owner: owner.map_err(|why| Failure::corrupt(format!("the bucket {bucket} of reminders"), why))?,
                epoch: Epoch(epoch.cast_unsigned()),
            },
            changes: number(changes),
        })
    }
}

fn put_bucket(file: &File, bucket: Bucket, row: &BucketRow) -> Result<(), Failure> {
    let mut upsert = file.prepare(
        "INSERT INTO buckets (cluster, bucket, owner, incarnation, epoch, changes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET owner = excluded.owner, incarnation = excluded.incarnation, epoch = excluded.epoch,
         changes = excluded.changes",
    )?;
    let owner = row.entry.owner.as_ref();
    upsert.execute(params![
        file.cluster(),
        bucket.number(),
        owner.map(SiloId::name),
        owner.map(|silo| silo.incarnation().cast_signed()),
        row.entry.epoch.0.cast_signed(),
        stored(row.changes),
    ])?;
    Ok(())
}

/// All buckets' rows.
pub(super) fn buckets(file: &File) -> Result<Vec<BucketRow>, Failure> {
    let mut rows = Buckets::new(file)?;
    Bucket::all().map(|bucket| rows.read(bucket)).collect()
}

/// Changes the entry of a bucket that is as expected.
pub(super) fn change_bucket(
    file: &File,
    bucket: Bucket,
    expected: &Entry,
    new: &Entry,
) -> Result<Result<(), Entry>, Failure> {
    let row = Buckets::new(file)?.read(bucket)?;
    if row.entry != *expected || new.epoch <= expected.epoch {
        return Ok(Err(row.entry));
    }
    let entry = new.clone();
    put_bucket(file, bucket, &BucketRow { entry, ..row })?;
    Ok(Ok(()))
}

/// Sets and removes reminders.
pub(super) fn write(file: &File, writes: &[ReminderWrite]) -> Result<Vec<ReminderWritten>, Failure> {
    let mut entries = EntryReader::new(file)?;
    let mut rows = Buckets::new(file)?;
    let mut changed: BTreeMap<Bucket, BucketRow> = BTreeMap::new();
    let mut exists =
        file.prepare("SELECT 1 FROM reminders WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
    let mut delete =
        file.prepare("DELETE FROM reminders WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
    let mut upsert = file.prepare(
        "INSERT INTO reminders (cluster, bucket, kind, key, name, number, due, spec)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET number = excluded.number, due = excluded.due, spec = excluded.spec",
    )?;
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let ReminderId { actor, name } = &write.id;
        if let Some(owner) = &write.owner {
            let entry = entries.read(actor)?;
            if !entry.is_owned_by(owner) {
                written.push(ReminderWritten::NotOwner(entry));
                continue;
            }
        }
        let bucket = write.id.bucket();
        let row = match changed.entry(bucket) {
            btree_map::Entry::Occupied(row) => row.into_mut(),
            btree_map::Entry::Vacant(place) => place.insert(rows.read(bucket)?),
        };
        row.changes += 1;
        let id = params![file.cluster(), actor.kind(), actor.key(), &**name];
        let replaced = exists.exists(id)?;
        match &write.new {
            None => _ = delete.execute(id)?,
            Some((due, spec)) => {
                let spec =
                    record::encode(spec).map_err(|why| Failure::corrupt(format!("the reminder {}", write.id), why))?;
                upsert.execute(params![
                    file.cluster(),
                    bucket.number(),
                    actor.kind(),
                    actor.key(),
                    &**name,
                    stored(row.changes),
                    stored(*due),
                    spec,
                ])?;
            }
        }
        let number = row.changes;
        written.push(ReminderWritten::Written { number, replaced });
    }
    for (bucket, row) in &changed {
        put_bucket(file, *bucket, row)?;
    }
    Ok(written)
}

/// The columns of a reminder, as [`reminder`] reads them.
const COLUMNS: &str = "kind, key, name, number, due, spec";

fn reminder(row: &Row<'_>) -> Result<Reminder, Failure> {
    let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
    let name: String = row.get(2)?;
    let what = format!("the reminder {name:?} of {kind}/{key}");
    let actor = ActorId::new(kind, key).map_err(|why| Failure::corrupt(&what, why))?;
    let spec: Vec<u8> = row.get(5)?;
    let spec: ReminderSpec = record::decode(&spec).map_err(|why| Failure::corrupt(&what, why))?;
    Ok(Reminder {
        id: ReminderId {
            actor,
            name: name.into(),
        },
        number: number(row.get(3)?),
        due_micros: number(row.get(4)?),
        spec,
    })
}

/// The reminders of an actor, by name.
pub(super) fn of(file: &File, actor: &ActorId) -> Result<Vec<Reminder>, Failure> {
    let mut select = file.prepare(&format!(
        "SELECT {COLUMNS} FROM reminders WHERE cluster = ?1 AND kind = ?2 AND key = ?3 ORDER BY name"
    ))?;
    let mut rows = select.query(params![file.cluster(), actor.kind(), actor.key()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(reminder(row)?);
    }
    Ok(found)
}

/// Reminders of a bucket, by due time: by the index of due times, or of numbers if only new ones are asked for.
pub(super) fn read(file: &File, bucket: Bucket, window: Window) -> Result<BucketRead, Failure> {
    let index = if window.set_after == 0 {
        "reminders_by_due"
    } else {
        "reminders_by_number"
    };
    let mut select = file.prepare(&format!(
        "SELECT {COLUMNS} FROM reminders INDEXED BY {index}
         WHERE cluster = ?1 AND bucket = ?2 AND due >= ?3 AND due < ?4 AND number > ?5 ORDER BY due, number LIMIT ?6"
    ))?;
    let limit = i64::try_from(window.limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![
        file.cluster(),
        bucket.number(),
        stored(window.from_micros),
        stored(window.until_micros),
        stored(window.set_after),
        limit
    ])?;
    let mut reminders = Vec::new();
    while let Some(row) = rows.next()? {
        reminders.push(reminder(row)?);
    }
    let row = Buckets::new(file)?.read(bucket)?;
    Ok(BucketRead { row, reminders })
}

/// Says of each tick whether it is to be delivered.
struct Checker<'f> {
    cluster: i64,
    rows: Buckets<'f>,
    known: BTreeMap<Bucket, Entry>,
    select: CachedStatement<'f>,
}

impl<'f> Checker<'f> {
    fn new(file: &'f File) -> Result<Self, Failure> {
        Ok(Self {
            cluster: file.cluster(),
            rows: Buckets::new(file)?,
            known: BTreeMap::new(),
            select: file.prepare(
                "SELECT number, due FROM reminders WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4",
            )?,
        })
    }

    fn check(&mut self, owner: &SiloId, step: &TickStep) -> Result<TickOutcome, Failure> {
        let ReminderId { actor, name } = &step.tick.id;
        let bucket = step.tick.id.bucket();
        if !self.known.contains_key(&bucket) {
            self.known.insert(bucket, self.rows.read(bucket)?.entry);
        }
        let entry = &self.known[&bucket];
        if entry.owner.as_ref() != Some(owner) || entry.epoch != step.epoch {
            return Ok(TickOutcome::NotOwner);
        }
        let id = params![self.cluster, actor.kind(), actor.key(), &**name];
        let found = (self.select).query_row(id, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        Ok(match found.optional()? {
            Some((number, due)) if number == stored(step.tick.number) => {
                if due == stored(step.tick.due_micros) {
                    TickOutcome::Due
                } else {
                    TickOutcome::Moved(self::number(due))
                }
            }
            _ => TickOutcome::Changed,
        })
    }
}

/// Whether the ticks are to be delivered by `owner`.
pub(super) fn check(file: &File, owner: &SiloId, steps: &[TickStep]) -> Result<Vec<TickOutcome>, Failure> {
    let mut checker = Checker::new(file)?;
    steps.iter().map(|step| checker.check(owner, step)).collect()
}

/// Lets the reminders of those that are go on.
pub(super) fn advance(file: &File, owner: &SiloId, steps: &[TickStep]) -> Result<Vec<TickOutcome>, Failure> {
    let mut checker = Checker::new(file)?;
    let mut delete =
        file.prepare("DELETE FROM reminders WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
    let mut update =
        file.prepare("UPDATE reminders SET due = ?5 WHERE cluster = ?1 AND kind = ?2 AND key = ?3 AND name = ?4")?;
    let mut advance = |step: &TickStep| {
        let outcome = checker.check(owner, step)?;
        if outcome == TickOutcome::Due {
            let ReminderId { actor, name } = &step.tick.id;
            let (kind, key, name) = (actor.kind(), actor.key(), &**name);
            match step.next_micros {
                None => delete.execute(params![file.cluster(), kind, key, name])?,
                Some(next) => update.execute(params![file.cluster(), kind, key, name, stored(next)])?,
            };
        }
        Ok(outcome)
    };
    steps.iter().map(&mut advance).collect()
}
