//! The counters of one activation.

use super::Activity;
use crate::clock::Moment;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// One counter within the word: where it begins and how many bits it has.
#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    bits: u32,
}

const DEPTH: Field = Field { shift: 0, bits: 24 };
const CALLS: Field = Field { shift: 24, bits: 20 };
const STREAMS: Field = Field { shift: 44, bits: 20 };

impl Field {
    const fn max(self) -> u64 {
        (1 << self.bits) - 1
    }

    const fn of(self, word: u64) -> u64 {
        (word >> self.shift) & self.max()
    }

    const fn up(self, word: u64) -> u64 {
        if self.of(word) == self.max() {
            word
        } else {
            word + (1 << self.shift)
        }
    }

    const fn down(self, word: u64) -> u64 {
        if self.of(word) == 0 {
            word
        } else {
            word - (1 << self.shift)
        }
    }
}

/// Records what happens to one activation. Any thread may, none waits for another.
///
/// The counters share one word, so that a snapshot is of one instant: an actor whose message goes from the mailbox into
/// a turn is at no instant seen as idle (see [`ActivityCell::turn_started`]). Counters stop at zero and at their
/// limits (16,777,215 messages, 1,048,575 calls or streams).
pub struct ActivityCell {
    counts: AtomicU64,
    last: AtomicU64,
}

impl ActivityCell {
    /// A cell in which nothing happened but that the activation began `now`.
    pub const fn new(now: Moment) -> Self {
        Self {
            counts: AtomicU64::new(0),
            last: AtomicU64::new(now.0),
        }
    }

    /// A message came into the mailbox.
    pub fn enqueued(&self, now: Moment) {
        self.record(now, |word| DEPTH.up(word));
    }

    /// A message left the mailbox without a turn: it moved, came back, expired.
    pub fn dequeued(&self, now: Moment) {
        self.record(now, |word| DEPTH.down(word));
    }

    /// A message left the mailbox and its turn began.
    pub fn turn_started(&self, now: Moment) {
        self.record(now, |word| CALLS.up(DEPTH.down(word)));
    }

    /// A call began that did not go through the mailbox.
    pub fn call_started(&self, now: Moment) {
        self.record(now, |word| CALLS.up(word));
    }

    /// A call or turn ended, in whatever way.
    pub fn call_ended(&self, now: Moment) {
        self.record(now, |word| CALLS.down(word));
    }

    /// The actor subscribed to a stream.
    pub fn stream_subscribed(&self, now: Moment) {
        self.record(now, |word| STREAMS.up(word));
    }

    /// The actor ended a subscription.
    pub fn stream_unsubscribed(&self, now: Moment) {
        self.record(now, |word| STREAMS.down(word));
    }

    /// The counters at one instant, and the time of the last event.
    pub fn snapshot(&self) -> Activity {
        let word = self.counts.load(Ordering::Acquire);
        let field = |field: Field| u32::try_from(field.of(word)).expect("invariant: a counter has at most 24 bits");
        Activity {
            depth: field(DEPTH),
            calls: field(CALLS),
            streams: field(STREAMS),
            last: Moment(self.last.load(Ordering::Relaxed)),
        }
    }

    fn record(&self, now: Moment, change: impl Fn(u64) -> u64) {
        // Before the counts, so that who sees the event in these sees its time as well.
        if self.last.load(Ordering::Relaxed) < now.0 {
            self.last.fetch_max(now.0, Ordering::Relaxed);
        }
        let mut word = self.counts.load(Ordering::Relaxed);
        while let Err(found) =
            self.counts
                .compare_exchange_weak(word, change(word), Ordering::Release, Ordering::Relaxed)
        {
            word = found;
        }
    }
}

impl fmt::Debug for ActivityCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread};

    fn counts(cell: &ActivityCell) -> (u32, u32, u32) {
        let now = cell.snapshot();
        (now.depth, now.calls, now.streams)
    }

    #[test]
    fn a_cell_takes_16_bytes() {
        assert_eq!(size_of::<ActivityCell>(), 16);
    }

    /// R16
    #[test]
    fn every_event_updates_its_counter_and_the_time() {
        let cell = ActivityCell::new(Moment(5));
        assert_eq!((counts(&cell), cell.snapshot().last), ((0, 0, 0), Moment(5)));
        type Step = fn(&ActivityCell, Moment);
        let steps: [(Step, (u32, u32, u32)); 8] = [
            (ActivityCell::enqueued, (1, 0, 0)),
            (ActivityCell::enqueued, (2, 0, 0)),
            (ActivityCell::dequeued, (1, 0, 0)),
            (ActivityCell::call_started, (1, 1, 0)),
            (ActivityCell::turn_started, (0, 2, 0)),
            (ActivityCell::call_ended, (0, 1, 0)),
            (ActivityCell::stream_subscribed, (0, 1, 1)),
            (ActivityCell::stream_unsubscribed, (0, 1, 0)),
        ];
        for (at, (step, expected)) in (10..).zip(steps) {
            step(&cell, Moment(at));
            assert_eq!((counts(&cell), cell.snapshot().last), (expected, Moment(at)));
        }
    }

    /// R22
    #[test]
    fn counts_never_go_below_zero() {
        let cell = ActivityCell::new(Moment(0));
        cell.dequeued(Moment(1));
        cell.call_ended(Moment(1));
        cell.stream_unsubscribed(Moment(1));
        assert_eq!(counts(&cell), (0, 0, 0));
        cell.stream_subscribed(Moment(2));
        cell.turn_started(Moment(2));
        cell.call_ended(Moment(2));
        cell.call_ended(Moment(2));
        assert_eq!(counts(&cell), (0, 0, 1));
    }

    #[test]
    fn a_full_counter_stays_full_and_leaves_its_neighbours_alone() {
        for field in [DEPTH, CALLS, STREAMS] {
            let full = field.max() << field.shift;
            assert_eq!(field.up(full), full);
            assert_eq!(field.of(field.down(full)), field.max() - 1);
        }
        assert_eq!(DEPTH.bits + CALLS.bits + STREAMS.bits, u64::BITS);
    }

    /// R28
    #[test]
    fn an_event_that_comes_late_does_not_turn_the_time_back() {
        let cell = ActivityCell::new(Moment(0));
        cell.enqueued(Moment(100));
        cell.enqueued(Moment(90));
        assert_eq!(cell.snapshot().last, Moment(100));
    }

    /// R23
    #[test]
    fn no_count_is_lost_between_threads() {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 20_000;
        let cell = ActivityCell::new(Moment(0));
        let start = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (cell, start) = (&cell, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..ROUNDS {
                        let now = Moment(round * THREADS + thread);
                        cell.enqueued(now);
                        cell.enqueued(now);
                        cell.turn_started(now);
                        cell.stream_subscribed(now);
                        if round % 2 == 0 {
                            cell.call_ended(now);
                            cell.stream_unsubscribed(now);
                        }
                    }
                });
            }
        });
        let all = u32::try_from(THREADS * ROUNDS).expect("small");
        assert_eq!(counts(&cell), (all, all / 2, all / 2));
        assert_eq!(cell.snapshot().last, Moment(THREADS * ROUNDS - 1));
    }

    /// R18, R23
    #[test]
    fn a_message_on_its_way_into_a_turn_is_at_no_instant_unseen() {
        let cell = ActivityCell::new(Moment(0));
        cell.enqueued(Moment(0));
        thread::scope(|scope| {
            let busy = scope.spawn(|| {
                for at in 1..100_000 {
                    cell.turn_started(Moment(at));
                    cell.enqueued(Moment(at));
                    cell.call_ended(Moment(at));
                }
            });
            while !busy.is_finished() {
                assert_ne!(counts(&cell), (0, 0, 0));
            }
        });
    }
}
