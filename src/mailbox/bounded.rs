//! The bounded mailbox of one actor in this process.

use super::{
    Home, Letter, Payload, Records,
    waits::{self, Taken, Waits},
};
use crate::{
    activity::{Activity, ActivityCell},
    clock::Moment,
    ident::{ActorId, Epoch, OfActor},
    sync::{AtomicU32, Lock, Ordering},
};
use futures_util::task::ArcWake;
use std::{
    any::{Any, TypeId},
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64},
    },
    task::Waker,
    time::Duration,
};

/// Who empties mailboxes.
pub trait Host: Any + Send + Sync {
    /// What the actors of this host share; the rooms above agree on its type.
    fn offers(&self) -> &dyn Any;

    /// The mailbox has something to do. Called once until it has come to rest again ([`Mailbox::rest`]).
    fn inject(&self, mailbox: &Arc<Mailbox>);

    /// Takes a message for an actor whose mailbox is at rest, to be run before all that comes into it; `put` adds it to what it is
    /// given. `false`, and that is not called, if this is not the host's thread or there is more to the actor.
    fn take_single(&self, mailbox: &Arc<Mailbox>, put: &mut dyn FnMut(&mut Records)) -> bool {
        let _not = (mailbox, put);
        false
    }

    /// Runs a message that is nowhere in a queue as a turn of its own, here and now; those that are queued before it. `message` is its
    /// type and `call` a [`super::Call`] with it.
    ///
    /// # Errors
    /// [`NotHere`]; its turn has not run, and the message is where it was.
    fn run_here(&self, mailbox: &Arc<Mailbox>, message: TypeId, call: &mut dyn Any) -> Result<(), NotHere>;

    /// What wakes those who wait on this thread, if it is of another host.
    fn other_home(&self) -> Option<Arc<dyn Home>> {
        None
    }

    /// Whether this is the host of this thread.
    fn is_here(&self) -> bool {
        false
    }

    /// How long a caller on another thread looks for its answer before it waits to be woken.
    fn spin(&self) -> Duration {
        Duration::ZERO
    }
}

/// The actor cannot run a turn here and now; the message must wait its turn.
#[derive(Debug)]
pub struct NotHere;

/// A message that was not taken.
pub enum Refused<P> {
    /// No room.
    Full(P),
    /// The mailbox takes no messages by the short way (any more): its seat knows where they go.
    Closed(P),
}

/// How many messages are queued.
const QUEUED: u32 = (1 << 24) - 1;
/// Somebody waits for room.
const AWAITED: u32 = 1 << 27;
/// What runs can go on.
const WOKEN: u32 = 1 << 28;
/// What runs or is held takes no messages; only wakes matter.
const BUSY: u32 = 1 << 29;
/// Senders are sent to the seat instead.
const CLOSED: u32 = 1 << 30;
/// The host was told, or is at it.
const SCHEDULED: u32 = 1 << 31;

/// No number given by the owner.
const NO_SLOT: u32 = u32::MAX;

/// All that is known of one actor in this process while it does nothing, and the messages that wait for it; outlives the
/// actor's activations.
///
/// Fields that senders write come first and fields that the owner writes last: on one cache line, each store of the owner would
/// take it away from senders on other threads. What is rarely written stands between; it is enough of that wherever in a line the
/// memory begins. (With the host before the lock half of all mailboxes took a third fewer messages of other threads.)
#[repr(C)]
pub struct Mailbox {
    /// Flags and the number queued. Written under the lock.
    gate: AtomicU32,
    capacity: u32,
    inner: Lock<Inner>,

    /// Read by senders while the mailbox is at rest.
    host: Arc<dyn Host>,
    actor: ActorId,
    /// By which its silo owns the actor, if it does.
    epoch: AtomicU64,
    /// The number of the activation that was made last, and of the one that the owner has.
    made: AtomicU16,
    runs: AtomicU16,
    /// The owner's own number for what runs.
    slot: AtomicU32,

    activity: ActivityCell,
}

#[derive(Default)]
struct Inner {
    /// At most so many of the messages taken have not run.
    taken: u32,
    /// Nothing waits mostly.
    waits: Option<Box<Waits>>,
}

impl Inner {
    fn queue(&mut self) -> &mut Records {
        &mut self.waits.get_or_insert_with(waits::take).queue
    }

    fn take_senders(&mut self) -> Vec<Waker> {
        (self.waits.as_mut()).map_or_else(Vec::new, |waits| mem::take(&mut waits.senders))
    }

    /// Gives back what is not needed while nothing waits.
    fn shrink(&mut self) {
        if let Some(waits) = self
            .waits
            .take_if(|waits| waits.queue.is_empty() && waits.senders.is_empty())
        {
            waits::give_back(waits);
        }
    }
}

impl Mailbox {
    /// An empty mailbox, closed. `capacity`: of messages, 1 to 16,777,214.
    pub fn new(actor: ActorId, capacity: usize, host: Arc<dyn Host>, now: Moment) -> Self {
        Self::begun(actor, capacity, host, now, CLOSED, 0)
    }

    /// The same, and the actor's first activation is made with it. `open`: it takes messages already.
    pub fn with_first(actor: ActorId, capacity: usize, host: Arc<dyn Host>, now: Moment, open: bool) -> Self {
        Self::begun(actor, capacity, host, now, if open { 0 } else { CLOSED }, 1)
    }

    #[inline]
    fn begun(actor: ActorId, capacity: usize, host: Arc<dyn Host>, now: Moment, gate: u32, made: u16) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(QUEUED).clamp(1, QUEUED - 1);
        Self {
            gate: AtomicU32::new(gate),
            capacity,
            inner: Lock::default(),
            actor,
            host,
            epoch: AtomicU64::new(0),
            made: AtomicU16::new(made),
            runs: AtomicU16::new(0),
            slot: AtomicU32::new(NO_SLOT),
            activity: ActivityCell::new(now),
        }
    }

    /// Whose it is.
    pub fn actor(&self) -> &ActorId {
        &self.actor
    }

    /// Who empties it.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// The same, to be kept.
    pub fn shared_host(&self) -> Arc<dyn Host> {
        self.host.clone()
    }

    // Senders.

    /// Puts a message into the open mailbox, if there is room.
    ///
    /// # Errors
    /// [`Refused`] with the message.
    pub fn push<P: Payload>(self: &Arc<Self>, payload: P) -> Result<(), Refused<P>> {
        self.push_within(self.capacity, payload)
    }

    /// The same with room for one more than anybody else has: for a sender that has one message at a time in here, and would
    /// never get in while others take all room as soon as there is some.
    ///
    /// # Errors
    /// [`Refused`] with the letter.
    pub fn push_ahead(self: &Arc<Self>, letter: Letter) -> Result<(), Refused<Letter>> {
        self.push_within(self.capacity + 1, letter)
    }

    /// Gives a message to the host's own thread, if nothing is here. It waits there, and counts here; a sender on another thread that comes
    /// in that very moment may not see it yet, and get in as one more than there is room for.
    #[inline]
    fn give<P: Payload>(self: &Arc<Self>, payload: P) -> Result<(), P> {
        // With more room than for one nobody waits for room behind it alone, and is missed.
        if !self.is_at_rest() || self.capacity < 2 {
            return Err(payload);
        }
        let mut payload = Some(payload);
        self.host.take_single(self, &mut |records| {
            if let Some(payload) = payload.take() {
                records.push(payload);
            }
        });
        payload.map_or(Ok(()), Err)
    }

    #[inline]
    fn push_within<P: Payload>(self: &Arc<Self>, capacity: u32, payload: P) -> Result<(), Refused<P>> {
        let payload = match self.give(payload) {
            Ok(()) => return Ok(()),
            Err(payload) => payload,
        };
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & CLOSED != 0 {
            return Err(Refused::Closed(payload));
        }
        let queued = gate & QUEUED;
        // One more may have been given to the owner's thread since the last were taken.
        if queued + inner.taken + 1 >= capacity {
            // The owner's own count is on the owner's cache line, so it is read when it must be.
            inner.taken = self.activity.waiting();
            if queued + inner.taken >= capacity {
                return Err(Refused::Full(payload));
            }
        }
        inner.queue().push(payload);
        self.pushed(gate);
        drop(inner);
        if gate & (SCHEDULED | BUSY) == 0 {
            self.host.inject(self);
        }
        Ok(())
    }

    /// Puts a message into the mailbox, open or not, whatever the bound: for who has bounds of his own.
    pub fn put(self: &Arc<Self>, letter: Letter) {
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        inner.queue().push(letter);
        self.pushed(gate);
        drop(inner);
        if gate & (SCHEDULED | BUSY) == 0 {
            self.host.inject(self);
        }
    }

    /// The enqueue hook: the number queued is what the activity score reads.
    #[inline]
    fn pushed(&self, gate: u32) {
        let scheduled = if gate & BUSY == 0 { SCHEDULED } else { 0 };
        self.gate.store((gate + 1) | scheduled, Ordering::Release);
    }

    /// Nothing is queued or scheduled.
    #[inline]
    pub fn is_at_rest(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == 0
    }

    /// Whether a message may run at once where it is sent, if this is the thread: nothing is there but messages.
    #[inline]
    pub fn may_run_here(&self) -> bool {
        self.gate.load(Ordering::Relaxed) & !(QUEUED | SCHEDULED) == 0
    }

    /// [`Host::run_here`].
    ///
    /// # Errors
    /// [`NotHere`]; its turn has not run.
    pub fn run_here(self: &Arc<Self>, message: TypeId, call: &mut dyn Any) -> Result<(), NotHere> {
        self.host.run_here(self, message, call)
    }

    /// Ready when there is room, or the mailbox is closed.
    pub fn poll_room(&self, waker: &Waker) -> bool {
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & CLOSED != 0 || self.has_room() {
            return true;
        }
        let waiting = &mut inner.waits.get_or_insert_with(waits::take).senders;
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        self.gate.store(gate | AWAITED, Ordering::Release);
        false
    }

    // Anybody.

    /// The epoch by which the silo owns the actor, as the activation was told.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// Sets [`Mailbox::epoch`]: with every word to the activation that names it.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    /// Another activation of the actor is made. Answers its number: another than that of the one before.
    pub fn make(&self) -> u16 {
        self.made.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// The number of the activation that was made last.
    pub fn made(&self) -> u16 {
        self.made.load(Ordering::Acquire)
    }

    /// Whether another activation was made after the one that the owner has. Asked after [`Mailbox::epoch`], it tells whose
    /// that is. For the owner only.
    pub fn is_overtaken(&self) -> bool {
        self.made() != self.runs()
    }

    /// How many messages wait: queued, or taken by the owner and not begun.
    pub fn len(&self) -> usize {
        self.activity().depth as usize
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one more message would be taken.
    pub fn has_room(&self) -> bool {
        self.activity().depth < self.capacity
    }

    /// How busy the actor is here.
    pub fn activity(&self) -> Activity {
        self.activity.snapshot(|| self.gate.load(Ordering::Acquire) & QUEUED)
    }

    /// Opens or closes the short way.
    pub fn set_open(&self, open: bool) {
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        if open {
            self.gate.store(gate & !CLOSED, Ordering::Release);
        } else {
            self.gate.store((gate | CLOSED) & !AWAITED, Ordering::Release);
            // Whoever waits for room here is to look elsewhere.
            let waiting = inner.take_senders();
            drop(inner);
            wake_all(waiting);
        }
    }

    /// Closes the mailbox and takes what is queued.
    pub fn close(&self) -> Records {
        self.set_open(false);
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        self.gate.store(gate & !QUEUED, Ordering::Release);
        let queued = mem::take(inner.queue());
        inner.shrink();
        queued
    }

    /// The actor is subscribed to so many streams. For the owner only.
    pub fn set_streams(&self, now: Moment, streams: usize) {
        self.activity.streams_changed(now, streams);
    }

    /// Tells the host that there is something to do besides messages.
    pub fn wake(self: &Arc<Self>) {
        let inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        self.gate.store(gate | WOKEN | SCHEDULED, Ordering::Release);
        drop(inner);
        if gate & SCHEDULED == 0 {
            self.host.inject(self);
        }
    }

    /// Whether it has memory for what waits.
    #[cfg(all(test, not(quark_loom)))]
    pub(super) fn has_waits(&self) -> bool {
        self.inner.lock().waits.is_some()
    }

    // The owner.

    /// The owner's record of what happens.
    pub fn cell(&self) -> &ActivityCell {
        &self.activity
    }

    /// The owner's own number for what runs.
    pub fn slot(&self) -> Option<u32> {
        Some(self.slot.load(Ordering::Relaxed)).filter(|slot| *slot != NO_SLOT)
    }

    /// Sets [`Mailbox::slot`]. For the owner only.
    pub fn set_slot(&self, slot: Option<u32>) {
        self.slot.store(slot.unwrap_or(NO_SLOT), Ordering::Relaxed);
    }

    /// The number of the activation that the owner has. For the owner only.
    pub fn runs(&self) -> u16 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Sets [`Mailbox::runs`]. For the owner only.
    pub fn set_runs(&self, number: u16) {
        self.runs.store(number, Ordering::Relaxed);
    }

    /// Whether what runs was woken since the last call.
    pub fn take_woken(&self) -> bool {
        // Who wakes it later is found when the owner comes to rest.
        if self.gate.load(Ordering::Relaxed) & WOKEN == 0 {
            return false;
        }
        let _inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        self.gate.store(gate & !WOKEN, Ordering::Release);
        gate & WOKEN != 0
    }

    /// Exchanges the queue for the empty `records`; `false` if it was empty.
    pub fn take(&self, records: &mut Records) -> bool {
        debug_assert!(records.is_empty(), "messages are run in order");
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & QUEUED != 0 {
            mem::swap(inner.queue(), records);
        }
        inner.taken = gate & QUEUED;
        self.activity.taken(inner.taken);
        self.gate.store(gate & !QUEUED, Ordering::Release);
        gate & QUEUED != 0
    }

    /// Takes all that waits, to be run before anything else is: the mailbox has come to rest with that, and the next message is
    /// told to the host. `None`, and nothing is taken, if it is more than `most` messages or there is more to it: see
    /// [`Mailbox::take`], and [`Mailbox::rest`] after it.
    ///
    /// Who waits for room is not forgotten by an owner that does not look again: nobody begins to wait beside what is taken here,
    /// as that is less than the mailbox holds, unless behind messages that came later; with these the owner is told again.
    pub fn take_few(&self, most: u32) -> Option<Taken> {
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        let queued = gate & QUEUED;
        if gate & AWAITED != 0 || queued == 0 || queued > most || queued >= self.capacity {
            return None;
        }
        let waits = inner.waits.take()?;
        inner.taken = queued;
        self.activity.taken(queued);
        self.gate.store(gate & CLOSED, Ordering::Release);
        Some(Taken::new(waits))
    }

    /// What was taken by [`Mailbox::take_few`] needs more than to be run: the owner is to come to rest after all. `false` if the host
    /// was told meanwhile, and is to look again anyway.
    pub fn stay(&self) -> bool {
        let _inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        self.gate.store(gate | SCHEDULED, Ordering::Release);
        gate & SCHEDULED == 0
    }

    /// Puts back, in front of what is queued, what was taken and not run.
    pub fn put_back(&self, records: &mut Records) {
        if records.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        let count = u32::try_from(records.len()).unwrap_or(QUEUED);
        records.append(inner.queue());
        mem::swap(inner.queue(), records);
        self.gate.store(gate + count, Ordering::Release);
        inner.taken = 0;
        self.activity.left(0);
    }

    /// The owner has nothing more to do; `false` if there is, after all. `busy`: only a wake matters, not a message.
    pub fn rest(&self, busy: bool) -> bool {
        let mut inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        let rests = if busy { gate & WOKEN == 0 } else { gate & QUEUED == 0 };
        if rests {
            let flags = if busy { BUSY } else { 0 };
            self.gate
                .store(gate & !(SCHEDULED | BUSY | WOKEN) | flags, Ordering::Release);
        } else {
            self.gate.store(gate & !BUSY, Ordering::Release);
        }
        let waiting = (gate & AWAITED != 0).then(|| self.let_in(&mut inner));
        if rests && !busy {
            inner.shrink();
        }
        drop(inner);
        if let Some(waiting) = waiting {
            wake_all(waiting);
        }
        rests
    }

    /// A turn that ran where it was sent has not ended: only a wake matters, not a message. What is scheduled comes to rest by
    /// itself.
    pub fn rest_here(&self) {
        let _inner = self.inner.lock();
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & SCHEDULED == 0 {
            self.gate.store(gate | BUSY, Ordering::Release);
        }
    }

    /// After some of what was taken has run: lets senders in that wait for room.
    pub fn ran(&self) {
        // A waiter that is missed here is found when the owner comes to rest.
        if self.gate.load(Ordering::Relaxed) & AWAITED != 0 {
            let waiting = self.let_in(&mut self.inner.lock());
            wake_all(waiting);
        }
    }

    /// Not before half of the mailbox is free: else each would be let in for one message. To be woken without the lock: one
    /// that waits may be the owner itself.
    fn let_in(&self, inner: &mut Inner) -> Vec<Waker> {
        let gate = self.gate.load(Ordering::Relaxed);
        if gate & AWAITED == 0 || (gate & QUEUED) + self.activity.waiting() > self.capacity / 2 {
            return Vec::new();
        }
        self.gate.store(gate & !AWAITED, Ordering::Release);
        inner.take_senders()
    }
}

fn wake_all(waiting: Vec<Waker>) {
    for waker in waiting {
        waker.wake();
    }
}

impl ArcWake for Mailbox {
    fn wake_by_ref(mailbox: &Arc<Self>) {
        mailbox.wake();
    }
}

impl OfActor for Mailbox {
    fn actor(&self) -> &ActorId {
        &self.actor
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.actor)
    }
}

impl<P> fmt::Debug for Refused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox is full",
            Self::Closed(_) => "the mailbox is closed",
        })
    }
}
