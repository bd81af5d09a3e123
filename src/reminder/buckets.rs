//! The buckets that a silo looks after, and how far each is in memory.

use crate::{
    ident::Epoch,
    store::{Bucket, Window},
};
use std::collections::{BTreeMap, BTreeSet};

/// How far ahead reminders are in memory, in microseconds.
pub(super) const AHEAD: u64 = 10_000_000;

/// How close the end of what is in memory may come before more is read.
const MARGIN: u64 = 5_000_000;

/// The most reminders that are read at once.
pub(super) const READ_LIMIT: usize = 4_096;

/// What is done with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is claimed, and not ours yet.
    Claiming,
    /// Its ticks are delivered.
    Serving,
    /// Those that are at work end; no others begin.
    Ending,
    /// It is being handed over.
    Releasing,
}

/// A bucket that this silo looks after, or is about to.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) phase: Phase,
    /// By which it is ours.
    pub(super) epoch: Epoch,
    /// All that is due before this time is in memory, if it was set by the write of number `seen` or before.
    pub(super) horizon: u64,
    pub(super) seen: u64,
    /// Later writes that this silo knows of: its own.
    known: BTreeSet<u64>,
    /// The number of the last write, as far as is known. While it is 0 the bucket is empty, and nothing is read of it.
    pub(super) changes: u64,
    /// What is being read.
    pub(super) reading: Option<Window>,
    /// Something was set that is not in memory.
    pub(super) stale: bool,
    pub(super) limit: usize,
    /// When to try again what failed.
    pub(super) pause_until: u64,
    /// Handing it over has failed.
    pub(super) is_stuck: bool,
}

impl Held {
    pub(super) fn new(phase: Phase, epoch: Epoch) -> Self {
        Self {
            phase,
            epoch,
            horizon: 0,
            seen: 0,
            known: BTreeSet::new(),
            changes: 0,
            reading: None,
            stale: false,
            limit: READ_LIMIT,
            pause_until: 0,
            is_stuck: false,
        }
    }

    /// It is served, and nothing of it is in memory but ticks that are at work.
    pub(super) fn read_anew(&mut self) {
        let changes = self.changes;
        *self = Self::new(Phase::Serving, self.epoch);
        self.heard_of(changes);
    }

    /// Until when a reminder that is due is to be in memory: what is being read may have been read before it was set.
    pub(super) fn reach(&self) -> u64 {
        self.reading
            .map_or(self.horizon, |window| self.horizon.max(window.until_micros))
    }

    /// All writes up to this number are known.
    pub(super) fn has_seen(&mut self, number: u64) {
        self.seen = self.seen.max(number);
        while let Some(next) = self
            .known
            .first()
            .copied()
            .filter(|next| *next <= self.seen.saturating_add(1))
        {
            self.known.pop_first();
            self.seen = self.seen.max(next);
        }
    }

    /// The write of this number is known.
    pub(super) fn knows(&mut self, number: u64) {
        self.changes = self.changes.max(number);
        // What is not read yet is read as it is then.
        if self.reach() > 0 && number > self.seen {
            self.known.insert(number);
            self.has_seen(self.seen);
        }
    }

    /// There have been so many writes.
    pub(super) fn heard_of(&mut self, changes: u64) {
        self.changes = self.changes.max(changes);
        // Before the first read nothing is in memory that could be stale.
        self.stale |= self.horizon > 0 && self.changes > self.seen;
    }

    /// What is to be read now.
    pub(super) fn take_window(&mut self, now: u64) -> Option<Window> {
        if self.phase != Phase::Serving || self.reading.is_some() || now < self.pause_until {
            return None;
        }
        if self.changes == 0 && !self.stale {
            self.horizon = now.saturating_add(AHEAD);
            return None;
        }
        if self.stale && self.seen > 0 {
            return Some(Window {
                from_micros: 0,
                until_micros: self.horizon,
                set_after: self.seen,
                limit: usize::MAX,
            });
        }
        (now.saturating_add(MARGIN) >= self.horizon || self.stale).then(|| Window {
            from_micros: if self.stale { 0 } else { self.horizon },
            until_micros: now.saturating_add(AHEAD),
            set_after: 0,
            limit: self.limit,
        })
    }

    /// When to look whether something is to be read.
    pub(super) fn next_look(&self) -> Option<u64> {
        match self.phase {
            Phase::Serving if self.reading.is_none() && (self.changes > 0 || self.stale) => {
                let due = if self.stale {
                    0
                } else {
                    self.horizon.saturating_sub(MARGIN)
                };
                Some(due.max(self.pause_until))
            }
            Phase::Ending => Some(self.pause_until),
            _ => None,
        }
    }
}

/// The buckets of a silo.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) wanted: BTreeSet<Bucket>,
    pub(super) held: BTreeMap<Bucket, Held>,
}

impl Buckets {
    /// The epoch by which a bucket is ours, if its ticks may be at work.
    pub(super) fn epoch_of(&self, bucket: Bucket) -> Option<Epoch> {
        let held = self.held.get(&bucket)?;
        matches!(held.phase, Phase::Serving | Phase::Ending).then_some(held.epoch)
    }

    /// Whether a bucket is served.
    pub(super) fn serves(&self, bucket: Bucket) -> bool {
        self.held.get(&bucket).is_some_and(|held| held.phase == Phase::Serving)
    }

    /// How many are ours and not wanted, or wanted and not served.
    pub(super) fn unsettled(&self) -> usize {
        let wrong = |bucket: &&Bucket| self.wanted.contains(bucket) != self.serves(**bucket);
        Bucket::all().filter(|bucket| wrong(&bucket)).count()
    }
}
