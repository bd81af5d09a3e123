//! What the engine hears and wants.

use crate::{
    ident::Epoch,
    store::{Bucket, BucketRead, BucketRow, Entry, Reminder, ReminderId, StoreError, TickOutcome, TickStep, Window},
};
use std::{collections::BTreeSet, sync::Arc};

/// How the delivery of a tick ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The actor ran it.
    Yes,
    /// It did not run, or nobody knows.
    NotSurely,
}

/// A write that took effect.
#[derive(Debug)]
pub enum Written {
    /// This is set.
    Set(Reminder),
    /// What had that name is removed, by a write of this number.
    Removed(ReminderId, u64),
}

/// Something that has happened.
#[derive(Debug)]
pub enum Event {
    /// This silo should look after these buckets and no others.
    Wanted(BTreeSet<Bucket>),
    /// The buckets' rows were read; of each in order also whether its owner is gone.
    BucketsRead(Result<Vec<(BucketRow, bool)>, StoreError>),
    /// An answer to [`Command::ChangeBucket`].
    BucketChanged {
        /// Which.
        bucket: Bucket,
        /// As it was to be.
        new: Entry,
        /// Whether it is so; the entry as it is if not.
        answer: Result<Result<(), Entry>, StoreError>,
    },
    /// An answer to [`Command::Read`].
    Read {
        /// Which bucket.
        bucket: Bucket,
        /// By which it was owned when it was asked.
        epoch: Epoch,
        /// What was asked.
        window: Window,
        /// What was found.
        answer: Result<BucketRead, StoreError>,
    },
    /// Reminders were set and removed by this very silo, in this order.
    Written(Vec<Written>),
    /// A reminder of the bucket was set somewhere, due at the time.
    SetElsewhere {
        /// Which bucket.
        bucket: Bucket,
        /// When it is due, in microseconds.
        due_micros: u64,
    },
    /// A silo handed buckets over, or may have.
    HandedOver,
    /// An answer to [`Command::Check`].
    Checked {
        /// What was asked.
        ticks: Vec<TickStep>,
        /// What the store says of each.
        answer: Result<Vec<TickOutcome>, StoreError>,
    },
    /// Deliveries have ended.
    Delivered(Vec<(TickStep, Ran)>),
    /// An answer to [`Command::Advance`].
    Advanced {
        /// What was asked.
        ticks: Vec<TickStep>,
        /// What the store says of each.
        answer: Result<Vec<TickOutcome>, StoreError>,
    },
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Read the rows of all buckets.
    ReadBuckets,
    /// Change who looks after a bucket.
    ChangeBucket {
        /// Which.
        bucket: Bucket,
        /// As its entry must be.
        expected: Entry,
        /// As it shall be.
        new: Entry,
    },
    /// Tell the others that buckets are free.
    TellHandedOver,
    /// Read reminders of a bucket.
    Read {
        /// Which.
        bucket: Bucket,
        /// By which it is owned.
        epoch: Epoch,
        /// What.
        window: Window,
    },
    /// Ask the store whether these ticks are to be delivered.
    Check(Vec<TickStep>),
    /// Deliver these ticks; at the same time, of one reminder never more than one.
    Deliver(Vec<(TickStep, Arc<Reminder>)>),
    /// Let these ticks' reminders go on.
    Advance(Vec<TickStep>),
    /// Say [`Event::Tick`] then, by the wall clock in microseconds. Replaces what was said before.
    WakeAt(u64),
}
