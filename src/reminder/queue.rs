//! The reminders that are in memory: those that are due soon, and what each is at.

use crate::store::{Bucket, Reminder, ReminderId, TickStep};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The shortest and the longest pause before a tick that did not run is delivered again, in microseconds.
const PAUSES: (u64, u64) = (100_000, 30_000_000);

/// A reminder in memory.
#[derive(Debug)]
struct Known {
    reminder: Arc<Reminder>,
    /// When to look at it; `None` while its tick is at work.
    at: Option<u64>,
    /// Set while its tick was at work: takes its place when that has ended.
    newer: Option<Arc<Reminder>>,
    failures: u32,
}

/// Of two that have one name, the one that this is greater of is newer.
fn age(reminder: &Reminder) -> (u64, u64) {
    (reminder.number, reminder.due_micros)
}

/// The reminders that are in memory.
#[derive(Debug, Default)]
pub(super) struct Queue {
    known: BTreeMap<Bucket, BTreeMap<ReminderId, Known>>,
    /// Those that wait.
    by_time: BTreeSet<(u64, Bucket, ReminderId)>,
    /// How many ticks of each bucket are at work; none are left out.
    at_work: BTreeMap<Bucket, usize>,
}

impl Queue {
    /// When the first is to be looked at.
    pub(super) fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at, ..)| *at)
    }

    /// Whether ticks of the bucket are at work.
    pub(super) fn is_at_work(&self, bucket: Bucket) -> bool {
        self.at_work.contains_key(&bucket)
    }

    /// How many ticks are at work.
    pub(super) fn at_work(&self) -> usize {
        self.at_work.values().sum()
    }

    /// How many reminders are in memory.
    pub(super) fn len(&self) -> usize {
        self.known.values().map(BTreeMap::len).sum()
    }

    /// A reminder as it was read or set; what is known of it and newer stays. Of what was set once, the later tick is newer: a read may
    /// be older than an advance.
    pub(super) fn add(&mut self, reminder: Reminder) {
        let bucket = reminder.id.bucket();
        let reminder = Arc::new(reminder);
        let place = self.known.entry(bucket).or_default();
        match place.get_mut(&reminder.id) {
            None => {
                let known = Known {
                    reminder: reminder.clone(),
                    at: Some(reminder.due_micros),
                    newer: None,
                    failures: 0,
                };
                place.insert(reminder.id.clone(), known);
            }
            Some(known) if age(&known.reminder) >= age(&reminder) => return,
            Some(known) => match known.at {
                None => {
                    if (known.newer.as_ref()).is_none_or(|newer| age(newer) < age(&reminder)) {
                        known.newer = Some(reminder);
                    }
                    return;
                }
                Some(at) => {
                    self.by_time.remove(&(at, bucket, reminder.id.clone()));
                    (known.reminder, known.failures) = (reminder.clone(), 0);
                    known.at = Some(reminder.due_micros);
                }
            },
        }
        self.by_time.insert((reminder.due_micros, bucket, reminder.id.clone()));
    }

    /// A reminder was removed by a write of this number.
    pub(super) fn remove(&mut self, id: &ReminderId, number: u64) {
        let bucket = id.bucket();
        let Some(place) = self.known.get_mut(&bucket) else {
            return;
        };
        let Some(known) = place.get_mut(id) else { return };
        known.newer.take_if(|newer| newer.number < number);
        if let Some(at) = known.at
            && known.reminder.number < number
        {
            self.by_time.remove(&(at, bucket, id.clone()));
            place.remove(id);
        }
    }

    /// Takes the first that is to be looked at by `now`: its tick is at work from now on.
    pub(super) fn take_due(&mut self, now: u64) -> Option<Arc<Reminder>> {
        if self.next()? > now {
            return None;
        }
        let (_, bucket, id) = self.by_time.pop_first()?;
        let known = self.known.get_mut(&bucket)?.get_mut(&id)?;
        known.at = None;
        *self.at_work.entry(bucket).or_default() += 1;
        Some(known.reminder.clone())
    }

    /// The reminder whose tick this is, if the tick is at work.
    pub(super) fn of(&self, tick: &TickStep) -> Option<&Arc<Reminder>> {
        let known = self.known.get(&tick.tick.id.bucket())?.get(&tick.tick.id)?;
        let is_it = known.at.is_none()
            && (known.reminder.number, known.reminder.due_micros) == (tick.tick.number, tick.tick.due_micros);
        is_it.then_some(&known.reminder)
    }

    fn ended(&mut self, bucket: Bucket) {
        if let Some(count) = self.at_work.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.at_work.remove(&bucket);
            }
        }
    }

    /// The tick is no more at work, and is looked at again at `at`.
    pub(super) fn put_back(&mut self, tick: &TickStep, at: u64) {
        if self.of(tick).is_none() {
            return;
        }
        let (id, bucket) = (&tick.tick.id, tick.tick.id.bucket());
        self.ended(bucket);
        let Some(known) = self.known.get_mut(&bucket).and_then(|place| place.get_mut(id)) else {
            return;
        };
        let at = match known.newer.take() {
            None => at,
            Some(newer) => {
                (known.reminder, known.failures) = (newer, 0);
                known.reminder.due_micros
            }
        };
        known.at = Some(at);
        self.by_time.insert((at, bucket, id.clone()));
    }

    /// The tick did not run: it is put back for a time that grows with each failure.
    pub(super) fn failed(&mut self, tick: &TickStep, now: u64) {
        let (shortest, longest) = PAUSES;
        let place = self.known.get_mut(&tick.tick.id.bucket());
        let Some(known) = place.and_then(|place| place.get_mut(&tick.tick.id)) else {
            return;
        };
        let pause = shortest.saturating_mul(1 << known.failures.min(20)).min(longest);
        known.failures += 1;
        self.put_back(tick, now.saturating_add(pause));
    }

    /// The tick has ended, and its reminder is due `next` if that is to be in memory; `None`: it is not.
    pub(super) fn end(&mut self, tick: &TickStep, next: Option<u64>) {
        if self.of(tick).is_none() {
            return;
        }
        let (id, bucket) = (&tick.tick.id, tick.tick.id.bucket());
        self.ended(bucket);
        let Some(place) = self.known.get_mut(&bucket) else {
            return;
        };
        let Some(known) = place.remove(id) else { return };
        let next = next.map(|due_micros| {
            let Reminder { id, number, spec, .. } = &*known.reminder;
            Reminder {
                id: id.clone(),
                number: *number,
                due_micros,
                spec: spec.clone(),
            }
        });
        let newer = known.newer.map(|newer| Reminder::clone(&newer));
        for known in newer.into_iter().chain(next) {
            self.add(known);
        }
    }

    /// Forgets the reminders of a bucket that wait.
    pub(super) fn forget_waiting(&mut self, bucket: Bucket) {
        let Some(place) = self.known.get_mut(&bucket) else {
            return;
        };
        for (id, known) in place.extract_if(.., |_, known| known.at.is_some()) {
            if let Some(at) = known.at {
                self.by_time.remove(&(at, bucket, id));
            }
        }
        for known in place.values_mut() {
            known.newer = None;
        }
    }

    /// Forgets all of a bucket, whatever it is at.
    pub(super) fn forget(&mut self, bucket: Bucket) {
        self.forget_waiting(bucket);
        self.known.remove(&bucket);
        self.at_work.remove(&bucket);
    }
}
