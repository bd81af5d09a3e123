//! The reminders of a memory store: by id, by due time and by number.

use crate::{
    ident::{ActorId, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Entry, Reminder, ReminderId, ReminderWrite, ReminderWritten, TickOutcome,
        TickStep, Window,
    },
};
use std::collections::BTreeMap;

#[derive(Clone, Default)]
struct Share {
    row: BucketRow,
    by_id: BTreeMap<ReminderId, Reminder>,
    /// By due time and number.
    by_due: BTreeMap<(u64, u64), ReminderId>,
    by_number: BTreeMap<u64, ReminderId>,
}

impl Share {
    fn remove(&mut self, id: &ReminderId) -> Option<Reminder> {
        let old = self.by_id.remove(id)?;
        self.by_due.remove(&(old.due_micros, old.number));
        self.by_number.remove(&old.number);
        Some(old)
    }

    fn insert(&mut self, reminder: Reminder) {
        self.by_due
            .insert((reminder.due_micros, reminder.number), reminder.id.clone());
        self.by_number.insert(reminder.number, reminder.id.clone());
        self.by_id.insert(reminder.id.clone(), reminder);
    }
}

/// All reminders.
#[derive(Clone, Default)]
pub(super) struct Reminders {
    shares: BTreeMap<Bucket, Share>,
}

impl Reminders {
    pub(super) fn buckets(&self) -> Vec<BucketRow> {
        let row = |bucket| self.shares.get(&bucket).map(|share| share.row.clone());
        Bucket::all().map(|bucket| row(bucket).unwrap_or_default()).collect()
    }

    pub(super) fn change_bucket(&mut self, bucket: Bucket, expected: &Entry, new: Entry) -> Result<(), Entry> {
        let entry = &mut self.shares.entry(bucket).or_default().row.entry;
        if entry != expected || new.epoch <= expected.epoch {
            return Err(entry.clone());
        }
        *entry = new;
        Ok(())
    }

    /// `entry`: that of the actor.
    pub(super) fn write(&mut self, write: ReminderWrite, entry: Entry) -> ReminderWritten {
        if write.owner.as_ref().is_some_and(|owner| !entry.is_owned_by(owner)) {
            return ReminderWritten::NotOwner(entry);
        }
        let share = self.shares.entry(write.id.bucket()).or_default();
        share.row.changes += 1;
        let number = share.row.changes;
        let replaced = share.remove(&write.id).is_some();
        if let Some((due_micros, spec)) = write.new {
            share.insert(Reminder {
                id: write.id,
                number,
                due_micros,
                spec,
            });
        }
        ReminderWritten::Written { number, replaced }
    }

    pub(super) fn of(&self, actor: &ActorId) -> Vec<Reminder> {
        let Some(share) = self.shares.get(&Bucket::of(actor)) else {
            return Vec::new();
        };
        let first = ReminderId {
            actor: actor.clone(),
            name: "".into(),
        };
        let own = share.by_id.range(first..).take_while(|(id, _)| id.actor == *actor);
        own.map(|(_, reminder)| reminder.clone()).collect()
    }

    pub(super) fn read(&self, bucket: Bucket, window: Window) -> BucketRead {
        let Some(share) = self.shares.get(&bucket) else {
            return BucketRead::default();
        };
        let in_time = |reminder: &&Reminder| (window.from_micros..window.until_micros).contains(&reminder.due_micros);
        let reminders = if window.set_after == 0 {
            let due = share.by_due.range((window.from_micros, 0)..);
            (due.filter_map(|(_, id)| share.by_id.get(id)).take_while(in_time))
                .take(window.limit)
                .cloned()
                .collect()
        } else {
            let newer = share.by_number.range(window.set_after + 1..);
            let newer = newer.filter_map(|(_, id)| share.by_id.get(id)).filter(in_time);
            let mut newer: Vec<Reminder> = newer.cloned().collect();
            newer.sort_unstable_by_key(|row| (row.due_micros, row.number));
            newer.truncate(window.limit);
            newer
        };
        BucketRead {
            row: share.row.clone(),
            reminders,
        }
    }

    pub(super) fn check(&self, owner: &SiloId, step: &TickStep) -> TickOutcome {
        let Some(share) = self.shares.get(&step.tick.id.bucket()) else {
            return TickOutcome::NotOwner;
        };
        let entry = &share.row.entry;
        if entry.owner.as_ref() != Some(owner) || entry.epoch != step.epoch {
            return TickOutcome::NotOwner;
        }
        match share.by_id.get(&step.tick.id) {
            Some(found) if found.number == step.tick.number => TickOutcome::of(&step.tick, found.due_micros),
            _ => TickOutcome::Changed,
        }
    }

    pub(super) fn advance(&mut self, owner: &SiloId, step: &TickStep) -> TickOutcome {
        let outcome = self.check(owner, step);
        if outcome == TickOutcome::Due
            && let Some(share) = self.shares.get_mut(&step.tick.id.bucket())
            && let Some(old) = share.remove(&step.tick.id)
            && let Some(due_micros) = step.next_micros
        {
            share.insert(Reminder { due_micros, ..old });
        }
        outcome
    }
}
