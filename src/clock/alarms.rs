//! Who sleeps until when.
//!
//! Most alarms are deadlines: far off, and cancelled long before their moment. So an alarm that is more than 0.4 s ahead goes into a
//! bucket of all those of the same eighth of a second, in O(1), and is cancelled there in O(1); when its bucket comes near, what is
//! left of it is put in order.
//!
//! ```text
//!   set --far--> ring of buckets --its time comes near--> near, in order --due--> woken
//!    |               | cancelled: unlinked                  ^
//!    +---------------|---near-------------------------------+
//! ```
//!
//! After Varghese and Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 6, with an ordered set in place of its last
//! wheel: what is near is precise.

use super::Moment;
use parking_lot::Mutex;
use slab::Slab;
use std::{collections::BTreeSet, mem, task::Waker};

/// The width of a bucket is this power of two of nanoseconds: 134 ms.
const BUCKET_BITS: u32 = 27;

/// How many buckets there are: 34 s of them. What is later shares a bucket with what is due a round earlier, and stays in it.
const BUCKETS: usize = 256;

/// No alarm.
const NONE: u32 = u32::MAX;

/// An alarm that was set; void once it has rung.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    place: u32,
    number: u64,
}

/// The sleepers of one clock, by moment.
#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    /// Told when the earliest alarm moves forward.
    on_earlier: Option<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    all: Slab<Entry>,
    /// The first of each bucket, by place.
    buckets: Box<[u32; BUCKETS]>,
    /// Those that are near, and their places.
    near: BTreeSet<(Moment, u64, u32)>,
    /// All buckets before this one are empty; not modulo their number.
    swept: u64,
    last: u64,
    /// When who fires the alarms will look again by itself. Alarms that are cancelled do not move it: one that is set and
    /// cancelled again and again, as by asks, disturbs nobody.
    planned: Option<Moment>,
}

struct Entry {
    at: Moment,
    number: u64,
    waker: Waker,
    /// Its neighbours in its bucket; `None` if it is near.
    linked: Option<Links>,
}

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    behind: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            all: Slab::new(),
            buckets: Box::new([NONE; BUCKETS]),
            near: BTreeSet::new(),
            swept: 0,
            last: 0,
            planned: None,
        }
    }
}

fn bucket(at: Moment) -> u64 {
    at.0 >> BUCKET_BITS
}

#[allow(clippy::cast_possible_truncation, reason = "less than the number of buckets")]
fn index(bucket: u64) -> usize {
    (bucket % BUCKETS as u64) as usize
}

impl Alarms {
    pub(super) fn new(on_earlier: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            on_earlier: Some(Box::new(on_earlier)),
        }
    }

    /// Has `waker` woken at `at`. `now` may be a little behind.
    pub(super) fn set(&self, now: Moment, at: Moment, waker: Waker) -> Alarm {
        let mut state = self.state.lock();
        let (alarm, look) = state.set(now, at, waker);
        let earlier = state.planned.is_none_or(|planned| look < planned);
        if earlier {
            state.planned = Some(look);
        }
        drop(state);
        if let (true, Some(tell)) = (earlier, &self.on_earlier) {
            tell();
        }
        alarm
    }

    /// Exchanges the waker; `false` if the alarm has rung.
    pub(super) fn replace(&self, alarm: Alarm, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let Some(entry) = state.entry(alarm) else { return false };
        if entry.waker.will_wake(waker) {
            return true;
        }
        let old = mem::replace(&mut entry.waker, waker.clone());
        drop(state);
        drop(old);
        true
    }

    /// Takes the alarm back, if it has not rung.
    pub(super) fn cancel(&self, alarm: Alarm) {
        // Who sleeps may go with its waker: not under the lock.
        let _cancelled = self.state.lock().cancel(alarm);
    }

    /// Wakes all that are due, in order; returns the moment to look again.
    pub(super) fn fire(&self, now: Moment) -> Option<Moment> {
        loop {
            let mut state = self.state.lock();
            state.sweep(now);
            match state.near.first() {
                Some(&(at, number, place)) if at <= now => {
                    let rung = state.cancel(Alarm { place, number });
                    drop(state);
                    if let Some(rung) = rung {
                        rung.waker.wake();
                    }
                }
                _ => return state.next_look(),
            }
        }
    }

    /// How many are set.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().all.len()
    }

    /// The earliest moment at which somebody is to be woken.
    pub(super) fn next(&self) -> Option<Moment> {
        let state = self.state.lock();
        state.all.iter().map(|(_, entry)| entry.at).min()
    }

    /// When to look again, for who will do so then and not before, unless told.
    pub(super) fn plan(&self) -> Option<Moment> {
        let mut state = self.state.lock();
        state.planned = state.next_look();
        state.planned
    }
}

impl State {
    /// Answers when to look again for the alarm's sake as well.
    fn set(&mut self, now: Moment, at: Moment, waker: Waker) -> (Alarm, Moment) {
        self.last += 1;
        let number = self.last;
        let far = bucket(at) > bucket(now) + 2 && bucket(at) >= self.swept;
        let place = self.all.insert(Entry {
            at,
            number,
            waker,
            linked: None,
        });
        let place = u32::try_from(place).expect("invariant: fewer than 2^32 sleep");
        if far {
            self.link(place);
        } else {
            self.near.insert((at, number, place));
        }
        let look = if far { comes_near(bucket(at)) } else { at };
        (Alarm { place, number }, look)
    }

    fn entry(&mut self, alarm: Alarm) -> Option<&mut Entry> {
        let entry = self.all.get_mut(alarm.place as usize);
        entry.filter(|entry| entry.number == alarm.number)
    }

    fn cancel(&mut self, alarm: Alarm) -> Option<Entry> {
        let at = self.entry(alarm)?.at;
        self.unlink(alarm.place);
        let entry = self.all.remove(alarm.place as usize);
        if entry.linked.is_none() {
            self.near.remove(&(at, alarm.number, alarm.place));
        }
        Some(entry)
    }

    /// Puts an alarm in front of its bucket.
    fn link(&mut self, place: u32) {
        let first = &mut self.buckets[index(bucket(self.all[place as usize].at))];
        let behind = mem::replace(first, place);
        let before = NONE;
        self.all[place as usize].linked = Some(Links { before, behind });
        self.set_before(behind, place);
    }

    /// Takes an alarm out of its bucket, if it is in one; it still says so.
    fn unlink(&mut self, place: u32) {
        let entry = &self.all[place as usize];
        let Some(Links { before, behind }) = entry.linked else {
            return;
        };
        match before {
            NONE => self.buckets[index(bucket(entry.at))] = behind,
            before => {
                if let Some(links) = &mut self.all[before as usize].linked {
                    links.behind = behind;
                }
            }
        }
        self.set_before(behind, before);
    }

    fn set_before(&mut self, place: u32, before: u32) {
        if place != NONE
            && let Some(links) = &mut self.all[place as usize].linked
        {
            links.before = before;
        }
    }

    /// Puts in order what has come near.
    fn sweep(&mut self, now: Moment) {
        let end = bucket(now) + 3;
        if end <= self.swept {
            return;
        }
        // After a long sleep: each bucket once.
        let from = self.swept.max(end.saturating_sub(BUCKETS as u64));
        for index in (from..end).map(index) {
            let mut place = self.buckets[index];
            while place != NONE {
                let entry = &self.all[place as usize];
                let (at, number) = (entry.at, entry.number);
                let behind = entry.linked.map_or(NONE, |links| links.behind);
                if bucket(at) < end {
                    self.unlink(place);
                    self.all[place as usize].linked = None;
                    self.near.insert((at, number, place));
                }
                place = behind;
            }
        }
        self.swept = end;
    }

    /// When the first of the ordered ones is due, or the first bucket comes near.
    fn next_look(&self) -> Option<Moment> {
        let near = self.near.first().map(|(at, ..)| *at);
        let round = self.swept..self.swept + BUCKETS as u64;
        let is_used = |bucket: &u64| self.buckets[index(*bucket)] != NONE;
        let far = (near.is_none_or(|near| near >= comes_near(self.swept)))
            .then(|| round.into_iter().find(is_used).map(comes_near))
            .flatten();
        near.into_iter().chain(far).min()
    }
}

/// When a bucket is to be put in order.
fn comes_near(bucket: u64) -> Moment {
    Moment(bucket.saturating_sub(2) << BUCKET_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    /// Notes when it is woken, by a clock of the test, and how often.
    #[derive(Default)]
    struct Sleeper {
        now: Arc<AtomicU64>,
        woken: Mutex<Vec<u64>>,
    }

    impl std::task::Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.woken.lock().push(self.now.load(Ordering::Relaxed));
        }
    }

    /// From a nanosecond to several rounds of the ring.
    fn ahead() -> impl Strategy<Value = u64> {
        (0u32..38, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
    }

    proptest! {
        #[test]
        fn every_alarm_rings_once_at_its_moment_unless_it_is_cancelled(
            steps in prop::collection::vec((0u8..10, ahead(), any::<prop::sample::Index>()), 1..200)
        ) {
            let alarms = Alarms::default();
            let now = Arc::new(AtomicU64::new(0));
            let mut set = Vec::new();
            let (mut rung, mut cancelled) = (Vec::new(), Vec::new());
            for (step, ahead, which) in steps {
                let time = now.load(Ordering::Relaxed);
                match step {
                    0..=4 => {
                        let sleeper = Arc::new(Sleeper { now: now.clone(), ..Sleeper::default() });
                        let alarm = alarms.set(Moment(time), Moment(time + ahead), sleeper.clone().into());
                        set.push((time + ahead, alarm, sleeper));
                    }
                    5..=6 if !set.is_empty() => {
                        let (at, alarm, sleeper) = set.swap_remove(which.index(set.len()));
                        alarms.cancel(alarm);
                        alarms.cancel(alarm);
                        prop_assert!(!alarms.replace(alarm, Waker::noop()));
                        cancelled.push((at, sleeper));
                    }
                    // As the thread of the system's clock does it: at the moments that it was told, until some time.
                    _ => {
                        let end = time + ahead;
                        while let Some(next) = alarms.plan().filter(|next| next.0 <= end) {
                            now.fetch_max(next.0, Ordering::Relaxed);
                            alarms.fire(Moment(now.load(Ordering::Relaxed)));
                        }
                        now.store(end, Ordering::Relaxed);
                        rung.extend(set.extract_if(.., |(at, ..)| *at <= end));
                    }
                }
                let first = set.iter().map(|(at, ..)| Moment(*at)).min();
                prop_assert_eq!(alarms.next(), first);
                let planned = alarms.plan();
                prop_assert!(planned.is_some() == first.is_some() && planned <= first, "{:?} {:?}", planned, first);
            }
            for (at, alarm, sleeper) in rung {
                alarms.cancel(alarm);
                prop_assert_eq!(&*sleeper.woken.lock(), &[at]);
            }
            for (_, sleeper) in cancelled {
                prop_assert!(sleeper.woken.lock().is_empty());
                prop_assert_eq!(Arc::strong_count(&sleeper), 1, "its waker went with it");
            }
        }
    }

    /// As with asks one after the other: the thread of the clock is not woken for each.
    #[test]
    fn deadlines_that_are_cancelled_again_and_again_disturb_nobody_and_leave_nothing() {
        let told = Arc::new(AtomicU64::new(0));
        let tell = told.clone();
        let alarms = Alarms::new(move || {
            tell.fetch_add(1, Ordering::Relaxed);
        });
        for n in 0..100_000 {
            let now = Moment(n * 1_000);
            let alarm = alarms.set(now, now + Duration::from_secs(30), Waker::noop().clone());
            alarms.cancel(alarm);
        }
        assert_eq!(told.load(Ordering::Relaxed), 1, "for the first");
        let state = alarms.state.lock();
        assert!(state.all.is_empty() && state.all.capacity() < 8 && state.near.is_empty());
        assert!(state.buckets.iter().all(|first| *first == NONE));
    }

    #[test]
    fn what_is_far_off_is_in_no_order_until_it_comes_near() {
        let alarms = Alarms::default();
        let at = Moment(1 << 40);
        alarms.set(Moment(0), at, Waker::noop().clone());
        let near = Moment(at.0 - 400_000_000);
        alarms.fire(near);
        assert!(alarms.state.lock().near.is_empty());
        let look = alarms.plan().expect("it is set");
        assert!(near <= look && look < at);
        alarms.fire(look);
        assert_eq!(alarms.plan(), Some(at), "to the nanosecond from now on");
    }
}
