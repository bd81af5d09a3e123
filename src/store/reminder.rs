//! Reminders as they are stored, and the buckets by which silos share them.

use super::{Entry, Owner, Unknown};
use crate::ident::{ActorId, Epoch};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A share of all reminders: those of the actors that hash to it. One silo at a time looks after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(u16);

impl Bucket {
    /// How many there are. Part of what is stored: another number would look elsewhere.
    pub const COUNT: u16 = 64;

    /// That of an actor's reminders.
    pub fn of(actor: &ActorId) -> Self {
        let number = actor.stable_hash() % u64::from(Self::COUNT);
        Self(u16::try_from(number).expect("invariant: less than the number of buckets"))
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number, from 0.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who looks after a bucket, and how often a reminder of it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketRow {
    /// The owner; the epoch grows with every change of it.
    pub entry: Entry,
    /// The number of the reminder that was written last; 0 before the first.
    pub changes: u64,
}

/// Names a reminder: unique within its actor. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReminderId {
    /// Whose.
    pub actor: ActorId,
    /// Its name.
    pub name: Arc<str>,
}

impl ReminderId {
    /// Its bucket.
    pub fn bucket(&self) -> Bucket {
        Bucket::of(&self.actor)
    }
}

impl fmt::Display for ReminderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.name, self.actor)
    }
}

/// What becomes of ticks whose time came while nobody could deliver them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missed {
    /// They are left out. A tick counts as missed when it is late by more than a minute, or by its period if that is shorter.
    Skip,
    /// Each is delivered, one after the other.
    CatchUp,
    /// One tick is delivered late and stands for all of them; the next is the first that is not due yet.
    #[default]
    #[serde(other)]
    Once,
}

/// What a reminder does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderSpec {
    /// The time between two ticks, in microseconds; `None` ticks once.
    #[serde(rename = "every", default, skip_serializing_if = "Option::is_none")]
    pub every_micros: Option<u64>,
    /// What becomes of missed ticks.
    #[serde(default)]
    pub missed: Missed,
    /// The wire name of the message that its ticks are.
    pub message: String,
    /// What it brings, named MessagePack.
    pub body: Bytes,
    /// What a newer program has put into it.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A reminder as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Which.
    pub id: ReminderId,
    /// Given when it was set, and to no other of its bucket.
    pub number: u64,
    /// When its next tick is due, in microseconds of the wall clock since the Unix epoch.
    pub due_micros: u64,
    /// What it does.
    pub spec: ReminderSpec,
}

impl Reminder {
    /// The tick that is due next.
    pub fn tick(&self) -> TickRef {
        TickRef {
            id: self.id.clone(),
            number: self.number,
            due_micros: self.due_micros,
        }
    }
}

/// A reminder that is to be set or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReminderWrite {
    /// Which.
    pub id: ReminderId,
    /// Who the writer believes to own the actor: itself, at its epoch. `None`: somebody else, who may always.
    pub owner: Option<Owner>,
    /// When its first tick is due, and what it does; `None` removes it.
    pub new: Option<(u64, ReminderSpec)>,
}

/// How a write of a reminder ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReminderWritten {
    /// It took effect, under this number; a removal takes a number too. `replaced`: there was one of that name.
    Written {
        /// Its number.
        number: u64,
        /// Whether there was one.
        replaced: bool,
    },
    /// The writer does not own the actor (any more); nothing was written.
    NotOwner(Entry),
}

/// Names one tick of a reminder as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickRef {
    /// Which reminder.
    pub id: ReminderId,
    /// The reminder's number.
    pub number: u64,
    /// When the tick is due.
    pub due_micros: u64,
}

/// A tick that somebody who owns its bucket wants to deliver or has delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickStep {
    /// Which.
    pub tick: TickRef,
    /// The epoch by which the bucket is owned.
    pub epoch: Epoch,
    /// When the next one is due; `None`: it was the last, the reminder is removed. Not looked at by a check.
    pub next_micros: Option<u64>,
}

/// What a store says of a [`TickStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TickOutcome {
    /// The tick is the reminder's next (and was advanced, if that was asked).
    Due,
    /// The reminder was removed or set again; nothing was changed.
    Changed,
    /// The reminder is the one that was meant, and its next tick is due at this time, in microseconds; nothing was changed.
    Moved(u64),
    /// Another owns the bucket, or the same at another epoch; nothing was changed.
    NotOwner,
}

impl TickOutcome {
    /// That of a tick of a reminder which is as it was set, and whose next tick is due then.
    pub fn of(tick: &TickRef, due_micros: u64) -> Self {
        if tick.due_micros == due_micros {
            Self::Due
        } else {
            Self::Moved(due_micros)
        }
    }
}

/// Which reminders of a bucket are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Due then or later, in microseconds.
    pub from_micros: u64,
    /// Due before, in microseconds.
    pub until_micros: u64,
    /// Of these, those set after this number.
    pub set_after: u64,
    /// The most that are answered: those that are due first.
    pub limit: usize,
}

/// What was read of a bucket, in one atomic step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketRead {
    /// Its row.
    pub row: BucketRow,
    /// The reminders, by the time when they are due.
    pub reminders: Vec<Reminder>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{decode, encode};

    fn spec(every_micros: Option<u64>, missed: Missed) -> ReminderSpec {
        ReminderSpec {
            every_micros,
            missed,
            message: "a.tick".into(),
            body: Bytes::from_static(b"\x90"),
            unknown: Unknown::default(),
        }
    }

    /// What clusters that run have stored.
    #[test]
    fn the_bytes_are_the_published_ones() {
        const REST: &[u8] = b"\xa7message\xa6a.tick\xa4body\xc4\x01\x90";
        for (spec, head) in [
            (spec(None, Missed::Once), &b"\x83\xa6missed\xa4once"[..]),
            (spec(None, Missed::Skip), b"\x83\xa6missed\xa4skip"),
            (
                spec(Some(60_000_000), Missed::CatchUp),
                b"\x84\xa5every\xce\x03\x93\x87\x00\xa6missed\xa8catch-up",
            ),
        ] {
            let bytes = [head, REST].concat();
            assert_eq!(encode(&spec).expect("encodes"), bytes, "{spec:?}");
            assert_eq!(decode::<ReminderSpec>(&bytes), Ok(spec));
        }
    }

    #[test]
    fn a_policy_of_a_newer_program_fires_once_and_what_else_it_wrote_stays() {
        let newer = b"\x84\xa6missed\xa6sample\xa7message\xa6a.tick\xa4body\xc4\x01\x90\xa4zone\xa3utc";
        let read: ReminderSpec = decode(newer).expect("is read");
        assert_eq!(read.missed, Missed::Once);
        let again = encode(&read).expect("encodes");
        assert_eq!(
            again,
            b"\x84\xa6missed\xa4once\xa7message\xa6a.tick\xa4body\xc4\x01\x90\xa4zone\xa3utc"
        );
    }
}
