//! The engine: events in, commands out.

use super::{
    Command, Event, Ran, Written,
    buckets::{Buckets, Held, Phase},
    late::{Verdict, after, judge},
    queue::Queue,
};
use crate::{
    ident::SiloId,
    store::{Bucket, BucketRead, BucketRow, Entry, StoreError, TickOutcome, TickStep, Window},
};
use std::collections::BTreeSet;

/// How often the buckets' rows are read, in microseconds.
const LOOK: u64 = 1_000_000;

/// How soon the rows are read again while a bucket is not where it should be.
const LOOK_SOON: u64 = 100_000;

/// How long something that failed waits.
const PAUSE: u64 = 200_000;

/// The most ticks that are at work at a time.
const MAX_AT_WORK: usize = 4_096;

/// The most ticks of one check or advance.
const MAX_BATCH: usize = 1_024;

/// The reminders that one silo looks after.
#[derive(Debug)]
pub struct Reminders {
    me: SiloId,
    buckets: Buckets,
    queue: Queue,
    /// When the rows were asked for last, and whether the answer is awaited.
    looked: Option<u64>,
    looks: bool,
    checks: bool,
    /// Ticks that ran, or are left out, and are to be advanced.
    to_advance: Vec<TickStep>,
    advances: bool,
    /// When to try an advance again that failed.
    advance_after: u64,
    /// What [`Command::WakeAt`] was said last.
    wakes: Option<u64>,
}

impl Reminders {
    /// Of a silo that looks after nothing yet.
    pub fn new(me: SiloId) -> Self {
        Self {
            me,
            buckets: Buckets::default(),
            queue: Queue::default(),
            looked: None,
            looks: false,
            checks: false,
            to_advance: Vec::new(),
            advances: false,
            advance_after: 0,
            wakes: None,
        }
    }

    /// How many buckets the silo looks after.
    pub fn buckets(&self) -> usize {
        self.buckets
            .held
            .values()
            .filter(|held| held.phase != Phase::Claiming)
            .count()
    }

    /// How many buckets are not where they should be.
    pub fn unsettled(&self) -> usize {
        self.buckets.unsettled()
    }

    /// How many buckets a silo that leaves has still to hand over, but for those where that was tried in vain.
    pub fn to_hand_over(&self) -> usize {
        self.buckets.held.values().filter(|held| !held.is_stuck).count()
    }

    /// How many ticks are checked, delivered or advanced just now.
    pub fn at_work(&self) -> usize {
        self.queue.at_work()
    }

    /// How many reminders are in memory.
    pub fn in_memory(&self) -> usize {
        self.queue.len()
    }

    /// Whoever carried the commands out is gone with their answers: what was asked is asked again.
    pub fn restarted(&mut self) {
        (self.looked, self.looks, self.wakes) = (None, false, None);
        let wanted = std::mem::take(&mut self.buckets.wanted);
        for bucket in std::mem::take(&mut self.buckets.held).into_keys() {
            // Their rows say that they are ours.
            self.queue.forget(bucket);
        }
        self.buckets.wanted = wanted;
        (self.checks, self.advances) = (false, false);
        self.to_advance.clear();
    }

    /// Takes an event; answers what is to be done, in order. `now`: the wall time, in microseconds.
    pub fn on(&mut self, now: u64, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        match event {
            Event::Wanted(wanted) => self.want(wanted, &mut commands),
            Event::BucketsRead(answer) => self.buckets_read(now, answer, &mut commands),
            Event::BucketChanged { bucket, new, answer } => {
                self.bucket_changed(now, bucket, &new, answer, &mut commands)
            }
            Event::Read {
                bucket,
                epoch,
                window,
                answer,
            } => {
                if self.buckets.held.get(&bucket).is_some_and(|held| held.epoch == epoch) {
                    self.read(now, bucket, window, answer);
                }
            }
            Event::Written(writes) => writes.into_iter().for_each(|write| self.written(write)),
            Event::SetElsewhere { bucket, due_micros } => {
                if let Some(held) = self.buckets.held.get_mut(&bucket)
                    && due_micros < held.reach()
                {
                    held.stale = true;
                }
            }
            Event::HandedOver => self.look(now, &mut commands),
            Event::Checked { ticks, answer } => self.checked(now, ticks, answer, &mut commands),
            Event::Delivered(ticks) => self.delivered(now, ticks),
            Event::Advanced { ticks, answer } => self.advanced(now, ticks, answer),
            Event::Tick => self.wakes = None,
        }
        self.go_on(now, &mut commands);
        commands
    }

    fn want(&mut self, wanted: BTreeSet<Bucket>, commands: &mut Vec<Command>) {
        self.buckets.wanted = wanted;
        for (bucket, held) in &mut self.buckets.held {
            match (held.phase, self.buckets.wanted.contains(bucket)) {
                (Phase::Serving, false) => {
                    held.phase = Phase::Ending;
                    held.reading = None;
                    self.queue.forget_waiting(*bucket);
                }
                (Phase::Ending, true) => {
                    // What waited was forgotten.
                    held.read_anew();
                }
                _ => {}
            }
        }
        if self.buckets.unsettled() > 0 && !self.looks {
            self.looks = true;
            commands.push(Command::ReadBuckets);
        }
    }

    fn look(&mut self, now: u64, commands: &mut Vec<Command>) {
        if !self.looks {
            (self.looks, self.looked) = (true, Some(now));
            commands.push(Command::ReadBuckets);
        }
    }

    fn buckets_read(
        &mut self,
        now: u64,
        answer: Result<Vec<(BucketRow, bool)>, StoreError>,
        commands: &mut Vec<Command>,
    ) {
        (self.looks, self.looked) = (false, Some(now));
        let Ok(rows) = answer else { return };
        for (bucket, (row, is_gone)) in Bucket::all().zip(rows) {
            let is_ours = row.entry.owner.as_ref() == Some(&self.me);
            match self.buckets.held.get_mut(&bucket) {
                Some(held) if matches!(held.phase, Phase::Serving | Phase::Ending) => {
                    if !is_ours || row.entry.epoch != held.epoch {
                        // A read that was asked before the claim was answered says less than that answer.
                        if row.entry.epoch > held.epoch {
                            self.lose(bucket);
                        }
                    } else {
                        held.heard_of(row.changes);
                    }
                }
                Some(_) => {}
                None if is_ours => {
                    // An answer that was lost, or a predecessor of whoever carries this out.
                    let is_wanted = self.buckets.wanted.contains(&bucket);
                    let phase = if is_wanted { Phase::Serving } else { Phase::Ending };
                    let mut held = Held::new(phase, row.entry.epoch);
                    held.heard_of(row.changes);
                    self.buckets.held.insert(bucket, held);
                }
                None if self.buckets.wanted.contains(&bucket) && (row.entry.owner.is_none() || is_gone) => {
                    let new = Entry::owned(self.me.clone(), row.entry.epoch.next());
                    let mut held = Held::new(Phase::Claiming, new.epoch);
                    held.heard_of(row.changes);
                    self.buckets.held.insert(bucket, held);
                    commands.push(Command::ChangeBucket {
                        bucket,
                        expected: row.entry,
                        new,
                    });
                }
                None => {}
            }
        }
    }

    fn bucket_changed(
        &mut self,
        now: u64,
        bucket: Bucket,
        new: &Entry,
        answer: Result<Result<(), Entry>, StoreError>,
        commands: &mut Vec<Command>,
    ) {
        let Some(held) = self.buckets.held.get_mut(&bucket) else {
            return;
        };
        match (held.phase, answer) {
            (Phase::Claiming, Ok(Ok(()))) if held.epoch == new.epoch => {
                let is_wanted = self.buckets.wanted.contains(&bucket);
                held.phase = if is_wanted { Phase::Serving } else { Phase::Ending };
            }
            // What the row is now is read in time.
            (Phase::Claiming, _) => _ = self.buckets.held.remove(&bucket),
            (Phase::Releasing, Ok(Ok(()))) => {
                self.lose(bucket);
                commands.push(Command::TellHandedOver);
                if self.buckets.wanted.contains(&bucket) {
                    self.look(now, commands);
                }
            }
            (Phase::Releasing, Ok(Err(_))) => self.lose(bucket),
            (Phase::Releasing, Err(_)) => {
                (held.phase, held.is_stuck) = (Phase::Ending, true);
                held.pause_until = now.saturating_add(PAUSE);
            }
            _ => {}
        }
    }

    /// The bucket is another's.
    fn lose(&mut self, bucket: Bucket) {
        self.buckets.held.remove(&bucket);
        self.queue.forget(bucket);
        self.to_advance.retain(|step| step.tick.id.bucket() != bucket);
    }

    fn read(&mut self, now: u64, bucket: Bucket, window: Window, answer: Result<BucketRead, StoreError>) {
        let Some(held) = self.buckets.held.get_mut(&bucket) else {
            return;
        };
        if held.reading != Some(window) {
            return;
        }
        held.reading = None;
        let found = match answer {
            Ok(found) => found,
            Err(_) => return held.pause_until = now.saturating_add(PAUSE),
        };
        if held.phase != Phase::Serving {
            return;
        }
        if window.set_after > 0 {
            held.has_seen(found.row.changes);
        } else {
            let is_whole = found.reminders.len() < window.limit;
            let last = found.reminders.last().map_or(0, |last| last.due_micros);
            held.horizon = if is_whole {
                window.until_micros
            } else {
                last.max(window.from_micros)
            };
            // Too many of one moment for the limit.
            let is_stuck = !is_whole && held.horizon == window.from_micros;
            held.limit = if is_stuck {
                held.limit.saturating_mul(2)
            } else {
                held.limit
            };
            if window.from_micros == 0 {
                held.has_seen(found.row.changes);
            }
        }
        held.heard_of(found.row.changes);
        for reminder in found.reminders {
            self.queue.add(reminder);
        }
    }

    fn written(&mut self, write: Written) {
        let (bucket, number) = match &write {
            Written::Set(reminder) => (reminder.id.bucket(), reminder.number),
            Written::Removed(id, number) => (id.bucket(), *number),
        };
        let held = self.buckets.held.get_mut(&bucket);
        let Some(held) = held.filter(|held| held.phase == Phase::Serving) else {
            return;
        };
        held.knows(number);
        match write {
            Written::Set(reminder) if reminder.due_micros < held.reach() => self.queue.add(reminder),
            // An earlier one of that name is not to tick any more.
            Written::Set(reminder) => self.queue.remove(&reminder.id, number),
            Written::Removed(id, _) => self.queue.remove(&id, number),
        }
    }

    fn checked(
        &mut self,
        now: u64,
        ticks: Vec<TickStep>,
        answer: Result<Vec<TickOutcome>, StoreError>,
        commands: &mut Vec<Command>,
    ) {
        self.checks = false;
        let Ok(outcomes) = answer else {
            for tick in &ticks {
                if self.buckets.serves(tick.tick.id.bucket()) {
                    self.queue.put_back(tick, now.saturating_add(PAUSE));
                } else {
                    self.queue.end(tick, None);
                }
            }
            return;
        };
        let mut deliver = Vec::new();
        for (tick, outcome) in ticks.into_iter().zip(outcomes) {
            let bucket = tick.tick.id.bucket();
            if self.buckets.epoch_of(bucket) != Some(tick.epoch) {
                continue;
            }
            match outcome {
                TickOutcome::NotOwner => self.lose(bucket),
                TickOutcome::Changed => {
                    self.queue.end(&tick, None);
                    self.is_stale(bucket);
                }
                TickOutcome::Moved(due_micros) => self.moved(&tick, due_micros),
                TickOutcome::Due => {
                    if let Some(reminder) = self.queue.of(&tick) {
                        deliver.push((tick, reminder.clone()));
                    }
                }
            }
        }
        if !deliver.is_empty() {
            commands.push(Command::Deliver(deliver));
        }
    }

    /// The reminder is at another tick: by an advance whose answer is lost or still to come, or because the store lost its last writes.
    /// Its number is known already, so that no read of what was set since would find it.
    fn moved(&mut self, tick: &TickStep, due_micros: u64) {
        let bucket = tick.tick.id.bucket();
        let Some(held) = self.buckets.held.get_mut(&bucket) else {
            return;
        };
        if held.phase != Phase::Serving {
            self.queue.end(tick, None);
        } else if due_micros > tick.tick.due_micros {
            let next = (due_micros < held.reach()).then_some(due_micros);
            self.queue.end(tick, next);
        } else {
            // What else went back is found by reading all of it.
            self.queue.end(tick, None);
            self.queue.forget_waiting(bucket);
            held.read_anew();
        }
    }

    fn is_stale(&mut self, bucket: Bucket) {
        if let Some(held) = self.buckets.held.get_mut(&bucket) {
            held.stale = true;
        }
    }

    fn delivered(&mut self, now: u64, ticks: Vec<(TickStep, Ran)>) {
        for (tick, ran) in ticks {
            if self.buckets.epoch_of(tick.tick.id.bucket()) != Some(tick.epoch) {
                continue;
            }
            match (ran, self.queue.of(&tick)) {
                (_, None) => {}
                (Ran::NotSurely, Some(_)) if self.buckets.serves(tick.tick.id.bucket()) => {
                    self.queue.failed(&tick, now)
                }
                // The next owner delivers it.
                (Ran::NotSurely, Some(_)) => self.queue.end(&tick, None),
                (Ran::Yes, Some(reminder)) => {
                    let next_micros = after(reminder, now);
                    self.to_advance.push(TickStep { next_micros, ..tick });
                }
            }
        }
    }

    fn advanced(&mut self, now: u64, ticks: Vec<TickStep>, answer: Result<Vec<TickOutcome>, StoreError>) {
        self.advances = false;
        let outcomes = match answer {
            Ok(outcomes) => outcomes,
            Err(_) => {
                self.advance_after = now.saturating_add(PAUSE);
                let ours = |tick: &TickStep| self.buckets.epoch_of(tick.tick.id.bucket()) == Some(tick.epoch);
                return self.to_advance.extend(ticks.into_iter().filter(ours));
            }
        };
        for (tick, outcome) in ticks.into_iter().zip(outcomes) {
            let bucket = tick.tick.id.bucket();
            if self.buckets.epoch_of(bucket) != Some(tick.epoch) {
                continue;
            }
            match outcome {
                TickOutcome::NotOwner => self.lose(bucket),
                // By a try whose answer was lost, as a rule.
                TickOutcome::Moved(due_micros) => self.moved(&tick, due_micros),
                TickOutcome::Changed => {
                    self.queue.end(&tick, None);
                    self.is_stale(bucket);
                }
                TickOutcome::Due => {
                    let held = self.buckets.held.get(&bucket);
                    let reach = held.filter(|held| held.phase == Phase::Serving).map_or(0, Held::reach);
                    self.queue.end(&tick, tick.next_micros.filter(|next| *next < reach));
                }
            }
        }
    }

    /// Does what can be done by now.
    fn go_on(&mut self, now: u64, commands: &mut Vec<Command>) {
        let pause = if self.buckets.unsettled() > 0 { LOOK_SOON } else { LOOK };
        let idle = self.buckets.wanted.is_empty() && self.buckets.held.is_empty();
        let look_at = self.looked.map_or(0, |looked| looked.saturating_add(pause));
        if !idle && look_at <= now {
            self.look(now, commands);
        }
        for (bucket, held) in &mut self.buckets.held {
            if held.phase == Phase::Ending && !self.queue.is_at_work(*bucket) && held.pause_until <= now {
                held.phase = Phase::Releasing;
                commands.push(Command::ChangeBucket {
                    bucket: *bucket,
                    expected: Entry::owned(self.me.clone(), held.epoch),
                    new: Entry::free(held.epoch.next()),
                });
            }
            if let Some(window) = held.take_window(now) {
                (held.reading, held.stale) = (Some(window), false);
                let (bucket, epoch) = (*bucket, held.epoch);
                commands.push(Command::Read { bucket, epoch, window });
            }
        }
        self.check_due(now, commands);
        if !self.advances && !self.to_advance.is_empty() && self.advance_after <= now {
            let rest = self.to_advance.split_off(self.to_advance.len().min(MAX_BATCH));
            let ticks = std::mem::replace(&mut self.to_advance, rest);
            self.advances = true;
            commands.push(Command::Advance(ticks));
        }
        // While a look is under way its answer is what is waited for.
        let looks_again = (!idle && !self.looks).then(|| look_at.max(now + 1));
        self.wake(now, looks_again, commands);
    }

    fn check_due(&mut self, now: u64, commands: &mut Vec<Command>) {
        if self.checks {
            return;
        }
        let mut check = Vec::new();
        while check.len() < MAX_BATCH
            && self.queue.at_work() < MAX_AT_WORK
            && let Some(reminder) = self.queue.take_due(now)
        {
            let bucket = reminder.id.bucket();
            let Some(epoch) = self.buckets.epoch_of(bucket) else {
                self.queue.forget(bucket);
                continue;
            };
            let step = TickStep {
                tick: reminder.tick(),
                epoch,
                next_micros: None,
            };
            match judge(&reminder, now) {
                Verdict::Deliver => check.push(step),
                Verdict::LeaveOut => {
                    let next_micros = after(&reminder, now);
                    self.to_advance.push(TickStep { next_micros, ..step });
                }
            }
        }
        if !check.is_empty() {
            self.checks = true;
            commands.push(Command::Check(check));
        }
    }

    fn wake(&mut self, now: u64, look_at: Option<u64>, commands: &mut Vec<Command>) {
        let can_check = !self.checks && self.queue.at_work() < MAX_AT_WORK;
        let due = self.queue.next().filter(|_| can_check);
        let reads = self.buckets.held.values().filter_map(Held::next_look);
        let advance = (!self.advances && !self.to_advance.is_empty()).then_some(self.advance_after);
        // What could be done now is being done: its answer comes.
        let later = (reads.chain(due).chain(advance)).filter(|at| *at > now).chain(look_at);
        let Some(at) = later.min() else { return };
        // A wake that is too early does no harm, and is said seldom.
        if self.wakes.is_none_or(|wakes| at < wakes || wakes <= now) {
            self.wakes = Some(at);
            commands.push(Command::WakeAt(at));
        }
    }
}
