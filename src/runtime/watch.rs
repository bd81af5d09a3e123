//! What a worker shows of itself while it works, and who watches it: turns that are stuck, and load.
//!
//! A worker that is blocked cannot say so. It shows what it is at in one word that its own thread writes with plain stores, and
//! the watcher looks at that word from outside. Turns that wait are listed by their workers, once per round of the watcher.

use super::{Pool, worker::WorkerHandle};
use crate::{clock::Moment, mailbox::Mailbox};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The message of what is no turn.
pub(super) const NO_MESSAGE: u16 = u16::MAX;
const NO_SLOT: u32 = u32::MAX;

/// Over how many samples the share of busy time is averaged.
const SAMPLES: f64 = 200.0;

/// What a worker is at: the number of its visit, the message, and the slot of the activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u64);

impl At {
    fn new(visit: u16, message: u16, slot: u32) -> Self {
        Self(u64::from(visit) << 48 | u64::from(message) << 32 | u64::from(slot))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the bits of each part")]
    fn parts(self) -> (u16, u16, u32) {
        ((self.0 >> 48) as u16, (self.0 >> 32) as u16, self.0 as u32)
    }
}

/// What a worker shows of itself. On cache lines of its own: what else others have of a worker they read more often than it is written.
#[repr(align(64))]
pub(super) struct Shown {
    /// [`At`]; written by the worker's thread alone.
    at: AtomicU64,
    /// How many messages it has taken out of mailboxes; written by the worker's thread alone.
    turns: AtomicU64,
    /// Of the watcher.
    round: AtomicU32,
    /// The share of time that the worker was busy, per mille, as the watcher found it.
    busy: AtomicU32,
    /// The mailboxes of activations whose turns were seen to wait in this round.
    waiting: Mutex<Vec<Arc<Mailbox>>>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            at: AtomicU64::new(At::new(0, NO_MESSAGE, NO_SLOT).0),
            turns: AtomicU64::new(0),
            round: AtomicU32::new(1),
            busy: AtomicU32::new(0),
            waiting: Mutex::default(),
        }
    }
}

impl Shown {
    fn at(&self) -> At {
        At(self.at.load(Ordering::Relaxed))
    }

    fn show(&self, at: At) {
        self.at.store(at.0, Ordering::Relaxed);
    }

    /// Messages were run.
    #[inline]
    pub(super) fn ran(&self, turns: u32) {
        self.turns.store(self.turns() + u64::from(turns), Ordering::Relaxed);
    }

    /// How many messages the worker has taken out of mailboxes.
    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// A visit begins; `message` is that of the turn under way.
    pub(super) fn enter(&self, slot: u32, message: u16) {
        let (visit, ..) = self.at().parts();
        self.show(At::new(visit.wrapping_add(1), message, slot));
    }

    /// The visit has ended.
    pub(super) fn leave(&self) {
        let (visit, ..) = self.at().parts();
        self.show(At::new(visit, NO_MESSAGE, NO_SLOT));
    }

    /// Within the visit another activation runs. Answers what [`Shown::back`] wants.
    pub(super) fn nest(&self, slot: u32, message: u16) -> At {
        let at = self.at();
        let (visit, ..) = at.parts();
        self.show(At::new(visit, message, slot));
        at
    }

    /// It has ended.
    pub(super) fn back(&self, at: At) {
        self.show(at);
    }

    /// The turn of a message begins.
    pub(super) fn turn(&self, message: u16) {
        let (visit, _, slot) = self.at().parts();
        self.show(At::new(visit, message, slot));
    }

    /// The message of the last turn.
    pub(super) fn message(&self) -> u16 {
        self.at().parts().1
    }

    /// The turn of an activation waits; `listed` is the round in which that was last told.
    pub(super) fn waits(&self, listed: &mut u32, mailbox: &Arc<Mailbox>) {
        let round = self.round.load(Ordering::Relaxed);
        if std::mem::replace(listed, round) != round {
            self.waiting.lock().push(mailbox.clone());
        }
    }

    /// The worker has ended. Mailboxes hold it, so it holds none any more.
    pub(super) fn forget(&self) {
        self.waiting.lock().clear();
    }

    fn next_round(&self) -> Vec<Arc<Mailbox>> {
        self.round.fetch_add(1, Ordering::Relaxed);
        std::mem::take(&mut *self.waiting.lock())
    }

    pub(super) fn busy_permille(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }
}

/// A visit that takes too long: the turn blocks its worker's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    worker: usize,
    visit: u16,
    slot: u32,
    message: u16,
    /// Since when it was seen.
    pub since: Moment,
}

impl Blocked {
    /// The message, by its place among those of the kind; `None` in a hook.
    pub fn message(&self) -> Option<usize> {
        (self.message != NO_MESSAGE).then_some(usize::from(self.message))
    }
}

/// Watches the workers of a silo from outside.
pub struct Watcher {
    limit: Duration,
    workers: Vec<Watched>,
}

#[derive(Default)]
struct Watched {
    /// The visit under way when it was looked at last, since when, and whether that was told.
    visit: Option<(u16, Moment, bool)>,
    busy: f64,
    /// How many messages it had run.
    turns: u64,
    waiting: Vec<Waiting>,
}

/// An activation whose turn was seen to wait.
struct Waiting {
    mailbox: Arc<Mailbox>,
    /// The turn that its worker was asked about, by its beginning.
    asked: Option<Moment>,
}

impl Watcher {
    /// A turn that takes longer than `limit` is stuck.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            workers: Vec::new(),
        }
    }

    /// Looks at what the workers are at. Answers visits that have become too long, and whether all workers are at rest: if they
    /// are not, to be called again in a few milliseconds.
    pub fn sample(&mut self, pool: &Pool, now: Moment) -> (Vec<Blocked>, bool) {
        self.workers.resize_with(pool.workers().len(), Watched::default);
        let (mut blocked, mut at_rest) = (Vec::new(), true);
        for (worker, (watched, handle)) in self.workers.iter_mut().zip(pool.workers()).enumerate() {
            let (visit, message, slot) = handle.shown().at().parts();
            let is_at_work = slot != NO_SLOT;
            let is_busy = is_at_work || !handle.is_parked();
            let turns = handle.turns();
            let ran = std::mem::replace(&mut watched.turns, turns) != turns;
            watched.busy += (f64::from(u8::from(is_busy)) - watched.busy) / SAMPLES;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            let permille = (watched.busy * 1000.0).round() as u32;
            handle.shown().busy.store(permille, Ordering::Relaxed);
            at_rest &= !is_busy && !ran && permille == 0;
            match &mut watched.visit {
                Some((seen, since, told)) if is_at_work && *seen == visit => {
                    if !*told && now.since(*since) >= self.limit {
                        *told = true;
                        blocked.push(Blocked {
                            worker,
                            visit,
                            slot,
                            message,
                            since: *since,
                        });
                    }
                }
                seen => *seen = is_at_work.then_some((visit, now, false)),
            }
        }
        (blocked, at_rest)
    }

    /// Looks at the turns that wait, and has the workers tell of those that do for too long ([`super::Event::Stuck`]).
    pub fn look(&mut self, pool: &Pool, now: Moment) {
        self.workers.resize_with(pool.workers().len(), Watched::default);
        for (watched, handle) in self.workers.iter_mut().zip(pool.workers()) {
            let new = handle.shown().next_round().into_iter();
            let waiting = &mut watched.waiting;
            waiting.extend(new.map(|mailbox| Waiting { mailbox, asked: None }));
            // The first of each is the older one, which knows what was asked.
            waiting.sort_by_key(|waiting| Arc::as_ptr(&waiting.mailbox).addr());
            waiting.dedup_by(|later, first| Arc::ptr_eq(&later.mailbox, &first.mailbox));
            waiting.retain_mut(|waiting| {
                let activity = waiting.mailbox.activity();
                let began = Some(activity.last);
                if activity.calls > 0 && now.since(activity.last) >= self.limit && waiting.asked != began {
                    waiting.asked = began;
                    handle.ask_about(waiting.mailbox.clone(), activity.last);
                }
                activity.calls > 0
            });
        }
    }
}

impl Pool {
    /// Whether the visit goes on.
    pub fn is_blocked(&self, blocked: &Blocked) -> bool {
        let at = self.worker(blocked).map(|worker| worker.shown().at().parts());
        at.is_some_and(|(visit, _, slot)| visit == blocked.visit && slot != NO_SLOT)
    }

    /// Whether it is the visit of this mailbox's activation.
    pub fn is_at(&self, blocked: &Blocked, mailbox: &Mailbox) -> bool {
        mailbox.slot() == Some(blocked.slot) && self.worker(blocked).is_some_and(|worker| worker.is_host_of(mailbox))
    }

    fn worker(&self, blocked: &Blocked) -> Option<&WorkerHandle> {
        self.workers().get(blocked.worker)
    }
}
